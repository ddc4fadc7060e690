//! What a store has of what its daemon needs, and what it holds.

use std::collections::BTreeSet;

use watchtower_core::tables::{Cell, geofences};
use watchtower_core::{Findings, plan};

use crate::Store;
use crate::query::{Condition, Query, QueryError};

impl Store {
    /// Checks everything that a daemon of this plan needs of the tables. Changes nothing.
    ///
    /// # Errors
    /// If the store cannot be used at all.
    pub async fn check(&self, plan: &str, findings: &mut Findings) -> Result<(), QueryError> {
        let Some(stored) = self.check_backend(findings).await? else { return Ok(()) };
        let rebuild = match self.file() {
            Some(file) => format!("watchtower rebuild --embedded {}", file.path().display()),
            None => "watchtower rebuild --config <file>".to_owned(),
        };
        match plan::difference(&stored.plan, plan) {
            same if same.is_empty() => findings.good("the tables were computed under the configured limits and rules"),
            difference => findings.wrong(format!(
                "the configuration differs from the one the tables were computed under: {difference}; put it back, or let \
                 `{rebuild}` compute them anew"
            )),
        }
        self.check_geofences(findings).await
    }

    async fn check_geofences(&self, findings: &mut Findings) -> Result<(), QueryError> {
        let in_force = Condition::Equals(Cell::Empty);
        let query = Query::all(&geofences::TABLE).filter("effective_until", in_force);
        let [answer] = self.reader().await?.read([&query.expect("a column of the table")]).await?;
        let ids: BTreeSet<&str> = answer.rows.iter().filter_map(|row| row[0].as_text()).collect();
        findings.good(match ids.len() {
            0 => "no geofence is in force: `watchtower geofences import` appends some".to_owned(),
            1 => "1 geofence is in force".to_owned(),
            count => format!("{count} geofences are in force"),
        });
        Ok(())
    }
}

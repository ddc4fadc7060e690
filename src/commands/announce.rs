//! The rules of the configuration, appended to the log as `rule` events.
//!
//! A rule whose definition differs from the version in force is appended as a new version, which holds from its arrival; one
//! that a configuration appended and that is no longer in it is deleted. Rules that came by other ways stay as they are.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use watchtower_core::events::{Event, Limits, RuleChange, RuleText};
use watchtower_core::tables::{Cell, Row, rules};
use watchtower_daemon::Places;
use watchtower_log::ingest::{Entry, Ingest};
use watchtower_store::Store;
use watchtower_store::query::{Condition, Query};

/// Wait before the tables or the log are tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Marks a rule that a configuration appended.
const ORIGIN: &str = "configuration";

/// Appends the rules that have changed, as soon as tables and log can be reached.
pub(super) async fn announce(configured: Vec<RuleText>, limits: Limits, places: Places) {
    let ingest = Ingest::start(places.log.clone());
    let mut warned = false;
    loop {
        let fault = match try_announce(&configured, &limits, &places, &ingest).await {
            Ok(0) => return,
            Ok(changes) => {
                tracing::info!(changes, "alert rules of the configuration appended to the log");
                return;
            }
            Err(fault) => fault,
        };
        if !std::mem::replace(&mut warned, true) {
            tracing::debug!(fault, "alert rules of the configuration wait for tables and log");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn try_announce(
    configured: &[RuleText],
    limits: &Limits,
    places: &Places,
    ingest: &Ingest,
) -> Result<usize, String> {
    let in_force = Query::all(&rules::TABLE).filter("effective_until", Condition::Equals(Cell::Empty));
    let in_force = in_force.map_err(|fault| fault.to_string())?;
    let store = Store::new(&places.store).map_err(|fault| fault.to_string())?;
    let mut reader = store.reader().await.map_err(|fault| fault.to_string())?;
    let [answer] = reader.read([&in_force]).await.map_err(|fault| fault.to_string())?;
    let changes = changes(configured, limits, &answer.rows)?;
    let count = changes.len();
    if count > 0 {
        let entries = changes.into_iter().map(|change| Entry::Event(Event::Rule(change))).collect();
        ingest.append(entries, None).await.map_err(|fault| fault.to_string())?;
    }
    Ok(count)
}

/// What is to be appended where these versions are in force.
fn changes(configured: &[RuleText], limits: &Limits, in_force: &[Row]) -> Result<Vec<RuleChange<'static>>, String> {
    let stored: Vec<(&str, Value)> = in_force.iter().filter_map(stored).collect();
    let mut changes = Vec::new();
    for rule in configured {
        let rule = RuleText { origin: Some(ORIGIN.to_owned()), ..rule.clone() };
        let change = rule.change(limits).map_err(|rejection| rejection.detail)?;
        let wanted = change.definition.as_ref().map(|rule| serde_json::from_str::<Value>(&rule.definition));
        let wanted = wanted.transpose().map_err(|fault| fault.to_string())?;
        let found = stored.iter().find(|(id, _)| *id == change.rule_id).map(|(_, definition)| definition);
        if found != wanted.as_ref() {
            changes.push(change);
        }
    }
    let kept: BTreeSet<&str> = configured.iter().map(|rule| rule.rule_id.as_str()).collect();
    let gone = stored.iter().filter(|(id, definition)| definition["origin"] == ORIGIN && !kept.contains(id));
    changes.extend(gone.map(|(id, _)| RuleChange {
        rule_id: (*id).to_owned().into(),
        valid_from: None,
        received_at: None,
        definition: None,
    }));
    Ok(changes)
}

/// Id and definition of a row.
fn stored(row: &Row) -> Option<(&str, Value)> {
    let id = row[rules::TABLE.column("rule_id")?].as_text()?;
    let definition = row[rules::TABLE.column("definition")?].as_text()?;
    Some((id, serde_json::from_str(definition).ok()?))
}

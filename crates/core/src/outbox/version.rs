//! A row of `alerts` as the outbox sees it.

use std::sync::Arc;

use watchtower_model::{Alert, Millis};

use super::LEAST_LENGTH_MS;
use crate::tables::{Cell, Lookup, Row, TableRow, alerts};

/// A row of `alerts` with what delivery needs of its rule.
#[derive(Clone, Debug)]
pub struct AlertVersion {
    /// The cells of the row, in the order of the table's columns.
    pub row: Row,
    /// Start of the fact.
    pub started_at: Millis,
    /// End of the fact, if its kind waits for it.
    pub ended_at: Option<Millis>,
    /// The version of the rule that made it, as JSON.
    pub definition: Arc<str>,
}

impl AlertVersion {
    pub(super) fn new(alert: &Alert, lookup: &Lookup) -> Self {
        let Alert { rule, seq, started_at, ended_at, .. } = *alert;
        let definition = Arc::clone(&lookup.rule(rule, seq).definition);
        Self { row: alert.cells(lookup), started_at, ended_at, definition }
    }

    /// The cell of a column; the table must have it.
    pub(super) fn cell(&self, column: &str) -> &Cell {
        &self.row[alerts::TABLE.column(column).expect("alerts has this column")]
    }

    /// The text in a column; empty if the cell is.
    pub(super) fn text(&self, column: &str) -> &str {
        self.cell(column).as_text().unwrap_or_default()
    }

    /// Instant of the alert.
    pub(super) fn at(&self) -> Millis {
        self.cell("at").as_time().expect("every alert has an instant")
    }

    /// How long it lasts, as far as is known.
    fn length_ms(&self) -> Millis {
        let known = self.ended_at.unwrap_or(self.started_at).max(self.at()) - self.started_at;
        if self.ended_at.is_some() { known } else { known.max(LEAST_LENGTH_MS) }
    }

    /// Whether another alert of the same rule, kind, vehicle and geofence may be about the same fact.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        (self.started_at - other.started_at).abs() < self.length_ms().max(other.length_ms())
    }
}

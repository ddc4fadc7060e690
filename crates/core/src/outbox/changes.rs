//! Changed alerts with their rows before and after a commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchtower_model::{Alert, Millis};

use super::row::{AlertEvent, OutboxRow, rows_of};
use super::version::AlertVersion;
use crate::tables::Lookup;

/// Columns of `alerts` that a fact keeps when its start moves.
const SAME_FACT: [&str; 4] = ["rule_id", "kind", "vehicle_id", "geofence_id"];

#[derive(Clone, Debug, Default)]
struct Change {
    before: Option<AlertVersion>,
    after: Option<AlertVersion>,
}

/// The changes of `alerts` in one or more epochs.
#[derive(Clone, Debug, Default)]
pub struct AlertChanges {
    /// By rule and subject, as the table's key.
    changes: BTreeMap<(Arc<str>, Arc<str>), Change>,
}

impl AlertChanges {
    /// The changes of one epoch: alerts with the change of their multiplicity, in any order.
    pub fn of_epoch(alerts: &[(Alert, i64)], lookup: &Lookup) -> Self {
        let mut changes = Self::default();
        for (alert, diff) in alerts {
            changes.add(AlertVersion::new(alert, lookup), *diff);
        }
        changes
    }

    /// Adds a row that an epoch adds (`diff` above 0) or removes.
    pub fn add(&mut self, version: AlertVersion, diff: i64) {
        let key = (version.text("rule_id").into(), version.text("subject").into());
        let change = self.changes.entry(key).or_default();
        let side = if diff > 0 { &mut change.after } else { &mut change.before };
        *side = Some(version);
    }

    /// Adds the changes of a later epoch of the same commit.
    pub fn then(&mut self, later: Self) {
        for (key, change) in later.changes {
            self.changes.entry(key).and_modify(|mine| mine.after = change.after.clone()).or_insert(change);
        }
    }

    /// Whether no alert changed.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The rows of the outbox, in the order of their keys; `now` is the log's time after the commit.
    pub fn rows(&self, now: Millis) -> Vec<OutboxRow> {
        let mut rows = Vec::new();
        let (mut retracted, mut raised) = (Vec::new(), Vec::new());
        for Change { before, after } in self.changes.values() {
            match (before, after) {
                (None, None) => {}
                (Some(before), Some(after)) if before.row == after.row => {}
                (Some(before), Some(after)) => {
                    rows_of(AlertEvent::Corrected, Some(before), Some(after), now, &mut rows);
                }
                (Some(before), None) => retracted.push(before),
                (None, Some(after)) => raised.push(after),
            }
        }
        for (before, after) in moved(&mut retracted, &mut raised) {
            rows_of(AlertEvent::Corrected, Some(before), Some(after), now, &mut rows);
        }
        for before in retracted {
            rows_of(AlertEvent::Retracted, Some(before), None, now, &mut rows);
        }
        for after in raised {
            rows_of(AlertEvent::Raised, None, Some(after), now, &mut rows);
        }
        rows.sort_by(|a, b| (&a.endpoint, &a.subject).cmp(&(&b.endpoint, &b.subject)));
        rows
    }
}

/// Takes those out of both lists that are the same fact under another subject, closest starts first.
fn moved<'a>(
    retracted: &mut Vec<&'a AlertVersion>,
    raised: &mut Vec<&'a AlertVersion>,
) -> Vec<(&'a AlertVersion, &'a AlertVersion)> {
    let fact = |version: &AlertVersion| SAME_FACT.map(|column| version.text(column).to_owned());
    let mut by_fact: BTreeMap<[String; 4], Vec<usize>> = BTreeMap::new();
    for (index, after) in raised.iter().enumerate().filter(|_| !retracted.is_empty()) {
        by_fact.entry(fact(after)).or_default().push(index);
    }
    let mut candidates = Vec::new();
    for (old, before) in retracted.iter().enumerate() {
        for &new in by_fact.get(&fact(before)).into_iter().flatten() {
            if before.overlaps(raised[new]) {
                candidates.push(((before.started_at - raised[new].started_at).abs(), old, new));
            }
        }
    }
    candidates.sort_unstable();
    let (mut old_taken, mut new_taken) = (vec![false; retracted.len()], vec![false; raised.len()]);
    let mut pairs = Vec::new();
    for (_, old, new) in candidates {
        if !old_taken[old] && !new_taken[new] {
            (old_taken[old], new_taken[new]) = (true, true);
            pairs.push((retracted[old], raised[new]));
        }
    }
    let (mut old, mut new) = (old_taken.iter(), new_taken.iter());
    retracted.retain(|_| old.next().is_some_and(|taken| !taken));
    raised.retain(|_| new.next().is_some_and(|taken| !taken));
    pairs
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

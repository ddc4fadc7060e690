//! Rejected events of a stream: each is kept, up to a limit per minute; all are counted.
//!
//! Whether an event is kept depends only on the entries of its stream, and time is taken from their ids, so the tables
//! stay a function of the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchtower_model::Millis;

use crate::events::{Raw, Reason, RejectedEvent, Rejection};
use crate::tables::{ChangeSet, rejected_counts, rejected_events};

/// Rejected events of one stream that are kept per minute: more than a person reads.
const MAX_KEPT_A_MINUTE: u64 = 1_000;
/// Bytes of rejected events that are kept per minute.
const MAX_BYTES_A_MINUTE: usize = 8 << 20;

const MINUTE_MS: Millis = 60_000;
const HOUR_MS: Millis = 3_600_000;

/// The rejected events of one stream, in order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Refused {
    minute: Millis,
    kept: u64,
    kept_bytes: usize,
    hour: Millis,
    /// Counts of the current hour: rejected events, and those of them that were kept.
    counts: BTreeMap<Reason, (u64, u64)>,
}

impl Refused {
    /// Adds an event rejected at `position` of the stream, in an entry that arrived at `arrived_at`; appends the
    /// resulting rows to `changes`.
    pub fn add(
        &mut self,
        stream: &str,
        position: String,
        arrived_at: Millis,
        rejection: Rejection,
        raw: Raw<'_>,
        changes: &mut ChangeSet,
    ) {
        let (minute, hour) = (arrived_at.div_euclid(MINUTE_MS), arrived_at.div_euclid(HOUR_MS));
        if minute != self.minute {
            (self.minute, self.kept, self.kept_bytes) = (minute, 0, 0);
        }
        if hour != self.hour {
            self.hour = hour;
            self.counts.clear();
        }
        let reason = rejection.reason;
        let (events, kept) = self.counts.entry(reason).or_default();
        *events += 1;
        if self.kept < MAX_KEPT_A_MINUTE && self.kept_bytes < MAX_BYTES_A_MINUTE {
            let mut row = RejectedEvent::new(stream, position, rejection, raw);
            row.arrived_at = Some(arrived_at);
            self.kept += 1;
            self.kept_bytes += row.event.len();
            *kept += 1;
            changes.set(&rejected_events::TABLE, rejected_events::cells(&row));
        }
        let row = rejected_counts::cells(stream, hour * HOUR_MS, reason, *events, *kept);
        changes.set(&rejected_counts::TABLE, row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_cap_they_are_only_counted() {
        let mut refused = Refused::default();
        let mut changes = ChangeSet::default();
        let mut add = |position: u64, arrived_at| {
            let rejection = Rejection::new(Reason::Malformed, "no event");
            refused.add("s", position.to_string(), arrived_at, rejection, Raw::complete(b"?"), &mut changes);
        };
        (0..MAX_KEPT_A_MINUTE + 5).for_each(|position| add(position, 7));
        add(MAX_KEPT_A_MINUTE + 5, MINUTE_MS);
        let rows = |name: &str| changes.tables().iter().find(|t| t.table.name == name).map_or(0, |t| t.rows.len());
        assert_eq!(rows("rejected_events") as u64, MAX_KEPT_A_MINUTE + 1, "a new minute, and room again");
        assert_eq!(rows("rejected_counts"), 1);
        assert_eq!(refused.counts[&Reason::Malformed], (MAX_KEPT_A_MINUTE + 6, MAX_KEPT_A_MINUTE + 1));
    }
}

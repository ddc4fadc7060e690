//! Rejected events of a stream: each is kept, up to a limit per minute; all are counted.
//!
//! Whether an event is kept depends only on the entries of its stream, and time is taken from their ids, so the tables
//! stay a function of the log.

use std::collections::{BTreeMap, VecDeque};

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
    /// Hours in which some were kept, ascending, each with an instant before which none of it are left.
    expiring: VecDeque<(Millis, Millis)>,
    /// The hour of the newest entry when those were dropped last of which nothing is remembered here.
    swept_hour: Millis,
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
            if self.expiring.back().is_none_or(|(last, _)| *last < hour) {
                self.expiring.push_back((hour, arrived_at));
            }
            self.kept_bytes += row.event.len();
            *kept += 1;
            changes.set(&rejected_events::TABLE, rejected_events::cells(&row));
        }
        let row = rejected_counts::cells(stream, hour * HOUR_MS, reason, *events, *kept);
        changes.set(&rejected_counts::TABLE, row);
    }

    /// Those that arrived at this instant or before are to be dropped, now that an entry of `newest` has been read and
    /// they are kept for `keep_ms`; nothing if none can be left.
    pub fn expired(&mut self, newest: Millis, keep_ms: Millis) -> Option<Millis> {
        let until = newest.saturating_sub(keep_ms);
        let mut is_due = std::mem::replace(&mut self.swept_hour, newest.div_euclid(HOUR_MS)) != self.swept_hour;
        while let Some((hour, oldest)) = self.expiring.front_mut()
            && *oldest <= until
        {
            is_due = true;
            if until < (*hour + 1) * HOUR_MS - 1 {
                *oldest = until + 1;
                break;
            }
            self.expiring.pop_front();
        }
        is_due.then_some(until)
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

    #[test]
    fn they_are_dropped_when_their_time_is_over_and_no_sooner() {
        const KEEP: Millis = 2 * HOUR_MS;
        let mut random = crate::random::SplitMix::new(3);
        let (mut refused, mut table, mut newest) = (Refused::default(), Vec::new(), 1_000 * HOUR_MS);
        let (mut deleted, mut due) = (0, 0);
        for _ in 0..5_000 {
            newest += [0, 1, 999, 59_000, 40 * MINUTE_MS, 3 * HOUR_MS][random.below(6) as usize] as Millis;
            if random.below(3) == 0 {
                let rejection = Rejection::new(Reason::Malformed, "");
                refused.add("s", newest.to_string(), newest, rejection, Raw::complete(b""), &mut ChangeSet::default());
                table.push(newest);
            }
            if random.below(4) == 0 {
                continue; // the epoch goes on
            }
            if let Some(until) = refused.expired(newest, KEEP) {
                let before = table.len();
                table.retain(|arrived_at| *arrived_at > until);
                (deleted, due) = (deleted + before - table.len(), due + 1);
            }
            assert!(table.iter().all(|arrived_at| newest - arrived_at < KEEP), "{newest}: {table:?}");
        }
        assert!(deleted > 500 && due < 4_000, "{deleted} deleted in {due} steps");
    }
}

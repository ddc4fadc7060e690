//! Whether entries were lost: the state of a stream in Redis compared with what was read of it.
//!
//! Redis counts the entries ever added to a stream; we count those we read, and so know how many came
//! after them. Each of those is read, or still there, or lost:
//!
//! ```text
//! lost = added - read - left
//! ```
//!
//! That is exact at any instant, whatever is added, trimmed or deleted between a read and the look at the
//! stream. Redis does not report how many entries are *left* after an id, unless all are, or none. To count
//! them is to read them, so it is done only where nothing simpler proves that none was removed:
//!
//! * XTRIM and MAXLEN take the oldest, XDEL leaves its mark in `max-deleted-entry-id`: if the last entry
//!   read is there, and nothing behind it was ever deleted, nothing behind it is gone.
//! * If as many were removed in all as when nothing was lost, nothing was removed since.
//!
//! A stream that reports fewer entries than were read is not the stream that was read. It was deleted and
//! created again, it was flushed, it is an older state of it, or a replica's that was behind. It may report
//! more, too: then more entries are left than can have been added.

use watchtower_core::StreamPosition;

use crate::redis::admin::StreamInfo;

/// Entries that the log no longer holds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// They were trimmed or deleted before they were read.
    #[error(
        "{stream}: {lost} entries after {last} are lost: they were trimmed or deleted before they were read. Read were \
         {entries}, ever added {added}"
    )]
    Lost {
        /// Key of the stream.
        stream: String,
        /// Number of entries that were removed unread.
        lost: u64,
        /// The last entry that was read before them.
        last: String,
        /// Entries up to there.
        entries: u64,
        /// Entries ever added.
        added: u64,
    },
    /// Entries that the tables contain, and the newest checkpoint does not, were trimmed or deleted.
    #[error(
        "{stream}: the tables contain {needed} entries up to {last}, and Redis no longer holds {} of the {wanted} that the \
         newest checkpoint does not have: it was trimmed, flushed or restored from an older state",
        wanted.saturating_sub(*found)
    )]
    Unreplayable {
        /// Key of the stream.
        stream: String,
        /// Entries that the tables contain.
        needed: u64,
        /// The last of them.
        last: String,
        /// How many of them have to be read again.
        wanted: u64,
        /// How many are there.
        found: u64,
    },
    /// The stream is another one, or an older state of it.
    #[error(
        "{stream}: it is not the stream that was read: {entries} entries were read up to {last}, of which at least {lost} \
         were never added to what is there now ({added} entries up to {newest}). It was deleted, flushed, restored from \
         an older state, or is on a replica that was behind; how many entries went with it unread, nobody knows"
    )]
    Rewound {
        /// Key of the stream.
        stream: String,
        /// Entries that were read.
        entries: u64,
        /// The last of them.
        last: String,
        /// Entries ever added to what is there now.
        added: u64,
        /// The last of those.
        newest: String,
        /// How many of those that were read are missing at least.
        lost: u64,
    },
}

impl Gap {
    /// The stream, and how many of its entries are known to be missing.
    pub fn lost(&self) -> (&str, u64) {
        match self {
            Self::Lost { stream, lost, .. } | Self::Rewound { stream, lost, .. } => (stream, *lost),
            Self::Unreplayable { stream, wanted, found, .. } => (stream, wanted.saturating_sub(*found)),
        }
    }
}

/// State of a stream at one instant.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The entry at `before` is there.
    pub anchored: bool,
    /// Numbers that Redis reports of the stream.
    pub info: StreamInfo,
    /// How many entries had been removed when nothing was lost.
    pub removed_then: Option<u64>,
    /// How many entries there are after `at`, if they were counted.
    pub left: Option<u64>,
}

/// Conclusion from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Nothing is lost.
    Complete,
    /// It takes a count of what is left.
    Uncounted,
}

/// Whether every entry after `before` was read by `at`, two places of one stream, or can still be read.
///
/// # Errors
/// If entries are lost, or the stream is not the one that was read.
pub fn judge(key: &str, before: StreamPosition, at: StreamPosition, look: Look) -> Result<Proof, Gap> {
    let Look { anchored, info, removed_then, left } = look;
    let StreamInfo { length, added, first, last, max_deleted } = info;
    let rewound = |lost: u64| Gap::Rewound {
        stream: key.to_owned(),
        entries: at.entries,
        last: at.last.to_string(),
        added,
        newest: last.to_string(),
        lost: lost.max(1),
    };
    if added < at.counted() || last < at.last {
        return Err(rewound(at.counted().saturating_sub(added)));
    }
    if anchored && (max_deleted <= before.last || removed_then == Some(info.removed())) {
        return Ok(Proof::Complete);
    }
    let is_all_behind = |read: StreamPosition| length == 0 || first > read.last;
    if !anchored && !is_all_behind(before) && max_deleted < before.last {
        return Err(rewound(1)); // neither trimmed, for older ones are there, nor deleted
    }
    if is_all_behind(before) && added - before.counted() == length {
        return Ok(Proof::Complete);
    }
    let left = match (is_all_behind(at), last == at.last, left) {
        (true, _, _) => length,
        (false, true, _) => 0,
        (false, false, Some(left)) => left,
        (false, false, None) => return Ok(Proof::Uncounted),
    };
    let came = added - at.counted();
    if came < left {
        return Err(rewound(left - came));
    }
    if came > left {
        return Err(Gap::Lost {
            stream: key.to_owned(),
            lost: came - left,
            last: before.last.to_string(),
            entries: before.entries,
            added: added + at.rebased,
        });
    }
    Ok(Proof::Complete)
}

#[cfg(test)]
mod tests {
    use watchtower_core::EntryId;
    use watchtower_core::random::SplitMix;

    use super::*;

    #[test]
    fn a_gap_says_what_was_read_and_what_was_added() {
        let (stream, last) = ("wt:lagos:events:0".to_owned(), "5-0".to_owned());
        let gap = Gap::Lost { stream, lost: 2, last, entries: 3, added: 5 };
        let expected = "wt:lagos:events:0: 2 entries after 5-0 are lost: they were trimmed or deleted before they were \
                        read. Read were 3, ever added 5";
        assert_eq!(gap.to_string(), expected);
    }

    /// A stream as Redis keeps it, and what only the test knows.
    #[derive(Clone, Debug, Default)]
    struct Model {
        entries: Vec<u64>,
        /// All that ever were.
        ever: Vec<u64>,
        added: u64,
        last: u64,
        max_deleted: u64,
    }

    impl Model {
        fn add(&mut self, id: u64) {
            assert!(id > self.last);
            (self.last, self.added) = (id, self.added + 1);
            self.entries.push(id);
            self.ever.push(id);
        }

        fn delete(&mut self, id: u64) {
            let before = self.entries.len();
            self.entries.retain(|&entry| entry != id);
            if self.entries.len() < before {
                self.max_deleted = self.max_deleted.max(id);
            }
        }

        fn trim(&mut self, min: u64) {
            self.entries.retain(|&entry| entry >= min);
        }

        fn after(&self, id: u64) -> impl Iterator<Item = u64> {
            self.entries.iter().copied().filter(move |&entry| entry > id)
        }

        fn look(&self, before: StreamPosition, removed_then: Option<u64>) -> Look {
            let first = self.entries.first().map_or(EntryId::ZERO, |&id| entry_id(id));
            let (last, max_deleted) = (entry_id(self.last), entry_id(self.max_deleted));
            let info = StreamInfo { length: self.entries.len() as u64, added: self.added, first, last, max_deleted };
            let anchored = self.entries.contains(&before.last.ms);
            Look { anchored, info, removed_then, left: None }
        }

        /// What is found out, by counting if need be, and whether it was.
        fn judge(
            &self,
            before: StreamPosition,
            at: StreamPosition,
            removed_then: Option<u64>,
        ) -> (Result<(), Gap>, bool) {
            let mut look = self.look(before, removed_then);
            match judge("s", before, at, look) {
                Ok(Proof::Uncounted) => {
                    look.left = Some(self.after(at.last.ms).count() as u64);
                    (judge("s", before, at, look).map(drop), true)
                }
                verdict => (verdict.map(drop), false),
            }
        }
    }

    fn entry_id(ms: u64) -> EntryId {
        EntryId { ms, seq: 0 }
    }

    fn read(ms: u64, entries: u64) -> StreamPosition {
        StreamPosition { last: entry_id(ms), entries, ..StreamPosition::default() }
    }

    /// A stream with the entries 1 to 9.
    fn nine() -> Model {
        let mut model = Model::default();
        (1..=9).for_each(|id| model.add(id));
        model
    }

    /// Number of entries reported lost when 3 and 4 were read after 2; -1 if another stream is reported.
    fn lost(model: &Model) -> i64 {
        match model.judge(read(2, 2), read(4, 4), None).0 {
            Ok(()) => 0,
            Err(Gap::Lost { lost, .. } | Gap::Unreplayable { wanted: lost, .. }) => lost as i64,
            Err(Gap::Rewound { .. }) => -1,
        }
    }

    /// [`lost`], after something was done to the nine entries.
    fn lost_after(change: impl FnOnce(&mut Model)) -> i64 {
        let mut model = nine();
        change(&mut model);
        lost(&model)
    }

    #[test]
    fn what_was_read_may_go_in_any_way() {
        assert_eq!(lost_after(|_| {}), 0);
        assert_eq!(lost_after(|s| s.trim(2)), 0, "up to the last one");
        assert_eq!(lost_after(|s| s.trim(3)), 0, "with the last one");
        assert_eq!(lost_after(|s| s.trim(4)), 0, "between the read and the look");
        assert_eq!(lost_after(|s| s.trim(5)), 0, "all that was just read");
        assert_eq!(lost_after(|s| s.delete(1)), 0);
        assert_eq!(lost_after(|s| s.delete(2)), 0, "the last one");
        assert_eq!(lost_after(|s| s.delete(4)), 0, "just read");
        assert_eq!(lost_after(|s| (1..=4).for_each(|id| s.delete(id))), 0);
        assert_eq!(lost_after(|s| (10..99).for_each(|id| s.add(id))), 0, "and any may come");
    }

    #[test]
    fn what_was_not_read_is_counted() {
        assert_eq!(lost_after(|s| s.trim(6)), 1);
        assert_eq!(lost_after(|s| s.trim(99)), 5);
        assert_eq!(lost_after(|s| s.delete(5)), 1);
        assert_eq!(lost_after(|s| s.delete(9)), 1, "the last one of all");
        assert_eq!(lost_after(|s| [1, 2, 4, 6, 8].into_iter().for_each(|id| s.delete(id))), 2);
        let trimmed_and_deleted = |s: &mut Model| {
            s.trim(7);
            s.delete(8);
            s.add(10);
        };
        assert_eq!(lost_after(trimmed_and_deleted), 3);
    }

    #[test]
    fn what_was_lost_before_the_read_is_counted_too() {
        let mut model = nine();
        model.delete(3);
        let (verdict, _) = model.judge(read(2, 2), read(4, 3), None);
        assert!(matches!(verdict, Err(Gap::Lost { lost: 1, .. })), "{verdict:?}");
        model.entries.truncate(3);
        (model.last, model.added) = (4, 4);
        let (verdict, _) = model.judge(read(2, 2), read(4, 3), None);
        assert!(matches!(verdict, Err(Gap::Lost { lost: 1, .. })), "at the end of the stream: {verdict:?}");
    }

    #[test]
    fn another_stream_is_known_by_what_it_says() {
        let of = |ids: &[u64]| {
            let mut model = Model::default();
            ids.iter().for_each(|&id| model.add(id));
            lost(&model)
        };
        assert_eq!(of(&[]), -1, "none");
        assert_eq!(of(&[1, 2, 3]), -1, "an older state");
        assert_eq!(of(&[7, 8]), -1, "fewer entries, with greater ids");
        assert_eq!(of(&[1, 1 << 40]), -1);
        assert_eq!(of(&[11, 12, 13, 14, 15, 16, 17]), -1, "more entries, with greater ids");
        assert_eq!(of(&[1, 3, 4, 5, 6, 7, 8]), -1, "an older state, and others added to it");
        assert_eq!(of(&[1, 5, 6, 7, 8, 9]), -1);
    }

    #[test]
    fn ids_may_be_set_and_jump() {
        assert_eq!(lost_after(|s| s.last = 1 << 40), 0, "XSETID, no entries");
        assert_eq!(lost_after(|s| s.add(1 << 40)), 0);
        assert_eq!(lost_after(|s| s.added = 99), 0, "XSETID ENTRIESADDED: nothing is lost, and that can be seen");
        assert_eq!(lost_after(|s| s.added = 3), -1, "less than were read");
    }

    #[test]
    fn given_up_and_rebased_entries_count() {
        let mut model = nine();
        model.trim(5);
        let at = StreamPosition { last: entry_id(2), entries: 4, skipped: 2, rebased: 0 };
        assert_eq!(model.judge(at, at, None).0, Ok(()), "3 and 4 were given up");
        let other = StreamPosition { last: EntryId::ZERO, entries: 107, skipped: 7, rebased: 107 };
        assert_eq!(nine().judge(other, other, None).0, Ok(()), "another stream, to be read from its beginning");
        let then = StreamPosition { last: entry_id(4), entries: 111, ..other };
        assert_eq!(nine().judge(other, then, None).0, Ok(()));
        let (verdict, _) = model.judge(other, other, None);
        assert!(matches!(verdict, Err(Gap::Lost { lost: 4, entries: 107, added: 116, .. })), "{verdict:?}");
    }

    #[test]
    fn it_is_rarely_necessary_to_count() {
        let counted = |model: &Model, removed| model.judge(read(2, 2), read(4, 4), removed).1;
        let mut model = nine();
        assert!(!counted(&model, None));
        model.trim(2);
        assert!(!counted(&model, None));
        model.delete(3);
        assert!(counted(&model, None), "it was read or it was not");
        assert!(!counted(&model, Some(2)), "nothing was removed since it was counted");
    }

    /// Whatever happens to a stream, and whenever it is looked at: the report is true.
    #[test]
    fn random_streams_are_judged_right() {
        let (mut gaps, mut counts, mut looks) = (0, 0, 0);
        for seed in 0..4_000 {
            let mut random = SplitMix::new(seed);
            let mut below = |n: u64| random.below(n);
            let mut model = Model::default();
            let (mut at, mut removed) = (StreamPosition::default(), None);
            for _ in 0..40 {
                let mut unread = Vec::new();
                let happen = |model: &mut Model, below: &mut dyn FnMut(u64) -> u64| {
                    for _ in 0..below(4) {
                        match below(12) {
                            0 => model.delete(1 + below(model.last + 1)),
                            1 => model.trim(at.last.ms + below(3)),
                            2 if below(6) == 0 => model.trim(below(model.last + 2)),
                            _ => model.add(model.last + 1 + below(3)),
                        }
                    }
                };
                happen(&mut model, &mut below);
                unread.extend(model.after(at.last.ms).take(1 + below(4) as usize));
                // Between the read and the look.
                happen(&mut model, &mut below);
                let last = unread.last().map_or(at.last, |&id| entry_id(id));
                let then = StreamPosition { last, entries: at.entries + unread.len() as u64, ..at };
                let (verdict, counted) = model.judge(at, then, removed);
                let is_lost = |id: &&u64| **id > at.last.ms && !unread.contains(id) && !model.entries.contains(id);
                let lost = model.ever.iter().filter(is_lost).count() as u64;
                (looks, counts) = (looks + 1, counts + u32::from(counted));
                match verdict {
                    Ok(()) => assert_eq!(lost, 0, "seed {seed}: {model:?} at {then:?}"),
                    Err(Gap::Lost { lost: said, .. }) => {
                        assert_eq!(said, lost, "seed {seed}: {model:?} at {then:?}");
                        gaps += 1;
                        break;
                    }
                    Err(other) => panic!("seed {seed}: {other} of {model:?} at {then:?}"),
                }
                (at, removed) = (then, Some(model.added - model.entries.len() as u64));
            }
        }
        assert!(gaps > 1_000 && counts * 3 < looks, "{gaps} gaps, {counts} of {looks} looks took a count");
    }
}

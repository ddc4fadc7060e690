//! Encodes events into entries of the log, as a producer does.
//!
//! Entry ids and the ends of entries follow simulated time, not the machine's speed, so that the same seed makes the
//! same log, byte for byte.

use watchtower_model::Millis;

use watchtower_core::EntryId;
use watchtower_core::events::{Event, binary};
use watchtower_log::file::Batch;

/// Number of event streams of the log, besides the control stream.
pub(super) const STREAMS: u16 = 1;
const POSITIONS: usize = 0;
const CONTROL: usize = 1;

/// Limit of events per entry.
const MAX_EVENTS: u32 = 256;

/// Entries that have not been appended yet.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pending: [Pending; STREAMS as usize + 1],
    ready: Batch,
    events: u64,
}

/// The open entry of a stream.
#[derive(Debug)]
struct Pending {
    batch: binary::Batch,
    events: u32,
    last: EntryId,
}

impl Default for Pending {
    fn default() -> Self {
        Self { batch: binary::Batch::default(), events: 0, last: EntryId::ZERO }
    }
}

impl Entries {
    /// Adds an event that arrives at `now`.
    pub(super) fn push(&mut self, event: &Event<'_>, now: Millis) {
        self.events += 1;
        match event {
            Event::Position(_) => self.put(POSITIONS, event, now),
            Event::Geofence(_) | Event::Vehicle(_) | Event::Rule(_) => self.put(CONTROL, event, now),
            Event::Clock(_) => [POSITIONS, CONTROL].into_iter().for_each(|stream| self.put(stream, event, now)),
        }
    }

    fn put(&mut self, stream: usize, event: &Event<'_>, now: Millis) {
        self.pending[stream].batch.push(event);
        self.pending[stream].events += 1;
        if self.pending[stream].events >= MAX_EVENTS {
            self.cut(stream, now);
        }
    }

    /// Ends the open entries.
    pub(super) fn flush(&mut self, now: Millis) {
        (0..self.pending.len()).for_each(|stream| self.cut(stream, now));
    }

    fn cut(&mut self, stream: usize, now: Millis) {
        let Pending { batch, events, last } = &mut self.pending[stream];
        if *events == 0 {
            return;
        }
        let next = EntryId { ms: last.ms, seq: last.seq + 1 };
        *last = EntryId { ms: now.unsigned_abs(), seq: 0 }.max(next);
        *events = 0;
        self.ready.push(stream, Some(*last), &[(b"bin", &batch.take())]);
    }

    /// Number of events that have not been taken; a clock counts once, though it is in every stream.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Takes the ended entries and the number of their events. The number is exact only after [`Self::flush`].
    pub(super) fn take(&mut self) -> (Batch, u64) {
        (std::mem::take(&mut self.ready), std::mem::take(&mut self.events))
    }
}

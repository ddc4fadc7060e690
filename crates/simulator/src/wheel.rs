//! A timing wheel with slots of one second: the cost of a second is proportional to the items due in it.

use watchtower_model::Millis;

use super::SECOND_MS;

/// Slots of the wheel, seconds. Items may be due less than this far ahead.
const SLOTS: usize = 512;

/// The timing wheel.
#[derive(Clone, Debug)]
pub(super) struct Wheel<T> {
    slots: Vec<Vec<T>>,
}

impl<T> Wheel<T> {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect() }
    }

    /// Schedules an item in `in_s` seconds, at least one.
    pub(super) fn put(&mut self, now: Millis, in_s: u32, what: T) {
        let ahead = (in_s.max(1) as usize).min(SLOTS - 1);
        self.slots[(slot(now) + ahead) % SLOTS].push(what);
    }

    /// Takes the items due at `now`, in the order in which they were scheduled. [`Wheel::give_back`] returns the
    /// buffer.
    pub(super) fn take(&mut self, now: Millis) -> Vec<T> {
        std::mem::take(&mut self.slots[slot(now)])
    }

    /// Reuses an empty buffer for the slot of `now`, so that it need not be allocated again.
    pub(super) fn give_back(&mut self, now: Millis, mut room: Vec<T>) {
        room.clear();
        self.slots[slot(now)] = room;
    }
}

fn slot(now: Millis) -> usize {
    now.div_euclid(SECOND_MS).rem_euclid(SLOTS as Millis) as usize
}

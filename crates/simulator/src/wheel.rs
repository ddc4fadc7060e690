//! Who is due when: a ring of seconds, so that a second costs what is due in it and nothing else.

use watchtower_model::Millis;

use super::SECOND_MS;

/// Seconds on the ring. Nothing is put farther ahead.
const SLOTS: usize = 512;

/// The ring.
#[derive(Clone, Debug)]
pub(super) struct Wheel<T> {
    slots: Vec<Vec<T>>,
}

impl<T> Wheel<T> {
    pub(super) fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect() }
    }

    /// Due in so many seconds, at least one.
    pub(super) fn put(&mut self, now: Millis, in_s: u32, what: T) {
        let ahead = (in_s.max(1) as usize).min(SLOTS - 1);
        self.slots[(slot(now) + ahead) % SLOTS].push(what);
    }

    /// What is due, in the order in which it was put there. The room goes back with [`Wheel::give_back`].
    pub(super) fn take(&mut self, now: Millis) -> Vec<T> {
        std::mem::take(&mut self.slots[slot(now)])
    }

    /// Room for what is due when the ring has gone round, instead of allocating it again.
    pub(super) fn give_back(&mut self, now: Millis, mut room: Vec<T>) {
        room.clear();
        self.slots[slot(now)] = room;
    }
}

fn slot(now: Millis) -> usize {
    now.div_euclid(SECOND_MS).rem_euclid(SLOTS as Millis) as usize
}

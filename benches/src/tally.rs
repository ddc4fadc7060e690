//! Counts of enters and exits, in which all implementations must agree.

use watchtower_model::PositionEvent;

/// Numbers of enters and exits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Number of enters of vehicles into geofences.
    pub enters: u64,
    /// Number of exits of vehicles from geofences.
    pub exits: u64,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} enters and {} exits", self.enters, self.exits)
    }
}

impl Tally {
    /// Counts the changes of one vehicle between two sets of geofences, both in ascending order.
    pub fn record_move<T: Ord>(&mut self, before: &[T], now: &[T]) {
        let stayed = before.iter().filter(|id| now.binary_search(id).is_ok()).count() as u64;
        self.enters += now.len() as u64 - stayed;
        self.exits += before.len() as u64 - stayed;
    }
}

/// The geofences of each vehicle at its last event, in the order of arrival.
#[derive(Clone, Debug)]
pub struct LastSeen {
    inside: Vec<Vec<u32>>,
    found: Vec<u32>,
    tally: Tally,
}

impl LastSeen {
    /// No vehicle has had an event.
    pub fn new(vehicles: u32) -> Self {
        Self { inside: vec![Vec::new(); vehicles as usize], found: Vec::new(), tally: Tally::default() }
    }

    /// Enters and exits so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Processes events in order; `covering` appends the geofences that cover the position, in any order and possibly
    /// with duplicates.
    pub fn advance(&mut self, events: &[PositionEvent], mut covering: impl FnMut(&PositionEvent, &mut Vec<u32>)) {
        for event in events {
            self.found.clear();
            covering(event, &mut self.found);
            self.found.sort_unstable();
            self.found.dedup();
            let inside = &mut self.inside[event.vehicle.0 as usize];
            if *inside != self.found {
                self.tally.record_move(inside, &self.found);
                std::mem::swap(inside, &mut self.found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stays_neither_enters_nor_leaves() {
        let mut tally = Tally::default();
        tally.record_move(&[], &[1, 2, 3]);
        tally.record_move(&[1, 2, 3], &[2, 4]);
        assert_eq!(tally, Tally { enters: 4, exits: 2 });
    }
}

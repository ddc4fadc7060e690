//! Who came and went: what every implementation must agree about.

use watchtower_model::PositionEvent;

/// How many enters and exits there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Vehicles that came to be inside a geofence.
    pub enters: u64,
    /// Vehicles that left one.
    pub exits: u64,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} enters and {} exits", self.enters, self.exits)
    }
}

impl Tally {
    /// A vehicle was in some geofences and is in others, both in ascending order.
    pub fn move_on<T: Ord>(&mut self, before: &[T], now: &[T]) {
        let stayed = before.iter().filter(|id| now.binary_search(id).is_ok()).count() as u64;
        self.enters += now.len() as u64 - stayed;
        self.exits += before.len() as u64 - stayed;
    }
}

/// Where each vehicle was last, in no event time and no order but that of arrival.
#[derive(Clone, Debug)]
pub struct LastSeen {
    inside: Vec<Vec<u32>>,
    found: Vec<u32>,
    tally: Tally,
}

impl LastSeen {
    /// Nobody was seen yet.
    pub fn new(vehicles: u32) -> Self {
        Self { inside: vec![Vec::new(); vehicles as usize], found: Vec::new(), tally: Tally::default() }
    }

    /// Enters and exits so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The events one after the other; `covering` finds the geofences that cover the place, in any order,
    /// perhaps twice.
    pub fn advance(&mut self, events: &[PositionEvent], mut covering: impl FnMut(&PositionEvent, &mut Vec<u32>)) {
        for event in events {
            self.found.clear();
            covering(event, &mut self.found);
            self.found.sort_unstable();
            self.found.dedup();
            let inside = &mut self.inside[event.vehicle.0 as usize];
            if *inside != self.found {
                self.tally.move_on(inside, &self.found);
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
        tally.move_on(&[], &[1, 2, 3]);
        tally.move_on(&[1, 2, 3], &[2, 4]);
        assert_eq!(tally, Tally { enters: 4, exits: 2 });
    }
}

//! Who came and went: what every implementation must agree about.

use watchtower_dataflows::model::PositionEvent;

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
                let stayed = inside.iter().filter(|id| self.found.binary_search(id).is_ok()).count() as u64;
                self.tally.enters += self.found.len() as u64 - stayed;
                self.tally.exits += inside.len() as u64 - stayed;
                std::mem::swap(inside, &mut self.found);
            }
        }
    }
}

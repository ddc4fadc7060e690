//! A run of positions, with what it takes to fold it again.

use serde::{Deserialize, Serialize};

use crate::catalogue::Change;
use crate::timeline::fold::{Settled, Stepped};
use crate::timeline::odometer::Odometer;
use crate::timeline::state::State;
use crate::timeline::sums::{Measures, Sums};
use watchtower_model::Span;
use watchtower_model::geometry::BoundingBox;
use watchtower_model::{Millis, Place, Position, Rules};

/// Positions between two remembered states. Larger means fewer states in memory and longer rewinds.
pub const CHUNK: usize = 48;

/// Positions for which there is room from the beginning, in all chunks but the first of a track.
const FEW: usize = 4;

/// A run of positions and the state before it. Once it is shared it never changes: who keeps a track as it
/// was keeps its chunks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Chunk {
    /// None at the beginning of a track.
    pub(super) before: Option<Box<State>>,
    #[serde(with = "super::compact")]
    pub(super) positions: Vec<Position>,
    /// Where the fold turns on its way from `before` to the last position.
    turns: Turns,
    pub(super) reach: Reach,
    /// Of what the fold settles on its way from `before` to the last position; none if it settles nothing.
    pub(super) sums: Option<Box<Sums>>,
}

/// Of the positions of a chunk, those at which the vehicle may have entered or left a geofence. At the others a
/// fold run again need not ask where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Turns([u64; 2]);

impl Turns {
    const _ROOM: () = assert!(2 * CHUNK <= 128, "a chunk has no more positions than there are bits");

    fn at(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    fn set(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }
}

/// Box around places, in their own units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    west: i32,
    south: i32,
    east: i32,
    north: i32,
}

impl Default for Reach {
    fn default() -> Self {
        Self { west: i32::MAX, south: i32::MAX, east: i32::MIN, north: i32::MIN }
    }
}

impl Reach {
    pub(super) fn add(&mut self, place: Place) {
        self.west = self.west.min(place.lon);
        self.east = self.east.max(place.lon);
        self.south = self.south.min(place.lat);
        self.north = self.north.max(place.lat);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.west = self.west.min(other.west);
        self.east = self.east.max(other.east);
        self.south = self.south.min(other.south);
        self.north = self.north.max(other.north);
    }

    /// A box around another: no place that is in that is not in this.
    pub fn around(b: &BoundingBox) -> Self {
        let outward = |degrees: f64, by: f64| ((degrees * 1e7).round() + by) as i32; // saturates
        let (west, south) = (outward(b.west, -1.0), outward(b.south, -1.0));
        Self { west, south, east: outward(b.east, 1.0), north: outward(b.north, 1.0) }
    }

    /// Whether the two have a place in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        (self.west <= other.east)
            & (self.east >= other.west)
            & (self.south <= other.north)
            & (self.north >= other.south)
    }

    pub(super) fn meets(&self, b: &BoundingBox) -> bool {
        let degrees = |v: i32| f64::from(v) / 1e7;
        self.west <= self.east
            && degrees(self.west) <= b.east
            && degrees(self.east) >= b.west
            && degrees(self.south) <= b.north
            && degrees(self.north) >= b.south
    }
}

impl Chunk {
    pub(super) fn starting(before: State) -> Self {
        let mut reach = Reach::default();
        if let Some(last) = &before.last {
            reach.add(last.place);
        }
        let before = before.last.is_some().then(|| Box::new(before));
        Self { before, positions: Vec::new(), turns: Turns::default(), reach, sums: None }
    }

    /// The state before its first position.
    pub(super) fn before(&self) -> State {
        self.before.as_deref().cloned().unwrap_or_default()
    }

    /// The position before its first.
    pub(super) fn last_before(&self) -> Option<&Position> {
        self.before.as_ref()?.last.as_ref()
    }

    pub(super) fn push(&mut self, position: Position) {
        self.reach.add(position.place);
        let held = self.positions.len();
        if held == self.positions.capacity() {
            // Twice as much, but none that a full chunk leaves unused.
            let rest = if held < CHUNK { CHUNK - held } else { 2 * CHUNK - held };
            let few = if self.before.is_some() { FEW } else { 1 };
            self.positions.reserve_exact(held.clamp(few, rest.max(few)));
        }
        self.positions.push(position);
    }

    /// The fold has stepped to the last position.
    pub(super) fn settle(&mut self, stepped: &Stepped, rules: &Rules) {
        let Stepped { settled, turned } = *stepped;
        if turned {
            self.turns.set(self.positions.len() - 1);
        }
        if let Some(Settled { segment, stop }) = settled {
            self.sums.get_or_insert_default().add(&segment, stop, rules);
        }
    }

    /// Whether the fold turned, or may have, at the position with this number.
    pub(super) fn turned(&self, number: usize) -> bool {
        self.turns.at(number)
    }

    /// Adds positions from another chunk, from the one with this number on, that the fold goes through as it did
    /// there. All that it settles is where it turns.
    pub(super) fn extend_from(&mut self, other: &Self, first: usize) {
        for (number, position) in other.positions.iter().enumerate().skip(first) {
            self.push(*position);
            if other.turned(number) {
                self.turns.set(self.positions.len() - 1);
            }
        }
    }

    /// Adds what is settled in this chunk and lies in the interval.
    pub(super) fn measure(&self, span: Span, rules: &Rules, sum: &mut Measures) {
        let (Some(last), Some(sums)) = (self.positions.last(), &self.sums) else { return };
        for &(from, until) in &sums.stops {
            sum.add_stop(Span { from, until }, span);
        }
        let first = self.first_instant();
        if span.from < first && last.ts <= span.until {
            sum.add(&sums.total);
            return;
        }
        let odometer = self.before.as_ref().map(|before| before.odometer());
        let (mut odometer, mut at) = (odometer.unwrap_or_default(), self.last_before().copied());
        for position in &self.positions {
            match at {
                None => odometer = Odometer::start(position, rules),
                Some(before) if before.ts > span.until => return,
                Some(before) => sum.add_segment(&odometer.step(&before, position, rules), span, rules),
            }
            at = Some(*position);
        }
    }

    /// From when on it says something. There is a position.
    fn first_instant(&self) -> Millis {
        self.last_before().unwrap_or(&self.positions[0]).ts
    }

    /// Whether an edit may change what a fold from `before` to the last position says.
    pub(super) fn concerned(&self, changes: &[Change]) -> bool {
        let Some(last) = self.positions.last() else { return false };
        let first = self.first_instant();
        changes.iter().any(|change| {
            change.span.from <= last.ts && first < change.span.until && change.reach.iter().any(|b| self.reach.meets(b))
        })
    }
}

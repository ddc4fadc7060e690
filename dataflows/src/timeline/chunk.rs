//! A run of positions, with what it takes to fold it again.

use serde::{Deserialize, Serialize};

use crate::catalogue::Change;
use crate::timeline::fold::Fold;
use crate::timeline::movement::Segment;
use crate::timeline::state::State;
use crate::timeline::sums::{Days, Measures, Sums, Tally};
use watchtower_model::Span;
use watchtower_model::geometry::BoundingBox;
use watchtower_model::{BEGINNING, Millis, Place, Position, Rules};

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

    pub(super) fn west(&self) -> i32 {
        self.west
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
        let before = before.heard.is_some().then(|| Box::new(before));
        Self { before, positions: Vec::new(), turns: Turns::default(), reach, sums: None }
    }

    /// The state before its first position.
    pub(super) fn before(&self) -> State {
        self.before.as_deref().cloned().unwrap_or_default()
    }

    /// The first instant of which it was not certain before its first position what holds; [`BEGINNING`] of a track
    /// that begins with it.
    pub(super) fn settled_before(&self) -> Millis {
        self.before.as_ref().map_or(BEGINNING, |before| before.settled_until())
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

    /// Adds a position and steps to it, as far as is known without asking anything if it turns.
    pub(super) fn step(
        &mut self,
        position: Position,
        rules: &Rules,
        days: Option<&mut Days>,
        step: impl FnOnce(&mut Tally<'_>) -> bool,
    ) {
        self.push(position);
        let sums = rules.views.has_analytics().then(|| &mut **self.sums.get_or_insert_default());
        if step(&mut Tally { sums, days, rules }) {
            self.turns.set(self.positions.len() - 1);
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

    /// Adds what is settled in this chunk and lies in the interval. Nothing from `settled` on is.
    pub(super) fn measure(&self, span: Span, settled: Millis, fold: &Fold<'_>, sum: &mut Measures) {
        let Some(sums) = &self.sums else { return };
        let starts = sums.stops.iter().filter(|started_at| span.contains(**started_at));
        sum.stops += starts.count() as i64;
        if settled < span.from {
            return;
        }
        let first = if self.before.is_some() { self.settled_before() } else { self.positions[0].ts };
        if span.from < first && settled <= span.until {
            sum.add(&sums.total);
            return;
        }
        let (mut heard, mut movement) =
            self.before.as_ref().map_or((None, None), |before| (before.heard, before.movement.as_deref().cloned()));
        for position in &self.positions {
            fold.move_on(&mut heard, &mut movement, position, &mut |segment: &Segment<'_>| {
                sum.add_segment(segment, span, fold.rules);
            });
        }
    }

    /// Whether an edit may change what a fold from `before` to the last position says.
    pub(super) fn concerned(&self, changes: &[Change]) -> bool {
        let Some(last) = self.positions.last() else { return false };
        let first = self.before.as_ref().and_then(|before| before.last).map_or(self.positions[0].ts, |last| last.ts);
        changes.iter().any(|change| {
            change.span.from <= last.ts && first < change.span.until && change.reach.iter().any(|b| self.reach.meets(b))
        })
    }
}

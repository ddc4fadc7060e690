//! The retained positions of one vehicle, in chunks that a fold can be resumed from.
//!
//! A chunk is up to [`CHUNK`] positions (a rewritten one up to twice that), the state just before
//! its first, and a box around every place the fold stands at while it runs through the chunk. To
//! change the past, [`Track::rewrite`] folds each chunk concerned twice from the remembered state:
//! as it was, counting facts -1, and as it is now, counting them +1. Where both folds arrive in the
//! same state and the next chunk is the same for both, the rest is the same too and is left alone.
//!
//! ```text
//!      chunk 0        chunk 1        chunk 2 (tail)
//!   [before|ppppp] [before|ppppp] [before|ppp]  head
//!                       ^ a late position: chunk 1 is folded twice, chunk 2 only if
//!                         the new state at its `before` differs from the remembered one
//! ```

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalogue::Change;
use crate::geometry::BoundingBox;
use crate::model::{Millis, Place, Position};
use crate::timeline::fold::{FactDeltas, Fold, State};

/// Positions between two remembered states. Larger means fewer states in memory and longer rewinds.
pub const CHUNK: usize = 64;

/// What becomes of the position at an instant: replaced, added, or withdrawn.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite {
    /// When.
    pub ts: Millis,
    /// What is there now.
    pub position: Option<Position>,
}

/// A run of positions and the state before it. Once it is shared it never changes: who keeps a track as it
/// was keeps its chunks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Chunk {
    before: State,
    #[serde(with = "super::compact")]
    positions: Vec<Position>,
    reach: Reach,
}

/// Box around places, in their own units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Reach {
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
    fn add(&mut self, place: Place) {
        self.west = self.west.min(place.lon);
        self.east = self.east.max(place.lon);
        self.south = self.south.min(place.lat);
        self.north = self.north.max(place.lat);
    }

    fn merge(&mut self, other: &Self) {
        self.west = self.west.min(other.west);
        self.east = self.east.max(other.east);
        self.south = self.south.min(other.south);
        self.north = self.north.max(other.north);
    }

    fn meets(&self, b: &BoundingBox) -> bool {
        let degrees = |v: i32| f64::from(v) / 1e7;
        self.west <= self.east
            && degrees(self.west) <= b.east
            && degrees(self.east) >= b.west
            && degrees(self.south) <= b.north
            && degrees(self.north) >= b.south
    }
}

impl Chunk {
    fn starting(before: State) -> Self {
        let mut reach = Reach::default();
        if let Some(last) = &before.last {
            reach.add(last.place);
        }
        Self { before, positions: Vec::new(), reach }
    }

    fn push(&mut self, position: Position) {
        self.reach.add(position.place);
        self.positions.push(position);
    }

    /// Whether an edit may change what a fold from `before` to the last position says.
    fn concerned(&self, changes: &[Change]) -> bool {
        let Some(last) = self.positions.last() else { return false };
        let first = self.before.last.as_ref().unwrap_or(&self.positions[0]).ts;
        changes.iter().any(|change| {
            change.span.from <= last.ts && first < change.span.until && change.reach.iter().any(|b| self.reach.meets(b))
        })
    }
}

/// All that is kept of one vehicle's past. A clone shares the chunks; whichever changes makes new ones.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Track {
    sealed: Vec<Arc<Chunk>>,
    tail: Arc<Chunk>,
    head: State,
    reach: Reach,
}

/// A track taken apart, for those who store chunks by themselves.
#[derive(Clone, Debug)]
pub struct TrackParts {
    /// The chunks that are full, in order.
    pub sealed: Vec<Arc<Chunk>>,
    /// The chunk that grows.
    pub tail: Arc<Chunk>,
    /// The state after the last position.
    pub head: State,
}

impl From<Track> for TrackParts {
    fn from(track: Track) -> Self {
        let Track { sealed, tail, head, reach: _ } = track;
        Self { sealed, tail, head }
    }
}

impl From<TrackParts> for Track {
    fn from(parts: TrackParts) -> Self {
        let TrackParts { sealed, tail, head } = parts;
        let mut track = Self { reach: tail.reach, sealed, tail, head };
        for chunk in &track.sealed {
            track.reach.merge(&chunk.reach);
        }
        track
    }
}

impl Track {
    /// The state after the last position.
    pub fn head(&self) -> &State {
        &self.head
    }

    /// How many positions are kept.
    pub fn positions(&self) -> usize {
        self.sealed.iter().map(|chunk| chunk.positions.len()).sum::<usize>() + self.tail.positions.len()
    }

    /// Whether an edit may change what was said of this vehicle, or what it is in now.
    pub fn concerned(&self, changes: &[Change]) -> bool {
        changes.iter().any(|change| change.reach.iter().any(|b| self.reach.meets(b)))
    }

    /// Adds a position later than all others.
    pub fn append(&mut self, fold: &Fold<'_>, position: Position, facts: &mut FactDeltas) {
        debug_assert!(self.head.last.is_none_or(|last| last.ts < position.ts), "appended positions are the latest");
        if self.tail.positions.len() >= CHUNK {
            let full = std::mem::replace(&mut self.tail, Arc::new(Chunk::starting(self.head.clone())));
            self.sealed.push(full);
        }
        fold.step(&mut self.head, &position, facts);
        Arc::make_mut(&mut self.tail).push(position);
        self.reach.add(position.place);
    }

    /// Changes the past: positions up to the last one (`rewrites`, ascending, one per instant), and
    /// what the geofences were (`changes`). `old` and `new` are the folds under either view; their
    /// facts go to `facts`, where what both say cancels. Returns how many positions were folded again.
    pub fn rewrite(
        &mut self,
        rewrites: &[Rewrite],
        changes: &[Change],
        old: &Fold<'_>,
        new: &Fold<'_>,
        facts: &mut FactDeltas,
    ) -> usize {
        let mut folded = 0;
        let mut chunks = std::mem::take(&mut self.sealed);
        chunks.push(std::mem::take(&mut self.tail));
        let mut rest = rewrites;
        let mut kept = Vec::with_capacity(chunks.len() + 1);
        let mut diverged: Option<(State, State)> = None;
        let mut chunks = chunks.into_iter().peekable();
        while let Some(chunk) = chunks.next() {
            let next_from = chunks.peek().and_then(|next| next.positions.first()).map(|first| first.ts);
            let mine = next_from.map_or(rest.len(), |from| rest.partition_point(|r| r.ts < from));
            let (mine, later) = rest.split_at(mine);
            rest = later;
            let concerned = chunk.concerned(changes);
            if diverged.is_none() && mine.is_empty() && !concerned {
                kept.push(chunk);
                continue;
            }
            folded += chunk.positions.len();
            let (mut state_old, mut state_new) =
                diverged.take().unwrap_or_else(|| (chunk.before.clone(), chunk.before.clone()));
            let mut rebuilt = Rebuilt::starting(state_new.clone());
            // The positions both folds treat alike: folded once, and saying nothing new.
            let alike_until = match mine.first() {
                Some(first) if !concerned && state_old == state_new => first.ts,
                _ => Millis::MIN,
            };
            let (prefix, suffix) = chunk.positions.split_at(chunk.positions.partition_point(|p| p.ts < alike_until));
            let mut unsaid = FactDeltas::default();
            for position in prefix {
                rebuilt.push(&state_new, *position);
                new.step(&mut state_new, position, &mut unsaid);
            }
            if !prefix.is_empty() {
                state_old = state_new.clone();
            }
            for position in suffix {
                old.step(&mut state_old, position, facts);
            }
            for position in merge(suffix, mine) {
                rebuilt.push(&state_new, position);
                new.step(&mut state_new, &position, facts);
            }
            kept.extend(rebuilt.finish(chunks.peek().is_none()).map(Arc::new));
            if state_old != state_new {
                diverged = Some((state_old, state_new));
            }
        }
        if let Some((_, head)) = diverged {
            self.head = head;
        }
        self.tail = kept.pop().unwrap_or_else(|| Arc::new(Chunk::starting(self.head.clone())));
        self.sealed = kept;
        for r in rewrites {
            if let Some(position) = r.position {
                self.reach.add(position.place);
            }
        }
        folded
    }

    /// Gives up positions older than `bound`, chunk by chunk. What may still be changed starts at
    /// `bound`; the fold resumes there from the first remaining chunk's state.
    pub fn forget_before(&mut self, bound: Millis) {
        let old =
            self.sealed.iter().take_while(|chunk| chunk.positions.last().is_some_and(|last| last.ts < bound)).count();
        if old == 0 {
            return;
        }
        self.sealed.drain(..old);
        self.reach = self.tail.reach;
        for chunk in &self.sealed {
            self.reach.merge(&chunk.reach);
        }
    }
}

/// The positions of a chunk after its rewrites, in order.
fn merge<'a>(positions: &'a [Position], rewrites: &'a [Rewrite]) -> impl Iterator<Item = Position> + 'a {
    let (mut positions, mut rewrites) = (positions.iter().peekable(), rewrites.iter().peekable());
    std::iter::from_fn(move || {
        loop {
            match (positions.peek(), rewrites.peek()) {
                (None, None) => return None,
                (Some(p), Some(r)) if p.ts < r.ts => return positions.next().copied(),
                (Some(_), None) => return positions.next().copied(),
                (Some(p), Some(r)) if p.ts == r.ts => {
                    positions.next();
                }
                (_, Some(_)) => {
                    if let Some(position) = rewrites.next().and_then(|r| r.position) {
                        return Some(position);
                    }
                }
            }
        }
    })
}

/// Chunks made anew while a fold runs through their positions.
struct Rebuilt {
    done: Vec<Chunk>,
    current: Chunk,
}

impl Rebuilt {
    fn starting(before: State) -> Self {
        Self { done: Vec::new(), current: Chunk::starting(before) }
    }

    /// Adds a position; `before` is the state the fold is in before it.
    fn push(&mut self, before: &State, position: Position) {
        if self.current.positions.len() >= 2 * CHUNK {
            self.done.push(std::mem::replace(&mut self.current, Chunk::starting(before.clone())));
        }
        self.current.push(position);
    }

    /// The chunks; an empty one only as the tail of a track, which must have one.
    fn finish(mut self, is_tail: bool) -> impl Iterator<Item = Chunk> {
        if is_tail || !self.current.positions.is_empty() {
            self.done.push(self.current);
        }
        self.done.into_iter()
    }
}

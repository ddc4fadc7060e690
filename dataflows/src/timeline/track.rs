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
use crate::cells::SafeRegion;
use crate::local_time::Day;
use crate::model::{BEGINNING, END, Millis, Position, Rules};
use crate::timeline::chunk::{CHUNK, Chunk, Reach};
use crate::timeline::deltas::FactDeltas;
use crate::timeline::fold::{Fold, State};
use crate::timeline::sums::{DaySums, Days, Measures};
use crate::versions::Span;

/// What becomes of the position at an instant: replaced, added, or withdrawn.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite {
    /// When.
    pub ts: Millis,
    /// What is there now.
    pub position: Option<Position>,
}

/// What is remembered of positions that have been given up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Of the days that may still change.
    days: Days,
    /// Of the intervals that the first retained state began and did not end: see [`State::intervals`].
    intervals: Vec<(Millis, Millis, Measures)>,
}

impl Past {
    fn of(&self, span: Span) -> Option<Measures> {
        let same = |until| self.intervals.iter().find(|interval| (interval.0, interval.1) == (span.from, until));
        same(span.until).or_else(|| same(END)).map(|interval| interval.2)
    }
}

/// All that is kept of one vehicle's past. A clone shares the chunks; whichever changes makes new ones.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Track {
    /// As long as the head has analytics.
    sums: Option<Box<TrackSums>>,
    sealed: Vec<Arc<Chunk>>,
    tail: Arc<Chunk>,
    head: State,
    /// Where the head's geofences are known to hold.
    #[serde(skip)]
    region: SafeRegion,
    reach: Reach,
}

/// What adds up along a track.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct TrackSums {
    past: Past,
    /// Sums of everything settled, of the days that may still change.
    days: Days,
}

/// A track taken apart, for those who store chunks by themselves.
#[derive(Clone, Debug)]
pub struct TrackParts {
    /// Of what is not kept any more.
    pub past: Past,
    /// The chunks that are full, in order.
    pub sealed: Vec<Arc<Chunk>>,
    /// The chunk that grows.
    pub tail: Arc<Chunk>,
    /// The state after the last position.
    pub head: State,
}

impl From<Track> for TrackParts {
    fn from(track: Track) -> Self {
        let Track { sums, sealed, tail, head, region: _, reach: _ } = track;
        Self { past: sums.map(|sums| sums.past).unwrap_or_default(), sealed, tail, head }
    }
}

impl From<TrackParts> for Track {
    fn from(parts: TrackParts) -> Self {
        let TrackParts { past, sealed, tail, head } = parts;
        let sums = head.analytics.is_some().then(|| Box::new(TrackSums { past, days: Days::default() }));
        let mut track = Self { sums, reach: tail.reach, sealed, tail, head, region: SafeRegion::NONE };
        for chunk in &track.sealed {
            track.reach.merge(&chunk.reach);
        }
        track.add_up();
        track
    }
}

/// What [`Track::rewrite`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewound {
    /// How many positions were folded again.
    pub positions: usize,
    /// Outside of it nothing is different.
    pub span: Span,
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

    /// A box around every place it was at.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Something of all that [`Track::append`] looks at first.
    pub fn peek(&self) -> i64 {
        let Self { tail, head, .. } = self;
        let last = tail.positions.last().map_or(0, |position| position.ts);
        last ^ head.inside.first().map_or(0, |inside| inside.entered_at)
    }

    /// Whether the head's geofences are known to hold for a position to come, in this generation.
    pub fn is_safe_at(&self, position: &Position, generation: u32) -> bool {
        self.region.holds(position.place, position.ts, generation)
    }

    /// Whether an edit may change what was said of this vehicle, or what it is in now.
    pub fn concerned(&self, changes: &[Change]) -> bool {
        changes.iter().any(|change| change.reach.iter().any(|b| self.reach.meets(b)))
    }

    /// Sums of everything but the last position, of the days from one on, as far as they may still change.
    pub fn days_since(&self, first: Day) -> &[DaySums] {
        self.sums.as_ref().map_or(&[], |sums| sums.days.since(first))
    }

    /// The first instant at which a measured fact may end and yet come or go.
    pub fn first_end(&self) -> Millis {
        let first = self.sealed.first().unwrap_or(&self.tail);
        first.before.last.map_or(BEGINNING, |last| last.ts.min(first.before.first_arrival()))
    }

    /// The first day whose sums may still change; none if nothing has been given up.
    pub fn first_day(&self, rules: &Rules) -> Option<Day> {
        let first = self.sealed.first().unwrap_or(&self.tail);
        first.before.last.map(|last| rules.local_time.day(last.ts))
    }

    /// What adds up during an interval that some retained state knows of.
    pub fn measure(&self, span: Span, rules: &Rules) -> Measures {
        let mut sum = self.sums.as_ref().and_then(|sums| sums.past.of(span)).unwrap_or_default();
        let reaches = |chunk: &Arc<Chunk>| chunk.positions.last().is_some_and(|last| last.ts >= span.from);
        let from = self.sealed.partition_point(|chunk| !reaches(chunk));
        for chunk in self.sealed[from..].iter().chain([&self.tail]) {
            if chunk.before.last.is_some_and(|before| before.ts > span.until) {
                break;
            }
            chunk.measure(span, rules, &mut sum);
        }
        if let Some(last) = &self.head.last {
            sum.add_segment(&self.head.odometer().last(last, false), span, rules);
        }
        sum
    }

    fn add_up(&mut self) {
        if self.head.analytics.is_none() {
            self.sums = None;
            return;
        }
        let sums = self.sums.get_or_insert_default();
        let mut days = sums.past.days.clone();
        for chunk in self.sealed.iter().chain([&self.tail]) {
            chunk.sums.iter().for_each(|sums| days.add(&sums.days));
        }
        sums.days = days;
    }

    /// Adds a position later than all others. Whether it begins a chunk.
    pub fn append(&mut self, fold: &Fold<'_>, position: Position, facts: &mut FactDeltas) -> bool {
        debug_assert!(self.head.last.is_none_or(|last| last.ts < position.ts), "appended positions are the latest");
        let is_full = self.tail.positions.len() >= CHUNK;
        if is_full {
            let full = std::mem::replace(&mut self.tail, Arc::new(Chunk::starting(self.head.clone())));
            self.sealed.push(full);
        }
        let settled = fold.step(&mut self.head, &mut self.region, &position, facts);
        let tail = Arc::make_mut(&mut self.tail);
        tail.push(position);
        tail.settle(settled, fold.rules);
        if self.head.analytics.is_some() {
            let sums = self.sums.get_or_insert_default();
            settled.iter().for_each(|settled| sums.days.add_segment(&settled.segment, fold.rules));
        }
        self.reach.add(position.place);
        is_full
    }

    /// Changes the past: positions up to the last one (`rewrites`, ascending, one per instant), and
    /// what the geofences were (`changes`). `old` and `new` are the folds under either view; their
    /// facts go to `facts`, where what both say cancels.
    pub fn rewrite(
        &mut self,
        rewrites: &[Rewrite],
        changes: &[Change],
        old: &Fold<'_>,
        new: &Fold<'_>,
        facts: &mut FactDeltas,
    ) -> Rewound {
        let region = std::mem::replace(&mut self.region, SafeRegion::NONE);
        let (mut region_old, mut region_new) = (SafeRegion::NONE, SafeRegion::NONE);
        let has_sums = new.rules.views.has_analytics();
        let mut folded = 0;
        let mut span = Span::EMPTY;
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
            span.from = span.from.min(chunk.before.last.map_or(BEGINNING, |last| last.ts));
            span.until = next_from.unwrap_or(END);
            let diverged_before = diverged.take();
            let (mut state_old, mut state_new) =
                diverged_before.clone().unwrap_or_else(|| (chunk.before.clone(), chunk.before.clone()));
            let mut rebuilt = Rebuilt::starting(state_new.clone());
            // The positions both folds treat alike: folded once, and saying nothing new.
            let alike_until = if state_old == state_new {
                let edited_from = changes.iter().map(|change| change.span.from).min().filter(|_| concerned);
                mine.first().map(|first| first.ts).into_iter().chain(edited_from).min().unwrap_or(Millis::MIN)
            } else {
                Millis::MIN
            };
            if diverged_before.is_none() {
                (region_old, region_new) = (SafeRegion::NONE, SafeRegion::NONE);
            }
            let (prefix, suffix) = chunk.positions.split_at(chunk.positions.partition_point(|p| p.ts < alike_until));
            let mut unsaid = FactDeltas::default();
            for position in prefix {
                rebuilt.push(&state_new, *position);
                rebuilt.current.settle(new.step(&mut state_new, &mut region_new, position, &mut unsaid), new.rules);
            }
            if !prefix.is_empty() {
                (state_old, region_old) = (state_new.clone(), region_new);
            }
            // Side by side, until both are in the same state and nothing is different any more: from there on they
            // say the same, and only what adds up is needed of the rest.
            let last_rewrite = mine.last().map_or(BEGINNING, |last| last.ts);
            let fits = suffix.len() + mine.len() + rebuilt.current.positions.len() <= 2 * CHUNK;
            let (mut old_folded, mut have_met) = (0, false);
            for position in merge(suffix, mine) {
                if !have_met {
                    for position in suffix[old_folded..].iter().take_while(|p| p.ts <= position.ts) {
                        old.step(&mut state_old, &mut region_old, position, facts);
                        old_folded += 1;
                    }
                }
                rebuilt.push(&state_new, position);
                let facts = if have_met { &mut unsaid } else { &mut *facts };
                rebuilt.current.settle(new.step(&mut state_new, &mut region_new, &position, facts), new.rules);
                if !have_met && !concerned && position.ts > last_rewrite && state_old == state_new {
                    have_met = true;
                    if fits && !has_sums {
                        rebuilt.extend(&suffix[old_folded..]);
                        break;
                    }
                }
            }
            folded += prefix.len() + if have_met && !has_sums { old_folded } else { suffix.len() };
            if have_met {
                state_old = state_new.clone();
            } else {
                for position in &suffix[old_folded..] {
                    old.step(&mut state_old, &mut region_old, position, facts);
                }
            }
            kept.extend(rebuilt.finish(chunks.peek().is_none()).map(Arc::new));
            if state_old != state_new {
                diverged = Some((state_old, state_new));
            }
        }
        match diverged {
            Some((_, head)) => self.head = head,
            // It has not become different what the head is in, and no geofence either.
            None if changes.is_empty() => self.region = region,
            None => {}
        }
        self.tail = kept.pop().unwrap_or_else(|| Arc::new(Chunk::starting(self.head.clone())));
        self.sealed = kept;
        for r in rewrites {
            if let Some(position) = r.position {
                self.reach.add(position.place);
            }
        }
        if !rewrites.is_empty() {
            self.add_up();
        }
        Rewound { positions: folded, span }
    }

    /// Gives up positions older than `bound`, chunk by chunk. What may still be changed starts at
    /// `bound`; the fold resumes there from the first remaining chunk's state. How many there were.
    pub fn forget_before(&mut self, bound: Millis, rules: &Rules) -> usize {
        let old =
            self.sealed.iter().take_while(|chunk| chunk.positions.last().is_some_and(|last| last.ts < bound)).count();
        if old == 0 {
            return 0;
        }
        let given_up: Vec<_> = self.sealed.drain(..old).collect();
        let first = self.sealed.first().unwrap_or(&self.tail);
        let first_day = first.before.last.map(|last| rules.local_time.day(last.ts));
        if let Some(TrackSums { past, days }) = self.sums.as_deref_mut() {
            let befores = given_up[1..].iter().chain([first]).map(|chunk| &chunk.before);
            for (chunk, after) in given_up.iter().zip(befores) {
                chunk.sums.iter().for_each(|sums| past.days.add(&sums.days));
                let intervals = after.intervals().into_iter().map(|(from, until)| {
                    let span = Span { from, until };
                    let mut sum = past.of(span).unwrap_or_default();
                    chunk.measure(span, rules, &mut sum);
                    (from, until, sum)
                });
                past.intervals = intervals.collect();
            }
            if let Some(day) = first_day {
                past.days.forget_before(day);
                days.forget_before(day);
            }
        }
        self.reach = self.tail.reach;
        for chunk in &self.sealed {
            self.reach.merge(&chunk.reach);
        }
        given_up.iter().map(|chunk| chunk.positions.len()).sum()
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

    /// Adds positions that make the chunk no longer than may be, and that the fold is not run through.
    fn extend(&mut self, positions: &[Position]) {
        positions.iter().for_each(|position| self.current.push(*position));
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

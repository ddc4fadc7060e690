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

mod marking;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalogue::Change;
use crate::cells::SafeRegion;
use crate::timeline::chunk::{CHUNK, Chunk, Reach};
use crate::timeline::deltas::FactDeltas;
use crate::timeline::fold::Fold;
use crate::timeline::marks::AHEAD;
use crate::timeline::refold::Refold;
use crate::timeline::rewrite::Rewrite;
use crate::timeline::state::State;
use crate::timeline::sums::{DaySums, Days, Measures};
use marking::Marking;
use watchtower_model::Span;
use watchtower_model::local_time::Day;
use watchtower_model::{END, Millis, Position, Rules};

/// State after the positions that are no longer retained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Of the days that may still change.
    days: Days,
    /// Of the intervals that began before the first retained state and may still be asked for: those that it did not end
    /// (see [`State::intervals`]), and facts that ended when not all their sums depend on was settled.
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
    /// Nothing while there is no more than the tail.
    grown: Option<Box<Grown>>,
    tail: Arc<Chunk>,
    head: State,
    /// The first position of which it is not decided whether it is an outlier.
    undecided: Option<Millis>,
    /// Where the head's geofences are known to hold.
    #[serde(skip)]
    region: SafeRegion,
}

/// The rest of a longer track, in its own box: in a large fleet many tracks are short.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Grown {
    /// The chunks before the tail.
    sealed: Vec<Arc<Chunk>>,
    /// As long as the head has analytics.
    past: Past,
    /// As long as the head has analytics: sums of everything settled, of the days that may still change.
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
    /// The instant of the first position of which it is not decided whether it is an outlier.
    pub undecided: Option<Millis>,
}

impl From<Track> for TrackParts {
    fn from(track: Track) -> Self {
        let Track { grown, tail, head, undecided, region: _ } = track;
        let Grown { sealed, past, days: _ } = grown.map(|grown| *grown).unwrap_or_default();
        Self { past, sealed, tail, head, undecided }
    }
}

impl From<TrackParts> for Track {
    fn from(parts: TrackParts) -> Self {
        let TrackParts { past, sealed, tail, head, undecided } = parts;
        let has_grown = !sealed.is_empty() || tail.sums.is_some();
        let grown = has_grown.then(|| Box::new(Grown { sealed, past, days: Days::default() }));
        let mut track = Self { grown, tail, head, undecided, region: SafeRegion::NONE };
        track.add_up();
        track
    }
}

/// Result of [`Track::append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The position begins a chunk.
    pub begins_chunk: bool,
    /// Positions before turned out to be outliers, or not to be.
    pub rewound: Option<Rewound>,
}

/// Result of [`Track::rewrite`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewound {
    /// How many positions were folded again.
    pub positions: usize,
    /// Outside of it nothing is different.
    pub span: Span,
    /// How many more positions there are.
    pub gained: i64,
}

impl Track {
    /// The state after the last position.
    pub fn head(&self) -> &State {
        &self.head
    }

    fn sealed(&self) -> &[Arc<Chunk>] {
        self.grown.as_ref().map_or(&[], |grown| &grown.sealed)
    }

    /// Whether it is decided of all positions whether they are outliers.
    pub fn is_decided(&self) -> bool {
        self.undecided.is_none()
    }

    /// The first chunk.
    fn first(&self) -> &Chunk {
        self.sealed().first().unwrap_or(&self.tail)
    }

    /// How many positions are kept.
    pub fn positions(&self) -> usize {
        count(self.sealed()) + self.tail.positions.len()
    }

    /// A box around every place it was at.
    pub fn reach(&self) -> Reach {
        let mut reach = self.tail.reach;
        self.sealed().iter().for_each(|chunk| reach.merge(&chunk.reach));
        reach
    }

    /// Something of its own lines in memory.
    pub fn peek_own(&self) -> i64 {
        let Self { head, undecided, .. } = self;
        let of = |t: Option<Millis>| t.unwrap_or(0);
        of(head.heard.map(|heard| heard.ts)) ^ of(head.last.map(|last| last.ts)) ^ of(*undecided)
    }

    /// Something of all that it points to and [`Track::append`] looks at.
    pub fn peek_near(&self) -> i64 {
        let Self { grown, tail, head, undecided: _, region: _ } = self;
        let analytics = head.analytics.as_ref().map_or(0, |analytics| analytics.peek_near());
        let movement = head.movement.as_ref().map_or(0, |movement| movement.peek_near());
        let inside = head.inside.iter().fold(0, |read, inside| read ^ inside.present_from);
        let chunk = tail.positions.len() ^ usize::from(tail.before.is_some());
        chunk as i64 ^ inside ^ analytics ^ movement ^ grown.as_ref().map_or(0, |grown| grown.sealed.len() as i64)
    }

    /// Something of all behind that which is looked at first.
    pub fn peek(&self) -> i64 {
        let Self { grown, tail, head, undecided: _, region: _ } = self;
        let last = tail.positions.last().map_or(0, |position| position.ts);
        let analytics = head.analytics.as_ref().map_or(0, |analytics| analytics.peek());
        let movement = head.movement.as_ref().map_or(0, |movement| movement.peek());
        let sums = tail.sums.as_ref().map_or(0, |sums| sums.peek());
        last ^ analytics ^ movement ^ sums ^ grown.as_ref().map_or(0, |grown| grown.days.peek())
    }

    /// Whether the head's geofences are known to hold for a position to come, in this generation.
    pub fn is_safe_at(&self, position: &Position, generation: u32) -> bool {
        self.region.holds(position.place, position.ts, generation)
    }

    /// The last position of any kind.
    pub fn last(&self) -> Option<&Position> {
        // Of the tail all may have been withdrawn.
        self.tail.positions.last().or_else(|| self.sealed().last()?.positions.last())
    }

    /// Sums of everything settled, of the days from one on, as far as they may still change.
    pub fn days_since(&self, first: Day) -> &[DaySums] {
        self.grown.as_ref().map_or(&[], |grown| grown.days.since(first))
    }

    /// The first instant at which a measured fact may end and yet come or go.
    pub fn first_end(&self) -> Millis {
        self.first().before.as_deref().map_or(Millis::MIN, State::first_end)
    }

    /// The first day whose sums may still change; none if nothing has been given up.
    pub fn first_day(&self, rules: &Rules) -> Option<Day> {
        let first = self.first();
        first.before.as_ref().map(|_| day(first.settled_before(), rules))
    }

    /// Sums over an interval that begins at or after a retained state.
    pub fn measure(&self, span: Span, fold: &Fold<'_>) -> Measures {
        let mut sum = self.grown.as_ref().and_then(|grown| grown.past.of(span)).unwrap_or_default();
        let is_before = |chunk: &Arc<Chunk>| chunk.positions.last().is_none_or(|last| last.ts < span.from);
        let sealed = &self.sealed()[self.sealed().partition_point(is_before)..];
        for (number, chunk) in sealed.iter().chain([&self.tail]).enumerate() {
            if chunk.settled_before() > span.until {
                break;
            }
            let settled = match sealed.get(number + 1) {
                Some(next) => next.settled_before(),
                None if number < sealed.len() => self.tail.settled_before(),
                None => self.head.settled_until(),
            };
            chunk.measure(span, settled, fold, &mut sum);
        }
        if let Some(movement) = &self.head.movement {
            movement.as_yet(fold.rules, |segment| sum.add_segment(segment, span, fold.rules));
        }
        sum
    }

    fn add_up(&mut self) {
        let Some(grown) = &mut self.grown else { return };
        grown.days = grown.past.days.clone();
        for chunk in grown.sealed.iter().chain([&self.tail]) {
            chunk.sums.iter().for_each(|sums| grown.days.add(&sums.days));
        }
    }

    /// Adds a position later than all others, marked if it is an outlier, and marks others anew if it shows that they
    /// are some.
    pub fn append(&mut self, fold: &Fold<'_>, position: Position, facts: &mut FactDeltas) -> Appended {
        debug_assert!(self.last().is_none_or(|last| last.ts < position.ts), "appended positions are the latest");
        let Marking { mark, changed, undecided } = self.marking(fold, &position);
        let rewound = (!changed.is_empty()).then(|| self.fold_again(&changed, &[], &fold.undoing(), fold, facts));
        self.undecided = undecided;
        let position = Position { mark, ..position };
        let begins_chunk = self.tail.positions.len() >= CHUNK;
        if begins_chunk {
            let full = std::mem::replace(&mut self.tail, Arc::new(Chunk::starting(self.head.clone())));
            self.grown.get_or_insert_default().sealed.push(full);
        }
        let Self { grown, tail, head, region, .. } = self;
        let days = fold.rules.views.has_analytics().then(|| &mut grown.get_or_insert_default().days);
        Arc::make_mut(tail).step(position, fold.rules, days, |tally| fold.step(head, region, &position, facts, tally));
        Appended { begins_chunk, rewound }
    }

    /// Changes the past: positions up to the last one (`rewrites`, ascending, one per instant), and
    /// what the geofences were (`changes`), or for how long the vehicle may be silent (`silences`). `old` and `new`
    /// are the folds under either view; their facts go to `facts`, where what both say cancels.
    pub fn rewrite(
        &mut self,
        rewrites: &[Rewrite],
        changes: &[Change],
        silences: bool,
        (old, new): (&Fold<'_>, &Fold<'_>),
        facts: &mut FactDeltas,
    ) -> Rewound {
        let rewrites = self.remark(rewrites, silences, new);
        let rewound = self.fold_again(&rewrites, changes, old, new, facts);
        if silences {
            self.add_up();
        }
        rewound
    }

    fn fold_again(
        &mut self,
        rewrites: &[Rewrite],
        changes: &[Change],
        old: &Fold<'_>,
        new: &Fold<'_>,
        facts: &mut FactDeltas,
    ) -> Rewound {
        let region = std::mem::replace(&mut self.region, SafeRegion::NONE);
        let edited_from = changes.iter().map(|change| change.span.from).min();
        let mut span = Span::EMPTY;
        let mut gained = 0;
        let mut kept = self.grown.as_mut().map(|grown| std::mem::take(&mut grown.sealed)).unwrap_or_default();
        kept.push(std::mem::take(&mut self.tail));
        // Of a long track most chunks are not even looked at, unless an edit may concern them.
        let untouched = if changes.is_empty() { rewrites.first().map_or(0, |r| chunk_of(&kept, r.ts)) } else { 0 };
        let mut chunks = kept.split_off(untouched).into_iter().peekable();
        let mut rest = rewrites;
        let mut folds = Refold::new(old, new, facts);
        while let Some(chunk) = chunks.next() {
            if folds.diverged.is_none() && rest.is_empty() && changes.is_empty() {
                kept.push(chunk);
                kept.extend(chunks);
                break;
            }
            let next_from = chunks.peek().and_then(|next| next.positions.first()).map(|first| first.ts);
            let mine = next_from.map_or(rest.len(), |from| rest.partition_point(|r| r.ts < from));
            let (mine, later) = rest.split_at(mine);
            rest = later;
            let edited_from = edited_from.filter(|_| chunk.concerned(changes));
            if folds.diverged.is_none() && mine.is_empty() && edited_from.is_none() {
                kept.push(chunk);
                continue;
            }
            span.from = span.from.min(chunk.settled_before());
            span.until = next_from.unwrap_or(END);
            let rebuilt = folds.run(&chunk, mine, edited_from).finish(chunks.peek().is_none());
            gained += rebuilt.iter().map(|chunk| chunk.positions.len() as i64).sum::<i64>();
            gained -= chunk.positions.len() as i64;
            kept.extend(rebuilt.into_iter().map(Arc::new));
        }
        let Refold { diverged, folded, .. } = folds;
        match diverged {
            Some((_, head)) => self.head = head,
            // It has not become different what the head is in, and no geofence either.
            None if changes.is_empty() => self.region = region,
            None => {}
        }
        self.tail = kept.pop().unwrap_or_else(|| Arc::new(Chunk::starting(self.head.clone())));
        if !kept.is_empty() {
            self.grown.get_or_insert_default().sealed = kept;
        }
        if !rewrites.is_empty() {
            self.add_up();
        }
        Rewound { positions: folded, span, gained }
    }

    /// Gives up positions older than `bound`, chunk by chunk. What may still be changed starts at
    /// `bound`; the fold resumes there from the first remaining chunk's state. As many accurate positions before it
    /// are kept as may become outliers, or else usable, by what comes. `measured` are the intervals whose sums were
    /// reported and may still change. How many were given up.
    pub fn forget_before(&mut self, bound: Millis, measured: impl FnOnce() -> Vec<Span>, fold: &Fold<'_>) -> usize {
        let rules = fold.rules;
        let is_old = |chunk: &&Arc<Chunk>| chunk.positions.last().is_some_and(|last| last.ts < bound);
        let mut old = self.sealed().iter().take_while(is_old).count();
        let mut margin = 0;
        let next = self.sealed().get(old).unwrap_or(&self.tail);
        margin += next.positions.iter().filter(|position| position.ts < bound && position.is_accurate()).count();
        for chunk in self.sealed()[..old].iter().rev().take(MARGIN_CHUNKS) {
            if margin >= MARGIN {
                break;
            }
            margin += chunk.positions.iter().filter(|position| position.is_accurate()).count();
            old -= 1;
        }
        let Some(Grown { sealed, past, days }) = self.grown.as_deref_mut().filter(|_| old > 0) else { return 0 };
        let given_up: Vec<_> = sealed.drain(..old).collect();
        if rules.views.has_analytics() {
            let first = sealed.first().unwrap_or(&self.tail);
            let measured = measured();
            for (chunk, after) in given_up.iter().zip(given_up[1..].iter().chain([first])) {
                chunk.sums.iter().for_each(|sums| past.days.add(&sums.days));
                let settled = after.settled_before();
                let mut intervals = after.before().intervals(rules);
                // One that has ended, but not before all that its sums depend on.
                let ended = measured.iter().filter(|span| span.from < settled && settled <= span.until);
                intervals.extend(ended.map(|span| (span.from, span.until)));
                intervals.sort_unstable();
                intervals.dedup();
                let intervals = intervals.into_iter().map(|(from, until)| {
                    let span = Span { from, until };
                    let mut sum = past.of(span).unwrap_or_default();
                    chunk.measure(span, settled, fold, &mut sum);
                    (from, until, sum)
                });
                past.intervals = intervals.collect();
            }
            let day = day(first.settled_before(), rules);
            past.days.forget_before(day);
            days.forget_before(day);
        }
        count(&given_up)
    }
}

/// Accurate positions before what may still be changed that are kept: a pass over the last few of them must be able
/// to begin at a position that is usable for good, and at most nine outliers lie side by side.
const MARGIN: usize = AHEAD + 10;

/// Chunks that are kept for it at most. Of a tracker that is hardly ever accurate, marks become final so much sooner.
const MARGIN_CHUNKS: usize = 8;

/// The local day at `t`; the first there is at the beginning of time.
pub(super) fn day(t: Millis, rules: &Rules) -> Day {
    if t == Millis::MIN { Day(i32::MIN) } else { rules.local_time.day(t) }
}

fn count(chunks: &[Arc<Chunk>]) -> usize {
    chunks.iter().map(|chunk| chunk.positions.len()).sum()
}

/// Which of the chunks of a track an instant is in: the first one also has what is before all.
fn chunk_of(chunks: &[Arc<Chunk>], ts: Millis) -> usize {
    chunks[1..].partition_point(|chunk| chunk.positions.first().is_some_and(|first| first.ts <= ts))
}

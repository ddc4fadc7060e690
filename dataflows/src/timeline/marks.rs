//! Which positions are outliers: the rule, as a pass over accurate positions that looks a few ahead.
//!
//! Whether the next position begins a run of outliers depends on the last usable one, if no offline lies between,
//! and on at most [`AHEAD`] positions from it on. So the pass needs no state that is not in the track: it may begin
//! at any position whose predecessor is usable or lies before an offline, and once it is past all that has changed
//! and comes to such a position behind one that is usable as before, the rest is as before.
//!
//! The fold of the timeline ([`super::fold`]) knows nothing of this. It is fed positions with their marks; a mark
//! that becomes another is a position rewritten. Nearly always a position is plausible behind the last one, is usable
//! for good, and nothing has to be looked at again. Else the track remembers the first position of which it is not
//! decided ([`Pass::undecided`]), and the pass is run again from there as others come.

use watchtower_model::geometry::geodesic::{at_most_mm, distance_mm};
use watchtower_model::{Mark, Millis, OUTLIER_RUN, OUTLIER_RUN_MS, Position, Rules};

/// The most accurate positions, from one on, that decide whether it begins a run: the longest run, the position behind
/// it, and one more leg than the run has positions.
pub(super) const AHEAD: usize = 2 * OUTLIER_RUN + 2;

/// An accurate position on the way of a pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accurate {
    pub position: Position,
    /// An offline lies between it and the accurate position before.
    pub after_offline: bool,
}

/// A pass, where it has got to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    /// The last usable position, if no offline has come since.
    pub before: Option<Position>,
    /// The first position that may yet turn out to begin a run when others come.
    pub undecided: Option<Millis>,
}

impl Pass {
    /// One that begins behind a usable position, or at the beginning of a track or behind an offline.
    pub fn new(before: Option<Position>) -> Self {
        Self { before, undecided: None }
    }

    /// Goes on: returns how many of the positions ahead get which mark. There is one at least, and [`AHEAD`] unless
    /// the track ends before.
    pub fn step(&mut self, ahead: &[Accurate], rules: &Rules) -> (usize, Mark) {
        let first = &ahead[0];
        if first.after_offline {
            self.before = None;
        }
        let (run, is_decided) = match &self.before {
            Some(before) => run_after(before, ahead, rules),
            None => first_run(ahead, rules),
        };
        if !is_decided {
            self.undecided = self.undecided.or(Some(first.position.ts));
        }
        if run > 0 {
            return (run, Mark::Outlier);
        }
        self.before = Some(first.position);
        (1, Mark::None)
    }
}

/// Whether `length` positions ahead are too long in time for a run, or have an offline between.
fn is_broken(ahead: &[Accurate], length: usize) -> bool {
    let (first, last) = (&ahead[0], &ahead[length - 1]);
    length > 1 && (last.after_offline || last.position.ts - first.position.ts > OUTLIER_RUN_MS)
}

/// The length of the run that begins next, 0 if none does, behind a usable position; and whether that is for good.
fn run_after(before: &Position, ahead: &[Accurate], rules: &Rules) -> (usize, bool) {
    if !is_implausible(before, &ahead[0].position, rules) {
        return (0, true);
    }
    for length in 1..=OUTLIER_RUN {
        if is_broken(ahead, length) {
            return (0, true);
        }
        let Some(next) = ahead.get(length) else { return (0, false) };
        let last = &ahead[length - 1].position;
        let is_left = if next.after_offline {
            distance_mm(last.place, next.position.place) > distance_mm(before.place, next.position.place)
        } else {
            is_implausible(last, &next.position, rules)
        };
        if is_left && !is_implausible(before, &next.position, rules) {
            return (length, true);
        }
    }
    (0, true)
}

/// The same at the beginning of a track, or after an offline.
fn first_run(ahead: &[Accurate], rules: &Rules) -> (usize, bool) {
    for length in 1..=OUTLIER_RUN {
        if is_broken(ahead, length) {
            return (0, true);
        }
        let Some(next) = ahead.get(length) else { return (0, false) };
        if next.after_offline {
            return (0, true);
        }
        if !is_implausible(&ahead[length - 1].position, &next.position, rules) {
            continue;
        }
        let is_good =
            |pair: &[Accurate]| !pair[1].after_offline && !is_implausible(&pair[0].position, &pair[1].position, rules);
        let behind = &ahead[length..ahead.len().min(2 * length + 2)];
        if behind.windows(2).all(is_good) {
            return if behind.len() == length + 2 { (length, true) } else { (0, false) };
        }
    }
    (0, true)
}

/// Whether a vehicle cannot have gone from one position to another. Most are so near that their distance need not
/// be computed.
pub(super) fn is_implausible(from: &Position, to: &Position, rules: &Rules) -> bool {
    let elapsed_ms = to.ts - from.ts;
    rules.is_implausible(at_most_mm(from.place, to.place), elapsed_ms)
        && rules.is_implausible(distance_mm(from.place, to.place), elapsed_ms)
}

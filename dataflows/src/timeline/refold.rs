//! The fold run again through what is different: as it was, to take back what it said, and as it is.
//!
//! A chunk remembers at which positions the vehicle entered or left a geofence. Where a fold does again what
//! it did, up to the first difference, as it was, and once both are in the same state, that is all that is
//! asked of the geofences.

use crate::cells::SafeRegion;
use crate::timeline::chunk::{CHUNK, Chunk};
use crate::timeline::deltas::FactDeltas;
use crate::timeline::fold::Fold;
use crate::timeline::rewrite::{Rewrite, merge};
use crate::timeline::state::State;
use crate::timeline::sums::Tally;
use watchtower_model::{BEGINNING, Millis};

/// Two folds side by side: through what was there under the old view, and what is there now under the new one.
pub(super) struct Refold<'a, 'f> {
    old: &'a Fold<'f>,
    new: &'a Fold<'f>,
    /// Deltas of both folds.
    facts: &'a mut FactDeltas,
    /// The states that the two are in, the old one first, unless it is the same.
    pub(super) diverged: Option<(State, State)>,
    region_old: SafeRegion,
    region_new: SafeRegion,
    /// How many positions were folded again.
    pub(super) folded: usize,
}

impl<'a, 'f> Refold<'a, 'f> {
    pub(super) fn new(old: &'a Fold<'f>, new: &'a Fold<'f>, facts: &'a mut FactDeltas) -> Self {
        let unknown = SafeRegion::NONE;
        Self { old, new, facts, diverged: None, region_old: unknown, region_new: unknown, folded: 0 }
    }

    /// Goes through a chunk and makes it anew, with `rewrites`. From `edited_from` on, if ever, edits may make a
    /// difference in it.
    pub(super) fn run(&mut self, chunk: &Chunk, rewrites: &[Rewrite], edited_from: Option<Millis>) -> Rebuilt {
        let Self { old, new, facts, diverged, region_old, region_new, folded } = self;
        let has_sums = new.rules.views.has_analytics();
        let have_diverged = diverged.is_some();
        let (mut state_old, mut state_new) = diverged.take().unwrap_or_else(|| (chunk.before(), chunk.before()));
        if !have_diverged {
            (*region_old, *region_new) = (SafeRegion::NONE, SafeRegion::NONE);
        }
        let mut rebuilt = Rebuilt::starting(state_new.clone(), chunk.positions.len() + rewrites.len());
        // The positions both folds treat alike: folded once, and saying nothing new.
        let alike_until = if state_old == state_new {
            rewrites.first().map(|first| first.ts).into_iter().chain(edited_from).min().unwrap_or(Millis::MIN)
        } else {
            Millis::MIN
        };
        let (prefix, suffix) = chunk.positions.split_at(chunk.positions.partition_point(|p| p.ts < alike_until));
        let mut unsaid = FactDeltas::default();
        let turned_in_suffix = |number: usize| chunk.turned(prefix.len() + number);
        for (number, position) in prefix.iter().enumerate() {
            rebuilt.make_room(&state_new);
            rebuilt.current.step(*position, new.rules, None, |tally| {
                new.step_again(&mut state_new, region_new, position, chunk.turned(number), &mut unsaid, tally)
            });
        }
        if !prefix.is_empty() {
            (state_old, *region_old) = (state_new.clone(), *region_new);
        }
        // Side by side, until both are in the same state and nothing is different any more: from there on they
        // say the same, and only what adds up is needed of the rest.
        let last_rewrite = rewrites.last().map_or(BEGINNING, |last| last.ts);
        let fits = suffix.len() + rewrites.len() + rebuilt.current.positions.len() <= 2 * CHUNK;
        let (mut old_folded, mut have_met) = (0, false);
        for (position, _) in merge(suffix.iter(), rewrites) {
            rebuilt.make_room(&state_new);
            if have_met {
                let turned = turned_in_suffix(old_folded);
                rebuilt.current.step(position, new.rules, None, |tally| {
                    new.step_again(&mut state_new, region_new, &position, turned, &mut unsaid, tally)
                });
                old_folded += 1;
                continue;
            }
            for position in suffix[old_folded..].iter().take_while(|p| p.ts <= position.ts) {
                let (turned, nowhere) = (turned_in_suffix(old_folded), &mut Tally::none(old.rules));
                old.step_again(&mut state_old, region_old, position, turned, facts, nowhere);
                old_folded += 1;
            }
            rebuilt
                .current
                .step(position, new.rules, None, |tally| new.step(&mut state_new, region_new, &position, facts, tally));
            if edited_from.is_none() && position.ts > last_rewrite && state_old == state_new {
                have_met = true;
                if fits && !has_sums {
                    rebuilt.current.extend_from(chunk, prefix.len() + old_folded);
                    break;
                }
            }
        }
        *folded += prefix.len() + if have_met { old_folded } else { suffix.len() };
        if !have_met {
            for (number, position) in suffix.iter().enumerate().skip(old_folded) {
                let (turned, nowhere) = (turned_in_suffix(number), &mut Tally::none(old.rules));
                old.step_again(&mut state_old, region_old, position, turned, facts, nowhere);
            }
            *diverged = (state_old != state_new).then_some((state_old, state_new));
        }
        rebuilt
    }
}

/// Chunks made anew while a fold runs through their positions.
pub(super) struct Rebuilt {
    done: Vec<Chunk>,
    current: Chunk,
}

impl Rebuilt {
    /// With room for so many positions.
    fn starting(before: State, positions: usize) -> Self {
        let mut current = Chunk::starting(before);
        current.positions.reserve_exact(positions.min(2 * CHUNK));
        Self { done: Vec::new(), current }
    }

    /// Makes room for one more position; `before` is the state the fold is in before it.
    fn make_room(&mut self, before: &State) {
        if self.current.positions.len() >= 2 * CHUNK {
            self.done.push(std::mem::replace(&mut self.current, Chunk::starting(before.clone())));
        }
    }

    /// The chunks; an empty one only as the tail of a track, which must have one.
    pub(super) fn finish(mut self, is_tail: bool) -> Vec<Chunk> {
        if is_tail || !self.current.positions.is_empty() {
            self.done.push(self.current);
        }
        self.done
    }
}

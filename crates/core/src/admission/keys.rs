//! The instants at which one vehicle holds a position, as far back as they can decide anything.
//!
//! A withdrawal of the newest position gives the vehicle its earlier newest back, and a key that holds a position
//! may be withdrawn or corrected when a position would be refused there: both need to know the keys. They are kept in
//! blocks of [`BLOCK`], four bytes each, as long as the vehicle's track; and however old they are, the last
//! [`SPARE`] before that, so that there is a newest to go back to when a mistaken one lies years ahead.
//!
//! A position that is newer than all costs a comparison and a push into the last block. Blocks are shared with
//! checkpoints until they change.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchtower_model::Millis;

/// The most keys of a block.
const BLOCK: usize = 64;

/// Keys that are kept in any case.
const SPARE: usize = 64;

/// Ascending instants, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// None is empty; the keys of each are after those of the one before.
    blocks: VecDeque<Arc<Block>>,
}

/// Up to [`BLOCK`] instants that are less than 50 days apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Block {
    /// Not after any of them.
    base: Millis,
    /// Milliseconds after `base`, ascending.
    offsets: Vec<u32>,
}

impl Block {
    fn of(ts: Millis) -> Self {
        Self { base: ts, offsets: vec![0] }
    }

    fn first(&self) -> Millis {
        self.base + Millis::from(self.offsets[0])
    }

    fn last(&self) -> Millis {
        self.base + Millis::from(self.offsets[self.offsets.len() - 1])
    }

    fn offset(&self, ts: Millis) -> Option<u32> {
        u32::try_from(ts.checked_sub(self.base)?).ok()
    }

    /// How many of them are before `ts`.
    fn before(&self, ts: Millis) -> usize {
        self.offsets.partition_point(|offset| self.base + Millis::from(*offset) < ts)
    }
}

impl FromIterator<Millis> for Keys {
    fn from_iter<I: IntoIterator<Item = Millis>>(instants: I) -> Self {
        let mut keys = Self::default();
        instants.into_iter().for_each(|ts| keys.insert(ts));
        keys
    }
}

impl Keys {
    /// The greatest instant of the keys.
    pub(super) fn last(&self) -> Option<Millis> {
        self.blocks.back().map(|block| block.last())
    }

    /// Whether `ts` is one of them.
    pub(super) fn contains(&self, ts: Millis) -> bool {
        let block = self.blocks.get(self.block_of(ts));
        block.is_some_and(|block| block.offset(ts).is_some_and(|offset| block.offsets.binary_search(&offset).is_ok()))
    }

    /// Adds an instant.
    pub(super) fn insert(&mut self, ts: Millis) {
        let index = self.block_of(ts);
        let Some(block) = self.blocks.get_mut(index) else { return self.blocks.push_back(Arc::new(Block::of(ts))) };
        let Some(offset) = block.offset(ts) else {
            // Before the first of all, or too long after the last of its block.
            let at = if ts < block.base { index } else { index + 1 };
            return self.blocks.insert(at, Arc::new(Block::of(ts)));
        };
        let Err(at) = block.offsets.binary_search(&offset) else { return };
        if block.offsets.len() < BLOCK {
            return Arc::make_mut(block).offsets.insert(at, offset);
        }
        if at == BLOCK {
            return self.blocks.insert(index + 1, Arc::new(Block::of(ts)));
        }
        let (base, upper) = (block.base, Arc::make_mut(block).offsets.split_off(BLOCK / 2));
        self.blocks.insert(index + 1, Arc::new(Block { base, offsets: upper }));
        self.insert(ts);
    }

    /// Removes an instant. Returns whether it was there.
    pub(super) fn remove(&mut self, ts: Millis) -> bool {
        let index = self.block_of(ts);
        let Some(block) = self.blocks.get_mut(index) else { return false };
        let Some(Ok(at)) = block.offset(ts).map(|offset| block.offsets.binary_search(&offset)) else { return false };
        if block.offsets.len() == 1 {
            self.blocks.remove(index);
        } else {
            Arc::make_mut(block).offsets.remove(at);
        }
        true
    }

    /// How many are in a range.
    pub(super) fn count(&self, range: Range<Millis>) -> u32 {
        let in_range = |block: &Arc<Block>| block.before(range.end).saturating_sub(block.before(range.start));
        let blocks = self.blocks.iter().rev();
        blocks.take_while(|block| block.last() >= range.start).map(in_range).sum::<usize>() as u32
    }

    /// Gives up instants before `bound`, but for the last of them.
    pub(super) fn forget_before(&mut self, bound: Millis) {
        while self.blocks.front().is_some_and(|block| block.last() < bound) && self.has_spare(bound) {
            self.blocks.pop_front();
        }
    }

    /// Whether behind the first block there are [`SPARE`] instants before `bound`.
    fn has_spare(&self, bound: Millis) -> bool {
        let mut before = 0;
        for block in self.blocks.iter().skip(1).take_while(|block| block.first() < bound) {
            before += block.before(bound);
            if before >= SPARE {
                return true;
            }
        }
        false
    }

    /// The last block that begins at `ts` or before; the first if none does.
    fn block_of(&self, ts: Millis) -> usize {
        match self.blocks.back() {
            Some(block) if block.first() <= ts => self.blocks.len() - 1,
            Some(_) | None => self.blocks.partition_point(|block| block.first() <= ts).saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::random::SplitMix;

    #[test]
    fn they_are_what_a_set_would_hold() {
        for seed in 0..200 {
            let mut random = SplitMix::new(seed);
            let mut below = |bound: u64| random.below(bound) as Millis;
            let (mut keys, mut set, mut at) = (Keys::default(), BTreeSet::new(), 0);
            for step in 0..1_000 {
                at += match below(60) {
                    0 => 1 << 33,
                    1 => -(1 << 33),
                    2 => -below(100_000),
                    _ => below(2_000),
                };
                let ts = if below(5) == 0 { at - below(200) * 500 } else { at };
                if below(4) == 0 {
                    let ts = set.range(ts..).next().copied().unwrap_or(ts);
                    assert_eq!(keys.remove(ts), set.remove(&ts), "seed {seed}, step {step}");
                } else {
                    keys.insert(ts);
                    set.insert(ts);
                }
                assert_eq!(keys.last(), set.last().copied(), "seed {seed}, step {step}");
                assert_eq!(keys.contains(ts), set.contains(&ts), "seed {seed}, step {step}");
                let range = ts - 50_000..ts + below(50_000);
                assert_eq!(keys.count(range.clone()) as usize, set.range(range).count(), "seed {seed}, step {step}");
            }
            assert!(keys.blocks.iter().all(|block| (1..=BLOCK).contains(&block.offsets.len())), "seed {seed}");
            let bound = *set.iter().nth(set.len() * 2 / 3).expect("some are left");
            keys.forget_before(bound);
            let spare: Vec<Millis> = set.range(..bound).rev().take(SPARE).copied().collect();
            assert!(spare.iter().chain(set.range(bound..)).all(|ts| keys.contains(*ts)), "seed {seed}");
            let kept = keys.count(Millis::MIN..bound) as usize;
            assert!(kept <= spare.len() + 2 * BLOCK, "seed {seed}: {kept} before the bound");
        }
    }

    #[test]
    fn a_track_in_order_fills_its_blocks() {
        let mut keys = Keys::default();
        (0..10_000).for_each(|i| keys.insert(i * 1_000));
        assert_eq!(keys.blocks.len(), 10_000_usize.div_ceil(BLOCK));
        keys.forget_before(9_000_000);
        assert!(keys.blocks.len() <= (1_000 + SPARE) / BLOCK + 2, "{}", keys.blocks.len());
    }
}

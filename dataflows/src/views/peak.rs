//! How many at once: the greatest number of intervals that hold one instant.
//!
//! Every interval is +1 where it begins and -1 where it ends; the sums of these edges from the left are
//! how many there are at each instant. The edges are kept in blocks, in the order of their instants, each
//! with its sum and its greatest sum from its own left: the peak is found by going over the blocks, and a
//! change costs a block and that. At one instant only the net difference is kept: intervals are half-open,
//! one that ends does not meet one that begins.
//!
//! **Ends after the last beginning** are not among them, as long as they are few: from there on the sums
//! only fall, so where exactly these intervals end makes no difference to the peak. Most intervals grow
//! there, with each position of a vehicle that is inside.

use differential_dataflow::consolidation::consolidate;
use serde::{Deserialize, Serialize};

/// A block with more edges than this is cut in two.
const BLOCK: usize = 128;

/// Two neighbours that have less than this together become one.
const SPARSE: usize = BLOCK / 4;

/// So many ends after the last beginning are kept apart.
const TAIL: usize = 64;

/// An instant, counted from wherever the caller likes, and how many more there are from then on.
type Edge = (u32, i32);

/// Intervals, as far as their peak needs them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Edge>", into = "Vec<Edge>")]
pub struct Peak {
    blocks: Vec<Block>,
    highest: i32,
    /// Edges up to this instant are in the blocks.
    sorted_until: u32,
    /// Those after it, all of which are ends, in no order.
    tail: Vec<u32>,
    /// Not yet in the blocks or the tail.
    pending: Vec<Edge>,
}

#[derive(Clone, Debug, Default)]
struct Block {
    /// Ascending by instant, none zero; never empty.
    edges: Vec<Edge>,
    sum: i32,
    highest: i32,
    /// The edges have changed since the two were worked out.
    changed: bool,
}

impl Peak {
    /// Adds `diff` times the interval `[from, until)`, or takes it away. An empty one counts at `from`.
    pub fn add(&mut self, from: u32, until: u32, diff: i64) {
        let diff = diff as i32;
        self.pending.extend([(from, diff), (end(from, until), -diff)]);
    }

    /// Replaces `diff` times the interval `[from, was)` by `[from, is)`.
    pub fn grow(&mut self, from: u32, was: u32, is: u32, diff: i64) {
        let (was, is) = (end(from, was), end(from, is));
        if diff == 1
            && was.min(is) > self.sorted_until
            && let Some(end) = self.tail.iter_mut().find(|end| **end == was)
        {
            *end = is;
            return;
        }
        let diff = diff as i32;
        self.pending.extend([(was, diff), (is, -diff)]);
    }

    /// Takes in what was added since the last time.
    pub fn settle(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let mut pending = std::mem::take(&mut self.pending);
        consolidate(&mut pending);
        self.take_away_ends(&mut pending);
        let beginnings = pending.iter().filter(|(_, diff)| *diff > 0).map(|(instant, _)| *instant);
        self.sorted_until = beginnings.fold(self.sorted_until, u32::max);
        let sorted_until = self.sorted_until;
        let passed: Vec<u32> = self.tail.extract_if(.., |end| *end <= sorted_until).collect();
        for (instant, diff) in pending.into_iter().chain(passed.into_iter().map(|end| (end, -1))) {
            if instant > self.sorted_until {
                self.tail.extend((diff..0).map(|_| instant));
            } else if diff != 0 {
                self.insert((instant, diff));
            }
        }
        if self.tail.len() > TAIL {
            let tail = std::mem::take(&mut self.tail);
            self.sorted_until = tail.iter().copied().fold(self.sorted_until, u32::max);
            tail.into_iter().for_each(|end| self.insert((end, -1)));
        }
        self.blocks.iter_mut().filter(|block| block.changed).for_each(Block::sum_up);
        self.highest = highest(self.blocks.iter().map(|block| (block.sum, block.highest)));
    }

    /// Ends in the tail that are taken away are no beginnings: they are taken out of both.
    fn take_away_ends(&mut self, pending: &mut [Edge]) {
        for (instant, diff) in pending.iter_mut().filter(|(instant, _)| *instant > self.sorted_until) {
            while *diff > 0
                && let Some(at) = self.tail.iter().position(|end| end == instant)
            {
                self.tail.swap_remove(at);
                *diff -= 1;
            }
        }
    }

    /// Something of all that an interval looks at that grows at the end.
    pub fn peek(&self) -> i64 {
        i64::from(self.tail.first().copied().unwrap_or_default())
    }

    /// The greatest number at one instant, as of the last [`Peak::settle`].
    pub fn highest(&self) -> i64 {
        i64::from(self.highest)
    }

    /// Whether nothing has been added that was not taken away, as of the last [`Peak::settle`].
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.tail.is_empty()
    }

    /// Allocated bytes, approximately.
    pub fn heap_bytes(&self) -> usize {
        let blocks = self.blocks.capacity() * (size_of::<Block>() + BLOCK * size_of::<Edge>() / 2);
        blocks + self.tail.capacity() * size_of::<u32>()
    }

    fn insert(&mut self, (instant, diff): Edge) {
        let at = self.blocks.partition_point(|block| block.edges[0].0 <= instant).saturating_sub(1);
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
        }
        let edges = &mut self.blocks[at].edges;
        match edges.binary_search_by_key(&instant, |(instant, _)| *instant) {
            Ok(here) => {
                edges[here].1 += diff;
                if edges[here].1 == 0 {
                    edges.remove(here);
                }
            }
            Err(here) => edges.insert(here, (instant, diff)),
        }
        if edges.len() > BLOCK {
            let later = edges.split_off(BLOCK / 2);
            self.blocks.insert(at + 1, Block { edges: later, changed: true, ..Block::default() });
        } else if edges.is_empty() {
            self.blocks.remove(at);
            return;
        } else if let [one, next, ..] = &mut self.blocks[at..]
            && one.edges.len() + next.edges.len() < SPARSE
        {
            one.edges.append(&mut next.edges);
            self.blocks.remove(at + 1);
        }
        self.blocks[at].changed = true;
    }
}

/// Where an interval stops to count: an empty one counts at its beginning.
fn end(from: u32, until: u32) -> u32 {
    until.max(from + 1)
}

impl Block {
    fn sum_up(&mut self) {
        self.changed = false;
        self.sum = self.edges.iter().map(|(_, diff)| diff).sum();
        self.highest = highest(self.edges.iter().map(|(_, diff)| (*diff, *diff)));
    }
}

/// The greatest sum from the left of neighbours with these sums and greatest sums; nothing at all is 0.
fn highest(parts: impl Iterator<Item = (i32, i32)>) -> i32 {
    let (mut sum, mut most) = (0, 0);
    for (part, highest) in parts {
        most = most.max(sum + highest);
        sum += part;
    }
    most
}

impl From<Vec<Edge>> for Peak {
    fn from(pending: Vec<Edge>) -> Self {
        let mut peak = Self { pending, ..Self::default() };
        peak.settle();
        peak
    }
}

impl From<Peak> for Vec<Edge> {
    fn from(peak: Peak) -> Self {
        let Peak { blocks, tail, pending, highest: _, sorted_until: _ } = peak;
        let ends = tail.into_iter().map(|end| (end, -1));
        let mut edges = blocks.into_iter().flat_map(|block| block.edges).chain(ends).chain(pending).collect();
        consolidate(&mut edges);
        edges
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The greatest number of intervals at any of their first instants.
    fn plain(intervals: &[(u32, u32)]) -> i64 {
        let at = |t: u32| intervals.iter().filter(|(from, until)| *from == t || (*from < t && t < *until)).count();
        intervals.iter().map(|(from, _)| at(*from)).max().unwrap_or(0) as i64
    }

    #[test]
    fn an_interval_that_grows_is_another_one() {
        let mut peak = Peak::default();
        [(5, 5), (7, 9), (12, 20)].into_iter().for_each(|(from, until)| peak.add(from, until, 1));
        peak.grow(5, 5, 8, 1);
        peak.settle();
        assert_eq!(peak.highest(), plain(&[(5, 8), (7, 9), (12, 20)]));
        peak.grow(5, 8, 13, 1);
        peak.grow(7, 9, 13, 1);
        peak.settle();
        assert_eq!(peak.highest(), plain(&[(5, 13), (7, 13), (12, 20)]));
        peak.grow(5, 8, 13, -1);
        peak.settle();
        assert_eq!(peak.highest(), plain(&[(5, 8), (7, 13), (12, 20)]));
    }

    /// Each comes, leaves, or grows (or shrinks, as if growth were taken back).
    fn check(range: u32, changes: &[(u32, u32, u8)], every: usize) {
        let (mut peak, mut there) = (Peak::default(), Vec::new());
        for (number, &(from, length, what)) in changes.iter().enumerate() {
            let which = from as usize % there.len().max(1);
            if what == 0 && !there.is_empty() {
                let (from, until) = there.swap_remove(which);
                peak.add(from, until, -1);
            } else if what < 5 && !there.is_empty() {
                let (from, was): &mut (u32, u32) = &mut there[which];
                let is = (*was + length).min(range);
                if what == 1 {
                    peak.grow(*from, is, *was, -1);
                } else {
                    peak.grow(*from, *was, is, 1);
                }
                *was = is;
            } else {
                there.push((from, (from + length).min(range)));
                peak.add(from, (from + length).min(range), 1);
            }
            if number % every == 0 {
                peak.settle();
                assert_eq!(peak.highest(), plain(&there));
            }
        }
        peak.settle();
        let again = Peak::from(Vec::from(peak.clone()));
        assert_eq!((again.highest(), peak.highest()), (plain(&there), plain(&there)));
        there.iter().for_each(|(from, until)| peak.add(*from, *until, -1));
        peak.settle();
        assert!(peak.is_empty() && peak.highest() == 0);
    }

    proptest! {
        #[test]
        fn the_peak_of_few_instants(
            changes in prop::collection::vec((0..12u32, 0..5u32, 0..8u8), 0..60),
            every in 1..4usize,
        ) {
            check(12, &changes, every);
        }

        #[test]
        fn the_peak_of_many_blocks(
            changes in prop::collection::vec((0..100_000u32, 0..30_000u32, 0..8u8), 500..2_000),
        ) {
            check(100_000, &changes, 97);
        }
    }

    #[test]
    fn an_instant_counts_and_ends_do_not_meet_beginnings() {
        let mut peak = Peak::default();
        peak.add(0, 10, 1);
        peak.add(10, 20, 1);
        peak.settle();
        assert_eq!(peak.highest(), 1);
        peak.add(10, 10, 1);
        peak.settle();
        assert_eq!(peak.highest(), 2);
    }
}

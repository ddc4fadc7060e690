//! How long things took: a histogram with logarithmic buckets, of which percentiles are read.
//!
//! A value below 128 is a bucket of its own; from there on every power of two is cut into 64 equal ones.
//! A bucket stands for its middle, which is within 1/128 of each of its values, so a percentile is less
//! than 1 % off the nearest-rank one. Counts are integers: what is taken away leaves nothing behind, and
//! the bucket of a value is a matter of shifts. Buckets grow with their values, so the percentile of
//! buckets is the bucket of the percentile: a recomputation can say the very same number.

use serde::{Deserialize, Serialize};

/// Each power of two is cut into `1 << MANTISSA_BITS` buckets.
const MANTISSA_BITS: u32 = 6;

/// Below this a value is a bucket of its own.
const EXACT_BELOW: i64 = 2 << MANTISSA_BITS;

/// Number of the bucket of a value; negative ones are taken for 0.
fn bucket(value: i64) -> u16 {
    let value = value.max(0);
    if value < EXACT_BELOW {
        return value as u16;
    }
    let shift = 63 - value.leading_zeros() - MANTISSA_BITS;
    // The leading bit of the mantissa counts one power of two, so `shift` starts at 1.
    ((i64::from(shift) << MANTISSA_BITS) + (value >> shift)) as u16
}

/// The middle of a bucket.
fn middle(bucket: u16) -> i64 {
    let bucket = i64::from(bucket);
    if bucket < EXACT_BELOW {
        return bucket;
    }
    let shift = (bucket >> MANTISSA_BITS) - 1;
    let mantissa = bucket - (shift << MANTISSA_BITS);
    (mantissa << shift) + (1 << (shift - 1))
}

/// Value that the histogram reports instead of `value`: at most 1/128 more or less.
pub fn rounded(value: i64) -> i64 {
    middle(bucket(value))
}

/// Counts of non-negative values, with their exact number and sum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    /// Ascending by bucket, none zero.
    counts: Vec<(u16, i64)>,
    count: i64,
    total: i64,
}

impl Histogram {
    /// Adds `diff` times a value, or takes it away.
    pub fn add(&mut self, value: i64, diff: i64) {
        debug_assert!(value >= 0, "nothing takes less than no time");
        self.count += diff;
        self.total += value * diff;
        let bucket = bucket(value);
        match self.counts.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => {
                self.counts[at].1 += diff;
                if self.counts[at].1 == 0 {
                    self.counts.remove(at);
                }
            }
            Err(at) => self.counts.insert(at, (bucket, diff)),
        }
    }

    /// Something of all that a percentile looks at.
    pub fn peek(&self) -> i64 {
        self.counts.last().map_or(0, |(_, count)| *count)
    }

    /// How many there are.
    pub fn count(&self) -> i64 {
        self.count
    }

    /// Sum of all values.
    pub fn total(&self) -> i64 {
        self.total
    }

    /// Their mean, halves rounded up.
    pub fn mean(&self) -> Option<i64> {
        (self.count > 0).then(|| (2 * self.total + self.count).div_euclid(2 * self.count))
    }

    /// The smallest bucket with at least `percent` per cent of the values in it or below, by its middle.
    pub fn percentile(&self, percent: i64) -> Option<i64> {
        let mut below = 0i64;
        self.counts.iter().find_map(|&(bucket, count)| {
            below += count;
            (below * 100 >= percent * self.count).then(|| middle(bucket))
        })
    }

    /// Whether nothing has been added that was not taken away.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Allocated bytes.
    pub fn heap_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<(u16, i64)>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = i64> {
        prop_oneof![Just(0), 0..200i64, 0..100_000_000i64, (0..63u32).prop_map(|bits| 1i64 << bits), 0..=i64::MAX]
    }

    fn nearest_rank(sorted: &[i64], percent: usize) -> i64 {
        sorted[(percent * sorted.len()).div_ceil(100).max(1) - 1]
    }

    #[test]
    fn buckets_are_in_the_order_of_their_values() {
        let edges = (0..63).flat_map(|bits| [(1i64 << bits) - 1, 1 << bits, (1 << bits) + 1]);
        let around: Vec<_> = (0..5_000).chain(edges).chain([i64::MAX - 1, i64::MAX]).collect();
        for &a in &around {
            assert!((rounded(a) - a).abs() <= a / 128, "{a} became {}", rounded(a));
            assert!(bucket(a) >= bucket(a - 1) && bucket(a) - bucket(a - 1) <= 1, "{a}");
        }
    }

    proptest! {
        #[test]
        fn percentiles_are_within_one_per_cent(
            kept in prop::collection::vec(values(), 1..60),
            gone in prop::collection::vec(values(), 0..60),
        ) {
            let mut histogram = Histogram::default();
            let small = |value: i64| value >> 8; // the sum of all must fit
            gone.iter().for_each(|value| histogram.add(small(*value), 1));
            kept.iter().for_each(|value| histogram.add(small(*value), 1));
            gone.iter().for_each(|value| histogram.add(small(*value), -1));
            let mut sorted: Vec<_> = kept.into_iter().map(small).collect();
            sorted.sort_unstable();
            prop_assert_eq!((histogram.count(), histogram.total()), (sorted.len() as i64, sorted.iter().sum()));
            for percent in [1, 50, 95, 99, 100] {
                let (found, exact) = (histogram.percentile(percent), nearest_rank(&sorted, percent as usize));
                prop_assert_eq!(found, Some(rounded(exact)));
                prop_assert!((rounded(exact) - exact).abs() <= exact / 100);
            }
            sorted.iter().for_each(|value| histogram.add(*value, -1));
            prop_assert!(histogram.is_empty());
            prop_assert_eq!(histogram.percentile(50), None);
        }
    }
}

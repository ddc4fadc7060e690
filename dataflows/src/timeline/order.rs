//! An epoch's events by vehicle.
//!
//! Sorted are numbers of 8 bytes, digit by digit, not the events: that costs a few nanoseconds an event,
//! and each vehicle is then found near the one before.

/// Bits of a digit: the counts fit into the nearest cache.
const DIGIT: u32 = 11;
/// Fewer events than this are sorted by comparison.
const FEW: usize = 256;

/// Sorts; what it has allocated is used again.
#[derive(Debug, Default)]
pub struct Order {
    keys: Vec<u64>,
    spare: Vec<u64>,
}

impl Order {
    /// Sorts events with these slots.
    pub fn sort(&mut self, slots: impl Iterator<Item = u32>) {
        self.keys.clear();
        self.keys.extend(slots.zip(0u64..).map(|(slot, place)| u64::from(slot) << 32 | place));
        if self.keys.len() < FEW {
            self.keys.sort_unstable();
        } else {
            self.sort_by_digits();
        }
    }

    /// The slots in order, each with the place of its event; of one slot, as they came.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, u32)> + Clone {
        self.keys.iter().map(|&key| ((key >> 32) as u32, key as u32))
    }

    fn sort_by_digits(&mut self) {
        let greatest = self.keys.iter().copied().max().unwrap_or(0);
        let mut shift = 32;
        while shift < u64::BITS && greatest >> shift > 0 {
            let digit = |key: u64| (key >> shift) as usize & ((1 << DIGIT) - 1);
            let mut starts = [0u32; 1 << DIGIT];
            self.keys.iter().for_each(|&key| starts[digit(key)] += 1);
            let mut start = 0;
            for count in &mut starts {
                start += std::mem::replace(count, start);
            }
            self.spare.resize(self.keys.len(), 0);
            for &key in &self.keys {
                let at = &mut starts[digit(key)];
                self.spare[*at as usize] = key;
                *at += 1;
            }
            std::mem::swap(&mut self.keys, &mut self.spare);
            shift += DIGIT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_sorted_as_few_are_and_equal_ones_stay_as_they_came() {
        let mut order = Order::default();
        for (events, slots) in [(0, 1), (1, 1), (255, 10), (1_000, 1), (5_000, 3_000), (3_000, u32::MAX)] {
            let slots: Vec<u32> = (0..events).map(|i: u32| i.wrapping_mul(2_654_435_761) % slots).collect();
            let mut expected: Vec<_> = slots.iter().copied().zip(0..).collect();
            expected.sort();
            order.sort(slots.into_iter());
            assert_eq!(order.iter().collect::<Vec<_>>(), expected);
        }
    }
}

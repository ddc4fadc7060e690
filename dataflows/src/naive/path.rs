//! Movement: the speed, the step and perhaps the gap at each position of one vehicle, and what they add
//! up to during an interval.
//!
//! Segment `i` lasts from position `i` until the next one; the last one has no length. The speed at
//! position `i` holds during it, unless the segment is a gap: then only at the position.

use super::is_offline_gap;
use watchtower_model::geometry::geodesic::distance_mm;
use watchtower_model::{Millis, Position, Rules, Speed, VehicleId};

/// The positions of one vehicle, of which there is one at least, by time, and what judges them.
pub(super) struct Path<'a> {
    pub(super) vehicle: VehicleId,
    pub(super) positions: Vec<Position>,
    pub(super) now: Millis,
    pub(super) rules: &'a Rules,
}

/// What adds up during an interval.
pub(super) struct Measures {
    pub(super) distance_mm: i64,
    pub(super) moving_ms: i64,
    pub(super) stopped_ms: i64,
    /// [`Speed::NONE`] if none can be told.
    pub(super) max_speed: Speed,
}

impl Path<'_> {
    /// Number of the last position.
    pub(super) fn last(&self) -> usize {
        self.positions.len() - 1
    }

    pub(super) fn ts(&self, i: usize) -> Millis {
        self.positions[i].ts
    }

    /// When segment `i` ends.
    pub(super) fn until(&self, i: usize) -> Millis {
        self.ts(self.last().min(i + 1))
    }

    /// Whether an offline follows position `i`: up to the next one, or from the last one to now.
    pub(super) fn is_gap(&self, i: usize) -> bool {
        let heard = if i < self.last() { self.ts(i + 1) } else { self.now };
        is_offline_gap(self.ts(i), heard, self.rules)
    }

    /// The mean speed from the adjacent position before `i`.
    fn mean(&self, i: usize) -> Speed {
        let (from, to) = (&self.positions[i - 1], &self.positions[i]);
        Speed::mean(distance_mm(from.place, to.place), to.ts - from.ts)
    }

    /// Whether the vehicle cannot have been there: neither the way to it nor the way on is plausible.
    pub(super) fn is_outlier(&self, i: usize) -> bool {
        let implausible = |i| self.mean(i) > self.rules.max_plausible;
        0 < i && i < self.last() && implausible(i) && implausible(i + 1)
    }

    /// The speed at a position: as reported if plausible, else the mean since the position before, if
    /// that is plausible and spans no offline; else it cannot be told. Nor can that of an outlier.
    pub(super) fn speed(&self, i: usize) -> Option<Speed> {
        let plausible = |speed: &Speed| *speed != Speed::NONE && *speed <= self.rules.max_plausible;
        if self.is_outlier(i) {
            return None;
        }
        if plausible(&self.positions[i].speed) {
            return Some(self.positions[i].speed);
        }
        if i == 0 || self.is_gap(i - 1) {
            return None;
        }
        Some(self.mean(i)).filter(plausible)
    }

    pub(super) fn is_moving(&self, i: usize) -> bool {
        self.speed(i).is_some_and(|speed| speed >= self.rules.idle_speed)
    }

    /// How far it is to position `i` from the one before, outliers skipped: nothing across an offline.
    pub(super) fn step_mm(&self, i: usize) -> i64 {
        let Some(before) = (0..i).rev().find(|&before| !self.is_outlier(before)) else {
            return 0;
        };
        if self.is_outlier(i) || (before..i).any(|between| self.is_gap(between)) {
            return 0;
        }
        distance_mm(self.positions[before].place, self.positions[i].place)
    }

    /// What the steps and speeds add up to from `from` until before `until`, the speed at `from` in any case.
    pub(super) fn measures(&self, from: Millis, until: Millis) -> Measures {
        let numbers = 0..self.positions.len();
        let stepped = numbers.clone().filter(|&i| from < self.ts(i) && self.ts(i) <= until);
        let overlap_ms = |i: usize| (self.until(i).min(until) - self.ts(i).max(from)).max(0);
        let time_ms = |moving: bool| {
            let told = numbers.clone().filter(|&i| !self.is_gap(i) && overlap_ms(i) > 0);
            told.filter(|&i| self.is_moving(i) == moving).map(overlap_ms).sum()
        };
        let heard = numbers.clone().filter(|&i| {
            let there = from == self.ts(i) || (from..until).contains(&self.ts(i));
            there || (!self.is_gap(i) && overlap_ms(i) > 0)
        });
        Measures {
            distance_mm: stepped.map(|i| self.step_mm(i)).sum(),
            moving_ms: time_ms(true),
            stopped_ms: time_ms(false),
            max_speed: heard.filter_map(|i| self.speed(i)).max().unwrap_or(Speed::NONE),
        }
    }
}

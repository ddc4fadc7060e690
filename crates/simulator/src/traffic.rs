//! Density of the traffic by the hour.

use watchtower_model::Millis;

use super::map::Class;
use super::{DAY_MS, HOUR_MS, MIDNIGHT};

/// Density (0..1) at hours of the day; linear in between.
const BUSY: [(f64, f64); 10] = [
    (0.0, 0.0),
    (4.5, 0.0),
    (6.5, 0.7),
    (8.0, 1.0),
    (10.5, 0.45),
    (14.5, 0.4),
    (17.0, 1.0),
    (19.5, 0.8),
    (22.0, 0.1),
    (24.0, 0.0),
];

/// Density above which drivers take the quickest way of the rush hour.
const RUSH: f64 = 0.6;

/// The traffic at an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traffic {
    busy: f64,
}

impl Traffic {
    pub(super) fn at(t: Millis) -> Self {
        let hour = hour_of_day(t);
        let upper = BUSY.iter().position(|&(from, _)| from > hour).unwrap_or(BUSY.len() - 1);
        let ((from, before), (until, after)) = (BUSY[upper - 1], BUSY[upper]);
        Self { busy: before + (after - before) * (hour - from) / (until - from) }
    }

    pub(super) fn is_rush(self) -> bool {
        self.busy > RUSH
    }

    /// Speed of a lorry on a road of this class, km/h.
    pub(super) fn kmh(self, class: Class) -> f64 {
        class.free_kmh() * (1.0 - self.busy * (1.0 - class.rush_share()))
    }
}

/// Hours since midnight in Lagos, which has no summer time.
pub(super) fn hour_of_day(t: Millis) -> f64 {
    (t - MIDNIGHT).rem_euclid(DAY_MS) as f64 / HOUR_MS as f64
}

/// Number of the local day.
pub(super) fn day(t: Millis) -> i64 {
    (t - MIDNIGHT).div_euclid(DAY_MS)
}

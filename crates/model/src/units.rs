//! Units: instants, spans of time, dense identifiers, places, speeds and headings.
//!
//! Ids are strings in the log and dense integers here, assigned in the order in which the log is read. A dense
//! number depends on the order of arrival, so no output may be *ordered* by it; where a rule names the
//! smallest id, it means the string.

use serde::{Deserialize, Serialize};

/// An instant of event time: milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// "Since ever": the `valid_from` of a geofence that names none in a replay, and `now` before the
/// log has said anything about time.
pub const BEGINNING: Millis = Millis::MIN;

/// "For ever": the end of what has no end yet.
pub const END: Millis = Millis::MAX;

/// A half-open interval of event time. Empty unless `from < until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First instant inside.
    pub from: Millis,
    /// First instant no longer inside.
    pub until: Millis,
}

impl Span {
    /// No instant at all.
    pub const EMPTY: Self = Self { from: END, until: BEGINNING };

    /// Whether it holds no instant.
    pub fn is_empty(self) -> bool {
        self.from >= self.until
    }

    /// Whether it holds `t`.
    pub fn contains(self, t: Millis) -> bool {
        self.from <= t && t < self.until
    }

    /// The smallest interval outside which `self` and `other` hold the same instants.
    pub fn difference_hull(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let from = if self.from == other.from { self.until.min(other.until) } else { self.from.min(other.from) };
        let until = if self.until == other.until { self.from.max(other.from) } else { self.until.max(other.until) };
        Self { from, until }
    }
}

/// Dense number of a vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VehicleId(pub u32);

/// Dense number of a geofence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GeofenceId(pub u32);

/// A place on WGS84 in units of 1e-7 degrees: what an accepted position is rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Longitude, 1e-7 degrees, -1_800_000_000..=1_800_000_000.
    pub lon: i32,
    /// Latitude, 1e-7 degrees, -900_000_000..=900_000_000.
    pub lat: i32,
}

impl Place {
    /// Rounds degrees to 1e-7 degrees, halves away from zero. The caller has checked the range.
    pub fn from_degrees(lon: f64, lat: f64) -> Self {
        Self { lon: (lon * 1e7).round() as i32, lat: (lat * 1e7).round() as i32 }
    }

    /// Longitude in degrees: the double nearest to the decimal (a division, never `* 1e-7`).
    pub fn lon_degrees(self) -> f64 {
        f64::from(self.lon) / 1e7
    }

    /// Latitude in degrees: the double nearest to the decimal.
    pub fn lat_degrees(self) -> f64 {
        f64::from(self.lat) / 1e7
    }
}

/// A speed in millionths of a km/h, so that equal speeds are equal integers. Speeds too large to
/// say (above 4 294 km/h) are kept as the largest one, which no vehicle rule finds plausible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Speed(u32);

impl Speed {
    const UNKNOWN: u32 = u32::MAX;

    /// No speed was reported.
    pub const NONE: Self = Self(Self::UNKNOWN);

    /// Speed of a vehicle that stands.
    pub const ZERO: Self = Self(0);

    /// From km/h, rounded to 1e-6; negative or not finite is unknown (trackers send -1 for "none").
    pub fn from_kmh(kmh: f64) -> Self {
        if !kmh.is_finite() || kmh < 0.0 {
            return Self::NONE;
        }
        Self((kmh * 1e6).round().min(f64::from(Self::UNKNOWN - 1)) as u32)
    }

    /// The mean over a distance in millimetres and a positive time in milliseconds, rounded down to
    /// 1e-6 km/h. Integers only: 1 mm/ms is 3.6 km/h.
    pub fn mean(distance_mm: i64, elapsed_ms: i64) -> Self {
        // Nothing on earth is so far apart that this saturates.
        let micro = distance_mm.saturating_mul(3_600_000) / elapsed_ms;
        Self(micro.clamp(0, i64::from(Self::UNKNOWN - 1)) as u32)
    }

    /// In millionths of a km/h, if known.
    pub fn micro_kmh(self) -> Option<u32> {
        (self.0 != Self::UNKNOWN).then_some(self.0)
    }

    /// In km/h, if known.
    pub fn kmh(self) -> Option<f64> {
        self.micro_kmh().map(|micro| f64::from(micro) / 1e6)
    }
}

/// A course over ground in hundredths of a degree clockwise from north.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Heading(u16);

impl Heading {
    const UNKNOWN: u16 = u16::MAX;

    /// No heading was reported.
    pub const NONE: Self = Self(Self::UNKNOWN);

    /// From degrees, rounded to 0.01; outside 0..=360 (or not finite) is unknown.
    pub fn from_degrees(degrees: f64) -> Self {
        if !(0.0..=360.0).contains(&degrees) {
            return Self::NONE;
        }
        Self((degrees * 100.0).round() as u16)
    }

    /// In degrees, if known.
    pub fn degrees(self) -> Option<f64> {
        (self.0 != Self::UNKNOWN).then(|| f64::from(self.0) / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_speed_is_rounded_down_and_has_a_greatest() {
        assert_eq!(Speed::mean(1_000, 1_000), Speed::from_kmh(3.6));
        assert_eq!(Speed::mean(0, 1), Speed::from_kmh(0.0));
        assert_eq!(Speed::mean(1, 7).micro_kmh(), Some(514_285));
        assert_eq!(Speed::mean(1_194, 1).micro_kmh(), Some(u32::MAX - 1), "4 298.4 km/h");
        assert_eq!(Speed::mean(i64::MAX, 1), Speed::from_kmh(1e9));
    }
}

//! Circles: all places within a geodesic radius.

use serde::{Deserialize, Serialize};

use super::geodesic::{ChordOrigin, latitude_reach, longitude_reach};
use super::{BoundingBox, GeometryError};

/// Degrees by which boxes are widened against rounding, far above the greatest rounding error.
const MARGIN: f64 = 1e-9;

/// All places whose geodesic distance from a centre is at most a radius.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Parts", into = "Parts")]
pub struct Circle {
    center: ChordOrigin,
    radius_m: f64,
}

/// The serialized form of a circle.
#[derive(Serialize, Deserialize)]
struct Parts {
    center: [f64; 2],
    radius_m: f64,
}

impl From<Parts> for Circle {
    fn from(Parts { center, radius_m }: Parts) -> Self {
        Self { center: ChordOrigin::new(center), radius_m }
    }
}

impl From<Circle> for Parts {
    fn from(circle: Circle) -> Self {
        Self { center: circle.center(), radius_m: circle.radius_m }
    }
}

impl Circle {
    pub(super) fn new(center: [f64; 2], radius_m: f64) -> Result<Self, GeometryError> {
        if !super::validity::is_on_earth(center) {
            return Err(GeometryError::Centre(center));
        }
        if !(radius_m.is_finite() && radius_m > 0.0) {
            return Err(GeometryError::Radius(radius_m));
        }
        Ok(Self::from(Parts { center, radius_m }))
    }

    /// `[lon, lat]` in degrees.
    pub fn center(&self) -> [f64; 2] {
        self.center.position()
    }

    /// The radius, metres.
    pub fn radius_m(&self) -> f64 {
        self.radius_m
    }

    pub(super) fn covers(&self, lon: f64, lat: f64, buffer_m: f64) -> bool {
        self.center.is_within_m(lon, lat, self.radius_m + buffer_m)
    }

    /// Number of words in the form of [`Circle::to_words`].
    pub const WORDS: usize = ChordOrigin::NUMBERS + 1;

    /// The circle as words, from which [`Circle::from_words`] restores it without computation.
    pub fn to_words(self) -> impl Iterator<Item = u64> {
        self.center.to_numbers().into_iter().chain([self.radius_m]).map(f64::to_bits)
    }

    /// Restores a circle from the words of [`Circle::to_words`].
    #[inline]
    pub fn from_words(words: &[u64]) -> Self {
        let number = |i: usize| f64::from_bits(words[i]);
        Self { center: ChordOrigin::from_numbers(std::array::from_fn(number)), radius_m: number(ChordOrigin::NUMBERS) }
    }

    /// Whether the place is covered, and a lower bound of its distance from the border, metres.
    pub fn cover_and_margin(&self, lon: f64, lat: f64) -> (bool, f64) {
        let [least, most] = self.center.distance_bounds_m(lon, lat);
        if most <= self.radius_m {
            (true, self.radius_m - most)
        } else if least > self.radius_m {
            (false, least - self.radius_m)
        } else {
            (self.covers(lon, lat, 0.0), 0.0)
        }
    }

    /// The whole path from the centre to a place within reach is within reach, so the highest latitude in reach bounds
    /// how fast longitude can change on the path. If that latitude is the pole, every longitude is in reach.
    pub(super) fn boxes(&self, buffer_m: f64) -> Vec<BoundingBox> {
        let [lon, lat] = self.center();
        let reach = self.radius_m + buffer_m;
        let up = latitude_reach(reach) + MARGIN;
        let (south, north) = ((lat - up).max(-90.0), (lat + up).min(90.0));
        let across = longitude_reach(reach, north.max(-south)) + MARGIN;
        let (west, east) = (lon - across, lon + across);
        let span = |west: f64, east: f64| BoundingBox { west, south, east, north };
        if across >= 180.0 {
            vec![span(-180.0, 180.0)]
        } else if west <= -180.0 {
            vec![span(-180.0, east), span(west + 360.0 - MARGIN, 180.0)]
        } else if east >= 180.0 {
            vec![span(west, 180.0), span(-180.0, east - 360.0 + MARGIN)]
        } else {
            vec![span(west, east)]
        }
    }
}

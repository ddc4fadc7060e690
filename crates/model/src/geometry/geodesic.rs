//! Distances on WGS84.
//!
//! *The* distance is the geodesic one, by Karney's algorithm (*Algorithms for geodesics*, J. Geodesy 87, 2013; crate
//! `geographiclib-rs`), accurate to nanometres at a cost of about a microsecond. Two cheaper computations are tried
//! first. Both use the straight chord `c` through the Earth, which costs a few multiplications once one of the two
//! places has been prepared as a [`ChordOrigin`].
//!
//! **Bounds.** The geodesic distance `s` satisfies
//!
//! ```text
//! c  <=  s  <=  2 R asin(c / 2R)  <=  c + K c^3,    R = b^2 / a,  K = 1.005 / (24 R^2),  c <= 1000 km
//! ```
//!
//! The first because a straight line is the shortest path. The second by Schur's comparison
//! theorem: a geodesic's curvature in space is the normal curvature of the surface, at most `1 / R`
//! with `R = 6 335 439 m` the least radius of curvature of the ellipsoid (the meridian's at the
//! equator), and an arc of length `s <= pi R` that is nowhere more curved than a circle of radius
//! `R` has a chord no shorter than that circle's, `2 R sin(s / 2R)`. That `s` is short enough: the
//! plane through both places and the Earth's centre cuts an arc that subtends at most
//! `2 asin(c / 2b)` and is at most `a^2 / b` long per radian, 1012 km for `c` = 1000 km. The third
//! sums the series of the arc sine, whose terms after `x^3 / 6` are below 0.5 % of it for `x < 0.08`.
//! The two bounds are 0.13 mm apart at 5 km, so Karney's algorithm decides one case in millions.
//!
//! **Short hops.** `s = c + c^3 / 24 R^2` with a mean radius. The radius of curvature is within 0.51 %
//! of it in every direction everywhere, so the error stays below 1.04 % of the correction: 2.7e-8 of
//! the distance at 50 km, a hundredth of a millimetre at 10 km.

use std::sync::LazyLock;

use geographiclib_rs::{Geodesic, InverseGeodesic};

use crate::units::Place;

/// Equatorial radius of WGS84, metres.
const A: f64 = 6_378_137.0;
/// Flattening of WGS84.
const F: f64 = 1.0 / 298.257_223_563;
/// First eccentricity squared.
const E2: f64 = F * (2.0 - F);
/// Least radius of curvature: the meridian's at the equator, b^2 / a.
const LEAST_RADIUS: f64 = A * (1.0 - E2);
/// Greatest radius of curvature: in all directions at the poles, a^2 / b.
const GREATEST_RADIUS: f64 = A / (1.0 - F);
/// Radians per unit of a [`Place`].
const UNIT: f64 = std::f64::consts::PI / 180.0 / 1e7;
/// Factor of the upper bound: `s <= c + UPPER c^3`.
const UPPER: f64 = 1.005 / (24.0 * LEAST_RADIUS * LEAST_RADIUS);
/// Greatest chord for which that bound is proven, metres.
const UPPER_HOLDS_TO_M: f64 = 1_000_000.0;
/// More than the rounding errors of chords (30 nm) and Karney's algorithm (15 nm), metres.
const SLACK_M: f64 = 1e-6;
/// Half way between the least and the greatest radius of curvature (6 335.4 and 6 399.6 km).
const MEAN_RADIUS: f64 = 6_367_516.0;
/// Greatest chord that is converted to a distance by the series, metres.
const SHORT_M: f64 = 50_000.0;
/// Greatest angle that is rotated by series, radians: the omitted terms are below 3e-18.
const SMALL_ANGLE: f64 = 0.01;

static WGS84: LazyLock<Geodesic> = LazyLock::new(Geodesic::wgs84);

/// Geodesic distance in metres by Karney's algorithm; `[lon, lat]` in degrees.
pub fn karney_m(a: [f64; 2], b: [f64; 2]) -> f64 {
    WGS84.inverse(a[1], a[0], b[1], b[0])
}

/// Geodesic distance in metres.
pub fn distance_m(a: Place, b: Place) -> f64 {
    karney_m([a.lon_degrees(), a.lat_degrees()], [b.lon_degrees(), b.lat_degrees()])
}

/// Geodesic distance in millimetres, halves rounded away from zero; symmetric. For chords up to 50 km by series, with
/// an error below 1e-7 of the distance + 0.1 mm before rounding.
pub fn distance_mm(a: Place, b: Place) -> i64 {
    let chord = chord_between(a, b);
    let distance = if chord <= SHORT_M {
        chord + chord * chord * chord * (1.0 / (24.0 * MEAN_RADIUS * MEAN_RADIUS))
    } else {
        distance_m(a.min(b), a.max(b))
    };
    (distance * 1000.0).round() as i64
}

/// A distance in millimetres that [`distance_mm`] is at most: along the meridian, then along the equator.
pub fn at_most_mm(a: Place, b: Place) -> i64 {
    let north = (f64::from(a.lat) - f64::from(b.lat)).abs();
    let east = (f64::from(a.lon) - f64::from(b.lon)).abs();
    ((north + east) * (GREATEST_RADIUS * UNIT) * 1000.0) as i64 + 2
}

/// Whether `distance_m(a, b) <= limit_m`.
///
/// Before chords are computed: the distance is at least the difference in latitude, and at most the length of the path
/// along the meridian and then along a parallel.
pub fn is_within_m(a: Place, b: Place, limit_m: f64) -> bool {
    let north = (f64::from(a.lat) - f64::from(b.lat)).abs();
    let east = (f64::from(a.lon) - f64::from(b.lon)).abs();
    if north * (LEAST_RADIUS * UNIT) > limit_m + SLACK_M {
        return false;
    }
    if (north + east) * (GREATEST_RADIUS * UNIT) + SLACK_M <= limit_m {
        return true;
    }
    by_chord(chord_between(a, b), limit_m).unwrap_or_else(|| distance_m(a, b) <= limit_m)
}

/// Length of the straight line through the Earth between two places, metres, to within 30 nm.
fn chord_between(a: Place, b: Place) -> f64 {
    let (a, b) = (a.min(b), a.max(b));
    let (sin, cos) = (f64::from(a.lat) * UNIT).sin_cos();
    let north = (f64::from(b.lat) - f64::from(a.lat)) * UNIT;
    let half_east = (f64::from(b.lon) - f64::from(a.lon)) * (UNIT * 0.5);
    Meridian::new(sin, cos).chord_m(north, half_east)
}

/// Whether places at this chord are within a geodesic distance; `None` if the bounds do not decide.
fn by_chord(chord: f64, limit_m: f64) -> Option<bool> {
    if chord - SLACK_M > limit_m {
        return Some(false);
    }
    let surely = chord <= UPPER_HOLDS_TO_M && chord + UPPER * chord * chord * chord + SLACK_M <= limit_m;
    surely.then_some(true)
}

/// Metres per degree of longitude and of latitude, from the radii of curvature at a latitude.
pub fn metres_per_degree(lat: f64) -> (f64, f64) {
    let (sin, cos) = lat.to_radians().sin_cos();
    let w2 = 1.0 - E2 * sin * sin;
    let prime_vertical = A / w2.sqrt();
    let meridian = prime_vertical * (1.0 - E2) / w2;
    ((prime_vertical * cos).to_radians(), meridian.to_radians())
}

/// Upper bound of the distance of two places whose longitudes and latitudes differ by at most `units` of a [`Place`],
/// metres: on the path along which both change evenly, no step is longer than the same step on a sphere with the
/// greatest radius of curvature.
pub fn reach_m(units: f64) -> f64 {
    std::f64::consts::SQRT_2 * units * (GREATEST_RADIUS * UNIT) * (1.0 + 1e-9)
}

/// Upper bound of the degrees of latitude that `distance_m` metres span.
pub fn latitude_reach(distance_m: f64) -> f64 {
    (distance_m / LEAST_RADIUS).to_degrees() * (1.0 + 1e-9)
}

/// Upper bound of the degrees of longitude that a path of `distance_m` metres spans between latitudes of at most
/// `worst_lat` (absolute): a parallel is nowhere shorter than that of a sphere of radius `a`. 360 if the pole is in
/// reach.
pub fn longitude_reach(distance_m: f64, worst_lat: f64) -> f64 {
    if worst_lat >= 90.0 - 1e-6 {
        return 360.0;
    }
    let metres = A.to_radians() * worst_lat.to_radians().cos();
    (distance_m / metres * (1.0 + 1e-9)).min(360.0)
}

/// A place prepared for chords to other places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChordOrigin {
    lon: f64,
    lat: f64,
    meridian: Meridian,
}

impl ChordOrigin {
    /// Prepares the place at `[lon, lat]` degrees.
    pub fn new([lon, lat]: [f64; 2]) -> Self {
        let (sin, cos) = lat.to_radians().sin_cos();
        Self { lon, lat, meridian: Meridian::new(sin, cos) }
    }

    /// Number of numbers in the form of [`ChordOrigin::to_numbers`].
    pub const NUMBERS: usize = 6;

    /// The place as numbers, from which [`ChordOrigin::from_numbers`] restores it without computation.
    pub fn to_numbers(self) -> [f64; Self::NUMBERS] {
        let Self { lon, lat, meridian: Meridian { sin, cos, axial, polar } } = self;
        [lon, lat, sin, cos, axial, polar]
    }

    /// Restores a place from the numbers of [`ChordOrigin::to_numbers`].
    pub fn from_numbers([lon, lat, sin, cos, axial, polar]: [f64; Self::NUMBERS]) -> Self {
        Self { lon, lat, meridian: Meridian { sin, cos, axial, polar } }
    }

    /// `[lon, lat]` in degrees.
    pub fn position(&self) -> [f64; 2] {
        [self.lon, self.lat]
    }

    /// Length of the straight line through the Earth, metres, to within 30 nm.
    pub fn chord_m(&self, lon: f64, lat: f64) -> f64 {
        let north = (lat - self.lat).to_radians();
        let half_east = ((lon - self.lon) * 0.5).to_radians();
        self.meridian.chord_m(north, half_east)
    }

    /// Lower and upper bound of the geodesic distance to the place, metres: the bounds above, or Karney's distance
    /// where they are not proven, each with a margin for rounding.
    pub fn distance_bounds_m(&self, lon: f64, lat: f64) -> [f64; 2] {
        let chord = self.chord_m(lon, lat);
        if chord <= UPPER_HOLDS_TO_M {
            return [chord - SLACK_M, chord + UPPER * chord * chord * chord + SLACK_M];
        }
        let distance = karney_m(self.position(), [lon, lat]);
        [distance - SLACK_M, distance + SLACK_M]
    }

    /// Whether the geodesic distance to the place is at most `limit_m`: by the bounds if they decide, else by Karney's
    /// algorithm.
    pub fn is_within_m(&self, lon: f64, lat: f64, limit_m: f64) -> bool {
        by_chord(self.chord_m(lon, lat), limit_m).unwrap_or_else(|| karney_m(self.position(), [lon, lat]) <= limit_m)
    }
}

/// Position of a latitude in the plane of its meridian.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Meridian {
    /// Sine of the latitude.
    sin: f64,
    /// Cosine of the latitude.
    cos: f64,
    /// Distance from the Earth's axis, metres.
    axial: f64,
    /// Height above the plane of the equator, metres.
    polar: f64,
}

impl Meridian {
    fn new(sin: f64, cos: f64) -> Self {
        let prime_vertical = A / (1.0 - E2 * sin * sin).sqrt();
        Self { sin, cos, axial: prime_vertical * cos, polar: prime_vertical * (1.0 - E2) * sin }
    }

    /// Chord to a place of latitude `north`, whose longitude differs by twice `half_east` radians.
    fn chord_m(&self, north: f64, half_east: f64) -> f64 {
        let (s, c) = sin_cos(north);
        let there = Self::new(self.sin * c + self.cos * s, self.cos * c - self.sin * s);
        let (out, up) = (there.axial - self.axial, there.polar - self.polar);
        let across = sin_cos(half_east).0;
        (out * out + up * up + 4.0 * there.axial * self.axial * across * across).sqrt()
    }
}

/// Sine and cosine, by series for angles of at most [`SMALL_ANGLE`].
fn sin_cos(x: f64) -> (f64, f64) {
    if x.abs() > SMALL_ANGLE {
        return x.sin_cos();
    }
    let x2 = x * x;
    let sin = x * (1.0 - x2 * (1.0 / 6.0) * (1.0 - x2 * (1.0 / 20.0)));
    let cos = 1.0 - x2 * 0.5 * (1.0 - x2 * (1.0 / 12.0) * (1.0 - x2 * (1.0 / 30.0)));
    (sin, cos)
}

//! Star polygons, with a given mean number of them over a point.

use std::f64::consts::TAU;
use std::sync::Arc;

use watchtower_model::geometry::Shape;
use watchtower_model::{Geofence, Place};

use super::geofence;
use watchtower_core::random::SplitMix;

/// Corners of a star.
const CORNERS: usize = 40;

/// Range of the factor between a star's greatest radius and the mean one.
const SIZES: (f64, f64) = (0.4, 1.6);

/// Range of a corner's distance from the centre, as a share of the star's greatest radius.
const DEPTHS: (f64, f64) = (0.6, 1.0);

/// Metres per degree of latitude; accurate enough for steps.
const METRES_PER_DEGREE: f64 = 111_320.0;

/// The region in which vehicles drive: a box in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Least longitude, degrees.
    pub west: f64,
    /// Greatest longitude, degrees.
    pub east: f64,
    /// Least latitude, degrees.
    pub south: f64,
    /// Greatest latitude, degrees.
    pub north: f64,
}

impl Region {
    /// The region of workload W: Lagos and around, 88 by 67 km.
    pub const LAGOS: Self = Self { west: 3.0, east: 3.8, south: 6.3, north: 6.9 };

    /// A random point in the region, degrees.
    pub(super) fn place(&self, random: &mut SplitMix) -> [f64; 2] {
        [random.between(self.west, self.east), random.between(self.south, self.north)]
    }

    /// Degrees of longitude and latitude per metre, in the middle of the region.
    pub(super) fn degrees_per_metre(&self) -> [f64; 2] {
        let middle = (self.south + self.north) / 2.0;
        [1.0 / (METRES_PER_DEGREE * middle.to_radians().cos()), 1.0 / METRES_PER_DEGREE]
    }
}

/// `count` stars, of which on average `cover` cover a point of the region, except near its borders.
pub fn stars(count: u32, region: Region, cover: f64, seed: u64) -> Vec<Arc<Geofence>> {
    let mut random = SplitMix::new(seed);
    let area = (region.east - region.west) * (region.north - region.south);
    // The area of a star of radius 1 is half the sum of the products of neighbouring radii and the sine of the angle
    // between them; 0.8 and 1.12 are the means of a radius, and of the square of a size.
    let unit = 0.5 * CORNERS as f64 * (TAU / CORNERS as f64).sin() * 0.8 * 0.8 * 1.12;
    let radius = (cover * area / f64::from(count) / unit).sqrt();
    (0..count).map(|number| geofence(&number.to_string(), star(region, radius, &mut random))).collect()
}

fn star(region: Region, radius: f64, random: &mut SplitMix) -> Shape {
    let [lon, lat] = region.place(random);
    let radius = radius * random.between(SIZES.0, SIZES.1);
    let turned = random.between(0.0, TAU / CORNERS as f64);
    let mut ring: Vec<[f64; 2]> = (0..CORNERS)
        .map(|corner| {
            let angle = turned + corner as f64 * TAU / CORNERS as f64;
            let at = radius * random.between(DEPTHS.0, DEPTHS.1);
            // Seven decimals, as in drawn geofences.
            let corner = Place::from_degrees(lon + at * angle.cos(), lat + at * angle.sin());
            [corner.lon_degrees(), corner.lat_degrees()]
        })
        .collect();
    ring.push(ring[0]);
    Shape::from_polygons(vec![vec![ring]]).expect("a star does not cross itself")
}

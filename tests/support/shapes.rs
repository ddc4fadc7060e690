//! Outlines of geofences on a small grid, on which positions lie too: borders and corners are met exactly.

use std::sync::Arc;

use serde_json::{Value, json};
use watchtower_model::Place;
use watchtower_model::geometry::Shape;

use crate::support::rng::Rng;

/// Width of a grid cell, 1e-7 degrees: some 28 m.
const CELL: i64 = 2_500;

/// Cells along one side of the world that everything happens in.
pub(crate) const CELLS: i64 = 16;

/// Where the south-west corner of the grid lies, degrees: Lagos mostly, the far north, null island, the
/// antimeridian from both sides.
const ORIGINS: [(usize, (f64, f64)); 5] =
    [(12, (3.47, 6.55)), (2, (25.77, 71.1)), (2, (-0.003, -0.003)), (1, (179.997, -16.5)), (1, (-180.0, 51.8))];

/// The place that grid coordinates are counted from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    origin: Place,
}

impl Grid {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let (lon, lat) = rng.weighted(&ORIGINS);
        Self { origin: Place::from_degrees(lon, lat) }
    }

    /// The place `x` cells east and `y` cells north, and then some 1e-7 degrees aside.
    pub(crate) fn place(self, x: i64, y: i64, aside: (i64, i64)) -> Place {
        let mut lon = i64::from(self.origin.lon) + x * CELL + aside.0;
        if lon.abs() > 1_800_000_000 {
            lon -= 3_600_000_000 * lon.signum();
        }
        let lat = i64::from(self.origin.lat) + y * CELL + aside.1;
        Place { lon: i32::try_from(lon).expect("in range"), lat: i32::try_from(lat).expect("in range") }
    }

    /// The same as a vertex; those beyond the antimeridian are moved onto it.
    fn vertex(self, (x, y): (i64, i64)) -> [f64; 2] {
        let lon = (i64::from(self.origin.lon) + x * CELL).min(1_800_000_000);
        [lon as f64 / 1e7, self.place(0, y, (0, 0)).lat_degrees()]
    }
}

/// A shape, and how to write it down.
#[derive(Clone, Debug)]
pub(crate) struct Outline {
    /// GeoJSON, with the `radius_m` of a circle beside it.
    pub(crate) geojson: (Value, Option<f64>),
    /// What the engine is told.
    pub(crate) shape: Arc<Shape>,
}

impl Outline {
    /// Any kind of shape, anywhere on the grid.
    pub(crate) fn random(rng: &mut Rng, grid: Grid) -> Self {
        if !rng.chance(25) {
            let polygons = polygons(rng, grid);
            // Beyond the antimeridian there may be nothing left of them: a circle instead.
            if let Ok(shape) = Shape::from_polygons(polygons.clone()) {
                let geojson = json!({"type": "MultiPolygon", "coordinates": polygons});
                return Self { geojson: (geojson, None), shape: Arc::new(shape) };
            }
        }
        let center = grid.place(rng.between(0, CELLS), rng.between(0, CELLS), (0, 0));
        Self::around(rng, center)
    }

    /// A circle of a random radius around a place.
    pub(crate) fn around(rng: &mut Rng, center: Place) -> Self {
        let center = [center.lon_degrees(), center.lat_degrees()];
        let radius_m = *rng.pick(&[1.0, 50.0, 80.0, 150.0, 300.0]);
        let shape = Shape::circle(center, radius_m).expect("a circle is valid");
        Self { geojson: (json!({"type": "Point", "coordinates": center}), Some(radius_m)), shape: Arc::new(shape) }
    }
}

type Ring = Vec<(i64, i64)>;

fn rectangle(west: i64, south: i64, width: i64, height: i64) -> Ring {
    let (east, north) = (west + width, south + height);
    vec![(west, south), (east, south), (east, north), (west, north)]
}

/// One or two polygons with and without holes, as closed rings of degrees in either winding.
fn polygons(rng: &mut Rng, grid: Grid) -> Vec<Vec<Vec<[f64; 2]>>> {
    let l_shape = || vec![(0, 0), (8, 0), (8, 4), (4, 4), (4, 8), (0, 8)];
    let (w, h) = (rng.between(1, 8), rng.between(1, 8));
    let polygons: Vec<Vec<Ring>> = match rng.below(9) {
        0 | 1 => vec![vec![rectangle(0, 0, w, h)]],
        2 => vec![vec![vec![(0, 0), (w, rng.between(0, 2)), (rng.between(0, 3), h + 2)]]],
        3 => vec![vec![l_shape()]],
        4 => vec![vec![l_shape(), rectangle(1, 1, 2, 2)]],
        5 => vec![vec![rectangle(0, 0, 8, 8), rectangle(2, 2, 4, 4)]],
        // Two that touch at a corner, two apart, an island in a lake.
        6 => vec![vec![rectangle(0, 0, w, h)], vec![rectangle(w, h, 2, 2)]],
        7 => vec![vec![rectangle(0, 0, w, h)], vec![rectangle(w + 2, 0, 2, h)]],
        _ => vec![vec![rectangle(0, 0, 10, 10), rectangle(2, 2, 6, 6)], vec![rectangle(4, 4, 2, 2)]],
    };
    let corner = (rng.between(0, CELLS - 10), rng.between(0, CELLS - 10));
    let reversed = rng.chance(50);
    let degrees = |ring: Ring| {
        let vertices = ring.iter().chain(ring.first()).map(|&(x, y)| grid.vertex((corner.0 + x, corner.1 + y)));
        let mut vertices: Vec<[f64; 2]> = vertices.collect();
        if reversed {
            vertices.reverse();
        }
        vertices
    };
    polygons.into_iter().map(|rings| rings.into_iter().map(degrees).collect()).collect()
}

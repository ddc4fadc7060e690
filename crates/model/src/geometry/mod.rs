//! Shapes of geofences: their validity, the places they cover, and the distance of a place from them.
//!
//! Everything that decides *inside or not* is exact: the result is that of arithmetic without rounding on the given
//! doubles, so that workers, restarts and recomputations never disagree, and a place on a shared border is inside both
//! neighbours.
//!
//! * An [`Area`] (polygon or multipolygon) has straight edges in lon/lat, as RFC 7946 says. A place
//!   is covered if it lies on an edge, or if a ray from it crosses an odd number of edges of all
//!   rings; orientation is decided by adaptive-precision predicates (Shewchuk, crate `robust`;
//!   exact unless coordinates are so close to zero, below 1e-100 degrees, that products underflow).
//! * A [`Circle`] covers the places whose geodesic distance on WGS84, as computed by Karney's algorithm, is at most its
//!   radius. A chord bounds that distance from both sides so tightly that the algorithm itself rarely runs: see
//!   [`geodesic`].
//! * The buffered test decides when a vehicle leaves a geofence, which needs metres and not exactness: it is a plain
//!   function of doubles, the same with or without the index.
//!
//! [`validity`](Shape::from_polygons) follows `ST_IsValid`; nothing invalid becomes a [`Shape`].

use serde::{Deserialize, Serialize};

use crate::units::Place;

mod antimeridian;
mod area;
mod circle;
mod error;
pub mod geodesic;
mod slabs;
mod sweep;
mod validity;

#[cfg(test)]
mod area_tests;
#[cfg(test)]
mod geodesic_tests;
#[cfg(test)]
mod validity_tests;

pub use area::{Area, PolygonRef};
pub use circle::Circle;
pub use error::{GeometryError, VertexRef};

/// Limit of the positions of a geometry, including the closing positions of all rings, as `ST_NPoints` counts them.
pub const MAX_VERTICES: usize = 100_000;

/// An axis-parallel box in degrees, borders included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Least longitude, degrees.
    pub west: f64,
    /// Least latitude, degrees.
    pub south: f64,
    /// Greatest longitude, degrees.
    pub east: f64,
    /// Greatest latitude, degrees.
    pub north: f64,
}

impl BoundingBox {
    /// Whether the point is inside or on the border.
    pub fn contains(&self, lon: f64, lat: f64) -> bool {
        self.west <= lon && lon <= self.east && self.south <= lat && lat <= self.north
    }
}

/// Whether an edge of these polygons spans more than 180 and less than 360 degrees, or longitudes run on beyond 180:
/// such a shape lies across the antimeridian and is cut there.
pub fn crosses_antimeridian(polygons: &[Vec<Vec<[f64; 2]>>]) -> bool {
    matches!(antimeridian::unwrap(polygons), Ok(Some(_)))
}

/// The shape of a geofence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Shape {
    /// A polygon or multipolygon.
    Area(Area),
    /// All places within a radius of a centre.
    Circle(Circle),
}

impl Shape {
    /// A polygon or multipolygon: per polygon its rings (shell first), each a closed list of
    /// `[lon, lat]` in degrees, in either winding. What lies across the antimeridian is cut there: see
    /// [`crosses_antimeridian`].
    pub fn from_polygons(polygons: Vec<Vec<Vec<[f64; 2]>>>) -> Result<Self, GeometryError> {
        let Some(across) = antimeridian::unwrap(&polygons)? else {
            validity::check(&polygons, 180.0)?;
            return Ok(Self::Area(Area::from(polygons)));
        };
        // As it was drawn, so that a fault names its vertices.
        validity::check(&across.degrees(), 2.0 * antimeridian::REACH)?;
        let cut = across.cut();
        validity::check(&cut, 180.0)?;
        Ok(Self::Area(Area::from(cut)))
    }

    /// All places whose geodesic distance from `center` (`[lon, lat]` degrees) is at most `radius_m`.
    pub fn circle(center: [f64; 2], radius_m: f64) -> Result<Self, GeometryError> {
        Circle::new(center, radius_m).map(Self::Circle)
    }

    /// Whether the place is inside or on the border.
    pub fn covers(&self, place: Place) -> bool {
        let (lon, lat) = (place.lon_degrees(), place.lat_degrees());
        match self {
            Self::Area(area) => area.covers(lon, lat),
            Self::Circle(circle) => circle.covers(lon, lat, 0.0),
        }
    }

    /// Whether the place is covered or at most `buffer_m` metres away.
    pub fn covers_buffered(&self, place: Place, buffer_m: f64) -> bool {
        let (lon, lat) = (place.lon_degrees(), place.lat_degrees());
        match self {
            Self::Area(area) => area.covers(lon, lat) || area.is_near(lon, lat, buffer_m),
            Self::Circle(circle) => circle.covers(lon, lat, buffer_m),
        }
    }

    /// Boxes (one, or two at the antimeridian) that hold every place for which
    /// `covers_buffered(place, buffer_m)` can be true.
    pub fn boxes(&self, buffer_m: f64) -> Vec<BoundingBox> {
        match self {
            Self::Area(area) => vec![area.bounds(buffer_m)],
            Self::Circle(circle) => circle.boxes(buffer_m),
        }
    }

    /// Well-known text, for tables and people: `POLYGON`, `MULTIPOLYGON`, or `POINT` for a circle's centre, in the
    /// shortest decimals that parse to the same doubles.
    pub fn wkt(&self) -> String {
        match self {
            Self::Area(area) => area.wkt(),
            Self::Circle(circle) => {
                let [lon, lat] = circle.center();
                format!("POINT({lon} {lat})")
            }
        }
    }

    /// GeoJSON: a Polygon, a MultiPolygon, or the Point at a circle's centre, in the shortest decimals that parse to the
    /// same doubles.
    pub fn geojson(&self) -> String {
        match self {
            Self::Area(area) => area.geojson(),
            Self::Circle(circle) => {
                let [lon, lat] = circle.center();
                format!(r#"{{"type":"Point","coordinates":[{lon},{lat}]}}"#)
            }
        }
    }

    /// The polygons as given; empty for a circle.
    pub fn polygons(&self) -> impl Iterator<Item = PolygonRef<'_>> {
        match self {
            Self::Area(area) => Some(area),
            Self::Circle(_) => None,
        }
        .into_iter()
        .flat_map(Area::polygons)
    }

    /// Number of positions of all rings, closing ones included; 0 for a circle.
    pub fn vertex_count(&self) -> usize {
        match self {
            Self::Area(area) => area.vertex_count(),
            Self::Circle(_) => 0,
        }
    }

    /// The centre of a circle, `[lon, lat]` in degrees; `None` for an area.
    pub fn center(&self) -> Option<[f64; 2]> {
        match self {
            Self::Area(_) => None,
            Self::Circle(circle) => Some(circle.center()),
        }
    }

    /// The radius of a circle, metres; `None` for an area.
    pub fn radius_m(&self) -> Option<f64> {
        match self {
            Self::Area(_) => None,
            Self::Circle(circle) => Some(circle.radius_m()),
        }
    }
}

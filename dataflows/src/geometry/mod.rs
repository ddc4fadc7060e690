//! Shapes of geofences: what is valid, what they cover, how far a place is from them.

pub mod geodesic;
use serde::{Deserialize, Serialize};

use crate::model::Place;

/// Why a geometry is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeometryError(pub String);

/// An axis-parallel box in degrees, borders included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoundingBox {
    /// Least longitude.
    pub west: f64,
    /// Least latitude.
    pub south: f64,
    /// Greatest longitude.
    pub east: f64,
    /// Greatest latitude.
    pub north: f64,
}

impl BoundingBox {
    /// Whether the place is inside or on the border.
    pub fn contains(&self, place: Place) -> bool {
        let (lon, lat) = (place.lon_degrees(), place.lat_degrees());
        self.west <= lon && lon <= self.east && self.south <= lat && lat <= self.north
    }
}

/// The shape of a geofence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape;

impl Shape {
    /// A polygon or multipolygon: per polygon its rings (shell first), each a closed list of
    /// `[lon, lat]` in degrees, in either winding.
    pub fn from_polygons(_polygons: Vec<Vec<Vec<[f64; 2]>>>) -> Result<Self, GeometryError> {
        Ok(Self)
    }

    /// All places whose geodesic distance from `center` (`[lon, lat]` degrees) is at most `radius_m`.
    pub fn circle(_center: [f64; 2], _radius_m: f64) -> Result<Self, GeometryError> {
        Ok(Self)
    }

    /// Whether the place is inside or on the border.
    pub fn covers(&self, _place: Place) -> bool {
        false
    }

    /// Whether the place is covered or at most `buffer_m` metres away.
    pub fn covers_buffered(&self, _place: Place, _buffer_m: f64) -> bool {
        false
    }

    /// Boxes (one, or two at the antimeridian) that hold every place for which
    /// `covers_buffered(place, buffer_m)` can be true.
    pub fn boxes(&self, _buffer_m: f64) -> Vec<BoundingBox> {
        Vec::new()
    }

    /// Well-known text, for tables and people.
    pub fn wkt(&self) -> String {
        String::new()
    }

    /// The radius in metres if it is a circle.
    pub fn radius_m(&self) -> Option<f64> {
        None
    }
}

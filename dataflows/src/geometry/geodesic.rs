//! Distances on WGS84.

use crate::model::Place;

/// Geodesic distance in millimetres, rounded.
pub fn distance_mm(_a: Place, _b: Place) -> i64 {
    0
}

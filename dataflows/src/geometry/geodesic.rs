//! Stub.
use crate::model::Place;
/// mm
pub fn distance_mm(_a: Place, _b: Place) -> i64 {
    0
}

//! Edits and positions of a small fleet, built by hand.

use std::sync::Arc;

use watchtower_model::geometry::Shape;
use watchtower_model::{
    BEGINNING, Edit, Geofence, GeofenceEdit, GeofenceId, Heading, Ignition, Mark, Millis, Place, Position,
    PositionEvent, Speed, Vehicle, VehicleEdit, VehicleId,
};

/// Latitude of all places.
const LAT: f64 = 6.5;

/// A circle whose visits are confirmed after five minutes; its kind is also its id.
pub(crate) fn circle(number: u32, kind: &str, lon: f64, radius_m: f64) -> GeofenceEdit {
    let geofence = Geofence {
        id: kind.into(),
        name: None,
        kind: Some(kind.to_owned()),
        anchor: None,
        tags: Vec::new(),
        min_dwell_ms: 5 * 60_000,
        exit_buffer_m: 0.0,
        speed_limit: Speed::NONE,
        shape: Arc::new(Shape::circle([lon, LAT], radius_m).unwrap()),
    };
    edit(GeofenceId(number), geofence)
}

/// One of two fleets, by the vehicle's number.
pub(crate) fn in_fleet(vehicle: u32) -> VehicleEdit {
    let fleet = Some((vehicle % 2).to_string());
    let definition = Vehicle { name: None, fleet, speed_limit: Speed::NONE, offline_after_ms: None, attributes: None };
    edit(VehicleId(vehicle), definition)
}

/// A position with a speed, or [`Speed::NONE`].
pub(crate) fn position(vehicle: u32, ts: Millis, lon: f64, speed: Speed, ignition: Ignition) -> PositionEvent {
    let place = Place::from_degrees(lon, LAT);
    let position = Position { ts, place, speed, heading: Heading::NONE, ignition, mark: Mark::None };
    PositionEvent { vehicle: VehicleId(vehicle), seq: 0, position, withdrawn: false }
}

fn edit<K, D>(key: K, definition: D) -> Edit<K, D> {
    Edit { key, valid_from: BEGINNING, effective_from: BEGINNING, seq: 0, definition: Some(Arc::new(definition)) }
}

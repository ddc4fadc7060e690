//! Each rule by cases computed by hand.

mod days;
mod field;
mod hours;
mod journeys;
mod marks;
mod overspeeds;
mod path;
mod stays;
mod visits;

use std::sync::Arc;

use super::{Tables, recompute};
use watchtower_model::geometry::Shape;
use watchtower_model::{
    BEGINNING, Edit, Geofence, GeofenceEdit, GeofenceId, Heading, Ignition, Mark, Millis, Outliers, Place, Position,
    PositionEvent, Rules, Speed, VehicleId,
};

const V: VehicleId = VehicleId(1);
const G: GeofenceId = GeofenceId(7);
const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Rules under which every position is usable, however far it is from the others.
fn plain() -> Rules {
    Rules { outliers: Outliers::Use, ..Rules::default() }
}

/// The vehicle is `lon` degrees east of the west side of `square(0.0)`.
fn at(ts: Millis, lon: f64) -> PositionEvent {
    let place = Place::from_degrees(lon, 0.5);
    let (speed, heading, ignition) = (Speed::NONE, Heading::NONE, Ignition::Unknown);
    let position = Position { ts, place, speed, heading, ignition, mark: Mark::None };
    PositionEvent { vehicle: V, seq: 0, position, withdrawn: false }
}

fn withdrawn(ts: Millis) -> PositionEvent {
    PositionEvent { withdrawn: true, ..at(ts, 0.0) }
}

fn reported(ts: Millis, lon: f64, kmh: f64) -> PositionEvent {
    let mut event = at(ts, lon);
    event.position.speed = Speed::from_kmh(kmh);
    event
}

/// With the ignition on.
fn running(ts: Millis, kmh: f64) -> PositionEvent {
    let mut event = reported(ts, 0.5, kmh);
    event.position.ignition = Ignition::On;
    event
}

/// One degree wide, from longitude `west`.
fn square(west: f64) -> Geofence {
    let east = west + 1.0;
    let ring = vec![[west, 0.0], [east, 0.0], [east, 1.0], [west, 1.0], [west, 0.0]];
    Geofence {
        id: "yard".into(),
        name: None,
        kind: None,
        anchor: None,
        tags: Vec::new(),
        min_dwell_ms: 0,
        exit_buffer_m: 0.0,
        speed_limit: Speed::NONE,
        shape: Arc::new(Shape::from_polygons(vec![vec![ring]]).expect("a square is valid")),
    }
}

/// What holds of the geofence with this number from a time on. Its id is chosen so that numbers and ids are
/// in opposite order.
fn version(number: u32, from: Millis, definition: Geofence) -> GeofenceEdit {
    let definition = Some(Arc::new(Geofence { id: format!("{:03}", 999 - number).into(), ..definition }));
    let seq = from.max(0) as u64;
    Edit { key: GeofenceId(number), valid_from: from, effective_from: from, seq, definition }
}

/// An edit that has held from the beginning of time.
fn always(number: u32, definition: Geofence) -> GeofenceEdit {
    version(number, BEGINNING, definition)
}

fn kmh(kmh: f64) -> Speed {
    Speed::from_kmh(kmh)
}

/// Millimetres between two longitudes at the latitude of all this.
fn way_mm(from: f64, to: f64) -> i64 {
    watchtower_model::geometry::geodesic::distance_mm(Place::from_degrees(from, 0.5), Place::from_degrees(to, 0.5))
}

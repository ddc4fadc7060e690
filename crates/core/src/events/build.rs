//! From fields to events: every rule about a value is here once, for all text shapes.

use std::borrow::Cow;
use std::sync::Arc;

use watchtower_model::{Geofence, Heading, Place, Speed, Vehicle};

use super::attributes;
use super::fields::{Field, Fields, required};
use super::geometry::Geometry;
use super::ids::{check_geofence_id, check_vehicle_id};
use super::limits::Limits;
use super::rejection::{Reason, Rejection, quoted};
use super::{Clock, Event, Fix, GeofenceChange, GeofenceDefinition, Measured, PositionReport, VehicleChange};

/// The widest exit buffer, in metres.
const MAX_EXIT_BUFFER_M: f64 = 5000.0;

/// The longest `min_dwell_s`, in seconds: some thirty years.
const MAX_DWELL_S: f64 = 1e9;

/// The longest silence that a vehicle may be allowed, seconds: ten years, as in the configuration.
const MAX_OFFLINE_AFTER_S: f64 = 3_650.0 * 86_400.0;

/// The event that the fields describe. `unknown`: what no field is known for, if it matters.
pub fn event<'a>(
    fields: &Fields<'a>,
    unknown: impl FnOnce() -> Result<attributes::Builder, Rejection>,
    limits: &Limits,
) -> Result<Event<'a>, Rejection> {
    let kind = required(Field::Type, fields.string(Field::Type)?)?;
    match kind.as_ref() {
        "position" => position(fields, unknown()?, limits),
        "geofence" => geofence(fields, limits),
        "vehicle" => vehicle(fields, limits),
        "clock" => clock(fields, limits),
        "rule" => {
            let detail = "type: a rule is written as JSON, in one field `json` or a file of events".to_owned();
            Err(Rejection::new(Reason::UnknownType, detail))
        }
        other => {
            let detail = format!("type: expected position, geofence, vehicle, rule or clock, found {}", quoted(other));
            Err(Rejection::new(Reason::UnknownType, detail))
        }
    }
}

/// A position, regardless of `type`.
pub fn position<'a>(
    fields: &Fields<'a>,
    unknown: attributes::Builder,
    limits: &Limits,
) -> Result<Event<'a>, Rejection> {
    let deleted = fields.boolean(Field::Deleted)? == Some(true);
    let read = read_position(fields, unknown, deleted, limits);
    read.map_err(|mut rejection| {
        rejection.position_ts = if deleted { None } else { fields.time(Field::Ts, limits).ok().flatten() };
        rejection
    })
}

fn read_position<'a>(
    fields: &Fields<'a>,
    unknown: attributes::Builder,
    deleted: bool,
    limits: &Limits,
) -> Result<Event<'a>, Rejection> {
    fields.require(&[Field::VehicleId, Field::Ts])?;
    if !deleted {
        fields.require(&[Field::Lon, Field::Lat])?;
    }
    let vehicle_id = vehicle_id(fields)?;
    let ts = required(Field::Ts, fields.time(Field::Ts, limits)?)?;
    let fix = if deleted { Fix::Withdrawn } else { Fix::At(measured(fields, unknown, limits)?) };
    let received_at = fields.any_time(Field::ReceivedAt)?;
    Ok(Event::Position(PositionReport { vehicle_id, ts, received_at, fix }))
}

fn measured<'a>(fields: &Fields<'a>, unknown: attributes::Builder, limits: &Limits) -> Result<Measured<'a>, Rejection> {
    let lon = required(Field::Lon, fields.number(Field::Lon)?)?;
    let lat = required(Field::Lat, fields.number(Field::Lat)?)?;
    Ok(Measured {
        place: place(lon, lat)?,
        speed: fields.number(Field::SpeedKmh)?.map_or(Speed::NONE, Speed::from_kmh),
        heading: fields.number(Field::HeadingDeg)?.map_or(Heading::NONE, Heading::from_degrees),
        accuracy_m: fields.number(Field::AccuracyM)?.and_then(accuracy),
        altitude_m: fields.number(Field::AltitudeM)?.and_then(altitude),
        ignition: fields.boolean(Field::Ignition)?,
        attributes: unknown.finish(fields.object(Field::Attributes, limits)?, limits)?,
    })
}

/// The rounded place, if it is on the globe.
pub fn place(lon: f64, lat: f64) -> Result<Place, Rejection> {
    if (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat) {
        return Ok(Place::from_degrees(lon, lat));
    }
    let detail = format!("lon, lat: expected -180 to 180 and -90 to 90 degrees, found {lon}, {lat}");
    Err(Rejection::new(Reason::Coordinates, detail))
}

/// An accuracy, unless it cannot be one.
pub fn accuracy(metres: f64) -> Option<f64> {
    (metres.is_finite() && metres >= 0.0).then_some(metres)
}

/// An altitude, unless it cannot be one.
pub fn altitude(metres: f64) -> Option<f64> {
    metres.is_finite().then_some(metres)
}

/// A geofence, regardless of `type`.
fn geofence<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<Event<'a>, Rejection> {
    let geofence_id = required(Field::GeofenceId, fields.string(Field::GeofenceId)?)?;
    check_geofence_id(&geofence_id)?;
    geofence_with_id(geofence_id, fields, limits)
}

/// A geofence whose id is known and checked.
pub fn geofence_with_id<'a>(
    geofence_id: Cow<'a, str>,
    fields: &Fields<'a>,
    limits: &Limits,
) -> Result<Event<'a>, Rejection> {
    let deleted = fields.boolean(Field::Deleted)? == Some(true);
    if !deleted {
        fields.require(&[Field::Geometry])?;
    }
    let valid_from = fields.time(Field::ValidFrom, limits)?;
    let received_at = fields.any_time(Field::ReceivedAt)?;
    let definition = if deleted { None } else { Some(geofence_definition(&geofence_id, fields)?) };
    Ok(Event::Geofence(GeofenceChange { geofence_id, valid_from, received_at, definition }))
}

fn geofence_definition(id: &str, fields: &Fields<'_>) -> Result<GeofenceDefinition, Rejection> {
    let geometry = required(Field::Geometry, fields.get(Field::Geometry))?;
    let geometry = Geometry::parse(geometry.text(), fields.number(Field::RadiusM)?)?;
    let exit_buffer_m = fields.number(Field::ExitBufferM)?.unwrap_or(0.0);
    if !(0.0..=MAX_EXIT_BUFFER_M).contains(&exit_buffer_m) {
        let detail = format!("exit_buffer_m: expected 0 to {MAX_EXIT_BUFFER_M}, found {exit_buffer_m}");
        return Err(Rejection::new(Reason::Geometry, detail));
    }
    let min_dwell_s = fields.number(Field::MinDwellS)?.unwrap_or(0.0);
    if !(0.0..=MAX_DWELL_S).contains(&min_dwell_s) {
        let detail = format!("min_dwell_s: expected 0 to {MAX_DWELL_S}, found {min_dwell_s}");
        return Err(Rejection::new(Reason::Malformed, detail));
    }
    let geofence = Geofence {
        id: id.into(),
        name: fields.label(Field::Name)?,
        kind: fields.label(Field::Kind)?,
        anchor: fields.boolean(Field::Anchor)?,
        tags: fields.labels(Field::Tags)?,
        min_dwell_ms: (min_dwell_s * 1000.0).round() as i64,
        exit_buffer_m,
        speed_limit: speed_limit(fields)?,
        shape: Arc::new(geometry.shape()?),
    };
    Ok(GeofenceDefinition { geofence: Arc::new(geofence), geometry })
}

fn vehicle<'a>(fields: &Fields<'a>, limits: &Limits) -> Result<Event<'a>, Rejection> {
    let vehicle_id = vehicle_id(fields)?;
    let valid_from = fields.time(Field::ValidFrom, limits)?;
    let received_at = fields.any_time(Field::ReceivedAt)?;
    let definition = match fields.boolean(Field::Deleted)? {
        Some(true) => None,
        Some(false) | None => Some(Arc::new(Vehicle {
            name: fields.label(Field::Name)?,
            fleet: fields.label(Field::Fleet)?,
            speed_limit: speed_limit(fields)?,
            offline_after_ms: offline_after_ms(fields)?,
            attributes: fields.object(Field::Attributes, limits)?.map(Cow::into_owned),
        })),
    };
    Ok(Event::Vehicle(VehicleChange { vehicle_id, valid_from, received_at, definition }))
}

fn clock(fields: &Fields<'_>, limits: &Limits) -> Result<Event<'static>, Rejection> {
    let now = required(Field::Now, fields.time(Field::Now, limits)?)?;
    Ok(Event::Clock(Clock { now, received_at: fields.any_time(Field::ReceivedAt)? }))
}

fn vehicle_id<'a>(fields: &Fields<'a>) -> Result<Cow<'a, str>, Rejection> {
    let id = required(Field::VehicleId, fields.string(Field::VehicleId)?)?;
    check_vehicle_id(&id)?;
    Ok(id)
}

/// Longest silence before the vehicle is offline, if the event has one; milliseconds.
fn offline_after_ms(fields: &Fields<'_>) -> Result<Option<i64>, Rejection> {
    let Some(seconds) = fields.number(Field::OfflineAfterS)? else { return Ok(None) };
    if !(1.0..=MAX_OFFLINE_AFTER_S).contains(&seconds) {
        let detail = format!("offline_after_s: expected 1 to {MAX_OFFLINE_AFTER_S}, found {seconds}");
        return Err(Rejection::new(Reason::Malformed, detail));
    }
    Ok(Some((seconds * 1000.0).round() as i64))
}

/// A limit that is given must be positive: a limit of zero is a mistake.
fn speed_limit(fields: &Fields<'_>) -> Result<Speed, Rejection> {
    let Some(kmh) = fields.number(Field::SpeedLimitKmh)? else { return Ok(Speed::NONE) };
    let limit = Speed::from_kmh(kmh);
    match limit.micro_kmh() {
        Some(1..) => Ok(limit),
        Some(0) | None => {
            let detail = format!("speed_limit_kmh: expected more than 0, found {kmh}");
            Err(Rejection::new(Reason::Malformed, detail))
        }
    }
}

//! From events to fields: the one walk that the JSON and the plain encoder share.

use watchtower_model::Millis;

use super::fields::Field;
use super::time;
use super::{Event, Fix, GeofenceDefinition, Measured};

/// A field's value on its way out.
#[derive(Clone, Copy, Debug)]
pub enum Token<'t> {
    /// A string, escaped when it is written as JSON.
    Text(&'t str),
    /// A finite number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// An instant, epoch milliseconds, written as RFC 3339.
    Time(Millis),
    /// JSON, written as it is.
    Json(&'t str),
}

impl Token<'_> {
    /// As text without quotes. Floats are written so that they read back equal.
    pub fn to_text(self) -> String {
        match self {
            Self::Text(text) | Self::Json(text) => text.to_owned(),
            Self::Number(number) => format!("{number:?}"),
            Self::Bool(flag) => flag.to_string(),
            Self::Time(ms) => time::format(ms),
        }
    }
}

/// Passes on the event's fields, `type` first, without absent ones.
pub fn walk(event: &Event<'_>, emit: &mut dyn FnMut(Field, Token<'_>)) {
    match event {
        Event::Position(report) => {
            emit(Field::Type, Token::Text("position"));
            emit(Field::VehicleId, Token::Text(&report.vehicle_id));
            emit(Field::Ts, Token::Time(report.ts));
            match &report.fix {
                Fix::Withdrawn => emit(Field::Deleted, Token::Bool(true)),
                Fix::At(measured) => walk_measured(measured, emit),
            }
        }
        Event::Geofence(change) => {
            emit(Field::Type, Token::Text("geofence"));
            emit(Field::GeofenceId, Token::Text(&change.geofence_id));
            some(change.valid_from, Field::ValidFrom, Token::Time, emit);
            match &change.definition {
                None => emit(Field::Deleted, Token::Bool(true)),
                Some(definition) => walk_geofence(definition, emit),
            }
        }
        Event::Vehicle(change) => {
            emit(Field::Type, Token::Text("vehicle"));
            emit(Field::VehicleId, Token::Text(&change.vehicle_id));
            some(change.valid_from, Field::ValidFrom, Token::Time, emit);
            match change.definition.as_deref() {
                None => emit(Field::Deleted, Token::Bool(true)),
                Some(vehicle) => {
                    some(vehicle.name.as_deref(), Field::Name, Token::Text, emit);
                    some(vehicle.fleet.as_deref(), Field::Fleet, Token::Text, emit);
                    some(vehicle.speed_limit.kmh(), Field::SpeedLimitKmh, Token::Number, emit);
                    let offline_after_s = vehicle.offline_after_ms.map(|ms| ms as f64 / 1000.0);
                    some(offline_after_s, Field::OfflineAfterS, Token::Number, emit);
                    some(vehicle.attributes.as_deref(), Field::Attributes, Token::Json, emit);
                }
            }
        }
        // Its members are no fields: see `rule::encode`.
        Event::Rule(_) => emit(Field::Type, Token::Text("rule")),
        Event::Clock(clock) => {
            emit(Field::Type, Token::Text("clock"));
            emit(Field::Now, Token::Time(clock.now));
        }
    }
    some(event.received_at(), Field::ReceivedAt, Token::Time, emit);
}

fn walk_measured(measured: &Measured<'_>, emit: &mut dyn FnMut(Field, Token<'_>)) {
    emit(Field::Lon, Token::Number(measured.place.lon_degrees()));
    emit(Field::Lat, Token::Number(measured.place.lat_degrees()));
    some(measured.speed.kmh(), Field::SpeedKmh, Token::Number, emit);
    some(measured.heading.degrees(), Field::HeadingDeg, Token::Number, emit);
    some(measured.accuracy_m, Field::AccuracyM, Token::Number, emit);
    some(measured.altitude_m, Field::AltitudeM, Token::Number, emit);
    some(measured.ignition, Field::Ignition, Token::Bool, emit);
    some(measured.attributes.as_deref(), Field::Attributes, Token::Json, emit);
}

fn walk_geofence(definition: &GeofenceDefinition, emit: &mut dyn FnMut(Field, Token<'_>)) {
    let geofence = &definition.geofence;
    some(geofence.name.as_deref(), Field::Name, Token::Text, emit);
    some(geofence.kind.as_deref(), Field::Kind, Token::Text, emit);
    some(geofence.anchor, Field::Anchor, Token::Bool, emit);
    if !geofence.tags.is_empty() {
        emit(Field::Tags, Token::Json(&serde_json::Value::from(geofence.tags.clone()).to_string()));
    }
    emit(Field::MinDwellS, Token::Number(geofence.min_dwell_ms as f64 / 1000.0));
    emit(Field::ExitBufferM, Token::Number(geofence.exit_buffer_m));
    some(geofence.speed_limit.kmh(), Field::SpeedLimitKmh, Token::Number, emit);
    let (geometry, radius_m) = definition.geometry.to_json();
    some(radius_m, Field::RadiusM, Token::Number, emit);
    emit(Field::Geometry, Token::Json(&geometry));
}

fn some<'t, T>(
    value: Option<T>,
    field: Field,
    token: impl FnOnce(T) -> Token<'t>,
    emit: &mut dyn FnMut(Field, Token<'_>),
) {
    if let Some(value) = value {
        emit(field, token(value));
    }
}

//! The table `alerts`: its descriptor and the cells of its rows.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};
use watchtower_model::alerts::AlertDetail;
use watchtower_model::{Alert, AlertKind, AlertRule, rfc3339};

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow};

/// Columns and comments of `alerts`.
pub const TABLE: Table = Table {
    name: "alerts",
    comment: "Every fact that an alert rule selects, at the instant at which it does. A late position, an edited geofence \
              or an edited rule may change rows of the past; what was sent because of them is then corrected.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column { name: "rule_id", kind: Kind::Text, comment: "Identifier of the rule." },
        Column {
            name: "subject",
            kind: Kind::Text,
            comment: "Names the fact: rule, kind, vehicle, geofence of a visit, and start of the fact, each followed by a \
                      slash but the last; a slash or per cent sign in an identifier is %2F or %25. It stays the same \
                      when other columns change.",
        },
        Column { name: "at", kind: Kind::Time, comment: "Instant of the alert, UTC." },
        Column {
            name: "kind",
            kind: Kind::Text,
            comment: "What it is about: enter, exit, dwell, overspeed, idling, stop, offline, back_online, trip_started, \
                      trip_completed, turnaround_completed, occupancy or geofence_changed.",
        },
        Column {
            name: "vehicle_id",
            kind: Kind::Text,
            comment: "Identifier of the vehicle, as its tracker sends it; empty if it is about a geofence alone.",
        },
        Column {
            name: "geofence_id",
            kind: Kind::Text,
            comment: "Identifier of the geofence: of a trip that started the anchor left, of others the one reached; \
                      empty if it is about none.",
        },
        Column { name: "severity", kind: Kind::Text, comment: "Severity of the rule: info, warning or critical." },
        Column {
            name: "values",
            kind: Kind::Json,
            comment: "What else was known when it was raised, a JSON object: started_at; ended_at and duration_s of what \
                      has ended; limit_kmh; lon and lat of a stop; origin_id and distance_m of a way; vehicles in a \
                      geofence; opening: true if the rule's hours began amid the fact.",
        },
    ],
};

impl TableRow for Alert {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let Alert { at, rule, seq, kind, vehicle, geofence, started_at: _, is_opening: _, ended_at: _, detail: _ } =
            *self;
        let AlertRule { id, severity, .. } = lookup.rule(rule, seq);
        vec![
            Cell::Text(id.clone()),
            Cell::Text(subject(self, lookup).into()),
            Cell::Time(at),
            Cell::text(kind.name()),
            Cell::or_empty(vehicle, |vehicle| Cell::Text(lookup.names.vehicle_id(vehicle).clone())),
            Cell::or_empty(geofence, |geofence| Cell::Text(lookup.names.geofence_id(geofence).clone())),
            Cell::text(severity.name()),
            Cell::Json(values(self, lookup).to_string().into()),
        ]
    }
}

/// The subject of an alert. Only visits and what is about a geofence alone name their geofence: of a stop it may change.
fn subject(alert: &Alert, lookup: &Lookup) -> String {
    let Alert { at, rule, seq: _, kind, vehicle, geofence, started_at, is_opening, ended_at: _, detail: _ } = *alert;
    let mut parts = vec![escaped(lookup.names.rule_id(rule)), Cow::Borrowed(kind.name())];
    parts.extend(vehicle.map(|vehicle| escaped(lookup.names.vehicle_id(vehicle))));
    let names_geofence = match kind {
        AlertKind::Enter | AlertKind::Exit | AlertKind::Dwell => true,
        AlertKind::Occupancy | AlertKind::GeofenceChanged => true,
        AlertKind::Overspeed | AlertKind::Idling | AlertKind::Stop | AlertKind::Offline => false,
        AlertKind::BackOnline | AlertKind::TripStarted | AlertKind::TripCompleted => false,
        AlertKind::TurnaroundCompleted => false,
    };
    let geofence = geofence.filter(|_| names_geofence);
    parts.extend(geofence.map(|geofence| escaped(lookup.names.geofence_id(geofence))));
    parts.push(rfc3339::format(started_at).into());
    parts.extend(is_opening.then(|| Cow::Owned(rfc3339::format(at))));
    parts.join("/")
}

/// An identifier without slashes.
fn escaped(id: &str) -> Cow<'_, str> {
    if id.contains(['/', '%']) { id.replace('%', "%25").replace('/', "%2F").into() } else { id.into() }
}

/// What else was known when it was raised.
fn values(alert: &Alert, lookup: &Lookup) -> Value {
    let Alert { at: _, rule: _, seq: _, kind: _, vehicle: _, geofence: _, started_at, is_opening, ended_at, detail } =
        *alert;
    let mut values = Map::new();
    let mut put = |name: &str, value: Value| drop(values.insert(name.to_owned(), value));
    put("started_at", rfc3339::format(started_at).into());
    if let Some(ended_at) = ended_at {
        put("ended_at", rfc3339::format(ended_at).into());
        put("duration_s", thousandths(ended_at - started_at));
    }
    match detail {
        AlertDetail::None => {}
        AlertDetail::Place(place) => {
            put("lon", place.lon_degrees().into());
            put("lat", place.lat_degrees().into());
        }
        AlertDetail::LimitMicroKmh(micro_kmh) => put("limit_kmh", (f64::from(micro_kmh) / 1e6).into()),
        AlertDetail::From(origin, distance_mm) => {
            put("origin_id", lookup.names.geofence_id(origin).to_string().into());
            put("distance_m", thousandths(distance_mm));
        }
        AlertDetail::Vehicles(vehicles) => put("vehicles", vehicles.into()),
        AlertDetail::Deleted => put("deleted", true.into()),
    }
    if is_opening {
        put("opening", true.into());
    }
    Value::Object(values)
}

/// Thousandths as a number, without a fraction if there is none.
fn thousandths(thousandths: i64) -> Value {
    if thousandths % 1000 == 0 {
        return (thousandths / 1000).into();
    }
    Number::from_f64(thousandths as f64 / 1000.0).map_or(Value::Null, Value::Number)
}

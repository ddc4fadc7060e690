//! The table `positions`: its descriptor and the cells of its rows.

use std::sync::Arc;

use watchtower_model::{Mark, Millis, VehicleId};

use crate::events::Measured;
use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table};

/// Columns and comments of `positions`.
pub const TABLE: Table = Table {
    name: "positions",
    comment: "The accepted positions as they stand now: of several for the same vehicle and instant the last one in \
              the log, withdrawn ones left out.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column { name: "ts", kind: Kind::Time, comment: "Instant at which the vehicle was there, UTC." },
        Column { name: "lon", kind: Kind::Real, comment: "Longitude, degrees east, WGS84, rounded to 1e-7." },
        Column { name: "lat", kind: Kind::Real, comment: "Latitude, degrees north, WGS84, rounded to 1e-7." },
        Column { name: "speed_kmh", kind: Kind::Real, comment: "Reported speed, km/h; empty if none was reported." },
        Column {
            name: "heading_deg",
            kind: Kind::Real,
            comment: "Reported heading, degrees clockwise from north; empty if none was reported.",
        },
        Column {
            name: "accuracy_m",
            kind: Kind::Real,
            comment: "Reported accuracy of the position, metres; empty if none was reported.",
        },
        Column {
            name: "altitude_m",
            kind: Kind::Real,
            comment: "Reported altitude, metres; empty if none was reported.",
        },
        Column {
            name: "ignition",
            kind: Kind::Boolean,
            comment: "Reported ignition; empty if none was reported (what was last reported then holds).",
        },
        Column {
            name: "attributes",
            kind: Kind::Json,
            comment: "Further members of the position event, a JSON object; empty if there were none.",
        },
        Column {
            name: "mark",
            kind: Kind::Text,
            comment: "Why the position is left out of everything but offlines, counts and the ignition: inaccurate \
                      (its accuracy radius is above max_accuracy_m) or outlier (the vehicle cannot have been there); \
                      empty if it is used.",
        },
    ],
};

/// The cells of a row, by the number of the vehicle.
pub fn cells(vehicle: VehicleId, ts: Millis, at: &Measured<'_>, mark: Mark, lookup: &Lookup) -> Row {
    row(Arc::clone(lookup.names.vehicle_id(vehicle)), ts, at, mark)
}

/// The cells of a row, by the id of the vehicle.
pub fn row(vehicle_id: Arc<str>, ts: Millis, at: &Measured<'_>, mark: Mark) -> Row {
    let Measured { place, speed, heading, accuracy_m, altitude_m, ignition, attributes } = at;
    vec![
        Cell::Text(vehicle_id),
        Cell::Time(ts),
        Cell::Real(place.lon_degrees()),
        Cell::Real(place.lat_degrees()),
        Cell::or_empty(speed.kmh(), Cell::Real),
        Cell::or_empty(heading.degrees(), Cell::Real),
        Cell::or_empty(*accuracy_m, Cell::Real),
        Cell::or_empty(*altitude_m, Cell::Real),
        Cell::or_empty(*ignition, Cell::Boolean),
        Cell::or_empty(attributes.as_deref(), |json| Cell::Json(json.into())),
        Cell::or_empty(mark.name(), Cell::text),
    ]
}

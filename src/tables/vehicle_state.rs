//! `vehicle_state`.

use watchtower_dataflows::model::{Status, VehicleId, VehicleState};

use crate::tables::{Cell, Class, Column, Key, KeyCell, Kind, Lookup, Row, Table, kmh};

/// The descriptor.
pub const TABLE: Table = Table {
    name: "vehicle_state",
    comment: "Where every vehicle is, as far as its last position tells, and what it is doing.",
    class: Class::Lagging,
    key: 1,
    columns: &[
        Column { name: "vehicle_id", kind: Kind::Text, comment: "Who." },
        Column { name: "ts", kind: Kind::Time, comment: "When its last position was taken." },
        Column { name: "lon", kind: Kind::Real, comment: "Longitude of the last position, degrees WGS84." },
        Column { name: "lat", kind: Kind::Real, comment: "Latitude of the last position, degrees WGS84." },
        Column { name: "speed_kmh", kind: Kind::Real, comment: "Speed as reported with it; empty if none was." },
        Column {
            name: "heading_deg",
            kind: Kind::Real,
            comment: "Course as reported with it, degrees clockwise from north; empty if none was.",
        },
        Column {
            name: "status",
            kind: Kind::Text,
            comment: "offline: silent for longer than offline_after. Else moving: at least as fast as idle_speed_kmh \
                      (by the reported speed, or the mean since the position before). Else stopped.",
        },
        Column { name: "geofence_ids", kind: Kind::Texts, comment: "The geofences it is in, in order of their ids." },
    ],
};

/// The key of a vehicle's row.
pub fn key(vehicle: VehicleId, lookup: &Lookup) -> Key {
    vec![KeyCell::Text(lookup.names.vehicle_id(vehicle).clone())]
}

/// The cells of a row.
pub fn cells(row: &VehicleState, lookup: &Lookup) -> Row {
    let VehicleState { vehicle, ts, place, speed, heading, status, inside } = row;
    let mut inside: Vec<_> = inside.iter().map(|geofence| lookup.names.geofence_id(*geofence).clone()).collect();
    inside.sort_unstable();
    let status = match status {
        Status::Moving => "moving",
        Status::Stopped => "stopped",
        Status::Offline => "offline",
    };
    vec![
        Cell::Text(lookup.names.vehicle_id(*vehicle).clone()),
        Cell::Time(*ts),
        Cell::Real(place.lon_degrees()),
        Cell::Real(place.lat_degrees()),
        kmh(*speed),
        Cell::or_empty(heading.degrees(), Cell::Real),
        Cell::text(status),
        Cell::Texts(inside),
    ]
}

//! The table `stops`: its descriptor and the cells of its rows.

use watchtower_model::facts::Stop;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow};

/// Columns and comments of `stops`.
pub const TABLE: Table = Table {
    name: "stops",
    comment: "Every stop: a vehicle stayed within stop_radius_m of where it was first, for at least stop_min, the \
              current ones included. A late position may change rows of the past.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column { name: "started_at", kind: Kind::Time, comment: "Instant of the first position of the stop, UTC." },
        Column {
            name: "ended_at",
            kind: Kind::Time,
            comment: "Instant of the last position of the stop, UTC; empty until a position is farther away.",
        },
        Column {
            name: "lon",
            kind: Kind::Real,
            comment: "Longitude of the first position of the stop, degrees east, WGS84.",
        },
        Column {
            name: "lat",
            kind: Kind::Real,
            comment: "Latitude of the first position of the stop, degrees north, WGS84.",
        },
        Column {
            name: "geofence_id",
            kind: Kind::Text,
            comment: "Identifier of the geofence the vehicle was in at started_at, of several the smallest; empty if \
                      it was in none.",
        },
    ],
};

impl TableRow for Stop {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let Stop { vehicle, started_at, ended_at, place, geofence } = *self;
        vec![
            Cell::Text(lookup.names.vehicle_id(vehicle).clone()),
            Cell::Time(started_at),
            Cell::or_empty(ended_at, Cell::Time),
            Cell::Real(place.lon_degrees()),
            Cell::Real(place.lat_degrees()),
            Cell::or_empty(geofence, |geofence| Cell::Text(lookup.names.geofence_id(geofence).clone())),
        ]
    }
}

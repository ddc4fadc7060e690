//! The table `overspeeds`: its descriptor and the cells of its rows.

use watchtower_model::facts::{Overspeed, OverspeedMeasures};

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow, kmh, metres};

/// Columns and comments of `overspeeds`.
pub const TABLE: Table = Table {
    name: "overspeeds",
    comment: "Every time a vehicle was faster than the limit in force for at least overspeed_min, the current ones \
              included. The limit is the lowest of the geofences it is in, else the vehicle's own, else \
              speed_limit_kmh; another limit or geofence ends one and begins the next, an offline ends it.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column { name: "started_at", kind: Kind::Time, comment: "First instant above this limit, UTC." },
        Column {
            name: "ended_at",
            kind: Kind::Time,
            comment: "First instant no longer above this limit, or the last position before an offline, UTC; empty \
                      while it lasts.",
        },
        Column {
            name: "geofence_id",
            kind: Kind::Text,
            comment: "Identifier of the geofence whose limit was exceeded, of several with the same limit the \
                      smallest; empty if the limit is the vehicle's own or the default.",
        },
        Column { name: "limit_kmh", kind: Kind::Real, comment: "Speed limit that was exceeded, km/h." },
        Column {
            name: "max_speed_kmh",
            kind: Kind::Real,
            comment: "Greatest speed between started_at and ended_at, km/h; empty while it lasts.",
        },
        Column {
            name: "distance_m",
            kind: Kind::Real,
            comment: "Distance driven between started_at and ended_at, metres; empty while it lasts.",
        },
    ],
};

impl TableRow for Overspeed {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let Overspeed { vehicle, started_at, ended_at, geofence, limit, measures } = *self;
        let (max_speed, distance) = match measures {
            Some(OverspeedMeasures { max_speed, distance_mm }) => (kmh(max_speed), metres(distance_mm)),
            None => (Cell::Empty, Cell::Empty),
        };
        vec![
            Cell::Text(lookup.names.vehicle_id(vehicle).clone()),
            Cell::Time(started_at),
            Cell::or_empty(ended_at, Cell::Time),
            Cell::or_empty(geofence, |geofence| Cell::Text(lookup.names.geofence_id(geofence).clone())),
            kmh(limit),
            max_speed,
            distance,
        ]
    }
}

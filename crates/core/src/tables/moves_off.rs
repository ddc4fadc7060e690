//! `moves_off`.

use watchtower_model::facts::MovesOff;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow, metres};

/// Columns and comments of `moves_off`.
pub const TABLE: Table = Table {
    name: "moves_off",
    comment: "Every time a vehicle went farther than tow_min_m with its ignition known to be off: on a ferry, towed, or \
              stolen. A row grows while the ignition stays off.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column {
            name: "started_at",
            kind: Kind::Time,
            comment: "Start of the first part of the way, UTC: not before the ignition was off, nor before the end of \
                      the stop it leaves.",
        },
        Column { name: "ended_at", kind: Kind::Time, comment: "End of the last part of the way so far, UTC." },
        Column { name: "distance_m", kind: Kind::Real, comment: "Distance gone, metres, as in distance_m of trips." },
    ],
};

impl TableRow for MovesOff {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let MovesOff { vehicle, started_at, ended_at, distance_mm } = *self;
        vec![
            Cell::Text(lookup.names.vehicle_id(vehicle).clone()),
            Cell::Time(started_at),
            Cell::Time(ended_at),
            metres(distance_mm),
        ]
    }
}

//! The table `visits`: its descriptor and the cells of its rows.

use watchtower_model::Visit;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow};

/// Columns and comments of `visits`.
pub const TABLE: Table = Table {
    name: "visits",
    comment: "Every stay of a vehicle inside a geofence, the current ones included: from the first instant inside to \
              the first no longer inside. A late position or an edited geofence may change rows of the past.",
    class: Class::Transactional,
    key: 3,
    columns: &[
        Column::VEHICLE_ID,
        Column { name: "geofence_id", kind: Kind::Text, comment: "Identifier of the geofence visited." },
        Column { name: "entered_at", kind: Kind::Time, comment: "First instant inside, UTC." },
        Column {
            name: "exited_at",
            kind: Kind::Time,
            comment: "First instant no longer inside, UTC; empty while the vehicle is inside.",
        },
        Column {
            name: "confirmed",
            kind: Kind::Boolean,
            comment: "True once the visit lasted the min_dwell_s of the geofence version in force at entered_at, \
                      measured to its exit or to the log's clock.",
        },
    ],
};

impl TableRow for Visit {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let Visit { vehicle, geofence, entered_at, exited_at, confirmed } = *self;
        vec![
            Cell::Text(lookup.names.vehicle_id(vehicle).clone()),
            Cell::Text(lookup.names.geofence_id(geofence).clone()),
            Cell::Time(entered_at),
            Cell::or_empty(exited_at, Cell::Time),
            Cell::Boolean(confirmed),
        ]
    }
}

//! The table `idlings`: its descriptor and the cells of its rows.

use watchtower_model::facts::Idling;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow};

/// Columns and comments of `idlings`.
pub const TABLE: Table = Table {
    name: "idlings",
    comment: "Every time a vehicle had its ignition on and did not get away for at least idle_min, the current ones \
              included. An offline ends it; where a position does not report the ignition, it is what was last \
              reported.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column {
            name: "started_at",
            kind: Kind::Time,
            comment: "Instant of the first position with the ignition on and no movement, UTC.",
        },
        Column {
            name: "ended_at",
            kind: Kind::Time,
            comment: "Instant at which the ignition was off, the vehicle moved outside stop_radius_m, or an offline \
                      began, UTC; empty while it idles.",
        },
    ],
};

impl TableRow for Idling {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let Idling { vehicle, started_at, ended_at } = *self;
        vec![
            Cell::Text(lookup.names.vehicle_id(vehicle).clone()),
            Cell::Time(started_at),
            Cell::or_empty(ended_at, Cell::Time),
        ]
    }
}

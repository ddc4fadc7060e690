//! The table `offlines`: its descriptor and the cells of its rows.

use watchtower_model::Offline;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow};

/// Columns and comments of `offlines`.
pub const TABLE: Table = Table {
    name: "offlines",
    comment: "Silences of a vehicle longer than offline_after (30 minutes unless configured), between two positions \
              or from the last one to now.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column {
            name: "started_at",
            kind: Kind::Time,
            comment: "Instant of the last position before the silence, UTC.",
        },
        Column {
            name: "ended_at",
            kind: Kind::Time,
            comment: "Instant of the first position after the silence, UTC; empty while the vehicle is silent.",
        },
    ],
};

impl TableRow for Offline {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let Offline { vehicle, started_at, ended_at } = *self;
        vec![
            Cell::Text(lookup.names.vehicle_id(vehicle).clone()),
            Cell::Time(started_at),
            Cell::or_empty(ended_at, Cell::Time),
        ]
    }
}

//! `position_marks`.

use watchtower_model::Marked;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow};

/// Columns and comments of `position_marks`.
pub const TABLE: Table = Table {
    name: "position_marks",
    comment: "The accepted positions that are left out of everything but offlines, counts and the ignition, with the \
              reason: what positions shows as mark.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column { name: "ts", kind: Kind::Time, comment: "Instant of the position, UTC." },
        Column {
            name: "mark",
            kind: Kind::Text,
            comment: "inaccurate: its accuracy radius is above max_accuracy_m; outlier: the vehicle cannot have been \
                      there.",
        },
    ],
};

impl TableRow for Marked {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let Marked { vehicle, ts, mark } = *self;
        vec![
            Cell::Text(lookup.names.vehicle_id(vehicle).clone()),
            Cell::Time(ts),
            Cell::or_empty(mark.name(), Cell::text),
        ]
    }
}

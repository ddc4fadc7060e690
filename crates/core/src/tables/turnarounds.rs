//! The table `turnarounds`: its descriptor and the cells of its rows.

use watchtower_model::facts::Turnaround;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow, metres, seconds};

/// Columns and comments of `turnarounds`.
pub const TABLE: Table = Table {
    name: "turnarounds",
    comment: "Every turnaround: from leaving a terminal (an anchor geofence of this kind) to reaching a terminal again, \
              with a confirmed visit to another anchor in between. One that is not over has no row.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column { name: "departed_at", kind: Kind::Time, comment: "First instant outside the terminal left, UTC." },
        Column { name: "returned_at", kind: Kind::Time, comment: "First instant inside a terminal again, UTC." },
        Column {
            name: "terminal_left_id",
            kind: Kind::Text,
            comment: "Identifier of the terminal left; of several left at once, the smallest.",
        },
        Column {
            name: "terminal_reached_id",
            kind: Kind::Text,
            comment: "Identifier of the terminal reached; of several reached at once, the smallest.",
        },
        Column {
            name: "clients",
            kind: Kind::Text,
            comment: "Identifiers of the other anchor geofences visited in between, in order of entry, joined by `;`.",
        },
        Column {
            name: "distance_m",
            kind: Kind::Real,
            comment: "Distance driven, metres, without what lies in offlines.",
        },
        Column { name: "duration_s", kind: Kind::Real, comment: "Time from departed_at to returned_at, seconds." },
    ],
};

impl TableRow for Turnaround {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let Turnaround { vehicle, terminal_left, departed_at, terminal_reached, returned_at, clients, distance_mm } =
            self;
        let clients: Vec<&str> = clients.iter().map(|client| &**lookup.names.geofence_id(*client)).collect();
        vec![
            Cell::Text(lookup.names.vehicle_id(*vehicle).clone()),
            Cell::Time(*departed_at),
            Cell::Time(*returned_at),
            Cell::Text(lookup.names.geofence_id(*terminal_left).clone()),
            Cell::Text(lookup.names.geofence_id(*terminal_reached).clone()),
            Cell::Text(clients.join(";").into()),
            metres(*distance_mm),
            seconds(returned_at - departed_at),
        ]
    }
}

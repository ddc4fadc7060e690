//! The table `kind_daily`: its descriptor and the cells of its rows.

use watchtower_model::aggregates::KindDaily;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow, seconds};

/// Columns and comments of `kind_daily`.
pub const TABLE: Table = Table {
    name: "kind_daily",
    comment: "The confirmed visits to geofences of each kind that ended on each local day.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column {
            name: "kind",
            kind: Kind::Text,
            comment: "Kind of the geofence when the visit began (terminal, client, depot, ..); an empty text if it had \
                      none.",
        },
        Column { name: "day", kind: Kind::Date, comment: "Local date of the exit in the pipeline's time zone." },
        Column { name: "visits", kind: Kind::Integer, comment: "Number of confirmed visits that ended on the day." },
        Column {
            name: "unique_vehicles",
            kind: Kind::Integer,
            comment: "Number of different vehicles that made these visits.",
        },
        Column {
            name: "dwell_total_s",
            kind: Kind::Real,
            comment: "Time from entry to exit of these visits, added up, seconds.",
        },
        Column {
            name: "dwell_mean_s",
            kind: Kind::Real,
            comment: "Mean time from entry to exit of these visits, seconds.",
        },
        Column {
            name: "dwell_p50_s",
            kind: Kind::Real,
            comment: "Median time from entry to exit of these visits, seconds, within 1 %.",
        },
        Column {
            name: "dwell_p95_s",
            kind: Kind::Real,
            comment: "95th percentile of the time from entry to exit of these visits, seconds, within 1 %.",
        },
    ],
};

impl TableRow for KindDaily {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, _: &Lookup) -> Row {
        let KindDaily { kind, day, visits, unique_vehicles, dwell_total_ms, dwell_mean_ms, dwell_p50_ms, dwell_p95_ms } =
            self;
        vec![
            Cell::Text(kind.clone()),
            Cell::Date(*day),
            Cell::Integer(*visits),
            Cell::Integer(*unique_vehicles),
            seconds(*dwell_total_ms),
            seconds(*dwell_mean_ms),
            seconds(*dwell_p50_ms),
            seconds(*dwell_p95_ms),
        ]
    }
}

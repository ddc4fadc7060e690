//! `kind_daily`.

use watchtower_model::aggregates::KindDaily;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, seconds};

/// The descriptor.
pub const TABLE: Table = Table {
    name: "kind_daily",
    comment: "The confirmed visits to geofences of each kind that ended on each local day.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column {
            name: "kind",
            kind: Kind::Text,
            comment: "The geofence's kind when the visit began; an empty text if it had none.",
        },
        Column { name: "day", kind: Kind::Date, comment: "The local date of the exit." },
        Column { name: "visits", kind: Kind::Integer, comment: "How many." },
        Column { name: "unique_vehicles", kind: Kind::Integer, comment: "By how many different vehicles." },
        Column {
            name: "dwell_total_s",
            kind: Kind::Real,
            comment: "Seconds from entry to exit, of all visits together.",
        },
        Column { name: "dwell_mean_s", kind: Kind::Real, comment: "Their mean, seconds." },
        Column { name: "dwell_p50_s", kind: Kind::Real, comment: "Their median, within 1 %." },
        Column { name: "dwell_p95_s", kind: Kind::Real, comment: "Their 95th percentile, within 1 %." },
    ],
};

/// The cells of a row.
pub fn cells(row: &KindDaily, _: &Lookup) -> Row {
    let KindDaily { kind, day, visits, unique_vehicles, dwell_total_ms, dwell_mean_ms, dwell_p50_ms, dwell_p95_ms } =
        row;
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

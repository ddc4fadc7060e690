//! `od_daily`.

use watchtower_model::aggregates::OdDaily;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, metres, seconds};

/// The descriptor.
pub const TABLE: Table = Table {
    name: "od_daily",
    comment: "The trips from one anchor geofence to another that arrived on a local day.",
    class: Class::Transactional,
    key: 3,
    columns: &[
        Column { name: "origin_id", kind: Kind::Text, comment: "From where." },
        Column { name: "destination_id", kind: Kind::Text, comment: "Where to." },
        Column { name: "day", kind: Kind::Date, comment: "The local date of arrival." },
        Column { name: "trips", kind: Kind::Integer, comment: "How many." },
        Column { name: "duration_mean_s", kind: Kind::Real, comment: "Their mean duration, seconds." },
        Column { name: "duration_p50_s", kind: Kind::Real, comment: "The median, within 1 %." },
        Column { name: "duration_p95_s", kind: Kind::Real, comment: "The 95th percentile, within 1 %." },
        Column { name: "distance_m", kind: Kind::Real, comment: "Metres along the positions of all of them." },
    ],
};

/// The cells of a row.
pub fn cells(row: &OdDaily, lookup: &Lookup) -> Row {
    let OdDaily {
        origin,
        destination,
        day,
        trips,
        duration_total_ms: _,
        duration_mean_ms,
        duration_p50_ms,
        duration_p95_ms,
        distance_mm,
    } = *row;
    vec![
        Cell::Text(lookup.names.geofence_id(origin).clone()),
        Cell::Text(lookup.names.geofence_id(destination).clone()),
        Cell::Date(day),
        Cell::Integer(trips),
        seconds(duration_mean_ms),
        seconds(duration_p50_ms),
        seconds(duration_p95_ms),
        metres(distance_mm),
    ]
}

//! The table `od_daily`: its descriptor and the cells of its rows.

use watchtower_model::aggregates::OdDaily;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow, metres, seconds};

/// Columns and comments of `od_daily`.
pub const TABLE: Table = Table {
    name: "od_daily",
    comment: "The trips from one anchor geofence to another that arrived on a local day.",
    class: Class::Transactional,
    key: 3,
    columns: &[
        Column { name: "origin_id", kind: Kind::Text, comment: "Identifier of the anchor geofence left." },
        Column { name: "destination_id", kind: Kind::Text, comment: "Identifier of the anchor geofence reached." },
        Column { name: "day", kind: Kind::Date, comment: "Local date of the arrival in the pipeline's time zone." },
        Column {
            name: "trips",
            kind: Kind::Integer,
            comment: "Number of trips on this route that arrived on the day.",
        },
        Column { name: "duration_mean_s", kind: Kind::Real, comment: "Mean duration of these trips, seconds." },
        Column {
            name: "duration_p50_s",
            kind: Kind::Real,
            comment: "Median duration of these trips, seconds, within 1 %.",
        },
        Column {
            name: "duration_p95_s",
            kind: Kind::Real,
            comment: "95th percentile of the duration of these trips, seconds, within 1 %.",
        },
        Column { name: "distance_m", kind: Kind::Real, comment: "Distance of these trips, added up, metres." },
    ],
};

impl TableRow for OdDaily {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
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
        } = *self;
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
}

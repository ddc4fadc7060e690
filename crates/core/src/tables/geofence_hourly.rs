//! `geofence_hourly`.

use watchtower_model::aggregates::GeofenceHourly;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, seconds};

/// The descriptor.
pub const TABLE: Table = Table {
    name: "geofence_hourly",
    comment: "What happened in each geofence in each local hour in which something did. A vehicle that is silent counts \
              as inside for at most presence_limit, up to full hours of the clock.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column { name: "geofence_id", kind: Kind::Text, comment: "Where." },
        Column {
            name: "hour",
            kind: Kind::Time,
            comment: "First instant of the hour, counted from local midnight of the pipeline's time zone.",
        },
        Column { name: "entries", kind: Kind::Integer, comment: "Visits that began in the hour." },
        Column { name: "exits", kind: Kind::Integer, comment: "Visits that ended in the hour." },
        Column { name: "confirmed_visits", kind: Kind::Integer, comment: "Confirmed visits that ended in the hour." },
        Column {
            name: "unique_vehicles",
            kind: Kind::Integer,
            comment: "Different vehicles that were inside at any time of the hour.",
        },
        Column {
            name: "dwell_total_s",
            kind: Kind::Real,
            comment: "Seconds from entry to exit of the visits that ended in the hour, together.",
        },
        Column { name: "dwell_mean_s", kind: Kind::Real, comment: "Their mean; empty if none ended." },
        Column { name: "dwell_p50_s", kind: Kind::Real, comment: "Their median, within 1 %; empty if none ended." },
        Column {
            name: "dwell_p95_s",
            kind: Kind::Real,
            comment: "Their 95th percentile, within 1 %; empty if none ended.",
        },
        Column {
            name: "vehicle_s_inside",
            kind: Kind::Real,
            comment: "Seconds that vehicles were inside during the hour, added up.",
        },
        Column {
            name: "peak_vehicles",
            kind: Kind::Integer,
            comment: "The greatest number of vehicles inside at the same time.",
        },
    ],
};

/// The cells of a row.
pub fn cells(row: &GeofenceHourly, lookup: &Lookup) -> Row {
    let GeofenceHourly {
        geofence,
        hour,
        entries,
        exits,
        confirmed_visits,
        unique_vehicles,
        dwell_total_ms,
        dwell_mean_ms,
        dwell_p50_ms,
        dwell_p95_ms,
        vehicle_ms_inside,
        peak_vehicles,
    } = *row;
    vec![
        Cell::Text(lookup.names.geofence_id(geofence).clone()),
        Cell::Time(hour),
        Cell::Integer(entries),
        Cell::Integer(exits),
        Cell::Integer(confirmed_visits),
        Cell::Integer(unique_vehicles),
        seconds(dwell_total_ms),
        Cell::or_empty(dwell_mean_ms, seconds),
        Cell::or_empty(dwell_p50_ms, seconds),
        Cell::or_empty(dwell_p95_ms, seconds),
        seconds(vehicle_ms_inside),
        Cell::Integer(peak_vehicles),
    ]
}

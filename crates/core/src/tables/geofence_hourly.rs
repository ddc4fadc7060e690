//! The table `geofence_hourly`: its descriptor and the cells of its rows.

use watchtower_model::aggregates::GeofenceHourly;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow, seconds};

/// Columns and comments of `geofence_hourly`.
pub const TABLE: Table = Table {
    name: "geofence_hourly",
    comment: "What happened in each geofence in each local hour that has something to count. A silent vehicle counts \
              as inside for at most presence_limit, up to full hours of the clock.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column { name: "geofence_id", kind: Kind::Text, comment: "Identifier of the geofence." },
        Column {
            name: "hour",
            kind: Kind::Time,
            comment: "First instant of the hour, UTC; hours are counted from local midnight of the pipeline's time \
                      zone.",
        },
        Column {
            name: "entries",
            kind: Kind::Integer,
            comment: "Number of visits that began in the hour, confirmed or not.",
        },
        Column {
            name: "exits",
            kind: Kind::Integer,
            comment: "Number of visits that ended in the hour, confirmed or not.",
        },
        Column {
            name: "confirmed_visits",
            kind: Kind::Integer,
            comment: "Number of confirmed visits that ended in the hour.",
        },
        Column {
            name: "unique_vehicles",
            kind: Kind::Integer,
            comment: "Number of different vehicles that were inside at any time of the hour.",
        },
        Column {
            name: "dwell_total_s",
            kind: Kind::Real,
            comment: "Time from entry to exit of the visits that ended in the hour, added up, seconds.",
        },
        Column {
            name: "dwell_mean_s",
            kind: Kind::Real,
            comment: "Mean time from entry to exit of the visits that ended in the hour, seconds; empty if none ended.",
        },
        Column {
            name: "dwell_p50_s",
            kind: Kind::Real,
            comment: "Median time from entry to exit of the visits that ended in the hour, seconds, within 1 %; empty \
                      if none ended.",
        },
        Column {
            name: "dwell_p95_s",
            kind: Kind::Real,
            comment: "95th percentile of the time from entry to exit of the visits that ended in the hour, seconds, \
                      within 1 %; empty if none ended.",
        },
        Column {
            name: "vehicle_s_inside",
            kind: Kind::Real,
            comment: "Time that vehicles were inside during the hour, added up over the vehicles, seconds.",
        },
        Column {
            name: "peak_vehicles",
            kind: Kind::Integer,
            comment: "Greatest number of vehicles that were inside at the same instant.",
        },
    ],
};

impl TableRow for GeofenceHourly {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
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
        } = *self;
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
}

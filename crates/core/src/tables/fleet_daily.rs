//! `fleet_daily`.

use watchtower_model::aggregates::FleetDaily;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, metres, seconds};

/// The descriptor.
pub const TABLE: Table = Table {
    name: "fleet_daily",
    comment: "What the vehicles of each fleet did on each local day. A vehicle's day counts for the fleet that its \
              metadata name at the end of the day, a trip or turnaround for the one at its end (a trip's start: then). \
              Utilisation is the share of the vehicles' time, offlines included, in which they moved.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column { name: "fleet", kind: Kind::Text, comment: "Which; an empty text for vehicles that are in none." },
        Column { name: "day", kind: Kind::Date, comment: "The local date." },
        Column {
            name: "vehicles_known",
            kind: Kind::Integer,
            comment: "Vehicles in it at the end of the day that had been heard of by then.",
        },
        Column {
            name: "vehicles_reporting",
            kind: Kind::Integer,
            comment: "Those of them with a position on the day.",
        },
        Column { name: "vehicles_moving", kind: Kind::Integer, comment: "Those of them that moved on the day." },
        Column { name: "distance_m", kind: Kind::Real, comment: "Metres along their positions." },
        Column { name: "moving_s", kind: Kind::Real, comment: "Seconds at idle_speed_kmh or faster, added up." },
        Column { name: "trips_started", kind: Kind::Integer, comment: "Trips that began on the day." },
        Column { name: "trips_completed", kind: Kind::Integer, comment: "Trips that arrived on the day." },
        Column { name: "turnarounds", kind: Kind::Integer, comment: "Turnarounds that ended on the day." },
        Column {
            name: "turnaround_mean_s",
            kind: Kind::Real,
            comment: "Their mean duration, seconds; empty if none ended.",
        },
        Column {
            name: "turnaround_p50_s",
            kind: Kind::Real,
            comment: "Their median, within 1 %; empty if none ended.",
        },
        Column {
            name: "turnaround_p95_s",
            kind: Kind::Real,
            comment: "Their 95th percentile, within 1 %; empty if none ended.",
        },
        Column {
            name: "utilisation",
            kind: Kind::Real,
            comment: "moving_s by the time the vehicles moved, stood or were offline, 0..1; empty if no time has passed.",
        },
    ],
};

/// The cells of a row.
pub fn cells(row: &FleetDaily, _: &Lookup) -> Row {
    let FleetDaily {
        fleet,
        day,
        vehicles_known,
        vehicles_reporting,
        vehicles_moving,
        distance_mm,
        moving_ms,
        known_ms,
        trips_started,
        trips_completed,
        turnarounds,
        turnaround_mean_ms,
        turnaround_p50_ms,
        turnaround_p95_ms,
    } = row;
    vec![
        Cell::Text(fleet.clone()),
        Cell::Date(*day),
        Cell::Integer(*vehicles_known),
        Cell::Integer(*vehicles_reporting),
        Cell::Integer(*vehicles_moving),
        metres(*distance_mm),
        seconds(*moving_ms),
        Cell::Integer(*trips_started),
        Cell::Integer(*trips_completed),
        Cell::Integer(*turnarounds),
        Cell::or_empty(*turnaround_mean_ms, seconds),
        Cell::or_empty(*turnaround_p50_ms, seconds),
        Cell::or_empty(*turnaround_p95_ms, seconds),
        Cell::or_empty((*known_ms > 0).then(|| *moving_ms as f64 / *known_ms as f64), Cell::Real),
    ]
}

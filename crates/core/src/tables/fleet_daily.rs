//! The table `fleet_daily`: its descriptor and the cells of its rows.

use watchtower_model::aggregates::FleetDaily;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow, metres, seconds};

/// Columns and comments of `fleet_daily`.
pub const TABLE: Table = Table {
    name: "fleet_daily",
    comment: "What the vehicles of each fleet did on each local day. A vehicle's day counts for the fleet that its \
              metadata name at the end of the day; a trip or turnaround counts for the fleet at its end \
              (trips_started: at its start). Utilisation is the share of the vehicles' time, offlines included, in \
              which they moved.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column {
            name: "fleet",
            kind: Kind::Text,
            comment: "Name of the fleet; an empty text stands for vehicles without a fleet.",
        },
        Column { name: "day", kind: Kind::Date, comment: "Local date in the pipeline's time zone." },
        Column {
            name: "vehicles_known",
            kind: Kind::Integer,
            comment: "Number of vehicles in the fleet at the end of the day that had sent a position by then.",
        },
        Column {
            name: "vehicles_reporting",
            kind: Kind::Integer,
            comment: "Number of vehicles of the fleet with a position on the day.",
        },
        Column {
            name: "vehicles_moving",
            kind: Kind::Integer,
            comment: "Number of vehicles of the fleet that moved on the day.",
        },
        Column {
            name: "distance_m",
            kind: Kind::Real,
            comment: "Distance driven by the vehicles of the fleet, added up, metres.",
        },
        Column {
            name: "moving_s",
            kind: Kind::Real,
            comment: "Time at idle_speed_kmh or faster, added up over the vehicles, seconds.",
        },
        Column { name: "trips_started", kind: Kind::Integer, comment: "Number of trips that began on the day." },
        Column { name: "trips_completed", kind: Kind::Integer, comment: "Number of trips that arrived on the day." },
        Column { name: "turnarounds", kind: Kind::Integer, comment: "Number of turnarounds that ended on the day." },
        Column {
            name: "turnaround_mean_s",
            kind: Kind::Real,
            comment: "Mean duration of the turnarounds that ended on the day, seconds; empty if none ended.",
        },
        Column {
            name: "turnaround_p50_s",
            kind: Kind::Real,
            comment: "Median duration of the turnarounds that ended on the day, seconds, within 1 %; empty if none \
                      ended.",
        },
        Column {
            name: "turnaround_p95_s",
            kind: Kind::Real,
            comment: "95th percentile of the duration of the turnarounds that ended on the day, seconds, within 1 %; \
                      empty if none ended.",
        },
        Column {
            name: "utilisation",
            kind: Kind::Real,
            comment: "moving_s divided by the time the vehicles moved, stood or were offline, 0 to 1; empty if that \
                      time is 0.",
        },
        Column {
            name: "gap_m",
            kind: Kind::Real,
            comment: "Straight distance across offlines, added up over the vehicles, metres.",
        },
    ],
};

impl TableRow for FleetDaily {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, _: &Lookup) -> Row {
        let FleetDaily {
            fleet,
            day,
            vehicles_known,
            vehicles_reporting,
            vehicles_moving,
            distance_mm,
            gap_mm,
            moving_ms,
            known_ms,
            trips_started,
            trips_completed,
            turnarounds,
            turnaround_mean_ms,
            turnaround_p50_ms,
            turnaround_p95_ms,
        } = self;
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
            metres(*gap_mm),
        ]
    }
}

//! The table `vehicle_daily`: its descriptor and the cells of its rows.

use watchtower_model::aggregates::VehicleDaily;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow, kmh, metres, seconds};

/// Columns and comments of `vehicle_daily`.
pub const TABLE: Table = Table {
    name: "vehicle_daily",
    comment: "What each vehicle did on each local day of the pipeline's time zone: intervals are split exactly at \
              midnight, facts count on the day of their end. Up to the vehicle's newest position; silence is added at \
              full hours.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column { name: "day", kind: Kind::Date, comment: "Local date in the pipeline's time zone." },
        Column {
            name: "distance_m",
            kind: Kind::Real,
            comment: "Distance driven on the day, metres: between positions at least min_step_m apart, none within \
                      stops or across offlines.",
        },
        Column { name: "moving_s", kind: Kind::Real, comment: "Time at idle_speed_kmh or faster, seconds." },
        Column {
            name: "stopped_s",
            kind: Kind::Real,
            comment: "Time slower than idle_speed_kmh or at an unknown speed, seconds; without offlines.",
        },
        Column { name: "idling_s", kind: Kind::Real, comment: "Time in idlings (table idlings), seconds." },
        Column {
            name: "offline_s",
            kind: Kind::Real,
            comment: "Time in offlines (table offlines), seconds; of each at most offline_count.",
        },
        Column {
            name: "max_speed_kmh",
            kind: Kind::Real,
            comment: "Greatest speed of the day, km/h; empty if no speed is known.",
        },
        Column { name: "positions", kind: Kind::Integer, comment: "Number of accepted positions of the day." },
        Column { name: "overspeeds", kind: Kind::Integer, comment: "Number of overspeeds that ended on the day." },
        Column { name: "overspeed_s", kind: Kind::Real, comment: "Time in overspeeds, seconds." },
        Column { name: "stops", kind: Kind::Integer, comment: "Number of stops that ended on the day." },
        Column { name: "visits", kind: Kind::Integer, comment: "Number of confirmed visits that ended on the day." },
        Column { name: "trips", kind: Kind::Integer, comment: "Number of trips that arrived on the day." },
        Column {
            name: "first_moved_at",
            kind: Kind::Time,
            comment: "Instant of the first position of the day at which the vehicle moved, UTC; empty if it did not \
                      move.",
        },
        Column {
            name: "last_moved_at",
            kind: Kind::Time,
            comment: "Instant of the last position of the day at which the vehicle moved, UTC; empty if it did not \
                      move.",
        },
        Column {
            name: "gap_m",
            kind: Kind::Real,
            comment: "Straight distance across the offlines that ended on the day, metres: the vehicle went at least \
                      that far unseen.",
        },
        Column {
            name: "towed_m",
            kind: Kind::Real,
            comment: "Distance gone with the ignition off (table moves_off), metres; part of distance_m.",
        },
    ],
};

impl TableRow for VehicleDaily {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let VehicleDaily {
            vehicle,
            day,
            distance_mm,
            gap_mm,
            towed_mm,
            moving_ms,
            stopped_ms,
            idling_ms,
            offline_ms,
            overspeed_ms,
            max_speed,
            positions,
            overspeeds,
            stops,
            visits,
            trips,
            moved,
        } = *self;
        vec![
            Cell::Text(lookup.names.vehicle_id(vehicle).clone()),
            Cell::Date(day),
            metres(distance_mm),
            seconds(moving_ms),
            seconds(stopped_ms),
            seconds(idling_ms),
            seconds(offline_ms),
            kmh(max_speed),
            Cell::Integer(positions),
            Cell::Integer(overspeeds),
            seconds(overspeed_ms),
            Cell::Integer(stops),
            Cell::Integer(visits),
            Cell::Integer(trips),
            Cell::or_empty(moved, |(first, _)| Cell::Time(first)),
            Cell::or_empty(moved, |(_, last)| Cell::Time(last)),
            metres(gap_mm),
            metres(towed_mm),
        ]
    }
}

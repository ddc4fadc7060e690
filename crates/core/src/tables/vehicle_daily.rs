//! `vehicle_daily`.

use watchtower_model::aggregates::VehicleDaily;

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, kmh, metres, seconds};

/// The descriptor.
pub const TABLE: Table = Table {
    name: "vehicle_daily",
    comment: "What each vehicle did on each local day of the pipeline's time zone: intervals are split exactly at \
              midnight, facts count on the day of their end. Up to the vehicle's newest position; silence is added at \
              full hours.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column { name: "vehicle_id", kind: Kind::Text, comment: "Who." },
        Column { name: "day", kind: Kind::Date, comment: "The local date." },
        Column {
            name: "distance_m",
            kind: Kind::Real,
            comment: "Metres along the positions of the day, from the one before each; nothing through offlines and to \
                      outliers.",
        },
        Column { name: "moving_s", kind: Kind::Real, comment: "Seconds at idle_speed_kmh or faster." },
        Column {
            name: "stopped_s",
            kind: Kind::Real,
            comment: "Seconds slower, or at a speed that cannot be told; without offlines.",
        },
        Column { name: "idling_s", kind: Kind::Real, comment: "Seconds in idlings: see the table idlings." },
        Column { name: "offline_s", kind: Kind::Real, comment: "Seconds in offlines: see the table offlines." },
        Column {
            name: "max_speed_kmh",
            kind: Kind::Real,
            comment: "The greatest speed, km/h; empty if none can be told.",
        },
        Column { name: "positions", kind: Kind::Integer, comment: "Positions of the day." },
        Column { name: "overspeeds", kind: Kind::Integer, comment: "Overspeeds that ended on the day." },
        Column { name: "overspeed_s", kind: Kind::Real, comment: "Seconds in overspeeds." },
        Column { name: "stops", kind: Kind::Integer, comment: "Stops that ended on the day." },
        Column { name: "visits", kind: Kind::Integer, comment: "Confirmed visits that ended on the day." },
        Column { name: "trips", kind: Kind::Integer, comment: "Trips that arrived on the day." },
        Column {
            name: "first_moved_at",
            kind: Kind::Time,
            comment: "The first position of the day at which it moved; empty if it did not.",
        },
        Column {
            name: "last_moved_at",
            kind: Kind::Time,
            comment: "The last position of the day at which it moved; empty if it did not.",
        },
    ],
};

/// The cells of a row.
pub fn cells(row: &VehicleDaily, lookup: &Lookup) -> Row {
    let VehicleDaily {
        vehicle,
        day,
        distance_mm,
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
    } = *row;
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
    ]
}

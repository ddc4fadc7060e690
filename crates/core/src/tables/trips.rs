//! The table `trips`: its descriptor and the cells of its rows.

use watchtower_model::facts::{Arrival, Trip, TripMeasures};

use crate::tables::{Cell, Class, Column, Kind, Lookup, Row, Table, TableRow, kmh, metres, seconds};

/// Columns and comments of `trips`.
pub const TABLE: Table = Table {
    name: "trips",
    comment: "Every trip: from leaving the last confirmed visit to an anchor geofence (a terminal, client or depot, or \
              one flagged so) to entering the next, the current ones included. A late position, or a visit that turns \
              out to be confirmed, may change rows of the past.",
    class: Class::Transactional,
    key: 2,
    columns: &[
        Column::VEHICLE_ID,
        Column { name: "departed_at", kind: Kind::Time, comment: "First instant outside the origin, UTC." },
        Column {
            name: "arrived_at",
            kind: Kind::Time,
            comment: "First instant inside the destination, UTC; empty while the trip lasts.",
        },
        Column {
            name: "origin_id",
            kind: Kind::Text,
            comment: "Identifier of the anchor geofence left; of several left at once, the smallest.",
        },
        Column {
            name: "destination_id",
            kind: Kind::Text,
            comment: "Identifier of the anchor geofence reached, of several reached at once the smallest; empty while \
                      the trip lasts.",
        },
        Column {
            name: "distance_m",
            kind: Kind::Real,
            comment: "Distance driven, metres, without what lies in offlines; empty while the trip lasts.",
        },
        Column {
            name: "duration_s",
            kind: Kind::Real,
            comment: "Time from departed_at to arrived_at, seconds; empty while the trip lasts.",
        },
        Column {
            name: "moving_s",
            kind: Kind::Real,
            comment: "Time at idle_speed_kmh or faster, seconds; empty while the trip lasts.",
        },
        Column {
            name: "stopped_s",
            kind: Kind::Real,
            comment: "Time slower than idle_speed_kmh or at an unknown speed, seconds; offlines are not in it, they \
                      make up the rest of duration_s; empty while the trip lasts.",
        },
        Column {
            name: "stops",
            kind: Kind::Integer,
            comment: "Number of stops that started on the way; empty while the trip lasts.",
        },
        Column {
            name: "max_speed_kmh",
            kind: Kind::Real,
            comment: "Greatest speed, km/h; empty while the trip lasts, or if no speed is known.",
        },
        Column {
            name: "gap_m",
            kind: Kind::Real,
            comment: "Straight distance across offlines on the way, metres: add it to distance_m for the least the \
                      vehicle went; empty while the trip lasts.",
        },
    ],
};

impl TableRow for Trip {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        let Trip { vehicle, origin, departed_at, arrival } = *self;
        let mut cells = vec![Cell::Text(lookup.names.vehicle_id(vehicle).clone()), Cell::Time(departed_at)];
        let origin = Cell::Text(lookup.names.geofence_id(origin).clone());
        match arrival {
            None => {
                cells.extend([Cell::Empty, origin]);
                cells.resize(TABLE.columns.len(), Cell::Empty);
            }
            Some(Arrival { destination, arrived_at, measures }) => {
                let TripMeasures { distance_mm, gap_mm, moving_ms, stopped_ms, stops, max_speed } = measures;
                cells.extend([
                    Cell::Time(arrived_at),
                    origin,
                    Cell::Text(lookup.names.geofence_id(destination).clone()),
                    metres(distance_mm),
                    seconds(arrived_at - departed_at),
                    seconds(moving_ms),
                    seconds(stopped_ms),
                    Cell::Integer(stops),
                    kmh(max_speed),
                    metres(gap_mm),
                ]);
            }
        }
        cells
    }
}

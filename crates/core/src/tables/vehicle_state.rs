//! The table `vehicle_state`: its descriptor and the cells of its rows.

use std::sync::Arc;

use watchtower_model::{Status, VehicleId, VehicleState};

use crate::tables::{Cell, ChangeSet, Class, Column, KeyCell, Kind, Lookup, Row, Table, TableRow, kmh};

/// Columns and comments of `vehicle_state`.
pub const TABLE: Table = Table {
    name: "vehicle_state",
    comment: "The last known position of every vehicle, its status, and the geofences it is in.",
    class: Class::Lagging,
    key: 1,
    columns: &[
        Column::VEHICLE_ID,
        Column { name: "ts", kind: Kind::Time, comment: "Instant of the last position, UTC." },
        Column { name: "lon", kind: Kind::Real, comment: "Longitude of the last position, degrees east, WGS84." },
        Column { name: "lat", kind: Kind::Real, comment: "Latitude of the last position, degrees north, WGS84." },
        Column {
            name: "speed_kmh",
            kind: Kind::Real,
            comment: "Speed reported with the last position, km/h; empty if none was reported.",
        },
        Column {
            name: "heading_deg",
            kind: Kind::Real,
            comment: "Heading reported with the last position, degrees clockwise from north; empty if none was \
                      reported.",
        },
        Column {
            name: "status",
            kind: Kind::Text,
            comment: "offline: silent for longer than offline_after. Else moving: at least as fast as idle_speed_kmh \
                      (by the reported speed, or the mean since the position before). Else stopped.",
        },
        Column {
            name: "geofence_ids",
            kind: Kind::Texts,
            comment: "Identifiers of the geofences the vehicle is in, in order; an empty list if it is in none.",
        },
    ],
};

/// A new row of a vehicle, or its deletion. It holds names instead of dense numbers, so that it can be written after
/// the names have changed.
#[derive(Clone, Debug)]
pub struct Named {
    /// Id of the vehicle.
    pub vehicle: Arc<str>,
    /// State, and ids of the geofences it is in; `None` deletes the row.
    state: Option<(VehicleState, Vec<Arc<str>>)>,
}

impl Named {
    /// Resolves the numbers to their current names.
    pub fn new(vehicle: VehicleId, state: Option<VehicleState>, lookup: &Lookup) -> Self {
        let state = state.map(|state| {
            let geofence_ids = inside(&state, lookup);
            (state, geofence_ids)
        });
        Self { vehicle: lookup.names.vehicle_id(vehicle).clone(), state }
    }
}

/// The change set that writes these rows.
pub fn changes(rows: &[Named]) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for Named { vehicle, state } in rows {
        let vehicle = Arc::clone(vehicle);
        match state {
            Some((state, geofence_ids)) => changes.set(&TABLE, row(vehicle, state, geofence_ids.clone())),
            None => changes.remove(&TABLE, vec![KeyCell::Text(vehicle)]),
        }
    }
    changes
}

impl TableRow for VehicleState {
    const TABLE: &'static Table = &TABLE;

    fn cells(&self, lookup: &Lookup) -> Row {
        row(lookup.names.vehicle_id(self.vehicle).clone(), self, inside(self, lookup))
    }
}

/// Ids of the geofences that the vehicle is in, sorted.
fn inside(state: &VehicleState, lookup: &Lookup) -> Vec<Arc<str>> {
    let mut ids: Vec<_> = state.inside.iter().map(|geofence| lookup.names.geofence_id(*geofence).clone()).collect();
    ids.sort_unstable();
    ids
}

fn row(id: Arc<str>, state: &VehicleState, geofence_ids: Vec<Arc<str>>) -> Row {
    let VehicleState { vehicle: _, ts, place, speed, heading, status, inside: _ } = state;
    let status = match status {
        Status::Moving => "moving",
        Status::Stopped => "stopped",
        Status::Offline => "offline",
    };
    vec![
        Cell::Text(id),
        Cell::Time(*ts),
        Cell::Real(place.lon_degrees()),
        Cell::Real(place.lat_degrees()),
        kmh(*speed),
        Cell::or_empty(heading.degrees(), Cell::Real),
        Cell::text(status),
        Cell::Texts(geofence_ids),
    ]
}

//! The computed tables as they stand: what a sink without a database keeps.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;

use rustc_hash::FxBuildHasher;
use watchtower_model::aggregates::{FleetDaily, GeofenceHourly, KindDaily, OdDaily, VehicleDaily};
use watchtower_model::facts::{Idling, Overspeed, Stop, Trip, Turnaround};
use watchtower_model::{GeofenceId, InForce, Membership, Occupancy, Offline, VehicleId, VehicleState, Visit};

use crate::tables::{
    Deltas, Lookup, Row, Table, fleet_daily, geofence_hourly, geofence_membership, geofence_occupancy, geofences,
    idlings, kind_daily, od_daily, offlines, overspeeds, stops, trips, turnarounds, vehicle_daily, vehicle_state,
    vehicles, visits,
};

/// The rows of every computed table.
#[derive(Debug, Default)]
pub struct Materialized {
    visits: Rows<Visit>,
    membership: Rows<Membership>,
    occupancy: Rows<Occupancy>,
    offlines: Rows<Offline>,
    stops: Rows<Stop>,
    idlings: Rows<Idling>,
    overspeeds: Rows<Overspeed>,
    trips: Rows<Trip>,
    turnarounds: Rows<Turnaround>,
    vehicle_daily: Rows<VehicleDaily>,
    geofence_hourly: Rows<GeofenceHourly>,
    od_daily: Rows<OdDaily>,
    fleet_daily: Rows<FleetDaily>,
    kind_daily: Rows<KindDaily>,
    vehicle_state: HashMap<VehicleId, VehicleState, FxBuildHasher>,
    geofences: Rows<InForce<GeofenceId>>,
    vehicles: Rows<InForce<VehicleId>>,
}

impl Materialized {
    /// Applies what an epoch changed.
    ///
    /// # Panics
    /// If a row would be there twice, or less than not at all: the dataflow would be wrong.
    pub fn apply(&mut self, deltas: Deltas) {
        let Deltas {
            visits,
            membership,
            occupancy,
            offlines,
            stops,
            idlings,
            overspeeds,
            trips,
            turnarounds,
            vehicle_daily,
            geofence_hourly,
            od_daily,
            fleet_daily,
            kind_daily,
            vehicle_state,
            geofences,
            vehicles,
        } = deltas;
        self.visits.apply(visits);
        self.membership.apply(membership);
        self.occupancy.apply(occupancy);
        self.offlines.apply(offlines);
        self.stops.apply(stops);
        self.idlings.apply(idlings);
        self.overspeeds.apply(overspeeds);
        self.trips.apply(trips);
        self.turnarounds.apply(turnarounds);
        self.vehicle_daily.apply(vehicle_daily);
        self.geofence_hourly.apply(geofence_hourly);
        self.od_daily.apply(od_daily);
        self.fleet_daily.apply(fleet_daily);
        self.kind_daily.apply(kind_daily);
        for (vehicle, state) in vehicle_state {
            match state {
                Some(state) => self.vehicle_state.insert(vehicle, state),
                None => self.vehicle_state.remove(&vehicle),
            };
        }
        self.geofences.apply(geofences);
        self.vehicles.apply(vehicles);
    }

    /// The rows of `vehicle_state`, in no order.
    pub fn vehicle_states(&self) -> impl Iterator<Item = &VehicleState> {
        self.vehicle_state.values()
    }

    /// The rows of `visits`, in no order.
    pub fn visits(&self) -> impl Iterator<Item = &Visit> {
        self.visits.0.keys()
    }

    /// All tables with their rows, in no order.
    pub fn tables(&self, lookup: &Lookup) -> Vec<(&'static Table, Vec<Row>)> {
        let Self {
            visits,
            membership,
            occupancy,
            offlines,
            stops,
            idlings,
            overspeeds,
            trips,
            turnarounds,
            vehicle_daily,
            geofence_hourly,
            od_daily,
            fleet_daily,
            kind_daily,
            vehicle_state,
            geofences,
            vehicles,
        } = self;
        vec![
            (&vehicle_state::TABLE, vehicle_state.values().map(|row| vehicle_state::cells(row, lookup)).collect()),
            (&geofence_membership::TABLE, membership.cells(lookup, geofence_membership::cells)),
            (&geofence_occupancy::TABLE, occupancy.cells(lookup, geofence_occupancy::cells)),
            (&visits::TABLE, visits.cells(lookup, visits::cells)),
            (&offlines::TABLE, offlines.cells(lookup, offlines::cells)),
            (&stops::TABLE, stops.cells(lookup, stops::cells)),
            (&idlings::TABLE, idlings.cells(lookup, idlings::cells)),
            (&overspeeds::TABLE, overspeeds.cells(lookup, overspeeds::cells)),
            (&trips::TABLE, trips.cells(lookup, trips::cells)),
            (&turnarounds::TABLE, turnarounds.cells(lookup, turnarounds::cells)),
            (&vehicle_daily::TABLE, vehicle_daily.cells(lookup, vehicle_daily::cells)),
            (&geofence_hourly::TABLE, geofence_hourly.cells(lookup, geofence_hourly::cells)),
            (&od_daily::TABLE, od_daily.cells(lookup, od_daily::cells)),
            (&fleet_daily::TABLE, fleet_daily.cells(lookup, fleet_daily::cells)),
            (&kind_daily::TABLE, kind_daily.cells(lookup, kind_daily::cells)),
            (&vehicles::TABLE, vehicles.cells(lookup, vehicles::cells)),
            (&geofences::TABLE, geofences.cells(lookup, geofences::cells)),
        ]
    }
}

/// What an epoch changed in transactional tables, as rows: +1 for one that is there now, -1 for one that was.
pub fn transactional_changes(deltas: &Deltas, lookup: &Lookup) -> Vec<(&'static Table, Row, i64)> {
    let Deltas {
        visits,
        membership,
        occupancy,
        offlines,
        stops,
        idlings,
        overspeeds,
        trips,
        turnarounds,
        vehicle_daily,
        geofence_hourly,
        od_daily,
        fleet_daily,
        kind_daily,
        vehicle_state: _,
        geofences,
        vehicles,
    } = deltas;
    let mut changes = Vec::new();
    changed(&mut changes, &geofence_membership::TABLE, membership, lookup, geofence_membership::cells);
    changed(&mut changes, &geofence_occupancy::TABLE, occupancy, lookup, geofence_occupancy::cells);
    changed(&mut changes, &visits::TABLE, visits, lookup, visits::cells);
    changed(&mut changes, &offlines::TABLE, offlines, lookup, offlines::cells);
    changed(&mut changes, &stops::TABLE, stops, lookup, stops::cells);
    changed(&mut changes, &idlings::TABLE, idlings, lookup, idlings::cells);
    changed(&mut changes, &overspeeds::TABLE, overspeeds, lookup, overspeeds::cells);
    changed(&mut changes, &trips::TABLE, trips, lookup, trips::cells);
    changed(&mut changes, &turnarounds::TABLE, turnarounds, lookup, turnarounds::cells);
    changed(&mut changes, &vehicle_daily::TABLE, vehicle_daily, lookup, vehicle_daily::cells);
    changed(&mut changes, &geofence_hourly::TABLE, geofence_hourly, lookup, geofence_hourly::cells);
    changed(&mut changes, &od_daily::TABLE, od_daily, lookup, od_daily::cells);
    changed(&mut changes, &fleet_daily::TABLE, fleet_daily, lookup, fleet_daily::cells);
    changed(&mut changes, &kind_daily::TABLE, kind_daily, lookup, kind_daily::cells);
    changed(&mut changes, &vehicles::TABLE, vehicles, lookup, vehicles::cells);
    changed(&mut changes, &geofences::TABLE, geofences, lookup, geofences::cells);
    changes
}

fn changed<D>(
    changes: &mut Vec<(&'static Table, Row, i64)>,
    table: &'static Table,
    rows: &[(D, i64)],
    lookup: &Lookup,
    cells: fn(&D, &Lookup) -> Row,
) {
    changes.extend(rows.iter().map(|(row, diff)| (table, cells(row, lookup), *diff)));
}

/// The rows of one table, each there once.
#[derive(Debug)]
struct Rows<D>(HashMap<D, i64, FxBuildHasher>);

impl<D> Default for Rows<D> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<D: Eq + Hash + Debug> Rows<D> {
    /// Within an epoch the order of changes means nothing, so a count may pass through any value.
    fn apply(&mut self, changes: Vec<(D, i64)>) {
        for (row, diff) in changes {
            match self.0.entry(row) {
                std::collections::hash_map::Entry::Occupied(mut entry) => {
                    *entry.get_mut() += diff;
                    if *entry.get() == 0 {
                        entry.remove();
                    } else {
                        panic!("a row is there {} times: {:?}", entry.get(), entry.key());
                    }
                }
                std::collections::hash_map::Entry::Vacant(entry) => {
                    assert!(diff == 1, "a row appears {diff} times: {:?}", entry.key());
                    entry.insert(diff);
                }
            }
        }
    }

    fn cells(&self, lookup: &Lookup, cells: fn(&D, &Lookup) -> Row) -> Vec<Row> {
        self.0.keys().map(|row| cells(row, lookup)).collect()
    }
}

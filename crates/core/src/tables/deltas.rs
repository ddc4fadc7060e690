//! What an epoch changed, view by view.

use watchtower_model::aggregates::{FleetDaily, GeofenceHourly, KindDaily, OdDaily, VehicleDaily};
use watchtower_model::facts::{Idling, Overspeed, Stop, Trip, Turnaround};
use watchtower_model::{GeofenceId, InForce, Membership, Occupancy, Offline, VehicleId, VehicleState, Visit};

/// What one epoch changed: rows and how many more (or fewer) there are of each, consolidated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deltas {
    /// Changes of `visits`.
    pub visits: Vec<(Visit, i64)>,
    /// Changes of `geofence_membership`.
    pub membership: Vec<(Membership, i64)>,
    /// Changes of `geofence_occupancy`.
    pub occupancy: Vec<(Occupancy, i64)>,
    /// Changes of `offlines`.
    pub offlines: Vec<(Offline, i64)>,
    /// Changes of `stops`.
    pub stops: Vec<(Stop, i64)>,
    /// Changes of `idlings`.
    pub idlings: Vec<(Idling, i64)>,
    /// Changes of `overspeeds`.
    pub overspeeds: Vec<(Overspeed, i64)>,
    /// Changes of `trips`.
    pub trips: Vec<(Trip, i64)>,
    /// Changes of `turnarounds`.
    pub turnarounds: Vec<(Turnaround, i64)>,
    /// Changes of `vehicle_daily`.
    pub vehicle_daily: Vec<(VehicleDaily, i64)>,
    /// Changes of `geofence_hourly`.
    pub geofence_hourly: Vec<(GeofenceHourly, i64)>,
    /// Changes of `od_daily`.
    pub od_daily: Vec<(OdDaily, i64)>,
    /// Changes of `fleet_daily`.
    pub fleet_daily: Vec<(FleetDaily, i64)>,
    /// Changes of `kind_daily`.
    pub kind_daily: Vec<(KindDaily, i64)>,
    /// The rows of `vehicle_state` that are others now, by vehicle, each once; none where there is none any more.
    pub vehicle_state: Vec<(VehicleId, Option<VehicleState>)>,
    /// Changes of `geofences`.
    pub geofences: Vec<(InForce<GeofenceId>, i64)>,
    /// Changes of `vehicles`.
    pub vehicles: Vec<(InForce<VehicleId>, i64)>,
}

impl Deltas {
    /// Adds the share of another worker: rows are spread over workers by their keys, so nothing in
    /// it cancels against what is here.
    pub fn append(&mut self, share: Self) {
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
        } = share;
        self.visits.extend(visits);
        self.membership.extend(membership);
        self.occupancy.extend(occupancy);
        self.offlines.extend(offlines);
        self.stops.extend(stops);
        self.idlings.extend(idlings);
        self.overspeeds.extend(overspeeds);
        self.trips.extend(trips);
        self.turnarounds.extend(turnarounds);
        self.vehicle_daily.extend(vehicle_daily);
        self.geofence_hourly.extend(geofence_hourly);
        self.od_daily.extend(od_daily);
        self.fleet_daily.extend(fleet_daily);
        self.kind_daily.extend(kind_daily);
        self.vehicle_state.extend(vehicle_state);
        self.geofences.extend(geofences);
        self.vehicles.extend(vehicles);
    }
}

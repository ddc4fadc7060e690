//! Runs the dataflow: the only module that touches timely's `Worker`.

use watchtower_dataflows::model::{
    Control, Epoch, GeofenceId, InForce, Membership, Occupancy, Offline, PositionEvent, Rules, VehicleId, VehicleState,
    Visit,
};

/// What arrived in one epoch.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Accepted position events; `seq` orders those of one vehicle.
    pub positions: Vec<PositionEvent>,
    /// Accepted edits, and at most one `Now`.
    pub control: Vec<Control>,
}

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
    /// Changes of `vehicle_state`.
    pub vehicle_state: Vec<(VehicleState, i64)>,
    /// Changes of `geofences`.
    pub geofences: Vec<(InForce<GeofenceId>, i64)>,
    /// Changes of `vehicles`.
    pub vehicles: Vec<(InForce<VehicleId>, i64)>,
}

/// A running dataflow.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// Starts `workers` threads.
    pub fn start(_workers: usize, _rules: Rules) -> Self {
        Self {}
    }

    /// Hands in what arrived; returns its epoch, the number of earlier calls. Does not wait.
    pub fn submit(&mut self, _batch: Batch) -> Epoch {
        0
    }

    /// Waits for the next epoch, in order, to be complete. `None` if none is under way.
    pub fn next(&mut self) -> Option<(Epoch, Deltas)> {
        None
    }

    /// Ends the workers.
    pub fn finish(self) {}
}

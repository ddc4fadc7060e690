//! What reaches every worker: edits and the log's time, and the dataflow's own time.

use serde::{Deserialize, Serialize};
use watchtower_model::{GeofenceEdit, Millis, RuleEdit, VehicleEdit};

/// Dataflow time: one dense number per batch of arrivals. Event time is data, never an epoch.
pub type Epoch = u64;

/// What reaches every worker: edits, and the log's own time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Control {
    /// A version of a geofence.
    Geofence(GeofenceEdit),
    /// A version of a vehicle's metadata.
    Vehicle(VehicleEdit),
    /// A version of an alert rule.
    Rule(RuleEdit),
    /// The log's time reached this instant.
    Now(Millis),
    /// No part of the log: the timelines and the groups of the aggregates are to be handed out as they are
    /// after this epoch.
    Snapshot,
    /// No part of the log: this epoch brings what an earlier one handed out. Restored groups hold the
    /// facts that restored timelines say again.
    Restored,
}

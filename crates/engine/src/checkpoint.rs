//! What it takes to resume a flow after an epoch.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchtower_core::StreamPosition;
use watchtower_core::admission::Memory;
use watchtower_core::tables::Refused;
use watchtower_dataflows::control::Control;
use watchtower_dataflows::views::Snapshots;
use watchtower_model::Millis;

/// What the flow knew after an epoch, and its dataflow.
#[derive(Debug)]
pub struct Checkpoint {
    /// What the flow knew.
    pub flow: FlowState,
    /// The timelines and the groups of the aggregates.
    pub snapshots: Snapshots,
}

/// What the flow knew after an epoch, besides its dataflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FlowState {
    /// The ids of all vehicles, by number.
    pub vehicles: Vec<Arc<str>>,
    /// The ids of all geofences, by number.
    pub geofences: Vec<Arc<str>>,
    /// The ids of all alert rules, by number.
    pub rules: Vec<Arc<str>>,
    /// All accepted edits, in the order of the log.
    pub edits: Vec<Control>,
    /// Log time, epoch milliseconds.
    pub now: Millis,
    /// By stream, in the order of the keys.
    pub inlets: Vec<InletState>,
}

/// What the flow knew of a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InletState {
    /// Name of the stream: its Redis key, or its name in the file.
    pub stream: String,
    /// The last entry that was read.
    pub position: StreamPosition,
    /// What decides on its next events.
    pub admission: Memory,
    /// The refused events of its current hour.
    pub refused: Refused,
}

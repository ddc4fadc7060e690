//! What the control stream brings an operator in one epoch.

use crate::control::Control;
use crate::views::groups::silence_reach_ms;
use watchtower_model::{BEGINNING, GeofenceEdit, Millis, RuleEdit, VehicleEdit};

/// The control of one epoch.
#[derive(Debug)]
pub struct EpochControl {
    /// Edits of geofences, in the order of the log.
    pub geofences: Vec<GeofenceEdit>,
    /// Edits of vehicles, in the order of the log.
    pub vehicles: Vec<VehicleEdit>,
    /// Edits of alert rules, in the order of the log.
    pub rules: Vec<RuleEdit>,
    /// The log's time; [`BEGINNING`] if it did not advance.
    pub now: Millis,
    /// The longest dwell that an edit asks for, milliseconds.
    pub dwell_ms: i64,
    /// How far marks reach because of the longest silence that an edit allows a vehicle, milliseconds.
    pub silence_ms: i64,
    /// The state is to be handed out after this epoch.
    pub snapshot: bool,
    /// The epoch brings what an earlier one handed out.
    pub is_restored: bool,
}

impl Default for EpochControl {
    fn default() -> Self {
        Self {
            geofences: Vec::new(),
            vehicles: Vec::new(),
            rules: Vec::new(),
            now: BEGINNING,
            dwell_ms: 0,
            silence_ms: 0,
            snapshot: false,
            is_restored: false,
        }
    }
}

impl EpochControl {
    /// Adds what comes next.
    pub fn take(&mut self, control: Control) {
        match control {
            Control::Now(now) => self.now = self.now.max(now),
            Control::Snapshot => self.snapshot = true,
            Control::Restored => self.is_restored = true,
            Control::Rule(edit) => self.rules.push(edit),
            Control::Geofence(edit) => {
                let dwell_ms = edit.definition.as_ref().map_or(0, |geofence| geofence.min_dwell_ms);
                self.dwell_ms = self.dwell_ms.max(dwell_ms);
                self.geofences.push(edit);
            }
            Control::Vehicle(edit) => {
                let own = edit.definition.as_ref().and_then(|vehicle| vehicle.offline_after_ms);
                self.silence_ms = self.silence_ms.max(own.map_or(0, silence_reach_ms));
                self.vehicles.push(edit);
            }
        }
    }
}

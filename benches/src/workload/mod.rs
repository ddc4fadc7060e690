//! Workloads: geofences, and vehicles that move among them.
//!
//! Everything generated is a function of its parameters and a seed, so that two runs, and a run and its baseline, get
//! the same events.

mod files;
mod realistic;
mod stars;
mod walk;
mod workload_w;

use std::sync::Arc;

use watchtower_dataflows::control::Control;
use watchtower_model::geometry::Shape;
use watchtower_model::{
    BEGINNING, Edit, Geofence, GeofenceEdit, GeofenceId, Heading, Ignition, Mark, Millis, Outliers, Place, Position,
    PositionEvent, Speed, VehicleId,
};

pub use files::{FileError, countries, from_files};
pub use realistic::{REGION as REALISTIC, among, duration_ms, fixes, realistic, to_and_fro};
pub use stars::{Region, stars};
pub use walk::{Step, walk};
pub use workload_w::workload_w;

/// Begin of generated tracks: 2026-01-01T00:00:00Z.
pub const BEGINS: Millis = 1_767_225_600_000;

/// Geofences, and events in the order of their log.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Name of the workload in results.
    pub name: &'static str,
    /// Geofences; the index is the dense number. All are valid from -infinity.
    pub geofences: Vec<Arc<Geofence>>,
    /// Number of vehicles; their dense numbers are below it.
    pub vehicles: u32,
    /// Position events, in the order of the log.
    pub events: Vec<PositionEvent>,
    /// Number of events at the beginning that place the vehicles and are not measured.
    pub warm: usize,
    /// What the engine does with outliers. A baseline knows none: where vehicles jump, the engine uses them all, too.
    pub outliers: Outliers,
}

impl Workload {
    /// Number of measured events.
    pub fn measured(&self) -> usize {
        self.events.len() - self.warm
    }

    /// Instant of the first event.
    pub fn begins(&self) -> Millis {
        self.events.first().map_or(BEGINS, |event| event.position.ts)
    }

    /// Shifts all events in time so that the last one is of now: then they are neither history nor ahead.
    pub fn end_now(&mut self) {
        let last = self.events.iter().map(|event| event.position.ts).max().unwrap_or_default();
        let by = now_ms() - last;
        self.events.iter_mut().for_each(|event| event.position.ts += by);
    }

    /// The geofences as edits.
    pub fn edits(&self) -> impl Iterator<Item = GeofenceEdit> {
        edits(&self.geofences)
    }

    /// The geofences in the engine's form.
    pub fn controls(&self) -> Vec<Control> {
        self.edits().map(Control::Geofence).collect()
    }
}

/// The machine's clock, milliseconds since 1970.
pub fn now_ms() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as Millis
}

/// Geofences as edits that are valid from -infinity.
pub fn edits(geofences: &[Arc<Geofence>]) -> impl Iterator<Item = GeofenceEdit> {
    (0..).zip(geofences).map(|(number, geofence)| Edit {
        key: GeofenceId(number),
        valid_from: BEGINNING,
        effective_from: BEGINNING,
        seq: u64::from(number),
        definition: Some(Arc::clone(geofence)),
    })
}

/// A geofence of which only the shape matters.
pub(super) fn geofence(id: &str, shape: Shape) -> Arc<Geofence> {
    Arc::new(Geofence {
        id: id.into(),
        name: None,
        kind: None,
        anchor: None,
        tags: Vec::new(),
        min_dwell_ms: 0,
        exit_buffer_m: 0.0,
        speed_limit: Speed::NONE,
        shape: Arc::new(shape),
    })
}

/// A position event with vehicle, time and place only.
fn bare(vehicle: u32, ts: Millis, place: Place) -> PositionEvent {
    let (speed, heading, ignition) = (Speed::NONE, Heading::NONE, Ignition::Unknown);
    let position = Position { ts, place, speed, heading, ignition, mark: Mark::None };
    PositionEvent { vehicle: VehicleId(vehicle), seq: 0, position, withdrawn: false }
}

//! What is measured over: geofences, and vehicles that move among them.
//!
//! Everything generated is a function of its parameters and a seed, so that two runs, and a run and
//! its baseline, get the same events.

mod files;
mod realistic;
mod stars;
mod walk;
mod workload_w;

use std::sync::Arc;

use watchtower_dataflows::control::Control;
use watchtower_model::geometry::Shape;
use watchtower_model::{
    BEGINNING, Edit, Geofence, GeofenceEdit, GeofenceId, Heading, Millis, Place, Position, PositionEvent, Speed,
    VehicleId,
};

pub use files::{FileError, countries, from_files};
pub use realistic::{REGION as REALISTIC, among, duration_ms, fixes, realistic, to_and_fro};
pub use stars::{Region, stars};
pub use walk::{Step, walk};
pub use workload_w::workload_w;

/// When generated tracks begin: 2026-01-01T00:00:00Z.
pub const BEGINS: Millis = 1_767_225_600_000;

/// Geofences, and events among them in the order of their log.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What results are named after.
    pub name: &'static str,
    /// The geofence with the dense number of its index, in force since ever.
    pub geofences: Vec<Arc<Geofence>>,
    /// Vehicles have dense numbers below.
    pub vehicles: u32,
    /// What happens.
    pub events: Vec<PositionEvent>,
    /// So many events at the beginning say where vehicles begin; they are not part of what is measured.
    pub warm: usize,
}

impl Workload {
    /// How many events are measured.
    pub fn measured(&self) -> usize {
        self.events.len() - self.warm
    }

    /// The first instant of it.
    pub fn begins(&self) -> Millis {
        self.events.first().map_or(BEGINS, |event| event.position.ts)
    }

    /// Moves it in time, so that its last event is of this moment: it is no history then, and not ahead.
    pub fn end_now(&mut self) {
        let last = self.events.iter().map(|event| event.position.ts).max().unwrap_or_default();
        let by = now_ms() - last;
        self.events.iter_mut().for_each(|event| event.position.ts += by);
    }

    /// The geofences as they come into an engine or a catalogue.
    pub fn edits(&self) -> impl Iterator<Item = GeofenceEdit> {
        edits(&self.geofences)
    }

    /// The same as the engine takes it.
    pub fn controls(&self) -> Vec<Control> {
        self.edits().map(Control::Geofence).collect()
    }
}

/// The machine's clock.
pub fn now_ms() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as Millis
}

/// Geofences as edits that hold since ever.
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

/// A position of which only time and place are known.
fn bare(vehicle: u32, ts: Millis, place: Place) -> PositionEvent {
    let position = Position { ts, place, speed: Speed::NONE, heading: Heading::NONE, ignition: false };
    PositionEvent { vehicle: VehicleId(vehicle), seq: 0, position, withdrawn: false }
}

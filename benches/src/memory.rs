//! `bench memory`: resident memory per object, by kind.
//!
//! Every part is measured in a process of its own, because freed memory is not returned to the system at once. The size
//! of an object is the difference between many and few of them, divided by their number, so that fixed costs do not
//! count.

use std::process::Command;

use serde::{Deserialize, Serialize};
use watchtower_dataflows::control::Control;
use watchtower_dataflows::views::AGGREGATES;
use watchtower_model::{Millis, PositionEvent, Rules, ViewSet};

use super::engine::{SEED, rules};
use super::measure::resident_bytes;
use super::report::{Measure, Outcome, Report};
use super::workload::{BEGINS, among, edits, fixes, to_and_fro};
use super::{BenchError, Context};
use watchtower_engine::{Batch, EPOCH_EVENTS, Engine};

/// A part of the benchmark, measured in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryPart {
    /// Vehicles with one position.
    Vehicles,
    /// Positions of vehicles outside of all geofences.
    Positions,
    /// Positions of vehicles among geofences, three over each: includes snapshots.
    PositionsAmongGeofences,
    /// Geofences, with their polygons.
    Geofences,
    /// Groups of aggregates.
    Groups,
    /// Growth over many epochs of an unchanging fleet.
    Flat,
}

impl MemoryPart {
    /// All parts, in the order of the report.
    pub const ALL: [Self; 6] =
        [Self::Vehicles, Self::Positions, Self::PositionsAmongGeofences, Self::Geofences, Self::Groups, Self::Flat];

    /// Name of the part in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vehicles => "vehicle",
            Self::Positions => "position",
            Self::PositionsAmongGeofences => "position-among-geofences",
            Self::Geofences => "geofence",
            Self::Groups => "groups",
            Self::Flat => "flat",
        }
    }
}

/// Parameters of the measurement.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The set of views to compute; groups always use all views.
    pub views: ViewSet,
    /// Epochs over which memory must not grow.
    pub epochs: usize,
}

/// Result of a part's process.
#[derive(Debug, Serialize, Deserialize)]
struct PartResult {
    /// Bytes of memory with few objects.
    before: u64,
    after: u64,
    /// Number of objects added.
    count: u64,
    /// For each aggregate, its groups and the bytes that it reports for them.
    groups: Vec<(u64, u64)>,
}

const VEHICLES: u32 = 1_000_000;
/// Vehicles with long tracks, and positions per track.
const TRACKS: (u32, usize) = (10_000, 1_000);
/// Positions per track at the first measurement.
const TRACKS_BEFORE: usize = 128;
/// Number of geofences for the part among geofences.
const AMONG: u32 = 10_000;
const GEOFENCES: u32 = 100_000;
/// The unchanging fleet: vehicles, and retention of their positions.
const FLEET: (u32, Millis) = (1_000, 600_000);
/// Number of places between which it moves to and fro, so that no place is new.
const PLACES: usize = 100;

/// Runs the benchmark.
///
/// # Errors
/// If Ctrl-C was pressed, or a process fails.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    for part in MemoryPart::ALL {
        context.step(|| format!("measuring {}", part.name()))?;
        let PartResult { before, after, count, groups } = run_in_process(part, options, context)?;
        let more = after.saturating_sub(before) as f64;
        let name = |what: &str| format!("{}/{what}", options.views.name());
        match part {
            MemoryPart::Groups => {
                for (aggregate, (groups, bytes)) in AGGREGATES.iter().zip(groups).filter(|(_, (n, _))| *n > 0) {
                    report.results.push(
                        Outcome::new(format!("group/{aggregate}"))
                            .with(Measure::Count, groups as f64)
                            .with(Measure::BytesEach, bytes as f64 / groups as f64),
                    );
                }
            }
            MemoryPart::Flat => report.results.push(
                Outcome::new(name("flat"))
                    .with(Measure::Count, count as f64)
                    .with(Measure::GrowthPercent, 100.0 * (after as f64 / before as f64 - 1.0)),
            ),
            MemoryPart::Vehicles
            | MemoryPart::Positions
            | MemoryPart::PositionsAmongGeofences
            | MemoryPart::Geofences => report.results.push(
                Outcome::new(name(part.name()))
                    .with(Measure::Count, count as f64)
                    .with(Measure::BytesEach, more / count as f64),
            ),
        }
    }
    Ok(())
}

fn run_in_process(part: MemoryPart, options: &Options, context: &Context<'_>) -> Result<PartResult, BenchError> {
    let epochs = if context.settings.quick { options.epochs / 4 } else { options.epochs };
    let output = Command::new(std::env::current_exe()?)
        .args(["memory", "--part", part.name(), "--views", options.views.name()])
        .args(["--epochs", &epochs.max(2).to_string(), "--size", &context.settings.size.to_string()])
        .args(context.settings.quick.then_some("--quick"))
        .output()?;
    context.check()?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        BenchError::Setup(format!("measuring {}: {}", part.name(), String::from_utf8_lossy(&output.stderr).trim_end()))
    })
}

/// Measures one part in this process; returns the result as JSON.
///
/// # Errors
/// If Ctrl-C was pressed.
pub fn run_part(part: MemoryPart, options: &Options, context: &Context<'_>) -> Result<String, BenchError> {
    let settings = context.settings;
    let mut held = RunningEngine::new(match part {
        MemoryPart::Groups => rules(ViewSet::All),
        MemoryPart::Flat => Rules { retention_ms: Some(FLEET.1), horizon_ms: Some(FLEET.1), ..rules(options.views) },
        MemoryPart::Vehicles | MemoryPart::Positions | MemoryPart::PositionsAmongGeofences | MemoryPart::Geofences => {
            rules(options.views)
        }
    });
    let (vehicles, positions) = (settings.vehicles(TRACKS.0, 4), TRACKS.1);
    // Memory of the event generator is included in both measurements.
    let (before, after, count) = match part {
        MemoryPart::Vehicles => {
            let vehicles = settings.vehicles(VEHICLES, 4).max(2 * EPOCH_EVENTS as u32); // the first epoch is not counted
            let mut track = fixes(vehicles, 1, SEED);
            held.take(track.by_ref().take(EPOCH_EVENTS), context)?;
            let before = resident_bytes();
            held.take(track.by_ref(), context)?;
            (before, resident_bytes(), u64::from(vehicles) - EPOCH_EVENTS as u64)
        }
        MemoryPart::Positions | MemoryPart::PositionsAmongGeofences => {
            if part == MemoryPart::PositionsAmongGeofences {
                held.geofences(AMONG);
            }
            let mut track = fixes(vehicles, positions, SEED);
            held.take(track.by_ref().take(vehicles as usize * TRACKS_BEFORE), context)?;
            let before = resident_bytes();
            held.take(track.by_ref(), context)?;
            (before, resident_bytes(), u64::from(vehicles) * (positions - TRACKS_BEFORE) as u64)
        }
        MemoryPart::Geofences => {
            held.take(fixes(1, 1, SEED), context)?;
            let before = resident_bytes();
            let geofences = settings.vehicles(GEOFENCES, 4);
            held.geofences(geofences);
            (before, resident_bytes(), u64::from(geofences))
        }
        MemoryPart::Groups => {
            held.geofences(AMONG);
            let before = resident_bytes();
            held.take(fixes(vehicles, positions / 4, SEED), context)?;
            (before, resident_bytes(), 0)
        }
        MemoryPart::Flat => {
            let mut track = to_and_fro(FLEET.0, PLACES, SEED);
            held.geofences(AMONG);
            let events = FLEET.0 as usize / 10;
            for _ in 0..options.epochs / 2 {
                held.epoch(track.by_ref().take(events).collect(), context)?;
            }
            let before = resident_bytes();
            for _ in 0..options.epochs / 2 {
                held.epoch(track.by_ref().take(events).collect(), context)?;
            }
            (before, resident_bytes(), options.epochs as u64)
        }
    };
    let groups = held.engine.stats().groups.iter().map(|stats| (stats.groups, stats.bytes)).collect();
    let said = PartResult { before, after, count, groups };
    serde_json::to_string(&said).map_err(|error| BenchError::Setup(error.to_string()))
}

/// An engine, and the log time of its last epoch.
struct RunningEngine {
    engine: Engine,
    now: Millis,
}

impl RunningEngine {
    fn new(rules: Rules) -> Self {
        Self { engine: Engine::start(1, rules), now: BEGINS }
    }

    fn geofences(&mut self, count: u32) {
        let geofences = among(count, SEED);
        let control = edits(&geofences).map(Control::Geofence).collect();
        self.engine.submit(Batch { control, ..Batch::default() });
        while self.engine.next().is_some() {}
    }

    fn take(&mut self, events: impl Iterator<Item = PositionEvent>, context: &Context<'_>) -> Result<(), BenchError> {
        let mut events = events.peekable();
        while events.peek().is_some() {
            self.epoch(events.by_ref().take(EPOCH_EVENTS).collect(), context)?;
        }
        Ok(())
    }

    /// Runs one epoch to its completion.
    fn epoch(&mut self, mut positions: Vec<PositionEvent>, context: &Context<'_>) -> Result<(), BenchError> {
        context.check()?;
        (0..).zip(&mut positions).for_each(|(seq, event)| event.seq = seq);
        self.now = positions.iter().map(|event| event.position.ts).fold(self.now, Millis::max);
        self.engine.submit(Batch { positions, control: vec![Control::Now(self.now)], restored: None });
        while self.engine.next().is_some() {}
        Ok(())
    }
}

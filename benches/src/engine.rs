//! `bench engine`: timelines and views without I/O. All events are decoded and admitted before.

use std::path::PathBuf;

use watchtower_dataflows::control::Control;
use watchtower_model::{BEGINNING, PositionEvent, Rules, ViewSet};

use super::baseline::{self, Plain};
use super::kernel::agree;
use super::measure::{Sample, Samples, Scope, Timer};
use super::report::{Measure, Outcome, Report};
use super::tally::{LastSeen, Tally};
use super::workload::{self, Workload};
use super::{BenchError, Context};
use watchtower_core::events::Limits;
use watchtower_core::tables::Deltas;
use watchtower_engine::{Batch, Engine, MAX_IN_FLIGHT};

/// Parameters of the measurement.
#[derive(Clone, Debug)]
pub struct Options {
    /// The workloads to run.
    pub workloads: Vec<Source>,
    /// The sets of views to compute.
    pub views: Vec<ViewSet>,
    /// Numbers of worker threads.
    pub workers: Vec<usize>,
    /// Events per epoch.
    pub epoch: usize,
    /// Whether PostGIS is measured as a baseline, too.
    pub postgis: bool,
}

/// Source of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Workload W, generated.
    W,
    /// The realistic track, generated.
    Realistic,
    /// A workload from two files.
    Files {
        /// CSV file of events.
        events: PathBuf,
        /// GeoJSON file of geofences.
        geofences: PathBuf,
    },
}

pub(super) const SEED: u64 = 20_260_101;

/// Geofences of both generated workloads.
pub(super) const GEOFENCES: u32 = 10_000;
/// Vehicles and events of workload W.
const W: (u32, usize) = (10_000, 2_000_000);
/// Vehicles of the realistic track, and fixes per vehicle.
const REALISTIC: (u32, usize) = (100_000, 20);

impl Source {
    /// Makes or reads the workload.
    pub(super) fn workload(&self, context: &Context<'_>) -> Result<Workload, BenchError> {
        let settings = &context.settings;
        Ok(match self {
            Self::W => {
                let (vehicles, events) = W;
                workload::workload_w(GEOFENCES, settings.vehicles(vehicles, 1), settings.scaled(events, 8), SEED)
            }
            Self::Realistic => realistic_workload(context),
            Self::Files { events, geofences } => workload::from_files(events, geofences)?,
        })
    }
}

/// The realistic track.
pub(super) fn realistic_workload(context: &Context<'_>) -> Workload {
    let (vehicles, fixes) = REALISTIC;
    let fixes = if context.settings.quick { fixes / 2 } else { fixes };
    workload::realistic(GEOFENCES, context.settings.vehicles(vehicles, 4), fixes, SEED)
}

/// Runs the benchmark.
///
/// # Errors
/// If Ctrl-C was pressed, files cannot be read, or the baseline has another result.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    for source in &options.workloads {
        context.step(|| "making or reading events".to_owned())?;
        let workload = source.workload(context)?;
        measure(&workload, options, context, report)?;
    }
    Ok(())
}

/// A configuration of the engine, with its results.
struct Run {
    views: ViewSet,
    workers: usize,
    samples: Samples,
    found: Counted,
}

fn measure(
    workload: &Workload,
    options: &Options,
    context: &mut Context<'_>,
    report: &mut Report,
) -> Result<(), BenchError> {
    let name = workload.name;
    let epochs = Epochs::new(workload, options.epoch);
    let plain = Plain::new(&workload.geofences);
    if plain.is_none() {
        report.notes.push(format!("{name}: no baseline, {} has no circles", baseline::NAME));
    }
    let rules_of = |views| Rules { outliers: workload.outliers, ..rules(views) };
    let run = |(&views, &workers)| Run { views, workers, samples: Samples::default(), found: Counted::default() };
    let ways = options.views.iter().flat_map(|views| options.workers.iter().map(move |workers| (views, workers)));
    let mut runs: Vec<Run> = ways.map(run).collect();
    let (mut theirs, mut expected) = (Samples::default(), None);
    for turn in 1..=context.settings.turns() {
        if let Some(plain) = &plain {
            context.step(|| format!("{name}, turn {turn}, baseline"))?;
            let (sample, counted) = plain_turn(plain, workload);
            theirs.push(sample);
            expected = Some(counted);
        }
        for run in &mut runs {
            context.step(|| format!("{}, turn {turn}", run.name(workload)))?;
            let (sample, counted) = engine_turn(&epochs, &rules_of(run.views), run.workers, context)?;
            run.samples.push(sample);
            run.found = counted;
        }
    }
    let events = workload.measured();
    for run in &runs {
        let name = run.name(workload);
        let mut outcome = run.found.report(Outcome::new(&name).timed(&run.samples, events), events);
        let alone = runs.iter().find(|other| other.views == run.views && other.workers == 1);
        if let Some(alone) = alone.filter(|_| run.workers > 1) {
            outcome = outcome.with(Measure::Scaling, run.samples.times_as_fast_as(&alone.samples));
        }
        if let Some(expected) = expected {
            agree(&name, run.found.all, expected.all)?;
            outcome = outcome.against(baseline::NAME, &run.samples, &theirs);
        }
        report.results.push(outcome);
    }
    if let Some(expected) = expected {
        let outcome = Outcome::new(format!("{name}/{}", baseline::NAME)).timed(&theirs, events);
        report.results.push(expected.report(outcome, events));
    }
    #[cfg(unix)]
    if let (true, Some(plain)) = (options.postgis, &plain) {
        let engine = runs.iter().find(|run| run.workers == 1);
        let engine = engine.map(|run| (run.name(workload), events as f64 / run.samples.wall_s()));
        super::postgis::measure(workload, plain, engine, context, report)?;
    }
    Ok(())
}

impl Run {
    fn name(&self, workload: &Workload) -> String {
        format!("{}/{}/workers={}", workload.name, self.views.name(), self.workers)
    }
}

/// Enters and exits at the start of the measurement, and at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    before: Tally,
    pub(super) all: Tally,
}

impl Counted {
    /// Adds the counts to an outcome: enters and exits of all events, including each vehicle's first ones; the
    /// percentage is of the measured events.
    fn report(self, outcome: Outcome, events: usize) -> Outcome {
        let Self { before, all } = self;
        let changes = (all.enters - before.enters) + (all.exits - before.exits);
        outcome
            .with(Measure::Enters, all.enters as f64)
            .with(Measure::Exits, all.exits as f64)
            .with(Measure::ChangesPercent, 100.0 * changes as f64 / events as f64)
    }
}

fn plain_turn(plain: &Plain, workload: &Workload) -> (Sample, Counted) {
    let (warm, measured) = workload.events.split_at(workload.warm);
    let mut seen = LastSeen::new(workload.vehicles);
    plain.advance(&mut seen, warm);
    let before = seen.tally();
    let timer = Timer::start(Scope::Thread);
    plain.advance(&mut seen, measured);
    (timer.stop(), Counted { before, all: seen.tally() })
}

/// A workload cut into epochs.
pub(super) struct Epochs {
    pub(super) geofences: Batch,
    pub(super) warm: Vec<Batch>,
    pub(super) measured: Vec<Batch>,
}

impl Epochs {
    pub(super) fn new(workload: &Workload, size: usize) -> Self {
        let (warm, measured) = workload.events.split_at(workload.warm);
        let mut now = BEGINNING;
        let mut cut = |events: &[PositionEvent]| -> Vec<Batch> {
            let batch = |events: &[PositionEvent]| {
                let mut positions = events.to_vec();
                (0..).zip(&mut positions).for_each(|(seq, event)| event.seq = seq);
                now = events.iter().map(|event| event.position.ts).fold(now, i64::max);
                Batch { positions, control: vec![Control::Now(now)], restored: None }
            };
            events.chunks(size).map(batch).collect()
        };
        let geofences = Batch { control: workload.controls(), ..Batch::default() };
        Self { geofences, warm: cut(warm), measured: cut(measured) }
    }
}

/// The default rules of a daemon.
pub(super) fn rules(views: ViewSet) -> Rules {
    let limits = Limits::default();
    Rules { views, retention_ms: limits.lateness_ms, horizon_ms: Some(limits.horizon_ms), ..Rules::default() }
}

/// Runs a whole workload through a new engine.
pub(super) fn engine_turn(
    epochs: &Epochs,
    rules: &Rules,
    workers: usize,
    context: &Context<'_>,
) -> Result<(Sample, Counted), BenchError> {
    let mut engine = Engine::start(workers, rules.clone());
    let mut tally = Tally::default();
    drain(&mut engine, vec![epochs.geofences.clone()], &mut tally, context)?;
    drain(&mut engine, epochs.warm.clone(), &mut tally, context)?;
    let before = tally;
    let measured = epochs.measured.clone();
    let timer = Timer::start(Scope::Process);
    drain(&mut engine, measured, &mut tally, context)?;
    let sample = timer.stop();
    engine.finish();
    Ok((sample, Counted { before, all: tally }))
}

/// Submits all epochs and waits for their results.
pub(super) fn drain(
    engine: &mut Engine,
    batches: Vec<Batch>,
    tally: &mut Tally,
    context: &Context<'_>,
) -> Result<(), BenchError> {
    for batch in batches {
        context.check()?;
        engine.submit(batch);
        while engine.in_flight() > MAX_IN_FLIGHT
            && let Some((_, completed)) = engine.next()
        {
            count(&completed.deltas, tally);
        }
    }
    while let Some((_, completed)) = engine.next() {
        count(&completed.deltas, tally);
    }
    Ok(())
}

/// Counts enters and exits: a visit is an enter, and an exit once it has an end. The sums never fall below zero,
/// because a removed row was added before.
fn count(deltas: &Deltas, tally: &mut Tally) {
    let (mut enters, mut exits) = (0, 0);
    for (visit, diff) in &deltas.visits {
        enters += diff;
        exits += if visit.exited_at.is_some() { *diff } else { 0 };
    }
    tally.enters = tally.enters.wrapping_add_signed(enters);
    tally.exits = tally.exits.wrapping_add_signed(exits);
}

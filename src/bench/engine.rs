//! `bench engine`: timelines and views without I/O. Events are decoded and admitted, and wait in memory.

use std::path::PathBuf;

use watchtower_dataflows::model::{BEGINNING, Control, Rules};

use super::baseline::{self, Plain};
use super::kernel::agree;
use super::measure::{Sample, Samples, Scope, Timer};
use super::report::{Measure, Outcome, Report};
use super::tally::{LastSeen, Tally};
use super::workload::{self, Workload};
use super::{BenchError, Context};
use crate::engine::{Batch, Deltas, Engine};
use crate::events::Limits;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Over what.
    pub workloads: Vec<Source>,
    /// Numbers of worker threads.
    pub workers: Vec<usize>,
    /// Events of an epoch.
    pub epoch: usize,
}

/// Where events come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Workload W.
    W,
    /// The realistic track.
    Realistic,
    /// Files.
    Files {
        /// CSV of events.
        events: PathBuf,
        /// GeoJSON of geofences.
        geofences: PathBuf,
    },
}

/// Epochs in the engine at once: enough that no worker waits.
const MAX_IN_FLIGHT: u64 = 4;

const SEED: u64 = 20_260_101;

/// Geofences of both generated workloads.
const GEOFENCES: u32 = 10_000;
/// Vehicles and events of workload W.
const W: (u32, usize) = (10_000, 2_000_000);
/// Vehicles of the realistic track, and how often each says where it is.
const REALISTIC: (u32, usize) = (100_000, 20);

/// The views that are computed, as results call them.
const VIEWS: &str = "all";

impl Source {
    /// The geofences and events.
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

/// Measures.
///
/// # Errors
/// If it was interrupted, files cannot be read, or the baseline finds other answers.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    for source in &options.workloads {
        context.step(|| "making or reading events".to_owned())?;
        let workload = source.workload(context)?;
        measure(&workload, options, context, report)?;
    }
    Ok(())
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
    let mut theirs = Samples::default();
    let mut mine = vec![Samples::default(); options.workers.len()];
    let (mut expected, mut found) = (None, vec![Counted::default(); options.workers.len()]);
    for turn in 1..=context.settings.turns() {
        if let Some(plain) = &plain {
            context.step(|| format!("{name}, turn {turn}, baseline"))?;
            let (sample, counted) = plain_turn(plain, workload);
            theirs.push(sample);
            expected = Some(counted);
        }
        for (index, &workers) in options.workers.iter().enumerate() {
            context.step(|| format!("{name}/{VIEWS}/workers={workers}, turn {turn}"))?;
            let (sample, counted) = engine_turn(&epochs, workers, context)?;
            mine[index].push(sample);
            found[index] = counted;
        }
    }
    let events = workload.measured();
    let one = options.workers.iter().position(|&workers| workers == 1);
    for ((&workers, samples), found) in options.workers.iter().zip(&mine).zip(found) {
        let name = format!("{name}/{VIEWS}/workers={workers}");
        let mut outcome = found.report(Outcome::new(&name).timed(samples, events), events);
        if let Some(one) = one.filter(|_| workers > 1) {
            outcome = outcome.with(Measure::Scaling, mine[one].wall_s() / samples.wall_s());
        }
        if let Some(expected) = expected {
            agree(&name, found.all, expected.all)?;
            outcome = outcome.against(baseline::NAME, samples, &theirs);
        }
        report.results.push(outcome);
    }
    if let Some(expected) = expected {
        let outcome = Outcome::new(format!("{name}/{}", baseline::NAME)).timed(&theirs, events);
        report.results.push(expected.report(outcome, events));
    }
    Ok(())
}

/// Enters and exits: when measuring began, and at the end.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    before: Tally,
    all: Tally,
}

impl Counted {
    /// Those of all events are told, the first ones of each vehicle included; the share is that of what was
    /// measured.
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

/// A workload cut into what the engine takes.
struct Epochs {
    geofences: Batch,
    warm: Vec<Batch>,
    measured: Vec<Batch>,
}

impl Epochs {
    fn new(workload: &Workload, size: usize) -> Self {
        let (warm, measured) = workload.events.split_at(workload.warm);
        let mut now = BEGINNING;
        let mut cut = |events: &[watchtower_dataflows::model::PositionEvent]| -> Vec<Batch> {
            let batch = |events: &[watchtower_dataflows::model::PositionEvent]| {
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

/// The rules of a daemon that nothing was told.
fn rules() -> Rules {
    let limits = Limits::default();
    Rules { retention_ms: limits.lateness_ms, horizon_ms: Some(limits.horizon_ms), ..Rules::default() }
}

fn engine_turn(epochs: &Epochs, workers: usize, context: &Context<'_>) -> Result<(Sample, Counted), BenchError> {
    let mut engine = Engine::start(workers, rules());
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

/// Hands in all batches and waits for all answers.
fn drain(engine: &mut Engine, batches: Vec<Batch>, tally: &mut Tally, context: &Context<'_>) -> Result<(), BenchError> {
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

/// A visit is an enter, and an exit once it has an end. The sums never go below zero: a row that is taken
/// away was there.
fn count(deltas: &Deltas, tally: &mut Tally) {
    let (mut enters, mut exits) = (0, 0);
    for (visit, diff) in &deltas.visits {
        enters += diff;
        exits += if visit.exited_at.is_some() { *diff } else { 0 };
    }
    tally.enters = tally.enters.wrapping_add_signed(enters);
    tally.exits = tally.exits.wrapping_add_signed(exits);
}

//! `bench restart`: from the start of the process to the first commit of something new.
//!
//! A daemon has taken in tracks and was asked to stop, which leaves a checkpoint of all it knew. While it starts
//! again a position is appended; what is measured ends when another session sees it committed.

use std::time::{Duration, Instant};

use super::engine::GEOFENCES;
use super::loader::{Loader, Shape};
use super::measure::{Sample, Samples};
use super::observer::Observer;
use super::report::{Measure, Outcome, Report};
use super::stage::{Pipeline, Servers, Setup, Urls};
use super::workload::{now_ms, realistic};
use super::{BenchError, Context};
use crate::publish::Format;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Vehicles.
    pub vehicles: u32,
    /// Positions of each.
    pub positions: usize,
    /// Setup of the daemon's views and workers.
    pub setup: Setup,
    /// Servers that are used instead of starting some.
    pub urls: Urls,
}

const SEED: u64 = 20_260_101;

/// Often: the last one of a daemon that stops is left out where it would take too long, and then the one
/// before it counts.
const CHECKPOINTS_EVERY: Duration = Duration::from_secs(2);

/// Measures.
///
/// # Errors
/// If servers or the daemon fail, or it was interrupted.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    context.step(|| "starting Redis and PostgreSQL".to_owned())?;
    let servers = Servers::start(&options.urls)?;
    let vehicles = context.settings.vehicles(options.vehicles, 5);
    let positions = if context.settings.quick { options.positions.min(20) } else { options.positions };
    context.step(|| format!("making {positions} positions of {vehicles} vehicles each"))?;
    let mut workload = realistic(GEOFENCES, vehicles, positions, SEED);
    workload.end_now();
    let setup = Setup { checkpoints: CHECKPOINTS_EVERY, ..options.setup };
    let pipeline = Pipeline::new(&servers, "restart", setup)?;
    let mut daemon = pipeline.start_ready(context)?;
    let observer = Observer::start(&pipeline)?;
    let mut loader = Loader::connect(&pipeline, Shape { format: Format::Bin, batch: 64 }, vehicles)?;
    loader.geofences(&workload.geofences, workload.begins())?;
    context.step(|| "taking them in".to_owned())?;
    for events in workload.events.chunks(100_000) {
        context.check()?;
        events.iter().try_for_each(|event| loader.position(event))?;
    }
    loader.flush()?;
    observer.wait_for(loader.last(), context)?;

    let mut samples = Samples::default();
    let mut resident = 0;
    let mut last = workload.events[workload.events.len() - 1];
    for turn in 1..=context.settings.turns() {
        context.step(|| format!("turn {turn}: stopping, and starting again"))?;
        daemon.stop();
        let started = Instant::now();
        daemon = pipeline.start()?;
        last.position.ts = now_ms();
        loader.position(&last)?;
        loader.flush()?;
        let seen = observer.wait_for(loader.last(), context).map_err(|error| match daemon.check() {
            Ok(()) => error,
            Err(ended) => ended,
        })?;
        let wall_s = seen.at.saturating_duration_since(started).as_secs_f64();
        samples.push(Sample { wall_s, cpu_s: daemon.cpu_s() });
        resident = daemon.resident_bytes();
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    report.results.push(
        Outcome::new(format!("{}/{vehicles}x{positions}", setup.views.name()))
            .with(Measure::Vehicles, f64::from(vehicles))
            .with(Measure::Positions, workload.events.len() as f64)
            .with(Measure::CheckpointMib, mib(pipeline.checkpoint_bytes()))
            .with(Measure::DaemonMib, mib(resident))
            .with(Measure::FirstCommitMs, samples.wall_s() * 1000.0)
            .with(Measure::SpreadPercent, samples.spread_percent())
            .with(Measure::EngineCpuS, samples.cpu_s()),
    );
    Ok(())
}

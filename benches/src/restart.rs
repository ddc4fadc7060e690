//! `bench restart`: time from the start of the process to the first commit of a new position.
//!
//! A daemon processes tracks and is stopped, which leaves a checkpoint of its whole state. A position is appended while
//! it starts again; the time ends when another session sees its commit.

use std::time::{Duration, Instant};

use super::engine::GEOFENCES;
use super::loader::{Loader, Shape};
use super::measure::{Sample, Samples};
use super::observer::Observer;
use super::report::{Measure, Outcome, Report};
use super::stage::{Pipeline, Servers, Setup, Urls};
use super::workload::{BEGINS, among, duration_ms, fixes, now_ms};
use super::{BenchError, Context};
use watchtower_log::ClockSource;
use watchtower_log::append::Format;

/// Parameters of the measurement.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of vehicles.
    pub vehicles: u32,
    /// Positions per vehicle.
    pub positions: usize,
    /// Setup of the daemon's views and workers.
    pub setup: Setup,
    /// Servers to use instead of starting some.
    pub urls: Urls,
}

const SEED: u64 = 20_260_101;

/// Positions appended before waiting for their commit, so that Redis need not hold them all.
const PORTION: usize = 1_000_000;

/// Interval between checkpoints while positions are processed. A stopping daemon drops its last checkpoint if that
/// takes too long; then the previous one is loaded.
fn checkpoints_every(positions: usize) -> Duration {
    Duration::from_secs(if positions > 10 * PORTION { 30 } else { 2 })
}

/// Runs the benchmark.
///
/// # Errors
/// If servers or the daemon fail, or Ctrl-C was pressed.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    context.step(|| "starting Redis and PostgreSQL".to_owned())?;
    let servers = Servers::start(&options.urls)?;
    let vehicles = context.settings.vehicles(options.vehicles, 5);
    let positions = if context.settings.quick { options.positions.min(20) } else { options.positions };
    let all = vehicles as usize * positions;
    // Log time follows the positions: with the wall clock, all vehicles would be offline throughout the history.
    let clock = ClockSource::Log;
    let setup = Setup { checkpoints: checkpoints_every(all), log_keep: Duration::ZERO, clock, ..options.setup };
    let pipeline = Pipeline::new(&servers, "restart", setup)?;
    let mut daemon = pipeline.start_ready(context)?;
    let observer = Observer::start(&pipeline)?;
    let mut loader = Loader::connect(&pipeline, Shape { format: Format::Bin, batch: 64 }, vehicles)?;
    // Their history ends now.
    let begins = now_ms() - duration_ms(positions);
    loader.geofences(&among(GEOFENCES, SEED), begins)?;
    let mut fixes = fixes(vehicles, positions, SEED).peekable();
    let mut last = *fixes.peek().expect("there is a vehicle with a position");
    for taken in (0..).step_by(PORTION) {
        if fixes.peek().is_none() {
            break;
        }
        context.step(|| format!("{taken} of {all} positions taken in"))?;
        for mut event in fixes.by_ref().take(PORTION) {
            event.position.ts += begins - BEGINS;
            loader.position(&event)?;
            last = event;
        }
        loader.flush()?;
        observer.wait_for(loader.last(), context)?;
    }
    context.step(|| "waiting for a checkpoint of it all".to_owned())?;
    context.sleep(setup.checkpoints * 2)?;

    let mut samples = Samples::default();
    let mut resident = 0;
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
            .with(Measure::Positions, all as f64)
            .with(Measure::CheckpointMib, mib(pipeline.checkpoint_bytes()))
            .with(Measure::DaemonMib, mib(resident))
            .with(Measure::FirstCommitMs, samples.wall_s() * 1000.0)
            .with(Measure::SpreadPercent, samples.spread_percent())
            .with(Measure::EngineCpuS, samples.cpu_s()),
    );
    Ok(())
}

//! Benchmarks of the parts of this program, with baselines.
//!
//! Each benchmark runs the product's own parts over generated or given events in several turns, alternating with a
//! baseline that gets the same events. Published figures are ratios within one run, because machines differ, and the
//! same machine differs from one minute to the next. A benchmark whose results differ from its baseline's fails.

pub mod alerts;
pub mod all;
pub mod args;
pub mod baseline;
#[cfg(unix)]
pub mod drain;
pub mod engine;
#[cfg(unix)]
pub mod gateway;
pub mod geofence_edit;
pub mod kernel;
pub mod late;
#[cfg(unix)]
pub mod live;
#[cfg(unix)]
pub mod loader;
pub mod machine;
pub mod measure;
pub mod memory;
#[cfg(unix)]
mod observer;
pub mod plot;
#[cfg(unix)]
mod postgis;
pub mod report;
#[cfg(unix)]
pub mod restart;
#[cfg(unix)]
pub mod stage;
pub mod tally;
pub mod workload;

mod progress;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use args::{BenchArgs, BenchCommand};
use progress::Steps;
use report::Report;
use tally::Tally;
use watchtower::config::ConfigError;
use watchtower_log::redis::ProtocolError;
use watchtower_store::postgres::StoreError;
#[cfg(unix)]
use watchtower_testing::servers::ServerError;
use workload::FileError;

/// First argument that makes the program of this crate the product: the rest is a command line of `watchtower`.
pub const PRODUCT: &str = "watchtower";

/// A benchmark did not complete.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// Ctrl-C was pressed.
    #[error("interrupted")]
    Interrupted,
    /// An input file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Two implementations disagree: at least one is wrong, and comparing their speed is pointless.
    #[error("{name} found {found}, the baseline {baseline} {expected}")]
    Disagree {
        /// Name of the measurement.
        name: String,
        /// Result of the product.
        found: Tally,
        /// Name of the baseline.
        baseline: &'static str,
        /// Result of the baseline.
        expected: Tally,
    },
    /// The log has not what a server has acknowledged: it loses events, and its speed is pointless.
    #[error("{name} acknowledged {acknowledged} {unit}, its log has {found}")]
    Lost {
        /// Name of the server.
        name: &'static str,
        /// What was sent: positions or entries.
        unit: &'static str,
        /// Number that the server has acknowledged.
        acknowledged: u64,
        /// Number in its log.
        found: u64,
    },
    /// A server cannot be started.
    #[cfg(unix)]
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Redis reported an error.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// Entries cannot be read from Redis.
    #[error(transparent)]
    Reading(#[from] watchtower_log::redis::RedisError),
    /// Redis sent a malformed reply.
    #[error("Redis: {0}")]
    Protocol(#[from] ProtocolError),
    /// PostgreSQL reported an error.
    #[error("PostgreSQL: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    /// Rows cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration of the daemon is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The environment of the benchmark cannot be set up.
    #[error("{0}")]
    Setup(String),
    /// The operating system reported an error.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Thoroughness of the measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Whether to finish within a minute: fewer events, fewer turns.
    pub quick: bool,
    /// Number of turns, if not the default.
    pub turns: Option<usize>,
    /// Factor for the usual numbers of vehicles and events.
    pub size: f64,
}

/// Default number of turns, enough for a median.
const TURNS: usize = 5;
/// Default number of turns with `--quick`.
const QUICK_TURNS: usize = 2;

impl Settings {
    /// Number of times that each measurement is repeated.
    pub fn turns(&self) -> usize {
        self.turns.unwrap_or(if self.quick { QUICK_TURNS } else { TURNS })
    }

    /// Number of events: `usual` times the size factor; `--quick` divides it by `quick`.
    pub fn scaled(&self, usual: usize, quick: usize) -> usize {
        let usual = if self.quick { usual / quick } else { usual };
        ((usual as f64 * self.size).round() as usize).max(1)
    }

    /// Number of vehicles: `usual` times the size factor; `--quick` divides it by `quick`.
    pub fn vehicles(&self, usual: u32, quick: u32) -> u32 {
        let usual = if self.quick { usual / quick } else { usual };
        ((f64::from(usual) * self.size).round() as u32).max(1)
    }
}

/// The context of a running benchmark.
pub struct Context<'a> {
    /// Thoroughness of the measurements.
    pub settings: Settings,
    stop: &'a AtomicBool,
    steps: Steps,
}

impl Context<'_> {
    /// Shows the next step.
    ///
    /// # Errors
    /// If Ctrl-C was pressed.
    pub fn step(&mut self, what: impl FnOnce() -> String) -> Result<(), BenchError> {
        self.check()?;
        self.steps.begin(&what());
        Ok(())
    }

    /// Checks for Ctrl-C; called regularly in long loops.
    ///
    /// # Errors
    /// If Ctrl-C was pressed.
    pub fn check(&self) -> Result<(), BenchError> {
        if self.stop.load(Ordering::Relaxed) { Err(BenchError::Interrupted) } else { Ok(()) }
    }

    /// Sleeps, until Ctrl-C is pressed at most.
    ///
    /// # Errors
    /// If Ctrl-C was pressed.
    pub fn sleep(&self, duration: Duration) -> Result<(), BenchError> {
        let begun = Instant::now();
        while begun.elapsed() < duration {
            self.check()?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Runs a benchmark and writes its report. Results from before a failure or an interrupt are written, too.
///
/// # Errors
/// If the benchmark did not complete.
pub fn run(args: &BenchArgs, stop: &AtomicBool, out: &mut impl Write) -> Result<(), BenchError> {
    let mut context = Context { settings: args.settings(), stop, steps: Steps::new() };
    let mut report = Report::new(args.command.name());
    if cfg!(debug_assertions) {
        report.notes.push("this is a debug build: measure a build of cargo build --release".to_owned());
    }
    let ended = match &args.command {
        BenchCommand::Kernel(args) => kernel::run(&args.options(), &mut context, &mut report),
        BenchCommand::Engine(args) => engine::run(&args.options(), &mut context, &mut report),
        #[cfg(unix)]
        BenchCommand::Drain(args) => drain::run(&args.options(), &mut context, &mut report),
        #[cfg(unix)]
        BenchCommand::Live(args) => live::run(&args.options(), &mut context, &mut report),
        BenchCommand::GeofenceEdit(args) => geofence_edit::run(&args.options(), &mut context, &mut report),
        BenchCommand::Late(args) => late::run(&args.options(), &mut context, &mut report),
        BenchCommand::Alerts(args) => alerts::run(&args.options(), &mut context, &mut report),
        #[cfg(unix)]
        BenchCommand::Restart(args) => restart::run(&args.options(), &mut context, &mut report),
        #[cfg(unix)]
        BenchCommand::Gateway(args) => gateway::run(&args.options(), &mut context, &mut report),
        #[cfg(unix)]
        BenchCommand::BareHandler(args) => {
            context.steps.finish();
            return gateway::bare::serve(&args.redis, args.port);
        }
        BenchCommand::Memory(args) => match args.part() {
            Some(part) => return Ok(writeln!(out, "{}", memory::run_part(part, &args.options(), &context)?)?),
            None => memory::run(&args.options(), &mut context, &mut report),
        },
        BenchCommand::All(args) => {
            let table = all::run(&args.out, &mut context)?;
            context.steps.finish();
            return Ok(write!(out, "{table}")?);
        }
        BenchCommand::Plot(args) => {
            for path in plot::draw(&args.out)? {
                writeln!(out, "{}", path.display())?;
            }
            return Ok(());
        }
    };
    context.steps.finish();
    if let Err(error) = &ended {
        report.notes.push(format!("incomplete: {error}"));
    }
    if args.json {
        writeln!(out, "{:#}", report.json())?;
    } else if !report.results.is_empty() {
        write!(out, "{}", report.table())?;
    }
    ended
}

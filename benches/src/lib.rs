//! How fast the parts of this program are, and compared with what.
//!
//! Each benchmark runs the product's own parts over generated or given events, several turns each, in turns
//! with a baseline that gets the same events: what is published are ratios within one run, because machines
//! differ, and the same machine differs from one minute to the next. A benchmark whose answers are not its
//! baseline's fails.

pub mod all;
pub mod args;
pub mod baseline;
#[cfg(unix)]
pub mod drain;
pub mod engine;
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

/// A benchmark did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// By Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// Input cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Two implementations of the same disagree: at least one is wrong, and comparing them is pointless.
    #[error("{name} found {found}, the baseline {baseline} {expected}")]
    Disagree {
        /// What was measured.
        name: String,
        /// Its answer.
        found: Tally,
        /// The baseline.
        baseline: &'static str,
        /// Its answer.
        expected: Tally,
    },
    /// A server cannot be had.
    #[cfg(unix)]
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Redis does not do what it should.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// Entries cannot be read from it.
    #[error(transparent)]
    Reading(#[from] watchtower_log::redis::RedisError),
    /// What it sent is no reply.
    #[error("Redis: {0}")]
    Protocol(#[from] ProtocolError),
    /// PostgreSQL does not do what it should.
    #[error("PostgreSQL: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    /// Rows cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The daemon would not take its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What is to be measured does not run.
    #[error("{0}")]
    Setup(String),
    /// The system refuses something.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// How thoroughly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Within a minute: fewer events, fewer turns.
    pub quick: bool,
    /// Turns, if not as usual.
    pub turns: Option<usize>,
    /// Vehicles and events are this much of what they usually are.
    pub size: f64,
}

/// Turns, so that there is a median.
const TURNS: usize = 5;
/// The same if it has to be quick.
const QUICK_TURNS: usize = 2;

impl Settings {
    /// How often each thing is measured.
    pub fn turns(&self) -> usize {
        self.turns.unwrap_or(if self.quick { QUICK_TURNS } else { TURNS })
    }

    /// How many events instead of `usual`; `--quick` divides by `quick`.
    pub fn scaled(&self, usual: usize, quick: usize) -> usize {
        let usual = if self.quick { usual / quick } else { usual };
        ((usual as f64 * self.size).round() as usize).max(1)
    }

    /// How many vehicles instead of `usual`; `--quick` divides by `quick`.
    pub fn vehicles(&self, usual: u32, quick: u32) -> u32 {
        let usual = if self.quick { usual / quick } else { usual };
        ((f64::from(usual) * self.size).round() as u32).max(1)
    }
}

/// What all benchmarks work with.
pub struct Context<'a> {
    /// How thoroughly.
    pub settings: Settings,
    stop: &'a AtomicBool,
    steps: Steps,
}

impl Context<'_> {
    /// Says what is done next.
    ///
    /// # Errors
    /// If it should not be done any more.
    pub fn step(&mut self, what: impl FnOnce() -> String) -> Result<(), BenchError> {
        self.check()?;
        self.steps.begin(&what());
        Ok(())
    }

    /// To be called now and then in long work.
    ///
    /// # Errors
    /// If it should end.
    pub fn check(&self) -> Result<(), BenchError> {
        if self.stop.load(Ordering::Relaxed) { Err(BenchError::Interrupted) } else { Ok(()) }
    }

    /// Waits.
    ///
    /// # Errors
    /// If it should end.
    pub fn sleep(&self, duration: Duration) -> Result<(), BenchError> {
        let begun = Instant::now();
        while begun.elapsed() < duration {
            self.check()?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Runs a benchmark and writes its report. What was measured before a failure or an interruption is
/// written, too.
///
/// # Errors
/// If it did not come to its end.
pub fn run(args: &BenchArgs, stop: &AtomicBool, out: &mut impl Write) -> Result<(), BenchError> {
    let mut context = Context { settings: args.settings(), stop, steps: Steps::new() };
    let mut report = Report::new(args.command.name());
    if cfg!(debug_assertions) {
        report.notes.push("this is a debug build: cargo build --release makes one worth measuring".to_owned());
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
        #[cfg(unix)]
        BenchCommand::Restart(args) => restart::run(&args.options(), &mut context, &mut report),
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

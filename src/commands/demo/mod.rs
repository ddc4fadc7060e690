//! `watchtower demo`: a simulated fleet and the daemon, connected by one file.
//!
//! ```text
//! simulator ──events──> feed ──entries──> the file's log ──> daemon ──> the file's tables
//!                        ^                                                   │
//!                        └──── what did that correction change? ─────────────┤
//!                                                                            └──> screen, lines, summary
//! ```
//!
//! The screen shows only the contents of the tables, which it reads from the file as any reader can. The effect of a
//! correction is the difference of the rows before and after it. The summary is read from the file after the daemon has
//! ended.

mod changes;
mod daemon;
mod entries;
mod feed;
mod frame;
mod gauge;
mod options;
mod picture;
mod screen;
mod show;
mod summary;
mod tables;
mod words;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;

use crate::config::{self, ConfigError};
use daemon::Daemon;
use feed::{Feed, Schedule};
use gauge::{Gauge, History, Reading};
use options::Options;
use tables::Tables;
use watchtower_daemon::DaemonError;
use watchtower_geopackage::{FileError, GeoPackage};
use watchtower_log::file::LogError;
use watchtower_simulator::Simulator;
use watchtower_store::geopackage::EmbeddedError;
use words::thousands;

pub(super) const EXAMPLE: &str = "\
Examples:
  watchtower demo                                        until Ctrl-C; then prints the path of the file
  watchtower demo --vehicles 5000 --speedup 20
  watchtower demo --headless --for 60s --seed 7          an hour without pauses, and its summary

The file can be read meanwhile and afterwards: sqlite3, QGIS, DuckDB.";

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Number of trucks
    #[arg(long, value_name = "N", default_value_t = 84, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub vehicles: u32,
    /// Seed of the simulation: the same seed makes the same day
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Simulated seconds per second
    #[arg(long, value_name = "FACTOR", default_value_t = 60.0, value_parser = speedup)]
    pub speedup: f64,
    /// The GeoPackage to create; it must not exist [default: a new file in the temporary folder, which is kept]
    #[arg(long, value_name = "FILE")]
    pub embedded: Option<PathBuf>,
    /// Show nothing, simulate without pauses, end with a summary that depends on the seed alone
    #[arg(long)]
    pub headless: bool,
    /// Duration of the demo; with --headless, the simulated time that --speedup makes of it [default: 60s with
    /// --headless, else until Ctrl-C]
    #[arg(long = "for", value_name = "DURATION", value_parser = config::duration::parse_ms)]
    pub lasts: Option<i64>,
    /// Simulated time before the demo begins at 11:00, at most 11h [default: 6h; less for more than 200 trucks]
    #[arg(long, value_name = "DURATION", value_parser = config::duration::parse_ms)]
    pub history: Option<i64>,
    /// Worker threads of the engine
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
}

fn speedup(text: &str) -> Result<f64, String> {
    let factor = text.parse::<f64>().ok().filter(|factor| (0.1..=100_000.0).contains(factor));
    factor.ok_or_else(|| "expected a number from 0.1 to 100000".to_owned())
}

/// The error that ended a demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The log in the file cannot be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The daemon failed.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The tables in the file cannot be read.
    #[error(transparent)]
    Store(#[from] EmbeddedError),
    /// The demo's configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The daemon's threads cannot be started.
    #[error("cannot start the threads of the daemon")]
    Threads(#[source] io::Error),
    /// The daemon ended without an error before its tables existed.
    #[error("the daemon ended before its tables existed")]
    Ended,
    /// The given file already exists.
    #[error("{} exists already: a demo needs a new file", path.display())]
    Exists {
        /// Path of the file, as it was given.
        path: PathBuf,
    },
    /// Standard output cannot be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// Runs until the end of the schedule, or until `stop` is set.
///
/// With `--headless`, `out` receives only the summary; output that depends on the machine goes to `notes`.
///
/// # Errors
/// If the file exists or cannot be written, or the daemon fails.
pub fn run(
    args: &DemoArgs,
    stop: &Arc<AtomicBool>,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<(), DemoError> {
    let options = Options::from(args);
    let file = GeoPackage::at(file_of(&options)?);
    let gauge = Arc::new(Gauge::new(options.fleet.begins));
    let feed = Feed::new(Simulator::new(options.fleet), &file, Arc::clone(&gauge))?;
    let daemon = Daemon::start(&file, options.workers, &gauge)?;
    let schedule =
        Schedule { live: options.live, ends: options.ends, speedup: (!options.headless).then_some(options.speedup) };
    let started = Instant::now();
    let feeding = thread::spawn(move || feed.run(schedule));
    let over = || {
        if stop.load(Ordering::Relaxed) {
            gauge.stop();
        }
        feeding.is_finished() || gauge.is_stopped()
    };
    let shown = if options.headless {
        show::show(&options, &file, &gauge, notes, over)
    } else {
        show::show(&options, &file, &gauge, out, over)
    };
    gauge.stop();
    if !options.headless {
        // Takes some seconds with a large fleet.
        writeln!(out, "committing the rest of the log, and adding up ..\n").map_err(DemoError::Output)?;
    }
    let fed = feeding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let ended = daemon.finish();
    let elapsed = started.elapsed();
    // An error of the daemon is the cause of all other errors.
    ended?;
    let simulator = fed?;
    shown?;
    let reading = gauge.read();
    let tables = Tables::open(&file)?;
    let summary = summary::summary(&tables, &options, simulator.now(), &reading.changes, reading.unmeasured)?;
    drop(tables);
    file.settle();
    let mut print = || {
        write!(out, "{summary}")?;
        out.flush()?;
        let notes: &mut dyn Write = if options.headless { &mut *notes } else { &mut *out };
        farewell(&options, file.path(), &reading, elapsed, notes)
    };
    print().map_err(DemoError::Output)
}

/// The given file, or a new path in the temporary folder.
fn file_of(options: &Options) -> Result<PathBuf, DemoError> {
    let named = options.file.clone();
    let path = named.unwrap_or_else(|| {
        let name = |n: u32| {
            format!(
                "watchtower-demo-{}{}.gpkg",
                std::process::id(),
                if n == 0 { String::new() } else { format!("-{n}") }
            )
        };
        let paths = (0..).map(|n| std::env::temp_dir().join(name(n)));
        paths.into_iter().find(|path| !path.exists()).expect("one of infinitely many names is free")
    });
    if path.exists() { Err(DemoError::Exists { path }) } else { Ok(path) }
}

/// Prints the speed of the run, and what can be done with the file.
fn farewell(
    options: &Options,
    file: &Path,
    reading: &Reading,
    elapsed: Duration,
    notes: &mut dyn Write,
) -> io::Result<()> {
    // Later events come at their own time, so that their rate says nothing about the machine.
    let (events, lasted) = match reading.history {
        Some(History { events, lasted }) if !options.headless => (events, lasted),
        Some(_) | None => (reading.appended, elapsed),
    };
    let seconds = lasted.as_secs_f64();
    writeln!(
        notes,
        "\n{} events{} in {seconds:.1} s, {} events/s: simulated, appended to the log, computed and in all tables",
        thousands(events),
        if options.headless { "" } else { " of history" },
        thousands((events as f64 / seconds) as u64),
    )?;
    let file = file.display();
    writeln!(
        notes,
        "\nlog and tables are in {file}\n  \
         sqlite3 {file} \"SELECT * FROM visits WHERE vehicle_id = 'T11985LA' ORDER BY entered_at\"\n  \
         qgis {file}\n\
         `watchtower run --embedded {file} --config FILE` goes on with it; the FILE says\n  {}",
        daemon::rules().replace('\n', "\n  ")
    )
}

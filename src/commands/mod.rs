//! The commands: one file or folder each, with its arguments and its `run`.

mod arguments;
mod check;
pub mod demo;
mod embedded;
mod export;
mod files;
mod geofences;
mod inspect;
mod migrate;
pub mod publish;
mod rebuild;
pub mod replay;
mod resume;
mod run;
mod status;
mod vehicles;

use std::io::{self, ErrorKind, Stdout, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use watchtower_daemon::DaemonError;

use crate::config::{self, ConfigError};
use crate::interrupt;
use publish::PublishError;

pub use arguments::{ConfigArgs, FileArgs, PlaceArgs, TargetArgs};
pub use export::ExportArgs;
pub use geofences::GeofencesCommand;
pub use inspect::InspectArgs;
pub use rebuild::RebuildArgs;
pub use resume::ResumeArgs;
pub use run::RunArgs;
pub use vehicles::VehiclesCommand;

/// Exit code of wrong use: what the command line or the configuration asks for cannot be done.
const WRONG_USE: u8 = 2;
/// Exit code of a daemon that another one has fenced.
const FENCED: u8 = 3;
/// How long tasks that still run may take to end once the daemon has.
const END_WITHIN: Duration = Duration::from_secs(1);

/// Who is inside which geofence, every visit and the numbers over them: exact, whatever comes late.
#[derive(Debug, Parser)]
#[command(name = "watchtower", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A job.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep the tables of a pipeline up to date, until it is stopped: from Redis Streams to PostGIS, or from the
    /// log in a file to the tables in it.
    ///
    /// Goes on from where the tables are; waits for servers that are not there yet. Answers on
    /// 127.0.0.1:9464 unless told otherwise: /readyz says what it is doing, /metrics how well.
    #[command(after_help = run::RUN)]
    Run(RunArgs),
    /// Look at everything a daemon needs, and say all that is wrong at once; changes nothing.
    Check(ConfigArgs),
    /// Make the schema of a pipeline, or bring it up to date.
    Migrate(ConfigArgs),
    /// How far the tables are, what is behind, what was refused last.
    Status(PlaceArgs),
    /// Go on after entries of the log were lost: the tables then equal a log without them.
    ///
    /// A daemon that finds entries missing in Redis (trimmed, deleted, flushed) halts: /readyz and
    /// `watchtower status` say how many. Stop it, run this, start it again.
    Resume(ResumeArgs),
    /// Compute the tables anew from the log, and put them in place of the old ones at once.
    ///
    /// Needed when the configuration or the program has changed what the tables mean: `run` says so
    /// and refuses to mix old rows with new ones. The log must be whole in Redis: see log_keep; in a file
    /// it is, unless [embedded] log_keep says otherwise. The daemon must be stopped; readers see the old
    /// tables until the new ones are complete.
    Rebuild(RebuildArgs),
    /// Move a file's log to a Redis, when a fleet grows out of the one file.
    ///
    /// Every entry keeps its id, and so the instant at which it arrived: a daemon that reads the streams
    /// comes to the very same tables. The streams have to be new, or to hold what an export before has put
    /// there; then it goes on from there. A daemon may be running on the file.
    #[command(after_help = export::EXAMPLE)]
    Export(ExportArgs),
    /// Print a configuration that explains every key, and works as it is with servers on this machine.
    Example,
    /// Compute all tables from files and write them as CSV, or as one GeoPackage; needs no server.
    ///
    /// The log is the features of the geofence files, then the rows of the position files, then the
    /// lines of the event files, each in file order. Its time is the greatest clock event or
    /// position in it. Files may be compressed with gzip, and in the formats that trackers, products and maps write:
    /// see `watchtower inspect --help`.
    ///
    /// Events that are refused are rows of rejected_events.csv, with the reason; they stop nothing, and the exit
    /// code is 1, or 2 if everything was refused.
    #[command(after_help = replay::EXAMPLE)]
    Replay(replay::ReplayArgs),
    /// Watch a simulated fleet of container trucks in Lagos: needs no server and no network.
    ///
    /// The daemon of `run --embedded` computes all tables in one file, while trucks drive, queue, speed, break
    /// down, fall silent and upload late. The file is kept.
    #[command(after_help = demo::EXAMPLE)]
    Demo(demo::DemoArgs),
    /// Append the events of files to the streams of a pipeline: history, or load.
    ///
    /// Reads what `replay` reads, in the same order: the features of the geofence files, then the
    /// rows of the position files, then the lines of the event files. Positions go to the stream
    /// that the vehicle's id names, geofences and vehicles to the control stream, clocks to all.
    ///
    /// An event that does not say when it arrived arrives at the newest time before it in the
    /// files, its own included, so that history is as late as it was, and not years. If the
    /// pipeline's clock is the log, clocks that follow that time are appended.
    ///
    /// How many streams the pipeline has, and what its clock is, its daemon has written to Redis; if
    /// none has run yet, --streams and --clock say it.
    ///
    /// Lines of event files that are no event are appended as they are: the daemon refuses and keeps
    /// them. Rows and features that are none are listed at the end, and the exit code is 1.
    #[command(after_help = publish::EXAMPLE)]
    Publish(publish::PublishArgs),
    /// Change the geofences of a pipeline, from now on or since an earlier time.
    #[command(subcommand)]
    Geofences(GeofencesCommand),
    /// Change what is known of the vehicles of a pipeline: names, fleets, speed limits.
    #[command(subcommand)]
    Vehicles(VehiclesCommand),
    /// Say what the program makes of a file: columns, zone, vehicles, span, gaps, jumps, suspicious rows.
    #[command(after_help = inspect::EXAMPLE)]
    Inspect(InspectArgs),
}

/// Carries out a command, and prints its error.
pub fn run(command: &Command) -> ExitCode {
    let mut out = Printed { out: io::stdout(), has_enough: false };
    carry_out(command, &mut out).unwrap_or_else(|error| {
        if out.has_enough {
            return ExitCode::SUCCESS;
        }
        eprintln!("watchtower: {}", told(&error));
        exit_code(&error)
    })
}

fn carry_out(command: &Command, out: &mut Printed) -> anyhow::Result<ExitCode> {
    let notes = &mut io::stderr();
    match command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(args, out),
        Command::Migrate(args) => migrate::run(args, out),
        Command::Status(args) => status::run(args, out),
        Command::Resume(args) => resume::run(args, out),
        Command::Rebuild(args) => rebuild::run(args, out),
        Command::Export(args) => export::run(args, out),
        Command::Example => Ok(write!(out, "{}", config::EXAMPLE).map(|()| ExitCode::SUCCESS)?),
        Command::Replay(args) => replay::run(args, out),
        Command::Demo(args) => {
            let stop = interrupt::stop_flag().context("cannot listen for SIGTERM and Ctrl-C")?;
            Ok(demo::run(args, &stop, out, notes).map(|()| ExitCode::SUCCESS)?)
        }
        Command::Publish(args) => Ok(publish::run(args, &*interrupt_flag()?, out, notes)?),
        Command::Geofences(command) => Ok(geofences::run(command, out, notes)?),
        Command::Vehicles(command) => Ok(vehicles::run(command, out, notes)?),
        Command::Inspect(args) => inspect::run(args, out),
    }
}

fn interrupt_flag() -> anyhow::Result<Arc<AtomicBool>> {
    interrupt::flag().context("cannot listen for ctrl-c")
}

/// An error and its causes, but for those that it repeats itself.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        _ if told.contains(&cause) => told,
        _ => format!("{told}: {cause}"),
    })
}

/// Standard output, and whether its reader has closed it, as `head` does: that is no error.
struct Printed {
    out: Stdout,
    has_enough: bool,
}

impl Printed {
    fn note_end<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.has_enough |= result.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
        result
    }
}

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.note_end(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.note_end(flushed)
    }
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<ConfigError>() || error.downcast_ref::<PublishError>().is_some_and(PublishError::is_wrong_use) {
        return ExitCode::from(WRONG_USE);
    }
    if error.downcast_ref::<DaemonError>().is_some_and(DaemonError::is_fenced) {
        return ExitCode::from(FENCED);
    }
    ExitCode::FAILURE
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the threads that wait for the servers")
}

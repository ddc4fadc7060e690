//! The commands: one file or folder each, with its arguments and its `run`.

mod alerts;
mod announce;
mod arguments;
mod check;
mod deliveries;
pub mod demo;
mod export;
mod files;
mod gateway;
mod geofences;
mod inspect;
mod migrate;
mod notify;
pub mod publish;
mod rebuild;
pub mod replay;
mod resume;
mod run;
mod status;
mod stored;
mod token;
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
use resume::ResumeError;

pub use alerts::AlertsCommand;
pub use arguments::{ConfigArgs, FileArgs, PlaceArgs, TargetArgs};
pub use deliveries::DeliveriesCommand;
pub use export::ExportArgs;
pub use gateway::GatewayArgs;
pub use geofences::GeofencesCommand;
pub use inspect::InspectArgs;
pub use notify::NotifyArgs;
pub use rebuild::RebuildArgs;
pub use resume::ResumeArgs;
pub use run::RunArgs;
pub use token::TokenCommand;
pub use vehicles::VehiclesCommand;

/// Exit code of wrong use: the command line or the configuration is invalid.
const WRONG_USE: u8 = 2;
/// Exit code of a fenced daemon.
const FENCED: u8 = 3;
/// Time limit for tasks that still run after the daemon has ended.
const END_WITHIN: Duration = Duration::from_secs(1);

/// Computes which vehicle is inside which geofence, every visit, and statistics of them: exact, also after late events.
#[derive(Debug, Parser)]
#[command(name = "watchtower", version, max_term_width = 100)]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// A command of the program.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Keep the tables of a pipeline up to date until stopped: from Redis Streams to PostGIS, or from the log in a file
    /// to the tables in it.
    ///
    /// Continues where the tables are; waits for servers that cannot be reached yet. Serves HTTP on 127.0.0.1:9464
    /// unless configured otherwise: /readyz reports the state, /metrics the performance.
    #[command(after_help = run::RUN)]
    Run(RunArgs),
    /// Accept events over HTTP and append them to the log, until stopped; any number of processes may do so.
    ///
    /// Devices and fleet servers send what they send anyway: see docs/gateway.md for the formats and who is trusted. Serves
    /// 127.0.0.1:8420 unless configured otherwise ([gateway]).
    #[command(after_help = gateway::EXAMPLE)]
    Gateway(GatewayArgs),
    /// Deliver alerts to the channels of the configuration, until stopped; any number of processes may do so.
    ///
    /// Takes them from the outbox that the daemon writes with its tables: see docs/alerts.md.
    #[command(after_help = notify::EXAMPLE)]
    Notify(NotifyArgs),
    /// Show what waits to be delivered, what was given up and what was delivered; attempt again, or delete.
    #[command(subcommand)]
    Deliveries(DeliveriesCommand),
    /// Check everything that a daemon needs and report all faults at once; changes nothing.
    Check(PlaceArgs),
    /// Create or migrate the schema of a pipeline.
    Migrate(ConfigArgs),
    /// Print the progress of the tables, the lag, and the last rejected events.
    Status(PlaceArgs),
    /// Continue after entries of the log were lost: the tables then equal a log without them.
    ///
    /// A daemon that finds entries missing in Redis (trimmed, deleted, flushed) halts: /readyz and `watchtower status`
    /// report their number. Stop it, run this command, start it again.
    Resume(ResumeArgs),
    /// Compute the tables anew from the log, and replace the old ones in one transaction.
    ///
    /// Needed after a change of the configuration or the program that changes the contents of the tables: `run` then
    /// refuses to mix old rows with new ones. Redis must hold the whole log (see log_keep); a file does unless
    /// [embedded] log_keep is set. The daemon must be stopped. Readers see the old tables until the new ones are
    /// complete.
    Rebuild(RebuildArgs),
    /// Copy the log of a file to a Redis, for a fleet that has outgrown the file.
    ///
    /// Every entry keeps its id, and so the instant of its arrival: a daemon that reads the streams computes the same
    /// tables. The streams must be new, or hold the result of an earlier export, which is then continued. A daemon may
    /// be running on the file.
    #[command(after_help = export::EXAMPLE)]
    Export(ExportArgs),
    /// Print a configuration that explains every key, and works unchanged with servers on this machine.
    Example,
    /// Compute all tables from files and write them as CSV, or as one GeoPackage; needs no server.
    ///
    /// The log consists of the features of the geofence files, then the rows of the position files, then the lines of
    /// the event files, each in file order. Log time is the greatest clock event or position so far. Files may be
    /// compressed with gzip, and in the formats that trackers, products and maps write: see `watchtower inspect
    /// --help`.
    ///
    /// Rejected events are rows of rejected_events.csv, with the reason; they do not stop the computation, and the
    /// exit code is 1, or 2 if all events were rejected.
    #[command(after_help = replay::EXAMPLE)]
    Replay(replay::ReplayArgs),
    /// Show a simulated fleet of container trucks in Lagos; needs no server and no network.
    ///
    /// The daemon of `run --embedded` computes all tables in one file, while trucks drive, queue, speed, break
    /// down, fall silent and upload late. The file is kept.
    #[command(after_help = demo::EXAMPLE)]
    Demo(demo::DemoArgs),
    /// Append the events of files to the streams of a pipeline, as history or as load.
    ///
    /// Reads what `replay` reads, in the same order: the features of the geofence files, then the
    /// rows of the position files, then the lines of the event files. Positions go to the stream
    /// that the vehicle's id names, geofences and vehicles to the control stream, clocks to all.
    ///
    /// An event without an arrival time gets the newest time before it in the files, its own included, so that history
    /// is as late as it was, and not years. If the pipeline's clock is the log, clock events that follow that time are
    /// appended.
    ///
    /// The daemon records the number of streams and the clock of its pipeline in Redis; before its first run,
    /// --streams and --clock give them.
    ///
    /// Lines of event files that are not events are appended unchanged: the daemon rejects and keeps them. Invalid rows
    /// and features are listed at the end, and the exit code is 1.
    #[command(after_help = publish::EXAMPLE)]
    Publish(publish::PublishArgs),
    /// Show the geofences of a pipeline, or change them, from now on or from an earlier time.
    #[command(subcommand)]
    Geofences(GeofencesCommand),
    /// Show the vehicles of a pipeline, or change what is known of them: names, fleets, speed limits.
    #[command(subcommand)]
    Vehicles(VehiclesCommand),
    /// Show what alert rules report.
    #[command(subcommand)]
    Alerts(AlertsCommand),
    /// Create, list and revoke the tokens of clients of the HTTP interfaces.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Say what the program makes of a file: columns, zone, vehicles, span, gaps, jumps, suspicious rows.
    #[command(after_help = inspect::EXAMPLE)]
    Inspect(InspectArgs),
}

/// Runs a command, and prints its error.
pub fn run(command: &Command) -> ExitCode {
    let mut out = Printed { out: io::stdout(), has_enough: false };
    carry_out(command, &mut out).unwrap_or_else(|error| {
        if out.has_enough {
            return ExitCode::SUCCESS;
        }
        eprintln!("watchtower: {}", with_causes(&error));
        exit_code(&error)
    })
}

fn carry_out(command: &Command, out: &mut Printed) -> anyhow::Result<ExitCode> {
    let notes = &mut io::stderr();
    match command {
        Command::Run(args) => run::run(args),
        Command::Gateway(args) => gateway::run(args),
        Command::Notify(args) => notify::run(args),
        Command::Deliveries(command) => deliveries::run(command, out),
        Command::Token(command) => token::run(command, out),
        Command::Alerts(command) => alerts::run(command, out),
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
        Command::Geofences(command) => geofences::run(command, out, notes),
        Command::Vehicles(command) => vehicles::run(command, out, notes),
        Command::Inspect(args) => inspect::run(args, out),
    }
}

fn interrupt_flag() -> anyhow::Result<Arc<AtomicBool>> {
    interrupt::flag().context("cannot listen for ctrl-c")
}

/// The text of an error and its causes, without causes that the text before them already contains.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.as_str() {
        "" => cause,
        _ if text.contains(&cause) => text,
        _ => format!("{text}: {cause}"),
    })
}

/// Standard output that treats a closed pipe, as behind `head`, as the end of output and not as an error.
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
    if error.is::<ConfigError>()
        || error.downcast_ref::<PublishError>().is_some_and(PublishError::is_wrong_use)
        || error.downcast_ref::<ResumeError>().is_some_and(ResumeError::is_wrong_use)
    {
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

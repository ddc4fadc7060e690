//! The command line: what was typed, and what it means. One file per command.

use clap::{Parser, Subcommand};

mod bench;
mod daemon;
mod demo;
mod export;
mod geofences;
mod publish;
mod replay;
mod target;

pub use bench::{
    AllArgs, BenchArgs, BenchCommand, EngineArgs, GeofenceEditArgs, KernelArgs, LateArgs, MemoryArgs, ViewsArg,
    WorkloadArg,
};
#[cfg(unix)]
pub use bench::{DrainArgs, LiveArgs, RestartArgs, ServerArgs};
pub use daemon::{ConfigArgs, PlaceArgs, RebuildArgs, ResumeArgs, RunArgs};
pub use demo::DemoArgs;
pub use export::ExportArgs;
pub use geofences::{DeleteArgs, GeofencesCommand, ImportArgs};
pub use publish::{ClockArg, FormatArg, PublishArgs};
pub use replay::ReplayArgs;
pub use target::TargetArgs;

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
    #[command(after_help = daemon::RUN)]
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
    /// position in it. Files may be compressed with gzip.
    ///
    /// Events that are refused are rows of rejected_events.csv, with the reason; they stop nothing.
    #[command(after_help = replay::EXAMPLE)]
    Replay(ReplayArgs),
    /// Watch a simulated fleet of container trucks in Lagos: needs no server and no network.
    ///
    /// The daemon of `run --embedded` computes all tables in one file, while trucks drive, queue, speed, break
    /// down, fall silent and upload late. The file is kept.
    #[command(after_help = demo::EXAMPLE)]
    Demo(DemoArgs),
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
    Publish(PublishArgs),
    /// Change the geofences of a pipeline, from now on or since an earlier time.
    #[command(subcommand)]
    Geofences(GeofencesCommand),
    /// Measure this program's parts on this machine, each beside what others would use for the same.
    ///
    /// Runs over events that are made up, the same each time, or over given ones, and needs nothing else:
    /// servers that a benchmark wants are started and thrown away. Ctrl-C ends it and prints what is
    /// measured so far.
    #[command(after_help = bench::EXAMPLE)]
    Bench(BenchArgs),
}

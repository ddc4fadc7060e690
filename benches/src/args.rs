//! The arguments of `watchtower-bench`; [`options`] has what they mean.

mod options;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use watchtower_model::ViewSet;

use crate::Settings;
#[cfg(unix)]
use crate::gateway::{BareHandlerArgs, GatewayArgs};
use crate::memory::MemoryPart;
#[cfg(unix)]
use watchtower::commands::publish::FormatArg;

const EXAMPLE: &str = "\
Examples:
  watchtower-bench kernel --quick            membership alone, within a minute
  watchtower-bench engine                    timelines and views, against a plain rstar + geo loop
  watchtower-bench engine --workload w --workers 1 --json | jq '.results[] | {name, ratio}'

How to read it: ratio is how many times as much processor time the baseline took for the same events in
the same turns. It is what to compare between machines; events/s and microseconds are of this one, with
whatever else it had to do. spread is how far the slowest and the fastest turn are apart.";

/// Measure the parts of Watch Tower on this machine, each beside a common alternative.
///
/// Runs over events that are generated, the same each time, or read from files. It needs no server: those that a
/// benchmark needs are started and removed. Ctrl-C stops it and prints the results so far.
#[derive(Debug, Parser)]
#[command(name = "watchtower-bench", version, max_term_width = 100, after_help = EXAMPLE)]
pub struct BenchArgs {
    /// The benchmark to run.
    #[command(subcommand)]
    pub command: BenchCommand,
    /// Finish within a minute: fewer events, fewer turns
    #[arg(long, global = true)]
    pub quick: bool,
    /// Print one JSON object instead of a table
    #[arg(long, global = true)]
    pub json: bool,
    /// Repeat each measurement N times and report the median [default: 5, with --quick 2]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub turns: Option<u16>,
    /// Multiply the usual numbers of vehicles and events by F
    #[arg(long, global = true, value_name = "F", default_value_t = 1.0, value_parser = size)]
    pub size: f64,
}

/// A benchmark of the program.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Membership alone: finds the geofences that cover a position, and the enters and exits.
    ///
    /// Star polygons of 40 corners, three over each point, in 100 km square; 100 000 vehicles that walk 10 m or 50 m
    /// from one position to the next, or jump anywhere. Also the countries of the world, if the folder WATCHTOWER_DATA
    /// has geofences/world_countries_50m.geojson.gz.
    Kernel(KernelArgs),
    /// Timelines and views without I/O: all events are decoded and admitted before.
    ///
    /// Workload W: 10 000 star polygons, 10 000 vehicles that move 50 to 200 m, 2 000 000 events after 500 000 more.
    /// The realistic track: 100 000 vehicles with a fix every 10 s, 10 m apart, and 10 000 star polygons; four of a
    /// hundred events are an enter or exit.
    ///
    /// The baseline is a loop over the same events with an R-tree (rstar) and polygons (geo). It computes membership
    /// and its changes, without event time, lateness, visits and views.
    Engine(EngineArgs),
    /// The daemon turns a backlog in Redis into rows in PostGIS.
    ///
    /// The realistic track, 2 000 000 events. The daemon knows the geofences and vehicles and is frozen while the
    /// backlog is appended; measured is the time from its continuation until another session sees the commit with the
    /// last entry. With and without the archive of positions.
    ///
    /// Baselines over the same entries: xread reads them without decoding; prepared-rows writes the same rows with the
    /// same statements from change sets in memory, without Redis and engine.
    #[cfg(unix)]
    Drain(DrainArgs),
    /// Events at a fixed rate through the daemon: measures the time until other sessions see them in the tables.
    ///
    /// Latency counts from the instant at which an event is due, which depends on the rate alone, until another session
    /// sees the commit that has it. At a rate above the machine's capacity it grows as long as the benchmark runs.
    #[cfg(unix)]
    Live(LiveArgs),
    /// A geofence is redrawn while events keep coming: measures the time until all its changes leave the engine.
    ///
    /// 100 000 vehicles on the realistic track, of which one in a hundred is concerned. In memory, without I/O.
    GeofenceEdit(GeofenceEditArgs),
    /// The cost of events that arrive up to an hour after later events of their vehicle.
    ///
    /// 5 000 vehicles for more than an hour. The same events in any order must result in the same visits, or the
    /// benchmark fails.
    Late(LateArgs),
    /// The cost of alert rules: the realistic track with and without them, in turns; all tables.
    Alerts(AlertsArgs),
    /// Time from the start of the daemon to its first new commit, with a checkpoint of its whole state.
    ///
    /// Without an archive of positions, and with no more entries in Redis than the checkpoint needs.
    #[cfg(unix)]
    Restart(RestartArgs),
    /// Bytes per vehicle, retained position, geofence, and group of an aggregate. Also checks that memory does not grow
    /// over many epochs of the same fleet.
    Memory(MemoryArgs),
    /// The HTTP gateway: batches of positions as fast as they are accepted, then single positions at a fixed rate.
    ///
    /// Native positions of 10 000 vehicles as JSON, over keep-alive connections of HTTP/1.1 from this process. Redis has
    /// appendonly yes and appendfsync everysec, and is emptied before each measurement. Latency counts from the instant at
    /// which a position is due, which depends on the rate alone, until its answer is complete; this client waits in steps of
    /// a millisecond. Processor time is of the gateway alone.
    ///
    /// The baseline is a bare axum handler in a process of its own that appends the body of each request, unread, to one
    /// stream. It does not validate, convert, group or remember anything. The ratio is by elapsed time for batches, by
    /// processor time for single positions.
    ///
    /// Every answer must be 2xx, and the log must hold as many positions as were acknowledged, or the benchmark fails.
    #[cfg(unix)]
    Gateway(GatewayArgs),
    /// The baseline of `gateway`, started by it
    #[cfg(unix)]
    #[command(hide = true)]
    BareHandler(BareHandlerArgs),
    /// Run all benchmarks; write reports, plots and a table to a folder.
    ///
    /// The figures of the README are made with it. Takes about an hour, with --quick some minutes.
    All(AllArgs),
    /// Draw the plots again from the reports in a folder.
    Plot(AllArgs),
}

/// Arguments of `bench geofence-edit`.
#[derive(Debug, Args)]
pub struct GeofenceEditArgs {
    /// Events per second
    #[arg(long, value_name = "R", default_value_t = 50_000.0, value_parser = positive)]
    pub rate: f64,
    /// Duration in seconds; with --quick at most 5
    #[arg(long, value_name = "S", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// The set of views to compute
    #[arg(long, value_name = "SET", default_value = "membership")]
    pub views: ViewsArg,
    /// Worker threads of the engine
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
}

/// Arguments of `bench late`.
#[derive(Debug, Args)]
pub struct LateArgs {
    /// Percentages of late events, one measurement for each
    #[arg(long, value_name = "P", num_args = 1.., default_values_t = [1.0, 10.0], value_parser = positive)]
    pub percent: Vec<f64>,
    /// The set of views to compute
    #[arg(long, value_name = "SET", default_value = "membership")]
    pub views: ViewsArg,
    /// Worker threads of the engine
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Events per epoch
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..))]
    pub epoch: u32,
}

/// Arguments of `bench alerts`.
#[derive(Debug, Args)]
pub struct AlertsArgs {
    /// Number of alert rules
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rules: u32,
    /// Worker threads of the engine
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Events per epoch
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..))]
    pub epoch: u32,
}

/// Arguments of `bench restart`.
#[cfg(unix)]
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Servers, views and workers.
    #[command(flatten)]
    pub servers: ServerArgs,
    /// Number of vehicles; with --quick a fifth
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub vehicles: u32,
    /// Positions per vehicle; with --quick at most 20
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub positions: u32,
}

/// Arguments of `bench memory`.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// The set of views to compute
    #[arg(long, value_name = "SET", default_value = "membership")]
    pub views: ViewsArg,
    /// Epochs of an unchanging fleet, in the second half of which memory must not grow; with --quick a quarter
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(2..))]
    pub epochs: u32,
    /// The part to measure in this process; set by the parent process
    #[arg(long, hide = true, value_parser = part)]
    part: Option<MemoryPart>,
}

/// Folder of reports and plots.
#[derive(Debug, Args)]
pub struct AllArgs {
    /// The folder; created if missing, files in it are replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// A set of views to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ViewsArg {
    /// Tables of membership: visits, membership, occupancy, offlines, vehicle_state
    Membership,
    /// All computed tables
    All,
}

impl From<ViewsArg> for ViewSet {
    fn from(views: ViewsArg) -> Self {
        match views {
            ViewsArg::Membership => Self::Membership,
            ViewsArg::All => Self::All,
        }
    }
}

fn part(name: &str) -> Result<MemoryPart, String> {
    MemoryPart::ALL.into_iter().find(|part| part.name() == name).ok_or_else(|| "no such part".to_owned())
}

/// Arguments of `bench live`.
#[cfg(unix)]
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// Servers, views and workers.
    #[command(flatten)]
    pub servers: ServerArgs,
    /// Events per second, one measurement for each
    #[arg(long, value_name = "R", num_args = 1.., default_values_t = [20_000.0, 100_000.0, 300_000.0], value_parser = positive)]
    pub rate: Vec<f64>,
    /// Duration of each in seconds; with --quick at most 8
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Keep an archive of positions
    #[arg(long)]
    pub archive: bool,
    /// Format of events in entries: binary batches, JSON arrays, or one event each in plain fields
    #[arg(long, value_name = "SHAPE", default_value = "bin")]
    pub format: FormatArg,
    /// Limit of events per entry, for bin and json
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch: u32,
}

/// Servers to use instead of starting some. The benchmark removes its data from them at the end.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// URL of a Redis to use instead of a temporary one; its processor time is not measured then
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// URL of a database with PostGIS, without TLS, to use instead of a temporary one
    #[arg(long, value_name = "URL")]
    pub postgres: Option<String>,
    /// The set of tables that the daemon keeps
    #[arg(long, value_name = "SET", default_value = "membership")]
    pub views: ViewsArg,
    /// Worker threads of the daemon
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
}

/// Arguments of `bench drain`.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// Servers, views and workers.
    #[command(flatten)]
    pub servers: ServerArgs,
    /// Format of events in entries: binary batches, JSON arrays, or one event each in plain fields
    #[arg(long, value_name = "SHAPE", num_args = 1.., default_values = ["bin"])]
    pub format: Vec<FormatArg>,
    /// Limit of events per entry, for bin and json
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch: u32,
}

/// Arguments of `bench kernel`.
#[derive(Debug, Args)]
pub struct KernelArgs {
    /// Numbers of geofences; --quick leaves out those above 100000
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [100, 10_000, 100_000, 1_000_000], value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub geofences: Vec<u32>,
}

/// Arguments of `bench engine`.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// The generated workloads to run
    #[arg(long, value_name = "WORKLOAD", num_args = 1.., default_values = ["w", "realistic"], conflicts_with = "events_csv")]
    pub workload: Vec<WorkloadArg>,
    /// Run over these events instead: CSV with a header, ts in milliseconds, entity or vehicle_id, lon, lat
    #[arg(long, value_name = "FILE", requires = "geofences")]
    pub events_csv: Option<PathBuf>,
    /// The geofences for these events: GeoJSON
    #[arg(long, value_name = "FILE", requires = "events_csv")]
    pub geofences: Option<PathBuf>,
    /// Numbers of worker threads
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [1, 2], value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Vec<u16>,
    /// The sets of views to compute
    #[arg(long, value_name = "SET", num_args = 1.., default_values = ["membership", "all"])]
    pub views: Vec<ViewsArg>,
    /// Events per epoch
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..))]
    pub epoch: u32,
    /// Also measure PostGIS, which is started for it, over the first events: a query for each event, and statements for
    /// batches of 10000. The ratio is PostGIS to the engine
    #[arg(long)]
    pub postgis: bool,
}

/// A generated workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkloadArg {
    /// Workload W: star polygons, short steps
    W,
    /// The realistic track: a fix every 10 s
    Realistic,
}

impl BenchArgs {
    /// Settings of the run.
    pub fn settings(&self) -> Settings {
        Settings { quick: self.quick, turns: self.turns.map(usize::from), size: self.size }
    }
}

impl BenchCommand {
    /// Name of the benchmark on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kernel(_) => "kernel",
            Self::Engine(_) => "engine",
            #[cfg(unix)]
            Self::Drain(_) => "drain",
            #[cfg(unix)]
            Self::Live(_) => "live",
            Self::GeofenceEdit(_) => "geofence-edit",
            Self::Late(_) => "late",
            Self::Alerts(_) => "alerts",
            #[cfg(unix)]
            Self::Restart(_) => "restart",
            Self::Memory(_) => "memory",
            #[cfg(unix)]
            Self::Gateway(_) => "gateway",
            #[cfg(unix)]
            Self::BareHandler(_) => "bare-handler",
            Self::All(_) => "all",
            Self::Plot(_) => "plot",
        }
    }
}

fn size(text: &str) -> Result<f64, String> {
    let size = text.parse::<f64>().ok().filter(|size| *size > 0.0 && *size <= 1000.0);
    size.ok_or_else(|| "expected a number above 0, and at most 1000".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

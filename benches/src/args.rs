//! The arguments of `watchtower-bench`.

use std::path::PathBuf;
#[cfg(unix)]
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use watchtower_model::ViewSet;

use crate::engine::Source;
#[cfg(unix)]
use crate::loader::Shape;
use crate::memory::Part;
#[cfg(unix)]
use crate::stage::{Setup, Urls};
use crate::{Settings, engine, geofence_edit, kernel, late, memory};
#[cfg(unix)]
use crate::{drain, live, restart};
#[cfg(unix)]
use watchtower::commands::publish::FormatArg;
#[cfg(unix)]
use watchtower_log::ClockSource;

const EXAMPLE: &str = "\
Examples:
  watchtower-bench kernel --quick            membership alone, within a minute
  watchtower-bench engine                    timelines and views, against a plain rstar + geo loop
  watchtower-bench engine --workload w --workers 1 --json | jq '.results[] | {name, ratio}'

How to read it: ratio is how many times as much processor time the baseline took for the same events in
the same turns. It is what to compare between machines; events/s and microseconds are of this one, with
whatever else it had to do. spread is how far the slowest and the fastest turn are apart.";

/// Measure the parts of Watch Tower on this machine, each beside what others would use for the same.
///
/// Runs over events that are generated, the same each time, or over given ones, and needs nothing else: servers that a
/// benchmark needs are started and removed. Ctrl-C ends it and prints what is measured so far.
#[derive(Debug, Parser)]
#[command(name = "watchtower-bench", version, max_term_width = 100, after_help = EXAMPLE)]
pub struct BenchArgs {
    /// Which benchmark.
    #[command(subcommand)]
    pub command: BenchCommand,
    /// Be done within a minute: fewer events, fewer turns
    #[arg(long, global = true)]
    pub quick: bool,
    /// Print one JSON object instead of a table
    #[arg(long, global = true)]
    pub json: bool,
    /// Measure everything N times; the median counts [default: 5, with --quick 2]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub turns: Option<u16>,
    /// Make F times as many vehicles and events as usual
    #[arg(long, global = true, value_name = "F", default_value_t = 1.0, value_parser = size)]
    pub size: f64,
}

/// A benchmark.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Membership alone: which geofences cover a place, who came and went.
    ///
    /// Star polygons of 40 corners, three over a place, in 100 km square; 100 000 vehicles that walk 10 m or
    /// 50 m from one position to the next, or are anywhere. And the countries of the world, if the folder
    /// WATCHTOWER_DATA has geofences/world_countries_50m.geojson.gz.
    Kernel(KernelArgs),
    /// Timelines and views without I/O: events are decoded and admitted, and wait in memory.
    ///
    /// Workload W: 10 000 star polygons, 10 000 vehicles that move 50 to 200 m, 2 000 000 events after 500 000 more. The
    /// realistic track: 100 000 vehicles, a fix every 10 s, 10 m apart, 10 000 star polygons of which one is
    /// entered or left in four of a hundred events.
    ///
    /// The baseline is a loop over the same events with an R-tree (rstar) and polygons (geo): membership
    /// and its changes, no event time, no lateness, no visits, no views.
    Engine(EngineArgs),
    /// A backlog in Redis becomes rows in PostGIS, through the daemon.
    ///
    /// The realistic track, 2 000 000 events. The daemon knows the geofences and vehicles and is frozen while
    /// the backlog is appended; the time is from when it goes on until the commit with the last entry is seen
    /// by another session. With the archive of positions and without.
    ///
    /// Baselines, over the same entries: xread reads them and looks at none; prepared-rows writes the same
    /// rows in the same statements from change sets that wait in memory, with neither Redis nor an engine.
    #[cfg(unix)]
    Drain(DrainArgs),
    /// Events at a fixed rate, through the daemon: how long until others see them in the tables.
    ///
    /// Latency counts from the instant at which an event was to be sent, which the rate alone decides, to when
    /// another session sees the commit that has it. At a rate that the machine cannot keep it grows for as
    /// long as the benchmark runs.
    #[cfg(unix)]
    Live(LiveArgs),
    /// A geofence is redrawn while events keep coming: how long until its changes leave the engine.
    ///
    /// 100 000 vehicles on the realistic track; a hundredth of them are concerned. In memory, without I/O.
    GeofenceEdit(GeofenceEditArgs),
    /// What it costs that some events come up to an hour after others of their vehicle.
    ///
    /// 5 000 vehicles for more than an hour. Whatever their order, the same events end in the same visits, or the
    /// benchmark fails.
    Late(LateArgs),
    /// From the start of the daemon to its first new commit, when it has a checkpoint of all it knew.
    ///
    /// Without an archive of positions, and with no more in Redis than a checkpoint needs.
    #[cfg(unix)]
    Restart(RestartArgs),
    /// Bytes of a vehicle, a retained position, a geofence, a group of an aggregate; and that many epochs of the
    /// same fleet take no more than few.
    Memory(MemoryArgs),
    /// Run all of them; write reports, plots and a table to a folder.
    ///
    /// This is how the figures of the README are made. It takes about an hour, with --quick some minutes.
    All(AllArgs),
    /// Draw the plots again from the reports in a folder.
    Plot(AllArgs),
}

/// What `bench geofence-edit` takes.
#[derive(Debug, Args)]
pub struct GeofenceEditArgs {
    /// Events a second
    #[arg(long, value_name = "R", default_value_t = 50_000.0, value_parser = positive)]
    pub rate: f64,
    /// For how long; with --quick at most 5
    #[arg(long, value_name = "S", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Which views are computed
    #[arg(long, value_name = "SET", default_value = "membership")]
    pub views: ViewsArg,
    /// Worker threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
}

/// What `bench late` takes.
#[derive(Debug, Args)]
pub struct LateArgs {
    /// Of a hundred events so many are late, one measurement for each
    #[arg(long, value_name = "P", num_args = 1.., default_values_t = [1.0, 10.0], value_parser = positive)]
    pub percent: Vec<f64>,
    /// Which views are computed
    #[arg(long, value_name = "SET", default_value = "membership")]
    pub views: ViewsArg,
    /// Worker threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Events of an epoch
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..))]
    pub epoch: u32,
}

/// What `bench restart` takes.
#[cfg(unix)]
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Where.
    #[command(flatten)]
    pub servers: ServerArgs,
    /// Vehicles; with --quick a fifth
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub vehicles: u32,
    /// Positions of each; with --quick at most 20
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub positions: u32,
}

/// What `bench memory` takes.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// Which views are computed
    #[arg(long, value_name = "SET", default_value = "membership")]
    pub views: ViewsArg,
    /// Epochs of a fleet that stays as it is, after half of which memory should grow no more; with --quick a
    /// quarter
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(2..))]
    pub epochs: u32,
    /// What the process of a part is started with
    #[arg(long, hide = true, value_parser = part)]
    part: Option<Part>,
}

/// Where reports and plots are.
#[derive(Debug, Args)]
pub struct AllArgs {
    /// The folder; made if missing, files in it are replaced
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// A set of views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ViewsArg {
    /// Who is where: visits, membership, occupancy, offlines, vehicle_state
    Membership,
    /// All tables
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

fn part(name: &str) -> Result<Part, String> {
    Part::ALL.into_iter().find(|part| part.name() == name).ok_or_else(|| "no such part".to_owned())
}

/// What `bench live` takes.
#[cfg(unix)]
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// Where.
    #[command(flatten)]
    pub servers: ServerArgs,
    /// Events a second, one measurement for each
    #[arg(long, value_name = "R", num_args = 1.., default_values_t = [20_000.0, 100_000.0, 300_000.0], value_parser = positive)]
    pub rate: Vec<f64>,
    /// For how long each; with --quick at most 8
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Keep an archive of positions
    #[arg(long)]
    pub archive: bool,
    /// How entries hold events: binary batches, JSON arrays, or one event each in plain fields
    #[arg(long, value_name = "SHAPE", default_value = "bin")]
    pub format: FormatArg,
    /// Most events of an entry of bin and json
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch: u32,
}

/// Servers that are used instead of starting some. What the benchmark puts there it takes away again.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// This Redis, instead of one that is started and thrown away; its processor time is not known then
    #[arg(long, value_name = "URL")]
    pub redis: Option<String>,
    /// This database with PostGIS, without TLS, instead of one that is started and thrown away
    #[arg(long, value_name = "URL")]
    pub postgres: Option<String>,
    /// Which tables the daemon keeps
    #[arg(long, value_name = "SET", default_value = "membership")]
    pub views: ViewsArg,
    /// Worker threads of the daemon
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
}

/// What `bench drain` takes.
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// Where.
    #[command(flatten)]
    pub servers: ServerArgs,
    /// How entries hold events: binary batches, JSON arrays, or one event each in plain fields
    #[arg(long, value_name = "SHAPE", num_args = 1.., default_values = ["bin"])]
    pub format: Vec<FormatArg>,
    /// Most events of an entry of bin and json
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch: u32,
}

/// What `bench kernel` takes.
#[derive(Debug, Args)]
pub struct KernelArgs {
    /// Numbers of geofences; --quick leaves out those above 100000
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [100, 10_000, 100_000, 1_000_000], value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    pub geofences: Vec<u32>,
}

/// What `bench engine` takes.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// Over what
    #[arg(long, value_name = "WORKLOAD", num_args = 1.., default_values = ["w", "realistic"], conflicts_with = "events_csv")]
    pub workload: Vec<WorkloadArg>,
    /// Over these events instead: CSV with a header, ts in milliseconds, entity or vehicle_id, lon, lat
    #[arg(long, value_name = "FILE", requires = "geofences")]
    pub events_csv: Option<PathBuf>,
    /// The geofences among which they are: GeoJSON
    #[arg(long, value_name = "FILE", requires = "events_csv")]
    pub geofences: Option<PathBuf>,
    /// Numbers of worker threads
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [1, 2], value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Vec<u16>,
    /// Which views are computed
    #[arg(long, value_name = "SET", num_args = 1.., default_values = ["membership", "all"])]
    pub views: Vec<ViewsArg>,
    /// Events of an epoch
    #[arg(long, value_name = "N", default_value_t = 8192, value_parser = clap::value_parser!(u32).range(1..))]
    pub epoch: u32,
    /// Over the first events also ask PostGIS, which is started and thrown away: a query for each event, and
    /// statements for batches of 10000. The ratio is theirs to the engine
    #[arg(long)]
    pub postgis: bool,
}

/// A generated workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkloadArg {
    /// Workload W
    W,
    /// The realistic track
    Realistic,
}

impl BenchArgs {
    /// How thoroughly.
    pub fn settings(&self) -> Settings {
        Settings { quick: self.quick, turns: self.turns.map(usize::from), size: self.size }
    }
}

impl BenchCommand {
    /// Its name, as it is typed.
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
            #[cfg(unix)]
            Self::Restart(_) => "restart",
            Self::Memory(_) => "memory",
            Self::All(_) => "all",
            Self::Plot(_) => "plot",
        }
    }
}

impl KernelArgs {
    /// What to measure.
    pub fn options(&self) -> kernel::Options {
        let data = std::env::var_os("WATCHTOWER_DATA").map(PathBuf::from);
        kernel::Options { geofences: self.geofences.clone(), data }
    }
}

impl EngineArgs {
    /// What to measure.
    pub fn options(&self) -> engine::Options {
        let workloads = match (&self.events_csv, &self.geofences) {
            (Some(events), Some(geofences)) => {
                vec![Source::Files { events: events.clone(), geofences: geofences.clone() }]
            }
            (None, _) | (_, None) => self.workload.iter().copied().map(Source::from).collect(),
        };
        let workers = self.workers.iter().copied().map(usize::from).collect();
        let views = self.views.iter().copied().map(ViewSet::from).collect();
        engine::Options { workloads, views, workers, epoch: self.epoch as usize, postgis: self.postgis }
    }
}

#[cfg(unix)]
impl ServerArgs {
    /// Where they are.
    pub fn urls(&self) -> Urls {
        Urls { redis: self.redis.clone(), postgres: self.postgres.clone() }
    }

    /// How the daemon between them is set up, with a checkpoint a minute.
    pub fn setup(&self, archive: bool) -> Setup {
        let (checkpoints, log_keep) = (Duration::from_secs(60), Duration::from_secs(3600));
        let (views, workers) = (self.views.into(), self.workers.into());
        Setup { views, workers, archive, checkpoints, log_keep, clock: ClockSource::Wall }
    }
}

#[cfg(unix)]
impl DrainArgs {
    /// What to measure.
    pub fn options(&self) -> drain::Options {
        let shapes = self.format.iter().map(|&format| Shape { format: format.into(), batch: self.batch }).collect();
        drain::Options { shapes, setup: self.servers.setup(false), urls: self.servers.urls() }
    }
}

#[cfg(unix)]
impl LiveArgs {
    /// What to measure.
    pub fn options(&self) -> live::Options {
        live::Options {
            rates: self.rate.clone(),
            seconds: self.seconds,
            shape: Shape { format: self.format.into(), batch: self.batch },
            setup: self.servers.setup(self.archive),
            urls: self.servers.urls(),
        }
    }
}

impl GeofenceEditArgs {
    /// What to measure.
    pub fn options(&self) -> geofence_edit::Options {
        geofence_edit::Options {
            rate: self.rate,
            seconds: self.seconds,
            views: self.views.into(),
            workers: self.workers.into(),
        }
    }
}

impl LateArgs {
    /// What to measure.
    pub fn options(&self) -> late::Options {
        late::Options {
            percents: self.percent.clone(),
            views: self.views.into(),
            workers: self.workers.into(),
            epoch: self.epoch as usize,
        }
    }
}

#[cfg(unix)]
impl RestartArgs {
    /// What to measure.
    pub fn options(&self) -> restart::Options {
        restart::Options {
            vehicles: self.vehicles,
            positions: self.positions as usize,
            setup: self.servers.setup(false),
            urls: self.servers.urls(),
        }
    }
}

impl MemoryArgs {
    /// What to measure.
    pub fn options(&self) -> memory::Options {
        memory::Options { views: self.views.into(), epochs: self.epochs as usize }
    }

    /// The part that this process is started for.
    pub(crate) fn part(&self) -> Option<Part> {
        self.part
    }
}

impl From<WorkloadArg> for Source {
    fn from(workload: WorkloadArg) -> Self {
        match workload {
            WorkloadArg::W => Self::W,
            WorkloadArg::Realistic => Self::Realistic,
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

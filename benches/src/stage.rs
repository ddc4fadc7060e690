//! The environment of benchmarks of the whole program: servers, temporary or given; a pipeline on them; and the daemon,
//! in a process of its own, so that its processor time can be measured.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use watchtower_model::ViewSet;

use super::{BenchError, Context, PRODUCT};
use watchtower::config::ConfigError;
use watchtower_daemon as daemon;
use watchtower_log::ClockSource;
use watchtower_log::append::PipelineName;
use watchtower_testing::servers::postgres::psql;
use watchtower_testing::servers::{
    PostgresServer, Process, RedisOptions, RedisServer, ServerError, free_port, temporary_folder,
};

/// Limit of any wait; generous, for busy machines.
const PATIENCE: Duration = Duration::from_secs(120);
/// Interval between checks of a wait.
const POLL: Duration = Duration::from_millis(10);

/// Settings as in production: with less memory the benchmark would measure checkpoints of the write-ahead log.
pub(super) const POSTGRES: &str = "shared_buffers = 512MB\nmax_wal_size = 4GB\nwal_compression = off\n";

/// Clock ticks per second in which Linux reports processor time of other processes.
const TICKS_PER_S: f64 = 100.0;

/// URLs of servers to use instead of starting some.
#[derive(Clone, Debug, Default)]
pub struct Urls {
    /// URL of the Redis to use instead of one that is started here.
    pub redis: Option<String>,
    /// URL of a database with PostGIS.
    pub postgres: Option<String>,
}

/// The Redis and the PostgreSQL of a benchmark.
pub struct Servers {
    redis: Option<RedisServer>,
    postgres: Option<PostgresServer>,
    urls: (String, String),
}

/// Processor time of each server so far, seconds; `None` for a server that was not started here.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServersCpu {
    /// Processor time of Redis.
    pub redis_s: Option<f64>,
    /// Processor time of all processes of PostgreSQL.
    pub postgres_s: Option<f64>,
}

impl Servers {
    /// Starts the servers that are not given.
    ///
    /// # Errors
    /// If a server does not start.
    pub fn start(urls: &Urls) -> Result<Self, ServerError> {
        let redis = match &urls.redis {
            Some(_) => None,
            None => Some(RedisServer::start(RedisOptions { appendonly: true, ..RedisOptions::default() })?),
        };
        let postgres = if urls.postgres.is_some() { None } else { Some(PostgresServer::start(POSTGRES)?) };
        let redis_url = urls.redis.clone().or_else(|| redis.as_ref().map(RedisServer::url)).unwrap_or_default();
        let postgres_url = match (&urls.postgres, &postgres) {
            (Some(url), _) => url.clone(),
            (None, Some(server)) => server.database()?,
            (None, None) => String::new(),
        };
        Ok(Self { redis, postgres, urls: (redis_url, postgres_url) })
    }

    /// URL of the Redis.
    pub fn redis_url(&self) -> &str {
        &self.urls.0
    }

    /// URL of the database.
    pub fn postgres_url(&self) -> &str {
        &self.urls.1
    }

    /// Flushes the system's dirty pages, which it would otherwise write half a minute after the load, during the
    /// measurement, and so delay commits. Does nothing for given servers.
    pub fn settle(&self) {
        if self.postgres.is_some() {
            let _ = Command::new("sync").status();
        }
    }

    /// Processor time of the servers so far.
    pub fn cpu(&self) -> ServersCpu {
        ServersCpu {
            redis_s: self.redis.as_ref().and_then(RedisServer::pid).map(cpu_s),
            postgres_s: self.postgres.as_ref().and_then(PostgresServer::pid).map(cpu_of_family_s),
        }
    }
}

impl ServersCpu {
    /// Processor time since an earlier reading.
    pub fn since(self, before: Self) -> Self {
        let less = |now: Option<f64>, before: Option<f64>| Some(now? - before?);
        Self { redis_s: less(self.redis_s, before.redis_s), postgres_s: less(self.postgres_s, before.postgres_s) }
    }
}

/// Processor time of a process, seconds; 0 if it has ended.
pub fn cpu_s(pid: u32) -> f64 {
    times(pid).map_or(0.0, |Times { own, .. }| own)
}

/// Processor time of a process and all its children, also of those that have ended.
pub(super) fn cpu_of_family_s(pid: u32) -> f64 {
    let Some(Times { own, children, .. }) = times(pid) else { return 0.0 };
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let alive: f64 = numbers.filter_map(times).filter(|times| times.parent == pid).map(|times| times.own).sum();
    own + children + alive
}

struct Times {
    parent: u32,
    own: f64,
    /// Processor time of children that have ended.
    children: f64,
}

fn times(pid: u32) -> Option<Times> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may contain any character: state, parent, .., and from the 12th field on the times.
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(Times {
        parent: fields.get(1)?.parse().ok()?,
        own: (ticks(11)? + ticks(12)?) / TICKS_PER_S,
        children: (ticks(13)? + ticks(14)?) / TICKS_PER_S,
    })
}

/// Setup of the daemon of a benchmark.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The set of tables to keep.
    pub views: ViewSet,
    /// Worker threads of the engine.
    pub workers: usize,
    /// Whether positions are archived.
    pub archive: bool,
    /// Interval between checkpoints.
    pub checkpoints: Duration,
    /// Age up to which Redis keeps entries that checkpoints contain.
    pub log_keep: Duration,
    /// Source of clock events.
    pub clock: ClockSource,
}

/// A pipeline of its own on the servers; dropping it removes its streams and tables.
pub struct Pipeline<'a> {
    /// Its name, which is also the name of its schema.
    pub name: PipelineName,
    servers: &'a Servers,
    folder: tempfile::TempDir,
    port: u16,
}

impl<'a> Pipeline<'a> {
    /// Writes its configuration, and starts nothing. The full name includes the id of this process.
    ///
    /// # Errors
    /// If the configuration cannot be written.
    pub fn new(servers: &'a Servers, name: &str, setup: Setup) -> Result<Self, BenchError> {
        let name = format!("bench_{name}_{}", std::process::id());
        let name = PipelineName::parse(&name).map_err(|error| BenchError::Setup(format!("{name}: {error}")))?;
        let folder = temporary_folder("watchtower-bench-")?;
        let pipeline = Self { name, servers, folder, port: free_port()? };
        let Setup { views, workers, archive, checkpoints, log_keep, clock } = setup;
        let clock = clock.word();
        let text = format!(
            "pipeline = \"{}\"\n[redis]\nurl = \"{}\"\nlog_keep = \"{}ms\"\n[store]\nurl = \"{}\"\narchive = {archive}\nreader_role = \"\"\n\
             allow_unsafe = true\n[engine]\nworkers = {workers}\n[clock]\nsource = \"{clock}\"\n[http]\nlisten = \"127.0.0.1:{}\"\n\
             [checkpoints]\nfolder = \"{}\"\nevery = \"{}ms\"\n[rules]\nviews = \"{}\"\n",
            pipeline.name,
            servers.redis_url(),
            log_keep.as_millis(),
            servers.postgres_url(),
            pipeline.port,
            pipeline.folder.path().display(),
            checkpoints.as_millis(),
            views.name(),
        );
        std::fs::write(pipeline.config(), text)?;
        Ok(pipeline)
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("watchtower.toml")
    }

    /// Loads its configuration, as its daemon does.
    ///
    /// # Errors
    /// If it is invalid, for example because of a malformed URL.
    pub fn load(&self) -> Result<daemon::Options, ConfigError> {
        watchtower::config::load(&self.config(), std::iter::empty())
    }

    /// Key of its stream of positions.
    pub fn events_key(&self) -> String {
        self.name.events_key(0)
    }

    /// URL of the Redis.
    pub fn redis_url(&self) -> &str {
        self.servers.redis_url()
    }

    /// URL of the database; the tables are in the schema of the pipeline's name.
    pub fn postgres_url(&self) -> &str {
        self.servers.postgres_url()
    }

    /// Size of its newest checkpoint with all its segments, bytes.
    pub fn checkpoint_bytes(&self) -> u64 {
        fn size(folder: &Path) -> u64 {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries
                .map(|entry| match entry.metadata() {
                    Ok(metadata) if metadata.is_dir() => size(&entry.path()),
                    Ok(metadata) => metadata.len(),
                    Err(_) => 0,
                })
                .sum()
        }
        size(&self.folder.path().join(self.name.to_string()))
    }

    /// Starts its daemon: this program in another process.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&self) -> Result<Daemon, BenchError> {
        Daemon::start("daemon", self.port, [PRODUCT.into(), "run".into(), "--config".into(), self.config().into()])
    }

    /// Starts the daemon and waits until the tables follow the streams.
    ///
    /// # Errors
    /// If they do not within `PATIENCE`.
    pub fn start_ready(&self, context: &Context<'_>) -> Result<Daemon, BenchError> {
        let daemon = self.start()?;
        daemon.wait_until_ready(context)?;
        Ok(daemon)
    }

    /// Output of psql, with the pipeline's schema in the search path.
    ///
    /// # Errors
    /// If a statement fails.
    pub fn sql(&self, sql: &str) -> Result<String, ServerError> {
        psql(self.postgres_url(), &format!("SET search_path = {}, public; {sql}", self.name))
    }
}

impl Drop for Pipeline<'_> {
    /// Removes its data from given servers.
    fn drop(&mut self) {
        let name = &self.name;
        let _ = psql(
            self.postgres_url(),
            &format!("DROP SCHEMA IF EXISTS {name} CASCADE; DROP SCHEMA IF EXISTS {name}_prepared CASCADE"),
        );
        let keys = [self.name.events_key(0), self.name.control_key(), self.name.layout_key()];
        let client = redis::Client::open(self.redis_url()).and_then(|client| client.get_connection());
        let _ = client.and_then(|mut connection| redis::cmd("DEL").arg(&keys).query::<u64>(&mut connection));
    }
}

/// A running daemon or other server of this program; dropping it ends the process.
pub struct Daemon {
    name: &'static str,
    process: Process,
    folder: tempfile::TempDir,
    port: u16,
}

impl Daemon {
    /// Starts this program with other arguments in another process, which serves HTTP on `port`.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start<const N: usize>(name: &'static str, port: u16, arguments: [OsString; N]) -> Result<Self, BenchError> {
        let program = std::env::current_exe()?.into_os_string();
        // Variables of the environment that configure another pipeline must not apply to this one.
        let variables = watchtower::config::environment().flat_map(|(name, _)| [OsString::from("-u"), name.into()]);
        let command = [OsString::from("env")].into_iter().chain(variables).chain([program]).chain(arguments);
        // The folder must outlive the process: its output is read when it fails.
        let folder = temporary_folder("watchtower-bench-daemon-")?;
        let process = Process::start(folder.path(), "KILL", command)?;
        Ok(Self { name, process, folder, port })
    }

    /// Waits until it answers 200 at `/readyz`.
    ///
    /// # Errors
    /// If it does not within `PATIENCE`, or has ended.
    pub fn wait_until_ready(&self, context: &Context<'_>) -> Result<(), BenchError> {
        wait_until(context, &format!("the {} is ready", self.name), || {
            self.check()?;
            Ok(self.page("/readyz").is_some_and(|(status, _)| status == 200))
        })
    }

    /// Its name in messages.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Processor time so far, seconds.
    pub fn cpu_s(&self) -> f64 {
        cpu_s(self.process.pid())
    }

    /// Resident memory, bytes.
    pub fn resident_bytes(&self) -> u64 {
        super::measure::resident_bytes_of(&self.process.pid().to_string())
    }

    /// # Errors
    /// If it has ended, with the end of its output.
    pub fn check(&self) -> Result<(), BenchError> {
        if self.process.is_running() {
            return Ok(());
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(10).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        Err(BenchError::Setup(format!("the {} has ended; its last output:\n{tail}", self.name)))
    }

    /// Freezes the process, or continues it.
    ///
    /// # Errors
    /// If the signal cannot be sent.
    pub fn freeze(&self, freeze: bool) -> Result<(), BenchError> {
        let signal = if freeze { "-STOP" } else { "-CONT" };
        let done = Command::new("kill").args([signal, &self.process.pid().to_string()]).status()?;
        if done.success() { Ok(()) } else { Err(BenchError::Setup(format!("cannot send {signal} to the daemon"))) }
    }

    /// Stops the daemon, and waits for its end.
    pub fn stop(self) {
        self.process.end("TERM");
    }

    /// Status and body of one of its HTTP pages, if it answers.
    pub fn page(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }
}

/// Polls until a condition is true.
///
/// # Errors
/// If it stays false for `PATIENCE`, or the check fails, or Ctrl-C was pressed.
pub fn wait_until(
    context: &Context<'_>,
    what: &str,
    mut is_so: impl FnMut() -> Result<bool, BenchError>,
) -> Result<(), BenchError> {
    let started = Instant::now();
    while !is_so()? {
        context.check()?;
        if started.elapsed() > PATIENCE {
            return Err(BenchError::Setup(format!("gave up after {} s: waited until {what}", PATIENCE.as_secs())));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

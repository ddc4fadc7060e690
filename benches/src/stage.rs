//! What benchmarks of the whole program run on: servers, thrown away afterwards or given; a pipeline of
//! its own between them; and the daemon, a process of its own, so that its processor time is its own.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use watchtower_model::ViewSet;

use super::{BenchError, Context};
use watchtower::config::ConfigError;
use watchtower_daemon as daemon;
use watchtower_log::ClockSource;
use watchtower_log::append::PipelineName;
use watchtower_testing::servers::postgres::psql;
use watchtower_testing::servers::{
    PostgresServer, Process, RedisOptions, RedisServer, ServerError, free_port, temporary_folder,
};

/// Nothing that is waited for takes longer, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const POLL: Duration = Duration::from_millis(10);

/// A server as one would set it up, and no smaller: else the checkpoints of its log are what is measured.
pub(super) const POSTGRES: &str = "shared_buffers = 512MB\nmax_wal_size = 4GB\nwal_compression = off\n";

/// Clock ticks in which Linux counts processor time for other processes.
const TICKS_PER_S: f64 = 100.0;

/// Servers that are not started, but used.
#[derive(Clone, Debug, Default)]
pub struct Urls {
    /// A Redis.
    pub redis: Option<String>,
    /// A database with PostGIS.
    pub postgres: Option<String>,
}

/// Redis and PostgreSQL.
pub struct Servers {
    redis: Option<RedisServer>,
    postgres: Option<PostgresServer>,
    urls: (String, String),
}

/// Seconds of processors that each server has taken so far; none of one that was not started here.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServersCpu {
    /// Redis.
    pub redis_s: Option<f64>,
    /// PostgreSQL, all its processes.
    pub postgres_s: Option<f64>,
}

impl Servers {
    /// Starts those that are not given.
    ///
    /// # Errors
    /// If they do not start.
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

    /// Where Redis is.
    pub fn redis_url(&self) -> &str {
        &self.urls.0
    }

    /// Where the database is.
    pub fn postgres_url(&self) -> &str {
        &self.urls.1
    }

    /// Has the system write what it would write half a minute after it was loaded, amid what is measured then:
    /// for that long a commit waits. Servers elsewhere are left alone.
    pub fn settle(&self) {
        if self.postgres.is_some() {
            let _ = Command::new("sync").status();
        }
    }

    /// What they have taken so far.
    pub fn cpu(&self) -> ServersCpu {
        ServersCpu {
            redis_s: self.redis.as_ref().and_then(RedisServer::pid).map(cpu_s),
            postgres_s: self.postgres.as_ref().and_then(PostgresServer::pid).map(cpu_of_family_s),
        }
    }
}

impl ServersCpu {
    /// What was taken since.
    pub fn since(self, before: Self) -> Self {
        let less = |now: Option<f64>, before: Option<f64>| Some(now? - before?);
        Self { redis_s: less(self.redis_s, before.redis_s), postgres_s: less(self.postgres_s, before.postgres_s) }
    }
}

/// Seconds of processors that a process has taken; 0 of one that is no more.
pub fn cpu_s(pid: u32) -> f64 {
    times(pid).map_or(0.0, |Times { own, .. }| own)
}

/// The same of a process and all its children, those included that have ended.
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
    /// Of children that have ended.
    children: f64,
}

fn times(pid: u32) -> Option<Times> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold anything: state, parent, .., and from the 12th on the times.
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(Times {
        parent: fields.get(1)?.parse().ok()?,
        own: (ticks(11)? + ticks(12)?) / TICKS_PER_S,
        children: (ticks(13)? + ticks(14)?) / TICKS_PER_S,
    })
}

/// How the daemon of a benchmark is set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Which tables are kept.
    pub views: ViewSet,
    /// Worker threads.
    pub workers: usize,
    /// Whether positions are archived.
    pub archive: bool,
    /// How often checkpoints are written.
    pub checkpoints: Duration,
    /// For how long Redis keeps what is in them.
    pub log_keep: Duration,
    /// Who says what time it is.
    pub clock: ClockSource,
}

/// A pipeline of its own; its streams and tables go with it.
pub struct Pipeline<'a> {
    /// Its name, and that of its schema.
    pub name: PipelineName,
    servers: &'a Servers,
    folder: tempfile::TempDir,
    port: u16,
}

impl<'a> Pipeline<'a> {
    /// Writes its configuration; nothing is started. `name` is told apart from those of other processes.
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

    /// Its configuration, as its daemon reads it.
    ///
    /// # Errors
    /// If it is wrong, as with a URL that is none.
    pub fn load(&self) -> Result<daemon::Options, ConfigError> {
        watchtower::config::load(&self.config(), std::iter::empty())
    }

    /// The stream of its positions.
    pub fn events_key(&self) -> String {
        self.name.events_key(0)
    }

    /// Where Redis is.
    pub fn redis_url(&self) -> &str {
        self.servers.redis_url()
    }

    /// Where the database is; the tables are in the schema of its name.
    pub fn postgres_url(&self) -> &str {
        self.servers.postgres_url()
    }

    /// Bytes of its newest checkpoint and what that needs.
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

    /// Starts its daemon: this very program, once more.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(&self) -> Result<Daemon, BenchError> {
        let program = std::env::current_exe()?;
        let config = self.config();
        // What the environment says about another pipeline is not for this one.
        let variables = watchtower::config::environment().flat_map(|(name, _)| [OsString::from("-u"), name.into()]);
        let daemon = [program.into_os_string(), "run".into(), "--config".into(), config.into()];
        let command = [OsString::from("env")].into_iter().chain(variables).chain(daemon);
        // Its folder must outlive it: what it printed is read when it fails.
        let folder = temporary_folder("watchtower-bench-daemon-")?;
        let process = Process::start(folder.path(), "KILL", command)?;
        Ok(Daemon { process, folder, port: self.port })
    }

    /// Starts it and waits until the tables follow the streams.
    ///
    /// # Errors
    /// If they do not.
    pub fn start_ready(&self, context: &Context<'_>) -> Result<Daemon, BenchError> {
        let daemon = self.start()?;
        wait_until(context, "the daemon is ready", || {
            daemon.check()?;
            Ok(daemon.page("/readyz").is_some_and(|(status, _)| status == 200))
        })?;
        Ok(daemon)
    }

    /// What psql prints, with the pipeline's schema in the search path.
    ///
    /// # Errors
    /// If a statement fails.
    pub fn sql(&self, sql: &str) -> Result<String, ServerError> {
        psql(self.postgres_url(), &format!("SET search_path = {}, public; {sql}", self.name))
    }
}

impl Drop for Pipeline<'_> {
    /// Given servers are left as they were.
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

/// A daemon that runs; it ends when this is dropped.
pub struct Daemon {
    process: Process,
    folder: tempfile::TempDir,
    port: u16,
}

impl Daemon {
    /// Seconds of processors it has taken.
    pub fn cpu_s(&self) -> f64 {
        cpu_s(self.process.pid())
    }

    /// Bytes of memory it has.
    pub fn resident_bytes(&self) -> u64 {
        super::measure::resident_bytes_of(&self.process.pid().to_string())
    }

    /// # Errors
    /// If it has ended, with what it said.
    pub fn check(&self) -> Result<(), BenchError> {
        if self.process.is_running() {
            return Ok(());
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(10).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        Err(BenchError::Setup(format!("the daemon has ended; the last it said:\n{tail}")))
    }

    /// Freezes it, or lets it go on.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn freeze(&self, freeze: bool) -> Result<(), BenchError> {
        let signal = if freeze { "-STOP" } else { "-CONT" };
        let done = Command::new("kill").args([signal, &self.process.pid().to_string()]).status()?;
        if done.success() { Ok(()) } else { Err(BenchError::Setup(format!("cannot send {signal} to the daemon"))) }
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(self) {
        self.process.end("TERM");
    }

    /// Status and body of one of its pages, if it answers.
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

/// Waits for something to become true.
///
/// # Errors
/// If it does not, or asking fails, or the benchmark should end.
pub fn wait_until(
    context: &Context<'_>,
    what: &str,
    mut is_so: impl FnMut() -> Result<bool, BenchError>,
) -> Result<(), BenchError> {
    let started = Instant::now();
    while !is_so()? {
        context.check()?;
        if started.elapsed() > PATIENCE {
            return Err(BenchError::Setup(format!("waited {} s in vain until {what}", PATIENCE.as_secs())));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

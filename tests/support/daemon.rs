//! The real daemon, as a process, on a pipeline of its own.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::servers::postgres::{psql, try_psql};
use crate::support::servers::{free_port, is_running};

/// Nothing that a test waits for takes longer, on a machine that does other things as well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What a log decides however it is cut into entries: all rows of these.
pub(crate) const COMPUTED: [&str; 16] = [
    "SELECT * FROM geofence_membership",
    "SELECT * FROM geofence_occupancy",
    "SELECT * FROM visits",
    "SELECT * FROM offlines",
    "SELECT * FROM stops",
    "SELECT * FROM idlings",
    "SELECT * FROM overspeeds",
    "SELECT * FROM trips",
    "SELECT * FROM turnarounds",
    "SELECT * FROM vehicle_daily",
    "SELECT * FROM geofence_hourly",
    "SELECT * FROM fleet_daily",
    "SELECT * FROM kind_daily",
    "SELECT * FROM od_daily",
    "SELECT * FROM vehicles",
    "SELECT * FROM geofences",
];

/// What a log of these entries decides, too.
pub(crate) const ARCHIVED: [&str; 4] = [
    "SELECT * FROM positions_log",
    "SELECT * FROM edits_log",
    "SELECT * FROM rejected_events",
    "SELECT * FROM rejected_counts",
];

/// What a pipeline is made of.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) redis: String,
    pub(crate) postgres: String,
    pub(crate) streams: u16,
    pub(crate) workers: u16,
    /// `log` or `wall`.
    pub(crate) clock: &'static str,
    /// More lines of the configuration: whole sections, or keys of `[limits]`, which comes last.
    pub(crate) more: String,
}

/// A pipeline named `lagos`, with its configuration in a folder that goes with it.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) setup: Setup,
    /// Variables that override the configuration.
    pub(crate) environment: Vec<(&'static str, &'static str)>,
    folder: tempfile::TempDir,
    port: u16,
}

impl Pipeline {
    /// Writes the configuration; nothing is started.
    pub(crate) fn new(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port(); // of those that stay free while no daemon runs
        let pipeline = Self { setup, environment: Vec::new(), folder, port };
        pipeline.configure();
        pipeline
    }

    /// Writes the configuration again, after the setup was changed.
    pub(crate) fn configure(&self) {
        let Setup { redis, postgres, streams, workers, clock, more } = &self.setup;
        let checkpoints = self.checkpoints().parent().unwrap().display().to_string();
        let text = format!(
            "pipeline = \"lagos\"\n[redis]\nurl = \"{redis}\"\nstreams = {streams}\n[clock]\nsource = \"{clock}\"\n\
             [store]\nurl = \"{postgres}\"\nstate_every = \"100ms\"\n[engine]\nworkers = {workers}\n\
             [http]\nlisten = \"127.0.0.1:{}\"\n[checkpoints]\nfolder = \"{checkpoints}\"\nevery = \"300ms\"\n\
             [limits]\n{more}\n",
            self.port
        );
        std::fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("watchtower.toml")
    }

    /// The port of its pages.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where its checkpoints are.
    pub(crate) fn checkpoints(&self) -> PathBuf {
        self.folder.path().join("checkpoints").join("lagos")
    }

    /// Starts a daemon and waits until it is ready.
    pub(crate) fn start(&self) -> Daemon {
        let daemon = self.spawn(&[], &[]);
        daemon.wait_until_ready();
        daemon
    }

    /// Starts a daemon with more arguments and variables; it may not come far.
    pub(crate) fn spawn(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Daemon {
        let mut command = self.command("run", arguments);
        command.envs(variables.iter().copied());
        Daemon::spawn(command, self.port, self.folder.path())
    }

    /// The same pipeline from another folder, with checkpoints of its own: as if on another machine.
    pub(crate) fn twin(&self) -> Self {
        Self { environment: self.environment.clone(), ..Self::new(self.setup.clone()) }
    }

    /// Runs one of the commands that take a configuration.
    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Output {
        self.command(command, arguments).output().unwrap()
    }

    pub(crate) fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut process = Command::new(env!("CARGO_BIN_EXE_watchtower"));
        process.arg(command).arg("--config").arg(self.config()).args(arguments).current_dir(self.folder.path());
        process.envs(self.environment.iter().copied());
        process
    }

    /// Publishes files; all events are in Redis afterwards.
    pub(crate) fn publish(&self, arguments: &[&str]) {
        let output = self.publish_command(arguments).output().unwrap();
        // 1 if a line was no event, which the daemon records.
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Begins to publish files.
    pub(crate) fn publish_command(&self, arguments: &[&str]) -> Command {
        let Setup { redis, streams, clock, .. } = &self.setup;
        let mut process = Command::new(env!("CARGO_BIN_EXE_watchtower"));
        process.args(["publish", "--redis", redis, "--pipeline", "lagos", "--streams", &streams.to_string()]);
        process.args(["--clock", clock]).args(arguments);
        process
    }

    /// The keys of the streams.
    pub(crate) fn keys(&self) -> Vec<String> {
        watchtower_log::redis::stream_keys("lagos", self.setup.streams)
    }

    /// What psql prints, with the pipeline's schema in the search path.
    pub(crate) fn sql(&self, sql: &str) -> String {
        psql(&self.setup.postgres, &format!("SET search_path = lagos, public; SET timezone = 'UTC'; {sql}"))
    }

    /// As [`Self::sql`], or what went wrong, as when the database is away.
    pub(crate) fn try_sql(&self, sql: &str) -> Result<String, String> {
        try_psql(&self.setup.postgres, &format!("SET search_path = lagos, public; SET timezone = 'UTC'; {sql}"))
    }

    /// Waits until the tables contain so many entries of all streams, and lagging tables are with them.
    pub(crate) fn wait_for_entries(&self, entries: u64) {
        let sql = "SELECT coalesce(sum(c.entries), 0), p.commit_seq - t.commit_seq FROM pipeline p \
                   JOIN table_progress t ON true LEFT JOIN cursors c ON true GROUP BY p.commit_seq, t.commit_seq";
        let mut last = Ok(String::new());
        let expected = Ok(format!("{entries}|0"));
        let there = is_so_in_time(|| {
            last = self.try_sql(sql);
            last == expected
        });
        assert!(there, "waited in vain until {entries} entries are in the tables: {last:?}");
    }

    /// A digest of every transactional table: equal for equal rows.
    pub(crate) fn digest(&self) -> Vec<(&'static str, String)> {
        self.digest_of(&[&COMPUTED, &ARCHIVED])
    }

    /// A digest of the rows of each query.
    pub(crate) fn digest_of(&self, queries: &[&[&'static str]]) -> Vec<(&'static str, String)> {
        let queries = queries.concat();
        let digest = |query: &&'static str| {
            format!(
                "SELECT count(*) || ' ' || coalesce(md5(string_agg(r::text, E'\\n' ORDER BY r::text COLLATE \"C\")), '') \
                 FROM ({query}) AS r;"
            )
        };
        let answers = self.sql(&queries.iter().map(digest).collect::<String>());
        queries.iter().copied().zip(answers.lines().map(str::to_owned)).collect()
    }

    /// Makes sure that commit_log has every commit, each by a term no smaller than the one before.
    pub(crate) fn assert_commits_are_dense(&self) {
        let sql = "SELECT count(*) FILTER (WHERE commit_seq <> n OR term < before) FROM \
                   (SELECT *, row_number() OVER w AS n, lag(term, 1, 0::bigint) OVER w AS before FROM commit_log \
                    WINDOW w AS (ORDER BY commit_seq)) AS l";
        assert_eq!(self.sql(sql), "0", "commit_log has gaps:\n{}", self.sql("SELECT * FROM commit_log"));
        let last = "SELECT p.commit_seq - coalesce(max(l.commit_seq), 0) FROM pipeline p LEFT JOIN commit_log l ON true \
                    GROUP BY p.commit_seq";
        assert_eq!(self.sql(last), "0", "the last commit is logged");
    }
}

/// A running daemon; killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Daemon {
    /// Starts one that answers on this port; what it says goes into the folder.
    pub(crate) fn spawn(mut command: Command, port: u16, folder: &Path) -> Self {
        let log = tempfile::Builder::new().prefix("log-").tempfile_in(folder).unwrap();
        let (_, path) = log.keep().unwrap();
        let child = command.stdout(Stdio::null()).stderr(File::create(&path).unwrap()).spawn().unwrap();
        Self { child, port, log: path }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Status and body of a page, if it answers.
    pub(crate) fn page(&self, path: &str) -> Option<(u16, String)> {
        use std::io::Read as _;
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// Waits until the tables follow the streams.
    pub(crate) fn wait_until_ready(&self) {
        wait_until("the daemon is ready", || {
            assert!(is_running(self.pid()), "it has ended:\n{}", self.log());
            self.page("/readyz").is_some_and(|(status, _)| status == 200)
        });
    }

    /// Waits until a page says this, among other things.
    pub(crate) fn wait_until_page(&self, path: &str, says: &str) {
        wait_until(&format!("{path} says {says:?}"), || self.page(path).is_some_and(|(_, body)| body.contains(says)));
    }

    /// Asks it to stop, as systemd does, and waits for it.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Sends a signal, by name.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status().unwrap();
        assert!(status.success(), "kill -{signal}");
    }

    /// Stops all its threads until `CONT`. The signal is taken by one thread; on a busy machine the others go on for a while.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.pid());
        let is_stopped = |task: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
            stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
        };
        wait_until("all threads have stopped", || std::fs::read_dir(&tasks).unwrap().all(is_stopped));
    }

    /// Waits for its end with this exit code; what it said.
    pub(crate) fn ends_with(mut self, code: i32) -> String {
        let status = self.wait();
        let log = self.log();
        assert_eq!(status.code(), Some(code), "{log}");
        log
    }

    /// Kills it as a power failure would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the daemon does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the daemon said:\n{}", self.log());
        }
    }
}

/// Waits for something to become true.
pub(crate) fn wait_until(what: &str, is_so: impl FnMut() -> bool) {
    assert!(is_so_in_time(is_so), "waited in vain until {what}");
}

/// Whether something becomes true while there is patience.
fn is_so_in_time(mut is_so: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

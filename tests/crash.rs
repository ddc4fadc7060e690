//! However a daemon ends, and however many there are at once: nothing is lost, nothing is there twice. The
//! real program, with real servers or with one file, comes to the tables of a run that nobody disturbed.
//!
//! What holds of both is written once, over a [`Place`]: [`World`] is between a Redis and a PostgreSQL,
//! [`OneFileWorld`] a file.
//!
//! Every fault says that it struck. `WATCHTOWER_CASES` is how many races of two starters there are.

mod checkpoints;
mod fencing;
mod moving;
mod one_file;
mod points;
mod scenario;
mod schedules;
mod sessions;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::Connection;
use scenario::{Entry, LIMITS, STREAMS, append, entries};

use crate::support::daemon::{ARCHIVED, COMPUTED, Daemon, Pipeline, Setup};
use crate::support::oracle::compare;
use crate::support::rng::Rng;
use crate::support::rows::{self, Rows};
use crate::support::servers::postgres::PostgresServer;
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// What has to be the same as well, whatever happened on the way.
const STANDING: [&str; 3] = [
    "SELECT commit_seq IS NOT NULL, now, halted FROM pipeline",
    "SELECT * FROM cursors",
    "SELECT * FROM vehicle_state",
];

/// Appends entries.
type Feeder = Box<dyn FnMut(&[Entry]) + Send>;

/// What tables come to.
type Digest = Vec<(&'static str, String)>;

/// Where a log is and the tables that a daemon makes of it.
trait Place {
    /// Starts a daemon that writes checkpoints as often as can be and trims behind them.
    fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Daemon;

    /// Appends entries with the ids they have.
    fn append(&mut self, entries: &[Entry]);

    /// Something that appends, for another thread.
    fn feeder(&self) -> Feeder;

    /// Entries that a feeder appends count as appended from now on.
    fn count(&mut self, entries: &[Entry]);

    /// Waits until the tables contain everything.
    fn wait(&self);

    /// The number of the last commit, if there are tables.
    fn commits(&self) -> Option<String>;

    /// The term of the last daemon that took over, if there are tables.
    fn term(&self) -> Option<String>;

    /// Waits until the tables contain everything and makes sure that they are those of a run that nobody
    /// disturbed, after so many thirds of the log.
    fn assert_undisturbed(&mut self, what: &str, thirds: usize);

    /// Makes sure that they are what an oracle computes, if there is one.
    fn assert_recomputed(&self, what: &str);

    /// How many entries were trimmed.
    fn trimmed(&mut self) -> u64;

    /// Breaks or removes the newest checkpoint, if there is another one to fall back to.
    fn spoil_newest_checkpoint(&self, rng: &mut Rng);

    /// Another one, beside those that run: it answers somewhere else.
    fn start_beside(&self, arguments: &[&str]) -> Daemon {
        self.start(arguments, &[("WATCHTOWER_HTTP_LISTEN", "127.0.0.1:0")])
    }
}

/// The log, and what it comes to after each third.
struct Scenario {
    entries: Vec<Entry>,
    digests: Vec<Digest>,
    /// The same, in a form in which it can be compared with other stores.
    rows: Vec<Rows>,
}

impl Scenario {
    /// The one that all share.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Scenario> = OnceLock::new();
        SHARED.get_or_init(|| {
            let entries = entries();
            let redis = RedisServer::start(RedisOptions::default());
            let mut world = World::new(&redis, 1);
            let daemon = world.start(&[], &[]);
            let thirds = (1..=3).map(|third| {
                world.append(third_of(&entries, third));
                (world.digest(), rows::of_postgres(&world.pipeline.setup.postgres))
            });
            let (digests, rows) = thirds.unzip();
            assert!(daemon.stop().success());
            Self { entries, digests, rows }
        })
    }

    /// Entries of the first, second or third third.
    fn third(&self, third: usize) -> &[Entry] {
        third_of(&self.entries, third)
    }

    /// What the tables are after so many thirds.
    fn digest(&self, thirds: usize) -> &Digest {
        &self.digests[thirds - 1]
    }
}

fn third_of(entries: &[Entry], third: usize) -> &[Entry] {
    let cut = |thirds: usize| entries.len() * thirds / 3;
    &entries[cut(third - 1)..cut(third)]
}

/// A pipeline in a new database, and a producer.
struct World {
    pipeline: Pipeline,
    redis: Connection,
    appended: u64,
}

impl World {
    /// On a server of which nobody else uses the streams any more.
    fn new(redis: &RedisServer, workers: u16) -> Self {
        Self::on(redis, PostgresServer::shared(), workers)
    }

    fn on(redis: &RedisServer, postgres: &PostgresServer, workers: u16) -> Self {
        let pipeline = Pipeline::new(Setup {
            redis: redis.url(),
            postgres: postgres.database(),
            streams: STREAMS,
            workers,
            clock: "log",
            more: LIMITS.to_owned(),
        });
        let mut redis = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
        redis::cmd("FLUSHALL").exec(&mut redis).unwrap();
        Self { pipeline, redis, appended: 0 }
    }

    /// What the tables are.
    fn digest_now(&self) -> Digest {
        self.pipeline.digest_of(&[&STANDING, &COMPUTED, &ARCHIVED])
    }

    /// What the tables are once they contain everything.
    fn digest(&self) -> Digest {
        self.pipeline.wait_for_entries(self.appended);
        self.digest_now()
    }

    /// The last id and the number of entries of each stream, as Redis says.
    fn ends(&mut self) -> String {
        let mut keys = self.pipeline.keys();
        keys.sort();
        let end = |key: String| {
            let info = self.stream(&key);
            format!("{key}|{}|{}", text(&info["last-generated-id"]), text(&info["entries-added"]))
        };
        keys.into_iter().map(end).collect::<Vec<_>>().join("\n")
    }

    fn stream(&mut self, key: &str) -> std::collections::HashMap<String, redis::Value> {
        redis::cmd("XINFO").arg("STREAM").arg(key).query(&mut self.redis).unwrap()
    }

    /// The files of checkpoints, the oldest first.
    fn checkpoints(&self) -> Vec<PathBuf> {
        let inside =
            |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<PathBuf> = inside(self.pipeline.checkpoints()).flat_map(inside).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "checkpoint"));
        files.sort();
        files
    }
}

impl Place for World {
    fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Daemon {
        let mut all = vec![("WATCHTOWER_CHECKPOINTS_EVERY", "100ms"), ("WATCHTOWER_REDIS_LOG_KEEP", "0s")];
        all.extend(variables);
        self.pipeline.spawn(arguments, &all)
    }

    fn append(&mut self, entries: &[Entry]) {
        append(&mut self.redis, entries);
        self.count(entries);
    }

    fn feeder(&self) -> Feeder {
        let client = redis::Client::open(self.pipeline.setup.redis.as_str()).unwrap();
        let mut redis = client.get_connection().unwrap();
        Box::new(move |entries| append(&mut redis, entries))
    }

    fn count(&mut self, entries: &[Entry]) {
        self.appended += entries.len() as u64;
    }

    fn wait(&self) {
        self.pipeline.wait_for_entries(self.appended);
    }

    fn commits(&self) -> Option<String> {
        self.pipeline.try_sql("SELECT commit_seq FROM pipeline").ok()
    }

    fn term(&self) -> Option<String> {
        self.pipeline.try_sql("SELECT term FROM pipeline").ok()
    }

    fn assert_undisturbed(&mut self, what: &str, thirds: usize) {
        let digest = self.digest();
        for (found, wanted) in digest.iter().zip(Scenario::shared().digest(thirds)) {
            assert_eq!(found, wanted, "{what}, after {thirds} thirds of the log");
        }
        self.pipeline.assert_commits_are_dense();
        let ends = self.ends();
        assert_eq!(
            self.pipeline.sql("SELECT stream, last_id, entries FROM cursors ORDER BY 1"),
            ends,
            "{what}: cursors"
        );
    }

    fn assert_recomputed(&self, what: &str) {
        compare(&self.pipeline.setup.postgres, "lagos").unwrap_or_else(|error| panic!("{what}: {error}"));
    }

    fn trimmed(&mut self) -> u64 {
        let keys = self.pipeline.keys();
        let left: u64 = keys.iter().map(|key| redis::cmd("XLEN").arg(key).query::<u64>(&mut self.redis).unwrap()).sum();
        self.appended - left
    }

    fn spoil_newest_checkpoint(&self, rng: &mut Rng) {
        let mut files = self.checkpoints();
        let Some(newest) = files.pop() else { return };
        let mut bytes = std::fs::read(&newest).unwrap();
        let is_spoilt = |bytes: &[u8]| bytes.starts_with(b"spoilt");
        let others = files.iter().filter(|path| !is_spoilt(&std::fs::read(path).unwrap())).count();
        if others == 0 || is_spoilt(&bytes) {
            return;
        }
        if rng.chance(50) {
            bytes[..6].copy_from_slice(b"spoilt");
            std::fs::write(&newest, bytes).unwrap();
        } else {
            std::fs::remove_file(&newest).unwrap();
        }
    }
}

/// Does every job, several at a time, each on a Redis server that nobody else uses meanwhile.
fn in_parallel<J: Sync>(threads: usize, jobs: &[J], run: impl Fn(&RedisServer, &J) + Sync) {
    in_parallel_with(|| RedisServer::start(RedisOptions::default()), threads, jobs, run);
}

/// Does every job, several at a time, each with something that nobody else uses meanwhile.
fn in_parallel_with<T, J: Sync>(own: impl Fn() -> T + Sync, threads: usize, jobs: &[J], run: impl Fn(&T, &J) + Sync) {
    Scenario::shared();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let own = own();
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    run(&own, job);
                }
            });
        }
    });
}

fn text(value: &redis::Value) -> String {
    redis::from_redis_value_ref(value).unwrap()
}

/// The last commit, as the daemon's metrics have it.
fn commit_seq(daemon: &Daemon) -> Option<u64> {
    let (_, body) = daemon.page("/metrics")?;
    let line = body.lines().find(|line| line.starts_with("watchtower_commit_seq "))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Whether the process has ended.
fn has_ended(daemon: &Daemon) -> bool {
    matches!(state(daemon), 'Z' | ' ')
}

/// What the kernel says the process does: `T` if it is stopped, `Z` if it has ended.
fn state(daemon: &Daemon) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or(' ')
}

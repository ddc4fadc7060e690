//! Redis refuses commands for a while: the daemon waits, whichever command it was, while it runs and while it starts,
//! and afterwards nothing is missing.
//!
//! What a real Redis can be made to answer, it answers; the rest comes from one that refuses what a test names
//! ([`Answering`]). The table of these answers is in `crates/log/src/redis/answers.rs`.

use std::time::Duration;

use crate::support::answering::Answering;
use crate::support::daemon::{Daemon, Pipeline, Setup, wait_until};
use crate::support::oracle::{compare, compare_under};
use crate::support::published::Published;
use crate::support::rng::Rng;
use crate::support::servers::postgres::PostgresServer;
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// Answers that pass, as Redis 7.0.15 writes them.
const PASSING: [&str; 11] = [
    "LOADING Redis is loading the dataset in memory",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "READONLY You can't write against a read only replica.",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "CLUSTERDOWN Hash slot not served",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "NOREPLICAS Not enough good replicas to write.",
    "ERR max number of clients reached",
];

/// Commands of a daemon that runs: of its reader, its proof that nothing is lost, its clock, the mover of groups and
/// the trimmer.
const WHILE_RUNNING: [&str; 6] = ["XREAD", "XRANGE", "XINFO", "XADD", "XGROUP", "XTRIM"];

/// Commands of one that starts.
const WHILE_STARTING: [&str; 5] = ["INFO", "CONFIG", "HSET", "XGROUP", "XINFO"];

/// A pipeline, and how many positions were appended to it.
struct World<'a> {
    redis: &'a RedisServer,
    pipeline: Pipeline,
    positions: i64,
}

impl<'a> World<'a> {
    /// Its daemon finds Redis at `url`, appends the time, and trims what it can.
    fn new(redis: &'a RedisServer, url: String) -> Self {
        let (postgres, more) = (PostgresServer::shared().database(), String::new());
        let setup = Setup { redis: url, postgres, streams: 1, workers: 1, clock: "wall", more };
        let mut pipeline = Pipeline::new(setup);
        pipeline.environment = vec![("WATCHTOWER_REDIS_LOG_KEEP", "0s")];
        Self { redis, pipeline, positions: 0 }
    }

    /// Appends a position of now; returns what Redis says.
    fn append(&mut self) -> String {
        self.positions += 1;
        let ts = jiff::Timestamp::now().as_millisecond();
        let json = format!(r#"{{"type":"position","vehicle_id":"T{}","ts":{ts},"lon":3.4,"lat":6.5}}"#, self.positions);
        self.redis.command(&["XADD", "wt:lagos:events:0", "*", "json", &json])
    }

    /// Appends one more position and waits until the tables have all of them.
    fn works(&mut self) {
        let said = self.append();
        assert!(said.starts_with('$'), "{said}");
        self.wait();
    }

    fn wait(&self) {
        let count = || self.pipeline.try_sql("SELECT count(*) FROM positions");
        wait_until("every position is in the tables", || count() == Ok(self.positions.to_string()));
    }

    /// Makes sure that one daemon wrote everything, and that it is what PostGIS computes.
    fn ends_well(&self, daemon: Daemon, terms: u32) {
        assert_eq!(self.pipeline.sql("SELECT term, halted FROM pipeline"), format!("{terms}|"));
        assert!(daemon.stop().success());
        compare(&self.pipeline.setup.postgres, "lagos").unwrap();
        self.pipeline.assert_commits_are_dense();
    }
}

fn port(redis: &RedisServer) -> u16 {
    redis.url().rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn whatever_a_running_daemon_is_refused_it_goes_on() {
    let redis = RedisServer::start(RedisOptions::default());
    let refusing = Answering::before(port(&redis));
    let mut world = World::new(&redis, refusing.url());
    let daemon = world.pipeline.start();
    for answer in PASSING {
        for command in WHILE_RUNNING {
            refusing.refuse(command, answer, 1);
            wait_until(&format!("{command} is refused: {answer}"), || {
                world.append();
                refusing.left() == 0
            });
        }
    }
    for inside in PASSING.into_iter().take(2) {
        refusing.refuse("EXEC", &format!("EXECABORT Transaction discarded because of: {inside}"), 1);
        wait_until("EXEC is refused", || {
            world.append();
            refusing.left() == 0
        });
    }
    world.works();
    daemon.wait_until_ready();
    world.ends_well(daemon, 1);
}

#[test]
fn whatever_a_daemon_is_refused_at_its_start_it_waits() {
    let redis = RedisServer::start(RedisOptions::default());
    let refusing = Answering::before(port(&redis));
    for (command, answer) in WHILE_STARTING.into_iter().zip(PASSING) {
        redis.command(&["FLUSHALL"]);
        let mut world = World::new(&redis, refusing.url());
        refusing.refuse(command, answer, 3);
        let daemon = world.pipeline.spawn(&[], &[]);
        daemon.wait_until_ready();
        assert_eq!(refusing.left(), 0, "{command}");
        assert_eq!(daemon.log().matches("waiting for Redis").count(), 1, "{command}: {}", daemon.log());
        assert_eq!(daemon.log().matches("connected to Redis").count(), 1, "{command}: {}", daemon.log());
        world.works();
        world.ends_well(daemon, 1);
    }
}

#[test]
fn what_does_not_pass_ends_the_daemon() {
    let redis = RedisServer::start(RedisOptions::default());
    let refusing = Answering::before(port(&redis));
    for (command, answer) in [
        ("XREAD", "NOPERM this user has no permissions to run the 'xread' command"),
        ("XRANGE", "NOPERM this user has no permissions to run the 'xrange' command"),
    ] {
        redis.command(&["FLUSHALL"]);
        let mut world = World::new(&redis, refusing.url());
        let daemon = world.pipeline.start();
        refusing.refuse(command, answer, 50); // the trimmer asks, too, and does not end
        world.append();
        let log = daemon.ends_with(1);
        assert!(log.contains("no permissions"), "{log}");
        refusing.refuse(command, answer, 0); // those that are left are not for the next daemon
    }
}

/// A Redis that has much to read when it starts: some seconds of keys, with a look at its clients now and then.
const LOADS_SLOWLY: RedisOptions = RedisOptions {
    appendonly: true,
    password: None,
    config: &["appendfsync always", "key-load-delay 2500", "loading-process-events-interval-bytes 1024"],
};
const OTHER_KEYS: usize = 3_000;

fn fill(redis: &RedisServer) {
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let mut pipe = redis::pipe();
    (0..OTHER_KEYS).for_each(|key| {
        pipe.cmd("SET").arg(format!("other:{key}")).arg(key).ignore();
    });
    pipe.exec(&mut connection).unwrap();
    redis.command(&["BGREWRITEAOF"]);
    let is_rewritten = || redis.command(&["INFO", "persistence"]).contains("aof_rewrite_in_progress:0");
    wait_until("its file is rewritten", || is_rewritten() && redis.has_file("appendonlydir", ".2.base.rdb"));
}

#[test]
fn a_redis_that_loads_its_file_is_waited_for() {
    let published = Published::random_many(5000..5006);
    let log = published.log(&mut Rng::new(5000), 3);
    let mut redis = RedisServer::start(LOADS_SLOWLY);
    fill(&redis);
    let (postgres, more) = (PostgresServer::shared().database(), published.configuration());
    let setup = Setup { redis: redis.url(), postgres, streams: published.streams, workers: 2, clock: "log", more };
    let pipeline = Pipeline::new(setup);
    let mut daemon = pipeline.start();
    // Entries keep coming, again once Redis is back.
    let portion = log.entries.len().div_ceil(200);
    let appending = log.start_appending(&redis.url(), portion, Duration::from_millis(20));
    let some = "SELECT coalesce(sum(entries), 0) > 0 FROM cursors";
    wait_until("some are read", || pipeline.try_sql(some) == Ok("t".to_owned()));
    redis.kill();
    std::thread::scope(|scope| {
        scope.spawn(|| redis.restart());
        daemon.wait_until_page("/readyz", "Redis is loading the dataset in memory");
    });
    daemon.wait_until_ready();
    assert_eq!(pipeline.sql("SELECT term, halted FROM pipeline"), "1|", "one daemon all the time");
    // The same at a start.
    daemon.signal("TERM");
    assert!(daemon.wait().success());
    redis.kill();
    let daemon = std::thread::scope(|scope| {
        scope.spawn(|| redis.restart());
        let daemon = pipeline.spawn(&[], &[]);
        daemon.wait_until_page("/readyz", "Redis is loading the dataset in memory");
        daemon
    });
    daemon.wait_until_ready();
    appending.join().unwrap();
    pipeline.wait_for_entries(log.len());
    compare_under(&published.rules, &pipeline.setup.postgres, "lagos").unwrap();
    pipeline.assert_commits_are_dense();
    assert!(daemon.stop().success());
}

/// A real Redis refuses commands from `begin` to `end`, which a running daemon reports in its log and one that starts
/// on `/readyz`.
fn refuses(options: RedisOptions, begin: &[&[&str]], end: &[&[&str]], running: &[&str], starting: &str) {
    let redis = RedisServer::start(options);
    // One connection that stays, for no other may be let in.
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let mut all = |commands: &[&[&str]]| {
        for command in commands {
            redis::cmd(command[0]).arg(&command[1..]).exec(&mut connection).unwrap();
        }
    };
    let mut world = World::new(&redis, redis.url());
    let daemon = world.pipeline.start();
    world.works();
    all(begin);
    for expected in running {
        wait_until(&format!("it reports {expected}"), || daemon.log().contains(expected));
    }
    all(end);
    world.works();
    daemon.wait_until_ready();
    world.ends_well(daemon, 1);

    all(begin);
    let daemon = world.pipeline.spawn(&[], &[]);
    daemon.wait_until_page("/readyz", starting);
    all(end);
    world.works();
    daemon.wait_until_ready();
    world.ends_well(daemon, 2);
}

#[test]
fn a_primary_that_becomes_a_replica_is_waited_for() {
    let demote: &[&[&str]] = &[&["REPLICAOF", "127.0.0.1", "1"]];
    let promote: &[&[&str]] = &[&["REPLICAOF", "NO", "ONE"]];
    let running = ["clock stands still", "ReadOnly"];
    refuses(RedisOptions::default(), demote, promote, &running, "waiting for Redis");
    let config = &["replica-serve-stale-data no"];
    let silent = RedisOptions { config, ..RedisOptions::default() };
    // A write is refused as one before that a replica without its primary answers nothing else.
    refuses(silent, demote, promote, &["Link with MASTER is down"], "read only replica");
}

#[test]
fn a_redis_that_misses_its_replicas_is_waited_for() {
    let begin: &[&[&str]] = &[&["CONFIG", "SET", "min-replicas-to-write", "1"]];
    let end: &[&[&str]] = &[&["CONFIG", "SET", "min-replicas-to-write", "0"]];
    refuses(RedisOptions::default(), begin, end, &["NOREPLICAS"], "NOREPLICAS");
}

#[test]
fn a_redis_with_as_many_clients_as_it_may_have_is_waited_for() {
    let begin: &[&[&str]] = &[&["CONFIG", "SET", "maxclients", "1"], &["CLIENT", "KILL", "TYPE", "normal"]];
    let end: &[&[&str]] = &[&["CONFIG", "SET", "maxclients", "1000"]];
    for password in [None, Some("sesame")] {
        let options = RedisOptions { password, ..RedisOptions::default() };
        refuses(options, begin, end, &["connecting again"], "waiting for Redis");
    }
}

#[test]
fn a_script_that_runs_long_is_waited_for() {
    let options = RedisOptions { config: &["busy-reply-threshold 1"], ..RedisOptions::default() };
    let redis = RedisServer::start(options);
    let mut world = World::new(&redis, redis.url());
    let busy = |until: &dyn Fn()| {
        let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
        let script = std::thread::spawn(move || {
            redis::cmd("EVAL").arg("while true do end").arg(0).exec(&mut connection).unwrap_err()
        });
        until();
        redis.command(&["SCRIPT", "KILL"]);
        assert!(script.join().unwrap().to_string().contains("killed"));
    };
    let daemon = world.pipeline.start();
    world.works();
    busy(&|| wait_until("it is refused", || daemon.log().contains("BUSY")));
    world.works();
    daemon.wait_until_ready();
    world.ends_well(daemon, 1);
    let starting = std::cell::RefCell::new(None);
    busy(&|| {
        let daemon = world.pipeline.spawn(&[], &[]);
        daemon.wait_until_page("/readyz", "BUSY");
        starting.replace(Some(daemon));
    });
    let daemon = starting.take().unwrap();
    daemon.wait_until_ready();
    world.works();
    world.ends_well(daemon, 2);
}

/// Memory is full: what was appended is read all the same, and a daemon can start.
#[test]
fn a_full_redis_is_read() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut world = World::new(&redis, redis.url());
    let daemon = world.pipeline.start();
    world.works();
    daemon.freeze();
    // What its read was waiting for would still reach it.
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    (0..50).for_each(|_| drop(world.append()));
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    daemon.signal("CONT");
    world.wait();
    wait_until("it says that its clock stands still", || daemon.log().contains("clock stands still"));
    daemon.wait_until_ready();
    let refused = world.append();
    assert!(refused.starts_with("-OOM"), "{refused}");
    world.positions -= 1;

    // What is announced already need not be written for a start.
    assert!(daemon.stop().success());
    let daemon = world.pipeline.spawn(&[], &[]);
    daemon.wait_until_ready();
    assert!(!daemon.log().contains("waiting for Redis"), "{}", daemon.log());
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    wait_until("the clock goes on", || daemon.log().contains("over: the log's clock stands still"));
    world.works();
    world.ends_well(daemon, 2);

    // A new pipeline has to be announced.
    redis.command(&["FLUSHALL"]);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let mut world = World::new(&redis, redis.url());
    let daemon = world.pipeline.spawn(&[], &[]);
    daemon.wait_until_page("/readyz", "OOM");
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    daemon.wait_until_ready();
    world.works();
    world.ends_well(daemon, 1);
}

/// Memory is full, so nothing more comes and no further checkpoint is due: what was too young to be trimmed is trimmed
/// when it is older, which makes room.
#[test]
fn a_full_redis_is_trimmed() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut world = World::new(&redis, redis.url());
    world.pipeline.environment = vec![("WATCHTOWER_REDIS_LOG_KEEP", "5s")];
    world.pipeline.setup.clock = "log";
    world.pipeline.configure();
    let daemon = world.pipeline.start();
    for written in 1..=4 {
        world.works();
        wait_until("a checkpoint is written", || daemon.log().matches("checkpoint written").count() >= written);
    }
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    wait_until("it is trimmed", || redis.command(&["XLEN", "wt:lagos:events:0"]) != ":4\r\n");
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    world.works();
    world.ends_well(daemon, 1);
}

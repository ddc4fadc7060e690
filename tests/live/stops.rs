//! The daemon or a server is stopped in the middle of a run: afterwards the tables are those of a run that
//! nothing disturbed.

use std::sync::OnceLock;
use std::time::Duration;

use super::pipeline_on;
use crate::support::daemon::{Pipeline, wait_until};
use crate::support::entries::Log;
use crate::support::oracle::{compare, compare_under};
use crate::support::published::Published;
use crate::support::rng::Rng;
use crate::support::servers::postgres::{PostgresServer, Shutdown};
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// What is acknowledged is there after whatever happens to Redis.
const DURABLE: RedisOptions = RedisOptions { appendonly: true, password: None, config: &["appendfsync always"] };

/// Entries that are appended at once, and the pause after them: a run takes some seconds.
const PORTION: usize = 8;
const PAUSE: Duration = Duration::from_millis(20);

/// A log, and the tables it comes to when nothing happens.
struct Undisturbed {
    published: Published,
    log: Log,
    digest: Vec<(&'static str, String)>,
}

impl Undisturbed {
    fn get() -> &'static Self {
        static UNDISTURBED: OnceLock<Undisturbed> = OnceLock::new();
        UNDISTURBED.get_or_init(|| {
            let published = Published::random_many(1000..1030);
            let log = published.log(&mut Rng::new(1000), 3);
            let redis = RedisServer::start(RedisOptions::default());
            log.append(&redis.url());
            let pipeline = Self::pipeline_of(&published, &redis, PostgresServer::shared());
            let daemon = pipeline.start();
            pipeline.wait_for_entries(log.len());
            assert!(daemon.stop().success());
            println!("{} entries: {}", log.len(), pipeline.sql("SELECT sum(events) FROM commit_log"));
            // What is too much depends on what came before a restart.
            let too_many = "SELECT reason, count(*) > 20 FROM rejected_events WHERE reason LIKE 'too_many%' \
                            GROUP BY reason ORDER BY reason";
            assert_eq!(pipeline.sql(too_many), "too_many_positions|t\ntoo_many_vehicles|t");
            Undisturbed { digest: pipeline.digest(), published, log }
        })
    }

    fn pipeline_of(published: &Published, redis: &RedisServer, postgres: &PostgresServer) -> Pipeline {
        pipeline_on(redis, postgres, published.streams, 2, &published.configuration())
    }

    fn pipeline(&self, redis: &RedisServer, postgres: &PostgresServer) -> Pipeline {
        Self::pipeline_of(&self.published, redis, postgres)
    }

    /// Waits for all of the log, and holds the tables against those of the run that nothing disturbed.
    fn is_what_it_comes_to(&self, pipeline: &Pipeline) {
        pipeline.wait_for_entries(self.log.len());
        assert_eq!(pipeline.digest(), self.digest);
        compare_under(&self.published.rules, &pipeline.setup.postgres, "lagos").unwrap();
        pipeline.assert_commits_are_dense();
    }
}

#[test]
fn the_daemon_is_killed_three_times() {
    let undisturbed = Undisturbed::get();
    let redis = RedisServer::start(RedisOptions::default());
    let pipeline = undisturbed.pipeline(&redis, PostgresServer::shared());
    let seed =
        std::env::var("WATCHTOWER_SEED").map_or_else(|_| u64::from(std::process::id()), |seed| seed.parse().unwrap());
    println!("killed at times of seed {seed}");
    let mut rng = Rng::new(seed);
    let appending = undisturbed.log.start_appending(&redis.url(), PORTION, PAUSE);
    for number in 0..3 {
        // It may not even have got ready, but for one.
        let daemon = pipeline.spawn(&[], &[]);
        if number == 1 {
            let sql = "SELECT term > 0 FROM pipeline";
            wait_until("a daemon has taken over", || pipeline.try_sql(sql).is_ok_and(|taken| taken == "t"));
        }
        std::thread::sleep(Duration::from_millis(200 + rng.below(1_300) as u64));
        daemon.kill();
        println!("killed after commit {:?}", pipeline.try_sql("SELECT commit_seq, term FROM pipeline"));
    }
    let _daemon = pipeline.start();
    appending.join().unwrap();
    undisturbed.is_what_it_comes_to(&pipeline);
    assert_eq!(pipeline.sql("SELECT term > 1, halted FROM pipeline"), "t|", "several daemons");
}

#[test]
fn redis_is_restarted_and_killed() {
    let undisturbed = Undisturbed::get();
    let mut redis = RedisServer::start(DURABLE);
    let pipeline = undisturbed.pipeline(&redis, PostgresServer::shared());
    let daemon = pipeline.start();
    let appending = undisturbed.log.start_appending(&redis.url(), PORTION, PAUSE);
    std::thread::sleep(Duration::from_millis(700));
    redis.restart();
    std::thread::sleep(Duration::from_millis(700));
    redis.kill();
    daemon.wait_until_page("/readyz", "not ready: Redis is away");
    redis.restart();
    appending.join().unwrap();
    daemon.wait_until_ready();
    undisturbed.is_what_it_comes_to(&pipeline);
    assert_eq!(pipeline.sql("SELECT term, halted FROM pipeline"), "1|", "one daemon all the time");
}

#[test]
fn postgres_is_restarted_and_crashes() {
    let undisturbed = Undisturbed::get();
    let mut postgres = PostgresServer::start();
    let redis = RedisServer::start(RedisOptions::default());
    let pipeline = undisturbed.pipeline(&redis, &postgres);
    let daemon = pipeline.start();
    let third = undisturbed.log.entries.len() / 3 + 1;
    let parts = undisturbed.log.entries.chunks(third);
    for (shutdown, entries) in [Shutdown::Fast, Shutdown::Immediate, Shutdown::Immediate].into_iter().zip(parts) {
        let part = Log { entries: entries.to_vec(), keys: undisturbed.log.keys.clone() };
        let appending = part.start_appending(&redis.url(), PORTION, PAUSE);
        std::thread::sleep(Duration::from_millis(300));
        postgres.stop(shutdown);
        daemon.wait_until_page("/readyz", "not ready: PostgreSQL is away");
        postgres.restart();
        appending.join().unwrap();
        daemon.wait_until_ready();
    }
    undisturbed.is_what_it_comes_to(&pipeline);
    assert_eq!(pipeline.sql("SELECT term, halted FROM pipeline"), "1|", "one daemon all the time");
    assert!(daemon.stop().success());
    a_crash_forgets_no_row_that_lags(&mut postgres);
}

/// A row of `vehicle_state` is written once: it has to be there after a crash just after that.
fn a_crash_forgets_no_row_that_lags(postgres: &mut PostgresServer) {
    let redis = RedisServer::start(RedisOptions::default());
    let pipeline = pipeline_on(&redis, postgres, 1, 1, "");
    // Nobody else writes the log of changes to the disk.
    pipeline.sql("ALTER SYSTEM SET wal_writer_delay = '10s'");
    pipeline.sql("SELECT pg_reload_conf()");
    let daemon = pipeline.start();
    for (entries, vehicle) in [(1, "T1"), (2, "T2")] {
        let position =
            format!(r#"{{"type":"position","vehicle_id":"{vehicle}","ts":1795413600000,"lon":3.4,"lat":6.5}}"#);
        redis.command(&["XADD", &pipeline.keys()[0], "*", "json", &position, "received_at", "1795413600000"]);
        pipeline.wait_for_entries(entries);
        postgres.stop(Shutdown::Immediate);
        postgres.restart();
    }
    assert_eq!(pipeline.sql("SELECT string_agg(vehicle_id, ',' ORDER BY vehicle_id) FROM vehicle_state"), "T1,T2");
    compare(&pipeline.setup.postgres, "lagos").unwrap();
    assert!(daemon.stop().success());
}

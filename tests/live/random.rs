//! Random logs, with everything that can happen to one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use watchtower_core::tables::TABLES;

use crate::support::admitted::Admitted;
use crate::support::daemon::{COMPUTED, Pipeline, Setup};
use crate::support::entries::Log;
use crate::support::load::{differences, load, make_tables};
use crate::support::oracle::compare_under;
use crate::support::published::{Published, reordered};
use crate::support::rng::Rng;
use crate::support::servers::postgres::{PostgresServer, psql};
use crate::support::servers::redis::{RedisOptions, RedisServer};
use crate::support::{cases, number};

/// As many as take some twenty seconds.
const CASES: u64 = 10;

/// What is the same however a log is cut into entries, besides what is computed.
const COUNTED: [&str; 2] =
    ["SELECT * FROM positions", "SELECT stream, reason, sum(events) FROM rejected_counts GROUP BY stream, reason"];

/// Where logs are tried one after the other: each time Redis and the pipeline's schema are empty.
struct Place {
    redis: RedisServer,
    url: String,
}

impl Place {
    fn new() -> Self {
        let url = PostgresServer::shared().database();
        make_tables(&url);
        Self { redis: RedisServer::start(RedisOptions::default()), url }
    }

    /// Runs a daemon until all of the log is in the tables; `while_running`: appended while it reads.
    fn run(&self, log: &Log, published: &Published, workers: u16, while_running: bool) -> Pipeline {
        self.redis.command(&["FLUSHALL"]);
        psql(&self.url, "SET client_min_messages = warning; DROP SCHEMA IF EXISTS lagos CASCADE");
        let pipeline = Pipeline::new(Setup {
            redis: self.redis.url(),
            postgres: self.url.clone(),
            streams: published.streams,
            workers,
            clock: "log",
            more: published.configuration(),
        });
        let url = self.redis.url();
        let daemon = if while_running {
            let daemon = pipeline.start();
            let portion = log.entries.len() / 20 + 1;
            log.start_appending(&url, portion, Duration::from_millis(10)).join().unwrap();
            daemon
        } else {
            log.append(&url);
            pipeline.start()
        };
        pipeline.wait_for_entries(log.len());
        assert!(daemon.stop().success());
        pipeline
    }
}

/// What the daemon wrote is what PostGIS computes from its archive, and what comes out by the book.
fn is_right(pipeline: &Pipeline, published: &Published, log: &Log) -> Admitted {
    let admitted = Admitted::new(log, &published.limits);
    let url = &pipeline.setup.postgres;
    compare_under(&published.rules, url, "lagos").unwrap();

    let folder = tempfile::tempdir().unwrap();
    admitted.write(&published.rules, folder.path());
    load(url, folder.path(), admitted.now);
    let tables: Vec<&str> =
        TABLES.iter().map(|table| table.name).filter(|name| !name.starts_with("rejected")).collect();
    differences(url, "lagos", &tables).unwrap();

    let rejected =
        pipeline.sql("SELECT stream, position, reason, length(event), size_bytes, sha256 FROM rejected_events");
    let rejected: BTreeSet<String> = rejected.lines().map(str::to_owned).collect();
    assert_eq!(rejected, admitted.rejected_lines());
    let counts =
        pipeline.sql("SELECT stream, extract(epoch FROM hour)::bigint, reason, events, kept FROM rejected_counts");
    let counts: BTreeSet<String> = counts.lines().map(str::to_owned).collect();
    assert_eq!(counts, admitted.rejected_counts());
    let rest = "SELECT (SELECT sum(events) FROM commit_log), now = (SELECT now FROM loaded.pipeline) FROM pipeline";
    assert_eq!(pipeline.sql(rest), format!("{}|t", admitted.events));
    pipeline.assert_commits_are_dense();
    admitted
}

#[test]
fn random_logs_come_to_what_postgis_computes_however_they_are_read() {
    let first = number("WATCHTOWER_SEED").unwrap_or(0);
    let cases = cases(CASES, 100);
    let place = Place::new();
    for seed in first..first + cases {
        let begun = Instant::now();
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let published = Published::random(seed);
        let most = [1, 3, 20];
        let log = published.log(&mut rng, most[seed as usize % 3]);
        let workers = 1 + rng.below(2) as u16;

        let before = place.run(&log, &published, workers, false);
        let Admitted { events, rejected, .. } = is_right(&before, &published, &log);
        let (digest, computed) = (before.digest(), before.digest_of(&[&COMPUTED, &COUNTED]));

        let meanwhile = place.run(&reordered(&log, &mut rng), &published, 3 - workers, true);
        assert_eq!(meanwhile.digest(), digest, "seed {seed}: read while it was written");

        let again = published.log(&mut rng, most[(seed as usize + 1) % 3]);
        let cut = place.run(&again, &published, workers, true);
        assert_eq!(cut.digest_of(&[&COMPUTED, &COUNTED]), computed, "seed {seed}: cut into other entries");
        println!(
            "seed {seed}: {events} events in {} and {} entries, {} refused, {:.1?}",
            log.len(),
            again.len(),
            rejected.len(),
            begun.elapsed()
        );
    }
}

//! Redis lost entries that the tables need, or only such as they do not need.

use super::pipeline;
use crate::support::daemon::{Pipeline, wait_until};
use crate::support::entries::Log;
use crate::support::oracle::compare_under;
use crate::support::published::Published;
use crate::support::rng::Rng;
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// A pipeline that has read half of a log, and was stopped then.
struct Halfway {
    redis: RedisServer,
    published: Published,
    log: Log,
    pipeline: Pipeline,
}

impl Halfway {
    fn new() -> Self {
        let published = Published::random_many(3000..3010);
        let log = published.log(&mut Rng::new(3000), 2);
        let redis = RedisServer::start(RedisOptions::default());
        let mut pipeline = pipeline(&redis, published.streams, 1, &published.configuration());
        // What is removed is removed here.
        pipeline.environment = vec![("WATCHTOWER_REDIS_LOG_KEEP", "3650d")];
        let daemon = pipeline.start();
        let half = log.entries.len() / 2;
        log.clone().first(half).append(&redis.url());
        pipeline.wait_for_entries(half as u64);
        assert!(daemon.stop().success());
        Self { redis, published, log, pipeline }
    }

    /// Appends the rest, and holds the tables against what PostGIS computes.
    fn goes_on(&self) {
        let daemon = self.pipeline.start();
        self.log.append(&self.redis.url());
        self.pipeline.wait_for_entries(self.log.len());
        compare_under(&self.published.rules, &self.pipeline.setup.postgres, "lagos").unwrap();
        self.pipeline.assert_commits_are_dense();
        assert!(daemon.stop().success());
    }

    fn remove_checkpoints(&self) {
        std::fs::remove_dir_all(self.pipeline.checkpoints()).unwrap();
    }

    /// How many entries of a stream the tables contain, and the id of the last.
    fn cursor(&self, key: &str) -> (u64, String) {
        let answer = self.pipeline.sql(&format!("SELECT entries, last_id FROM cursors WHERE stream = '{key}'"));
        let (entries, last) = answer.split_once('|').unwrap();
        (entries.parse().unwrap(), last.to_owned())
    }
}

#[test]
fn without_its_log_and_checkpoints_a_daemon_says_how_much_is_lost() {
    let halfway = Halfway::new();
    let Halfway { redis, pipeline, .. } = &halfway;
    let before = pipeline.digest();
    halfway.remove_checkpoints();
    // A part of one stream first.
    let key = &pipeline.keys()[1];
    let (entries, last) = halfway.cursor(key);
    redis.command(&["XTRIM", key, "MAXLEN", "5"]);
    let log = pipeline.spawn(&[], &[]).ends_with(1);
    let lost = entries - 5;
    let told = format!("{key}: the tables contain {entries} entries up to {last}, and Redis no longer holds {lost} of");
    assert!(log.contains(&told), "{told}\n{log}");

    redis.command(&["FLUSHALL"]);
    let log = pipeline.spawn(&[], &[]).ends_with(1);
    let told = pipeline.keys().iter().any(|key| {
        let (entries, last) = halfway.cursor(key);
        let told =
            format!("{key}: the tables contain {entries} entries up to {last}, and Redis no longer holds {entries} of");
        log.contains(&told)
    });
    assert!(told, "{log}");
    assert_eq!(pipeline.digest(), before, "the tables stay as they are");
}

#[test]
fn a_flushed_redis_is_noticed_though_there_is_a_checkpoint() {
    let halfway = Halfway::new();
    let Halfway { redis, pipeline, .. } = &halfway;
    redis.command(&["FLUSHALL"]);
    let daemon = pipeline.spawn(&[], &[]);
    daemon.wait_until_page("/readyz", "halted: ");
    let (status, page) = daemon.page("/readyz").unwrap();
    let (entries, _) = halfway.cursor(&pipeline.keys()[0]);
    assert_eq!(status, 503);
    assert!(page.contains(&format!("{entries} entries were read")), "{page}");
    assert!(page.contains(&format!("at least {entries} were never added")), "{page}");
    assert!(daemon.stop().success());
    assert_ne!(pipeline.sql("SELECT halted FROM pipeline"), "");
}

#[test]
fn what_the_last_checkpoint_contains_need_not_be_there_any_more() {
    let halfway = Halfway::new();
    for (which, key) in halfway.pipeline.keys().iter().enumerate() {
        let (_, last) = halfway.cursor(key);
        // The last entry that was read, or not even that.
        match which {
            0 => halfway.redis.command(&["XTRIM", key, "MINID", &last]),
            _ => halfway.redis.command(&["XTRIM", key, "MAXLEN", "0"]),
        };
    }
    halfway.goes_on();
}

#[test]
fn what_is_trimmed_before_it_is_read_halts_the_daemon_until_somebody_decides() {
    let halfway = Halfway::new();
    let Halfway { redis, pipeline, log, .. } = &halfway;
    let daemon = pipeline.start();
    daemon.freeze();
    // What its read was waiting for would still reach it.
    redis.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    log.append(&redis.url());
    let key = &pipeline.keys()[0];
    let (entries, last) = halfway.cursor(key);
    redis.command(&["XTRIM", key, "MAXLEN", "3"]);
    daemon.signal("CONT");
    daemon.wait_until_page("/readyz", "halted: ");
    let added = log.entries.iter().filter(|entry| entry.stream == 0).count() as u64;
    let lost = added - entries - 3;
    let told = format!("{key}: {lost} entries after {last} are lost");
    let (_, page) = daemon.page("/readyz").unwrap();
    assert!(page.contains(&told) && page.contains("resume --accept-gap"), "{told}\n{page}");
    wait_until("it says so in the database", || pipeline.sql("SELECT halted FROM pipeline").contains(&told));
    assert_eq!(daemon.page("/healthz").unwrap().0, 200, "a restart would not help");
    assert!(daemon.stop().success());

    let output = pipeline.run("resume", &["--accept-gap"]);
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && printed.contains(&format!("{key}: continues without {lost} entries")),
        "{printed}"
    );
    let note = pipeline.sql("SELECT note FROM commit_log WHERE note IS NOT NULL");
    assert_eq!(note, format!("accepted the loss: {key}: continues without {lost} entries"));
    let daemon = pipeline.start();
    pipeline.wait_for_entries(log.len());
    compare_under(&halfway.published.rules, &pipeline.setup.postgres, "lagos").unwrap();
    assert_eq!(pipeline.sql("SELECT halted FROM pipeline"), "");
    assert!(daemon.stop().success());
}

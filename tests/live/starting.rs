//! How a daemon gets to its servers: they may come later, want a password, or be behind a pooler.

use std::fs;

use super::{pipeline, pipeline_on};
use crate::support::daemon::{Daemon, Pipeline};
use crate::support::servers::pgbouncer::PgBouncer;
use crate::support::servers::postgres::{PostgresServer, Shutdown, psql};
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// Appends a position and waits until it is in the tables.
fn works(pipeline: &Pipeline, redis: &RedisServer) {
    let key = &pipeline.keys()[0];
    let before: u64 = pipeline.sql("SELECT coalesce(sum(entries), 0) FROM cursors").parse().unwrap();
    let position = ["type", "position", "vehicle_id", "T1", "ts", "2026-11-23T06:00:00Z", "lon", "3.47", "lat", "6.55"];
    redis.command(&[&["XADD", key, "*", "received_at", "2026-11-23T06:00:00Z"][..], &position[..]].concat());
    pipeline.wait_for_entries(before + 1);
    assert_eq!(pipeline.sql("SELECT count(*) FROM vehicle_state"), "1");
}

/// It is not ready, for this reason; it lives all the same.
fn waits(daemon: &Daemon, reason: &str) {
    daemon.wait_until_page("/readyz", reason);
    assert_eq!(daemon.page("/readyz").unwrap().0, 503);
    assert_eq!(daemon.page("/healthz").unwrap(), (200, "ok\n".to_owned()));
}

#[test]
fn a_daemon_waits_for_servers_that_are_not_there_yet() {
    let mut redis = RedisServer::start(RedisOptions::default());
    let mut postgres = PostgresServer::start();
    let pipeline = pipeline_on(&redis, &postgres, 1, 1, "");
    redis.stop();
    postgres.stop(Shutdown::Fast);
    let daemon = pipeline.spawn(&[], &[]);
    waits(&daemon, "starting: waiting for PostgreSQL: cannot connect to PostgreSQL at 127.0.0.1:");
    postgres.restart();
    waits(&daemon, "starting: waiting for Redis: ");
    redis.restart();
    daemon.wait_until_ready();
    works(&pipeline, &redis);
    let log = daemon.log();
    for said in ["waiting for PostgreSQL", "connected to PostgreSQL", "waiting for Redis", "connected to Redis"] {
        assert_eq!(log.matches(said).count(), 1, "{said}:\n{log}");
    }
    assert!(daemon.stop().success());

    redis.stop();
    let daemon = pipeline.spawn(&[], &[]);
    waits(&daemon, "starting: waiting for Redis: ");
    assert!(daemon.stop().success(), "who waits can be stopped");
}

#[test]
fn passwords_are_needed_and_never_told() {
    let redis = RedisServer::start(RedisOptions { password: Some("sesame"), ..RedisOptions::default() });
    let mut pipeline = pipeline(&redis, 1, 1, "");
    let daemon = pipeline.start();
    works(&pipeline, &redis);
    assert!(daemon.stop().success());

    let right = redis.url();
    for (url, told) in [(right.replace("sesame", "sEcReT"), "assword"), (right.replace(":sesame@", ""), "NOAUTH")] {
        pipeline.setup.redis = url;
        pipeline.configure();
        let log = pipeline.spawn(&[], &[]).ends_with(1);
        assert!(log.contains(told) && log.contains("Redis at 127.0.0.1:"), "{told}:\n{log}");
        assert!(!log.contains("sEcReT"), "{log}");
    }

    // One user of the database needs a password, whom nobody else is.
    pipeline.setup.redis = right;
    let url = pipeline.setup.postgres.clone();
    psql(&url, "CREATE ROLE careful LOGIN SUPERUSER PASSWORD 'sesame'");
    let file = psql(&url, "SHOW hba_file");
    let rules = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("host all careful 127.0.0.1/32 scram-sha-256\n{rules}")).unwrap();
    psql(&url, "SELECT pg_reload_conf()");
    for (user, told) in [("careful:sEcReT", "password authentication failed"), ("careful", "password missing")] {
        pipeline.setup.postgres = url.replace("postgres@", &format!("{user}@"));
        pipeline.configure();
        let log = pipeline.spawn(&[], &[]).ends_with(1);
        assert!(log.contains(told) && log.contains("as careful"), "{told}:\n{log}");
        assert!(!log.contains("sEcReT"), "{log}");
    }
    pipeline.setup.postgres = url.replace("postgres@", "careful:sesame@");
    pipeline.configure();
    let daemon = pipeline.start();
    works(&pipeline, &redis);
    assert!(!daemon.log().contains("sesame"));
}

#[test]
fn a_pooler_has_to_lend_whole_sessions() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut pipeline = pipeline(&redis, 1, 1, "");
    let url = pipeline.setup.postgres.clone();
    for sessions in [1, 20] {
        let Some(pooler) = PgBouncer::start(&url, "transaction", sessions) else { return };
        pipeline.setup.postgres = pooler.url();
        pipeline.configure();
        let log = pipeline.spawn(&[], &[]).ends_with(1);
        assert!(log.contains("behind a pooler in transaction mode"), "{log}");
        assert!(log.contains("pool_mode = session"), "{log}");
        let found = pipeline.run("check", &[]);
        let found = String::from_utf8_lossy(&found.stdout);
        assert!(found.contains("WRONG   PostgreSQL at 127.0.0.1:") && found.contains("transaction mode"), "{found}");
    }
    let pooler = PgBouncer::start(&url, "session", 20).unwrap();
    pipeline.setup.postgres = pooler.url();
    pipeline.configure();
    let daemon = pipeline.start();
    works(&pipeline, &redis);
    assert!(daemon.stop().success());
}

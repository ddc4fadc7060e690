//! Servers that may lose what they were given are refused, unless that is wanted.

use crate::support::daemon::{Pipeline, Setup};
use crate::support::servers::postgres::{PostgresServer, psql};
use crate::support::servers::redis::{RedisOptions, RedisServer};

fn pipeline(redis: &RedisServer, postgres: String) -> Pipeline {
    let (redis, more) = (redis.url(), String::new());
    Pipeline::new(Setup { redis, postgres, streams: 1, workers: 1, clock: "log", more })
}

/// What the daemon and `check` say; the daemon does not come far.
fn refused(pipeline: &Pipeline) -> (String, String) {
    let mut daemon = pipeline.spawn(&[], &[]);
    assert_eq!(daemon.wait().code(), Some(1));
    let check = pipeline.run("check", &[]);
    assert_eq!(check.status.code(), Some(1));
    (daemon.log(), String::from_utf8(check.stdout).unwrap())
}

/// The same of a daemon that runs because the variable is set, and stops.
fn allowed(pipeline: &Pipeline, variable: &str) -> (String, String) {
    let daemon = pipeline.spawn(&[], &[(variable, "true")]);
    daemon.wait_until_ready();
    let log = daemon.log();
    assert!(daemon.stop().success());
    let check = pipeline.command("check", &[]).env(variable, "true").output().unwrap();
    let check = String::from_utf8(check.stdout).unwrap();
    assert!(!check.contains("WRONG"), "{check}");
    (log, check)
}

#[test]
fn a_redis_that_evicts_is_refused() {
    for policy in ["maxmemory-policy allkeys-lru", "maxmemory-policy volatile-ttl"] {
        let lines: &[&str] = match policy.contains("lru") {
            true => &["maxmemory 100mb", "maxmemory-policy allkeys-lru"],
            false => &["maxmemory 100mb", "maxmemory-policy volatile-ttl"],
        };
        let config = Box::leak(Box::new(lines.to_vec()));
        let redis = RedisServer::start(RedisOptions { config, ..RedisOptions::default() });
        let pipeline = pipeline(&redis, PostgresServer::shared().database());
        let fault = format!(
            "it may throw away streams when its memory is full ({policy}), and with them events that nobody has read: \
             set maxmemory-policy noeviction"
        );
        let (log, check) = refused(&pipeline);
        let advice = format!("{fault}, or [redis] allow_eviction = true to run all the same\n");
        assert!(log.ends_with(&advice), "{log}");
        assert!(check.contains(&format!("WRONG   Redis: {fault}\n")), "{check}");
        let (log, check) = allowed(&pipeline, "WATCHTOWER_REDIS_ALLOW_EVICTION");
        assert!(log.contains(&format!("{fault}; [redis] allow_eviction is true")), "{log}");
        assert!(check.contains(&format!("warning Redis: {fault} ([redis] allow_eviction is true)\n")), "{check}");
        redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
        assert!(pipeline.start().stop().success(), "what is never full evicts nothing");
    }
}

#[test]
fn how_well_redis_keeps_events_is_said() {
    let none = "Redis has no append-only file: events since its last snapshot are lost if it stops; set appendonly yes";
    let (all, second) = ("(appendonly yes, appendfsync always)", "(appendonly yes, appendfsync everysec)");
    for (appendonly, config, expected) in [
        (false, [].as_slice(), none),
        (true, ["appendfsync always"].as_slice(), all),
        (true, ["appendfsync everysec"].as_slice(), second),
    ] {
        let redis = RedisServer::start(RedisOptions { appendonly, config, ..RedisOptions::default() });
        let replica = RedisServer::start(RedisOptions::default());
        replica.command(&["REPLICAOF", "127.0.0.1", redis.url().rsplit_once(':').unwrap().1]);
        crate::support::daemon::wait_until("it has a replica", || {
            redis.command(&["INFO", "replication"]).contains("connected_slaves:1")
        });
        let pipeline = pipeline(&redis, PostgresServer::shared().database());
        let daemon = pipeline.start();
        assert!(daemon.log().contains(&format!("{expected}; it has 1 replica\n")), "{}", daemon.log());
        assert!(daemon.stop().success());
        let check = String::from_utf8(pipeline.run("check", &[]).stdout).unwrap();
        assert!(check.contains(expected), "{check}");
        assert_eq!(check.contains("warning Redis has no append-only file"), !appendonly, "{check}");
    }
}

#[test]
fn a_postgresql_that_may_be_corrupted_is_refused() {
    let server = PostgresServer::start();
    let redis = RedisServer::start(RedisOptions::default());
    let database = server.database();
    let pipeline = pipeline(&redis, database.clone());
    let set = |name: &str, value: &str| {
        psql(&database, &format!("ALTER SYSTEM SET {name} = {value}"));
        psql(&database, "SELECT pg_reload_conf()");
        crate::support::daemon::wait_until(name, || psql(&database, &format!("SHOW {name}")) == value);
    };
    for name in ["fsync", "full_page_writes"] {
        set(name, "off");
        let fault =
            format!("PostgreSQL has {name} = off: the database may be corrupted when its machine fails; set it on");
        let (log, check) = refused(&pipeline);
        assert!(log.contains(&format!("{fault}, or [store] allow_unsafe = true to run all the same\n")), "{log}");
        assert!(check.contains(&format!("WRONG   {fault}\n")), "{check}");
        assert_eq!(psql(&database, "SELECT to_regnamespace('lagos') IS NULL"), "t", "nothing was touched");
        let (log, check) = allowed(&pipeline, "WATCHTOWER_STORE_ALLOW_UNSAFE");
        assert!(log.contains(&fault), "{log}");
        assert!(check.contains(&format!("warning {fault} ([store] allow_unsafe is true")), "{check}");
        psql(&database, "DROP SCHEMA lagos CASCADE");
        set(name, "on");
    }
    assert!(pipeline.start().stop().success());
}

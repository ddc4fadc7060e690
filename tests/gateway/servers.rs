//! With the daemon behind it, on servers and in one file: what a phone sends ends as a visit. And what happens when Redis
//! does not do its part.

mod check;
mod kills;
mod schemathesis;
mod signers;

use std::time::Duration;

use super::support::{YARD, now_s, position, try_request};
use crate::support::daemon::{Daemon, Pipeline, Setup, wait_until};
use crate::support::file::OneFile;
use crate::support::servers::free_port;
use crate::support::servers::postgres::PostgresServer;
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// The way of a phone: into the yard and out of it. When it entered and left, epoch seconds.
fn drive(port: u16) -> (i64, i64) {
    let answer = try_request(port, "POST", "/v1/geofences", &[], YARD.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let start = now_s() - 300;
    for (minute, lon) in [3.30, 3.36, 3.361, 3.362, 3.40].into_iter().enumerate() {
        let ts = start + 60 * minute as i64;
        let path = format!("/in/osmand?id=T1&lat=6.44&lon={lon}&timestamp={ts}&speed=10");
        let answer = try_request(port, "GET", &path, &[], b"").unwrap();
        assert_eq!((answer.status, &answer.json()["accepted"]), (200, &1.into()), "{answer:?}");
    }
    (start + 60, start + 240)
}

/// Starts `watchtower gateway` on the configuration of a pipeline, and waits until it is ready.
fn gateway(pipeline: &Pipeline, port: u16) -> Daemon {
    let daemon = Daemon::spawn(pipeline.command("gateway", &[]), port, pipeline.config().parent().unwrap());
    daemon.wait_until_ready();
    daemon
}

#[test]
fn a_request_of_a_phone_ends_as_a_visit_with_servers() {
    let (redis, port) = (RedisServer::start(RedisOptions::default()), free_port());
    let pipeline = Pipeline::new(Setup {
        redis: redis.url(),
        postgres: PostgresServer::shared().database(),
        streams: 4,
        workers: 1,
        clock: "wall",
        more: format!("[gateway]\nlisten = \"127.0.0.1:{port}\""),
    });
    let _daemon = pipeline.start();
    let gateway = gateway(&pipeline, port);
    let (entered_s, exited_s) = drive(port);
    let sql = "SELECT vehicle_id, geofence_id, extract(epoch FROM entered_at)::bigint, \
               extract(epoch FROM exited_at)::bigint FROM visits WHERE exited_at IS NOT NULL";
    wait_until("the visit is there", || pipeline.sql(sql) == format!("T1|yard|{entered_s}|{exited_s}"));
    assert_eq!(pipeline.sql("SELECT count(*) FROM rejected_events"), "0");
    // Versions are those of the tables; who reads tables cannot read tokens.
    let put =
        |tag: &str| try_request(port, "PUT", "/v1/geofences/yard", &[("If-Match", tag)], YARD.as_bytes()).unwrap();
    let refused = put("\"other\"");
    assert_eq!(refused.status, 412, "{refused:?}");
    assert_eq!(put(&refused.headers["etag"]).status, 200);
    let readable = "SELECT has_table_privilege('watchtower_reader', 'lagos.tokens', 'SELECT'), \
                    has_table_privilege('watchtower_reader', 'lagos.visits', 'SELECT')";
    assert_eq!(pipeline.sql(readable), "f|t");
    assert_eq!(gateway.stop().code(), Some(0));
}

#[test]
fn a_request_of_a_phone_ends_as_a_visit_in_one_file() {
    let port = free_port();
    let one = OneFile::new(1, &format!("[gateway]\nenabled = true\nlisten = \"127.0.0.1:{port}\""));
    let daemon = one.spawn(&[], &[]);
    daemon.wait_until_ready();
    let (entered_s, exited_s) = drive(port);
    let sql = format!(
        "SELECT count(*) FROM visits WHERE vehicle_id = 'T1' AND geofence_id = 'yard' \
         AND unixepoch(entered_at) = {entered_s} AND unixepoch(exited_at) = {exited_s}"
    );
    wait_until("the visit is there", || one.number(&sql) == Some(1));
    assert_eq!(one.number("SELECT count(*) FROM visits"), Some(1));
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn tokens_are_kept_in_the_schema_and_across_a_rebuild() {
    let (redis, port) = (RedisServer::start(RedisOptions::default()), free_port());
    let more = format!("[gateway]\nrequire_tokens = true\nlisten = \"127.0.0.1:{port}\"");
    let postgres = PostgresServer::shared().database();
    let setup = Setup { redis: redis.url(), postgres, streams: 1, workers: 1, clock: "log", more };
    let pipeline = Pipeline::new(setup);
    let daemon = pipeline.start();
    let gateway = gateway(&pipeline, port);
    let config = pipeline.config().display().to_string();
    let create = |arguments: &[&str]| {
        let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_watchtower"));
        process.args(["token", "create", "--name", "t", "--config", &config]).args(arguments);
        let output = process.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        format!("Bearer {}", String::from_utf8(output.stdout).unwrap().trim())
    };
    let all = create(&["--role", "admin"]);
    let (fleet, device) =
        (create(&["--role", "ingest", "--fleet", "VPC"]), create(&["--role", "ingest", "--device", "T9"]));
    let send = |token: &str, id: &str| {
        let headers = [("Authorization", token)];
        try_request(port, "POST", "/v1/events", &headers, position(id).as_bytes()).unwrap().status
    };
    let vehicle = br#"{"name":"MACK","fleet":"VPC"}"#;
    let put = try_request(port, "PUT", "/v1/vehicles/T1", &[("Authorization", &all)], vehicle).unwrap();
    assert_eq!(put.status, 200, "{put:?}");
    pipeline.wait_for_entries(1);
    std::thread::sleep(Duration::from_secs(4)); // fleets are read again after three
    assert_eq!(
        (send(&fleet, "T1"), send(&fleet, "T2"), send(&device, "T9"), send(&device, "T1")),
        (200, 403, 200, 403)
    );
    assert_eq!(send("Bearer wt_0", "T1"), 401);
    assert_eq!(daemon.stop().code(), Some(0));
    let rebuilt = pipeline.run("rebuild", &[]);
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    assert_eq!(pipeline.sql("SELECT count(*) FROM tokens"), "3");
    drop(gateway);
}

#[test]
fn redis_that_is_away_full_or_read_only_is_answered_with_503_and_nothing_is_half_accepted() {
    let (mut redis, port) =
        (RedisServer::start(RedisOptions { appendonly: true, ..RedisOptions::default() }), free_port());
    let postgres = "postgres://nobody@127.0.0.1:1/none".to_owned(); // no daemon runs
    let more = format!("[gateway]\nlisten = \"127.0.0.1:{port}\"");
    let setup = Setup { redis: redis.url(), postgres, streams: 2, workers: 1, clock: "wall", more };
    let pipeline = Pipeline::new(setup);
    let _gateway = gateway(&pipeline, port);
    // Both streams, and the control stream.
    let body = format!(
        "[{},{},{{\"type\":\"vehicle\",\"vehicle_id\":\"T1\",\"name\":\"MACK\"}}]",
        ["T1", "T2", "T3"].map(position).join(","),
        position("T4")
    );
    let send = || try_request(port, "POST", "/v1/events", &[], body.as_bytes()).unwrap();
    let lengths = |redis: &RedisServer| -> Vec<String> {
        pipeline.keys().iter().map(|key| redis.command(&["XLEN", key])).collect()
    };
    assert_eq!(send().status, 200);
    let before = lengths(&redis);
    for (setting, bad, good) in [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")] {
        redis.command(&["CONFIG", "SET", setting, bad]);
        let answer = send();
        assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (503, "5"), "{setting}: {answer:?}");
        redis.command(&["CONFIG", "SET", setting, good]);
        assert_eq!(lengths(&redis), before, "{setting}");
    }
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(send().status, 503, "read-only");
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    assert_eq!(lengths(&redis), before);
    redis.stop();
    let answer = send();
    assert_eq!((answer.status, answer.headers["retry-after"].as_str()), (503, "5"));
    assert!(!answer.body.contains("127.0.0.1"), "{answer:?}");
    assert_eq!(try_request(port, "GET", "/readyz", &[], b"").unwrap().status, 503);
    redis.restart();
    assert_eq!(send().status, 200);
    assert_ne!(lengths(&redis), before);
}

//! Tables of another meaning are computed anew, from the log or from the archive, and switched at once.

use std::fmt::Write as _;

use crate::support::daemon::{Pipeline, Setup, wait_until};
use crate::support::oracle::compare;
use crate::support::servers::postgres::PostgresServer;
use crate::support::servers::redis::{RedisOptions, RedisServer};

const START: i64 = 1_795_435_200_000;
const MINUTE: i64 = 60_000;

/// A day of five vehicles around a yard that is redrawn at noon as of the morning; some positions arrive
/// two hours late, some are withdrawn, some lines are no events.
fn log() -> String {
    let mut lines = String::new();
    let yard = |from: i64, radius_m: i64, at: i64| {
        format!(
            r#"{{"type":"geofence","geofence_id":"yard","kind":"depot","valid_from":{from},"received_at":{at},"min_dwell_s":300,"geometry":{{"type":"Point","coordinates":[3.36,6.44]}},"radius_m":{radius_m}}}"#
        )
    };
    writeln!(lines, "{}", yard(START - MINUTE, 500, START)).unwrap();
    writeln!(lines, r#"{{"type":"vehicle","vehicle_id":"v1","name":"MACK","fleet":"A","received_at":{START}}}"#)
        .unwrap();
    for minute in 0..1440 {
        let now = START + minute * MINUTE;
        for vehicle in 0..5 {
            let phase = f64::from((minute as i32 * 7 + vehicle * 13) % 60) / 60.0 * std::f64::consts::TAU;
            let (lon, lat) = (3.36 + 0.006 * phase.cos(), 6.44 + 0.006 * phase.sin());
            let late = if minute % 11 == i64::from(vehicle) { 120 * MINUTE } else { 0 };
            let ts = now - late;
            let line = format!(
                r#"{{"type":"position","vehicle_id":"v{vehicle}","ts":{ts},"lon":{lon:.7},"lat":{lat:.7},"received_at":{now},"attributes":{{"minute":{minute}}}}}"#
            );
            writeln!(lines, "{line}").unwrap();
        }
        match minute {
            _ if minute % 97 == 50 => {
                writeln!(lines, r#"{{"type":"position","vehicle_id":"v2","ts":{},"deleted":true}}"#, now - 3 * MINUTE)
                    .unwrap();
                writeln!(lines, r#"{{"type":"position","vehicle_id":"v2","ts":"noon"}}"#).unwrap();
            }
            720 => writeln!(lines, "{}", yard(START + 60 * MINUTE, 700, now)).unwrap(),
            _ => {}
        }
    }
    lines
}

#[test]
fn a_changed_plan_is_refused_until_the_tables_are_rebuilt() {
    let redis = RedisServer::start(RedisOptions::default());
    let new = || {
        Pipeline::new(Setup {
            redis: redis.url(),
            postgres: PostgresServer::shared().database(),
            streams: 2,
            workers: 1,
            clock: "log",
            more: String::new(),
        })
    };
    let mut pipeline = new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.ndjson");
    std::fs::write(&file, log()).unwrap();
    let daemon = pipeline.start();
    pipeline.publish(&["--events", file.to_str().unwrap(), "--batch", "16"]);
    let entries: u64 = pipeline.keys().iter().map(|key| length(&redis, key)).sum();
    pipeline.wait_for_entries(entries);
    assert!(daemon.stop().success());
    let six_hours = pipeline.digest();

    // Nothing changed, nothing to do.
    let output = pipeline.run("rebuild", &[]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing to rebuild"), "{output:?}");

    // Of each vehicle some positions are too many now.
    pipeline.setup.more = "lateness = \"1h\"\nmax_retained_positions = 220".to_owned();
    pipeline.configure();
    let mut refused = pipeline.spawn(&[], &[]);
    assert_eq!(refused.wait().code(), Some(1));
    assert!(refused.log().contains("limits.lateness_ms was 21600000 and is 3600000"), "{}", refused.log());
    assert!(refused.log().contains("watchtower rebuild"), "{}", refused.log());
    assert_eq!(pipeline.digest(), six_hours, "nothing was written");

    // What a pipeline that always had that plan says.
    let fresh = Pipeline::new(Setup { postgres: PostgresServer::shared().database(), ..pipeline.setup.clone() });
    let daemon = fresh.start();
    fresh.wait_for_entries(entries);
    assert!(daemon.stop().success());
    let one_hour = fresh.digest();
    assert_ne!(one_hour, six_hours);
    let too_many = "SELECT count(*) > 100 FROM rejected_events WHERE reason = 'too_many_positions'";
    assert_eq!(fresh.sql(too_many), "t");

    let output = pipeline.run("rebuild", &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(pipeline.digest(), one_hour, "from the log");
    compare(&pipeline.setup.postgres, "lagos").unwrap();
    let daemon = pipeline.start();
    pipeline.wait_for_entries(entries);
    assert!(daemon.stop().success());

    // Half of the log goes: the archive has it, and what was refused stays refused.
    for key in pipeline.keys() {
        redis.command(&["XTRIM", &key, "MAXLEN", &(length(&redis, &key) / 2).to_string()]);
    }
    let before = pipeline.digest();
    let output = pipeline.run("rebuild", &["--force"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(pipeline.digest(), before, "from the archive");
    compare(&pipeline.setup.postgres, "lagos").unwrap();
    let daemon = pipeline.start();
    pipeline.wait_for_entries(entries);
    pipeline.publish(&["--events", file.to_str().unwrap(), "--batch", "64"]);
    let more: u64 = pipeline.keys().iter().map(|key| added(&redis, key)).sum();
    pipeline.wait_for_entries(more);
    compare(&pipeline.setup.postgres, "lagos").unwrap();
    assert!(daemon.stop().success());
}

/// Somebody's clock is years ahead. With `[clock] source = "wall"` an entry cannot be from later than its own id, for a
/// rebuild as for the daemon before it.
#[test]
fn a_clock_that_is_ahead_ages_nobody_in_a_rebuild() {
    let redis = RedisServer::start(RedisOptions::default());
    let pipeline = Pipeline::new(Setup {
        redis: redis.url(),
        postgres: PostgresServer::shared().database(),
        streams: 1,
        workers: 1,
        clock: "wall",
        more: String::new(),
    });
    let daemon = pipeline.start();
    let now = jiff::Timestamp::now().as_millisecond();
    let position = |ts: i64| format!(r#"{{"type":"position","vehicle_id":"T1","ts":{ts},"lon":3.36,"lat":6.44}}"#);
    let ahead = format!(r#"{{"type":"clock","now":{}}}"#, now + 3650 * 86_400_000);
    let key = &pipeline.keys()[0];
    for event in [position(now - 2 * MINUTE), ahead, position(now - MINUTE)] {
        redis.command(&["XADD", key, "*", "json", &event]);
    }
    let state = "SELECT status, ts FROM vehicle_state";
    wait_until("the positions are in the tables", || pipeline.sql("SELECT count(*) FROM positions") == "2");
    assert!(daemon.stop().success());
    let before = (pipeline.sql(state), pipeline.sql("SELECT count(*) FROM offlines"));
    assert_eq!(before.1, "0");
    let output = pipeline.run("rebuild", &["--force"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!((pipeline.sql(state), pipeline.sql("SELECT count(*) FROM offlines")), before);
}

fn length(redis: &RedisServer, key: &str) -> u64 {
    redis.command(&["XLEN", key]).trim().trim_start_matches(':').parse().unwrap()
}

/// Entries that were ever added, by a group that has read none of them: XINFO STREAM shows entries too.
fn added(redis: &RedisServer, key: &str) -> u64 {
    let script = "return redis.call('XINFO', 'STREAM', KEYS[1])[12]";
    redis.command(&["EVAL", script, "1", key]).trim().trim_start_matches(':').parse().unwrap()
}

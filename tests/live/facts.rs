//! What a daemon promises while it runs: how soon, how much is kept, what it tells about itself.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use watchtower_core::EntryId;

use super::pipeline;
use crate::support::daemon::{Daemon, Pipeline, wait_until};
use crate::support::entries::{Entry, Log};
use crate::support::oracle::compare_under;
use crate::support::published::Published;
use crate::support::rng::Rng;
use crate::support::servers::redis::{RedisOptions, RedisServer};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// What the clock decides is in the tables so soon after it was told.
const SOON: Duration = Duration::from_secs(2);

const YARD: &str = r#"{"type":"geofence","geofence_id":"yard","valid_from":"2020-01-01T00:00:00Z",
    "geometry":{"type":"Point","coordinates":[3.47,6.55]},"radius_m":100,"min_dwell_s":MIN_DWELL}"#;

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn add(redis: &RedisServer, key: &str, json: &str) {
    let answer = redis.command(&["XADD", key, "*", "json", json]);
    assert!(answer.starts_with('$'), "{answer}");
}

fn position(vehicle: &str, ts: i64) -> String {
    format!(r#"{{"type":"position","vehicle_id":"{vehicle}","ts":{ts},"lon":3.47,"lat":6.55}}"#)
}

/// Waits until the query answers so; returns how long that took.
fn until(pipeline: &Pipeline, sql: &str, answer: &str) -> Duration {
    let since = Instant::now();
    wait_until(&format!("{sql} is {answer}"), || pipeline.sql(sql) == answer);
    since.elapsed()
}

const VISIT: &str = "SELECT confirmed, exited_at FROM visits";
const OFFLINE: &str = "SELECT count(*) FROM offlines WHERE ended_at IS NULL";

#[test]
fn what_the_logs_clock_decides_is_there_soon() {
    let redis = RedisServer::start(RedisOptions::default());
    let pipeline = pipeline(&redis, 2, 1, "");
    let _daemon = pipeline.start();
    let keys = pipeline.keys();
    let (since, vehicle) = (now() - 2 * HOUR, "T1");
    let stream = usize::from(watchtower_core::events::stream_of(vehicle, 2));
    let tell = |now: i64| {
        keys.iter().for_each(|key| add(&redis, key, &format!(r#"{{"type":"clock","now":{now}}}"#)));
    };
    add(&redis, keys.last().unwrap(), &YARD.replace("MIN_DWELL", "60"));
    add(&redis, &keys[stream], &position(vehicle, since));
    tell(since + 59_999);
    let mut entries = 5;
    pipeline.wait_for_entries(entries);
    assert_eq!(pipeline.sql(VISIT), "f|");
    for (now, sql, before, after) in [(since + MINUTE, VISIT, "f|", "t|"), (since + 30 * MINUTE + 1, OFFLINE, "0", "1")]
    {
        tell(now - 1);
        entries += 3;
        pipeline.wait_for_entries(entries);
        assert_eq!(pipeline.sql(sql), before, "one millisecond before");
        tell(now);
        entries += 3;
        let took = until(&pipeline, sql, after);
        println!("{after} of {sql}: after {took:.1?}");
        assert!(took < SOON, "{sql}: {took:?}");
    }
    // All but one of the streams: the time of the log has not come.
    add(&redis, &keys[0], &format!(r#"{{"type":"clock","now":{}}}"#, since + HOUR));
    add(&redis, &keys[1], &format!(r#"{{"type":"clock","now":{}}}"#, since + HOUR));
    pipeline.wait_for_entries(entries + 2);
    let sql = "SELECT extract(epoch FROM now) * 1000 = EXPECTED FROM pipeline";
    assert_eq!(pipeline.sql(&sql.replace("EXPECTED", &(since + 30 * MINUTE + 1).to_string())), "t");
}

#[test]
fn the_wall_clock_ticks_by_itself() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut pipeline = pipeline(&redis, 2, 1, "[rules]\noffline_after = \"2s\"");
    pipeline.setup.clock = "wall";
    pipeline.configure();
    let daemon = pipeline.start();
    let keys = pipeline.keys();
    add(&redis, keys.last().unwrap(), &YARD.replace("MIN_DWELL", "1"));
    let ts = now();
    add(&redis, &keys[usize::from(watchtower_core::events::stream_of("T1", 2))], &position("T1", ts));
    for (sql, answer, after_ms) in [(VISIT, "t|", 1_000), (OFFLINE, "1", 2_001)] {
        until(&pipeline, sql, answer);
        let late = now() - ts - after_ms;
        println!("{answer} of {sql}: {late} ms after the time had come");
        assert!((0..=1_000 + SOON.as_millis() as i64).contains(&late), "{sql}: {late} ms");
    }
    let behind = "SELECT extract(epoch FROM clock_timestamp() - now) BETWEEN 0 AND 5 FROM pipeline";
    assert_eq!(pipeline.sql(behind), "t");
    assert!(daemon.stop().success());
}

/// Refused events, whose arrivals are in the ids of their entries.
fn junk(stream: usize, ms: i64, seq: u64, count: usize) -> Entry {
    let json = format!("[{}]", vec!["7"; count].join(","));
    entry(stream, ms, seq, json.into_bytes())
}

fn entry(stream: usize, ms: i64, seq: u64, json: Vec<u8>) -> Entry {
    Entry { stream, id: EntryId { ms: ms.unsigned_abs(), seq }, fields: vec![(b"json".to_vec(), json)] }
}

#[test]
fn refused_events_are_kept_counted_and_dropped_in_time() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut pipeline = pipeline(&redis, 1, 1, "");
    pipeline.environment = vec![("WATCHTOWER_STORE_REJECTED_KEEP", "2h")];
    let daemon = pipeline.start();
    let hour = 1_795_413_600_000; // 2026-11-23T06:00:00Z
    let large = vec![b'x'; 70_000];
    let mut log = Log {
        keys: pipeline.keys(),
        entries: vec![
            entry(0, hour, 0, large.clone()),
            entry(0, hour, 1, b"not \xff UTF-8".to_vec()),
            junk(0, hour + MINUTE, 0, 700),
            junk(0, hour + MINUTE, 1, 700),
            junk(1, hour + MINUTE, 0, 5),
            junk(0, hour + 2 * MINUTE, 0, 1),
            junk(0, hour + HOUR, 0, 1),
        ],
    };
    log.append(&redis.url());
    pipeline.wait_for_entries(log.len());
    let kept = "SELECT size_bytes, length(event), sha256, reason FROM rejected_events WHERE size_bytes > 1 ORDER BY 1";
    let digest = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let expected = [
        format!("11|11|{}|invalid_utf8", digest(b"not \xff UTF-8")),
        format!("70000|65536|{}|malformed", digest(&large)),
    ];
    assert_eq!(pipeline.sql(kept), expected.join("\n"));
    let whole = "SELECT bool_and(encode(sha256(event), 'hex') = sha256) FROM rejected_events WHERE size_bytes < 65536";
    assert_eq!(pipeline.sql(whole), "t");
    let counts =
        "SELECT right(stream, 8), extract(hour FROM hour), reason, events, kept FROM rejected_counts ORDER BY 1, 2, 3";
    let counted = "events:0|6|invalid_utf8|1|1\nevents:0|6|malformed|1402|1002\nevents:0|7|malformed|1|1\n\
                   :control|6|malformed|5|5";
    assert_eq!(pipeline.sql(counts).lines().collect::<std::collections::BTreeSet<_>>(), counted.lines().collect());
    let per_minute = "SELECT max(n) FROM (SELECT count(*) AS n FROM rejected_events \
                      GROUP BY stream, date_trunc('minute', arrived_at)) AS t";
    assert_eq!(pipeline.sql(per_minute), "1000");

    // Just before 08:00: what arrived before 06:00 would go, and nothing did. Just before 09:00: all but the row of 07:00.
    let rows = "SELECT count(*) FROM rejected_events";
    let clock = |now: i64| format!(r#"{{"type":"clock","now":{now}}}"#).into_bytes();
    for (now, left) in [(hour + 2 * HOUR - 1, "1009"), (hour + 3 * HOUR - 1, "1")] {
        log.entries = vec![entry(0, now, 0, clock(now)), entry(1, now, 0, clock(now))];
        log.append(&redis.url());
        let told = format!("SELECT now = to_timestamp({}) FROM pipeline", now as f64 / 1000.0);
        until(&pipeline, &told, "t");
        assert_eq!(pipeline.sql(rows), left);
    }
    assert_eq!(pipeline.sql("SELECT sum(events) FROM rejected_counts"), "1409", "the counts stay");
    assert!(daemon.stop().success());
}

/// What `XINFO GROUPS` says of a stream's lag.
fn group_lag(redis: &RedisServer, key: &str) -> i64 {
    let answer = redis.command(&["XINFO", "GROUPS", key]);
    let mut words = answer.split("\r\n").skip_while(|word| *word != "lag");
    words.nth(1).and_then(|lag| lag.strip_prefix(':')?.parse().ok()).unwrap_or(-1)
}

/// The value of a metric.
fn metric(daemon: &Daemon, name: &str) -> Option<f64> {
    let (_, page) = daemon.page("/metrics")?;
    page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// What the documentation of the metrics promises, but for those that begin with their first event.
const FAMILIES: [&str; 19] = [
    "watchtower_lag_seconds",
    "watchtower_lag_entries",
    "watchtower_events_total",
    "watchtower_rejected_total",
    "watchtower_epochs_total",
    "watchtower_epoch_seconds",
    "watchtower_commit_seconds",
    "watchtower_commits_total",
    "watchtower_commit_seq",
    "watchtower_event_to_commit_seconds",
    "watchtower_rows_written_total",
    "watchtower_rewinds_total",
    "watchtower_rewound_positions_total",
    "watchtower_retained_positions",
    "watchtower_vehicles",
    "watchtower_arrangement_records",
    "watchtower_epochs_in_flight",
    "watchtower_reconnects_total",
    "watchtower_now_seconds",
];

#[test]
fn a_daemon_that_is_asked_to_stop_commits_what_it_read() {
    let published = Published::random_many(2000..2020);
    let log = published.log(&mut Rng::new(2000), 3);
    let redis = RedisServer::start(RedisOptions::default());
    let pipeline = pipeline(&redis, published.streams, 2, &published.configuration());
    let daemon = pipeline.start();
    let appending = log.start_appending(&redis.url(), 10, Duration::from_millis(10));
    wait_until("some of it is committed", || pipeline.sql("SELECT commit_seq > 5 FROM pipeline") == "t");
    let asked = Instant::now();
    assert!(daemon.stop().success());
    println!("ended {:.1?} after SIGTERM", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(10));
    // All tables are of one prefix of the log, and the last checkpoint is of the last commit.
    compare_under(&published.rules, &pipeline.setup.postgres, "lagos").unwrap();
    appending.join().unwrap();
    let read: u64 = pipeline.sql("SELECT sum(entries) FROM cursors").parse().unwrap();
    assert!(read > 0 && read < log.len(), "it was in the middle: {read} of {}", log.len());

    let daemon = pipeline.start();
    assert!(daemon.log().contains("behind=0"), "nothing had to be read again:\n{}", daemon.log());
    pipeline.wait_for_entries(log.len());
    wait_until("the groups show no lag", || pipeline.keys().iter().all(|key| group_lag(&redis, key) == 0));
    wait_until("the metrics show no lag", || {
        let lag = |key| metric(&daemon, &format!("watchtower_lag_entries{{stream=\"{key}\"}}"));
        pipeline.keys().iter().all(|key| lag(key) == Some(0.0))
    });
    let (status, page) = daemon.page("/metrics").unwrap();
    assert_eq!(status, 200);
    for family in FAMILIES {
        assert!(page.contains(&format!("# TYPE {family} ")), "{family} in\n{page}");
        assert!(page.lines().any(|line| line.starts_with(family)), "{family} in\n{page}");
    }
    let count = |sql: &str| pipeline.sql(sql).parse::<f64>().unwrap();
    let is = |name: &str, value: f64| assert_eq!(metric(&daemon, name), Some(value), "{name}");
    is("watchtower_commit_seq", count("SELECT commit_seq FROM pipeline"));
    is("watchtower_commits_total", count("SELECT count(*) FROM commit_log WHERE term = 2"));
    is("watchtower_vehicles", count("SELECT count(DISTINCT vehicle_id) FROM positions_log"));
    is("watchtower_now_seconds", count("SELECT extract(epoch FROM now) FROM pipeline"));
    let since = "SELECT sum(events) FROM commit_log WHERE term = 2";
    let read = |key: String| metric(&daemon, &format!("watchtower_events_total{{stream=\"{key}\"}}"));
    let events = pipeline.keys().into_iter().filter_map(read);
    assert_eq!(events.sum::<f64>(), count(since));
    assert!(daemon.stop().success());
}

/// What a process has used of a processor, in seconds.
fn processor_time(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // User and system time, the 14th and 15th field, in ticks of 10 ms.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

#[test]
fn a_daemon_with_nothing_to_do_does_next_to_nothing() {
    const OBSERVED: Duration = Duration::from_secs(10);
    let redis = RedisServer::start(RedisOptions::default());
    let mut pipeline = pipeline(&redis, 1, 1, "");
    pipeline.setup.clock = "wall";
    pipeline.configure();
    let daemon = pipeline.start();
    std::thread::sleep(Duration::from_secs(2));
    let before = processor_time(daemon.pid());
    std::thread::sleep(OBSERVED);
    let percent = 100.0 * (processor_time(daemon.pid()) - before) / OBSERVED.as_secs_f64();
    println!("idle: {percent:.2} % of a processor");
    assert!(percent < 3.0, "{percent} %");
}

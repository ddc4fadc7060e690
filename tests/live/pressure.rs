//! PostgreSQL holds everything up: Redis waits, memory stays small, and afterwards nothing is missing.

use std::time::{Duration, Instant};

use watchtower_core::EntryId;
use watchtower_core::events::binary::Batch;
use watchtower_core::events::{Event, Fix, Measured, PositionReport, json};
use watchtower_model::{Heading, Millis, Place, Speed};

use super::pipeline;
use crate::support::blocker::Blocker;
use crate::support::daemon::{Daemon, Pipeline, wait_until};
use crate::support::entries::{Entry, Log};
use crate::support::servers::redis::{RedisOptions, RedisServer};

const START: Millis = 1_795_435_200_000;
const VEHICLES: usize = 500;
const TICKS: usize = 1_000;
/// Ten seconds of four thousand.
const TICK_MS: Millis = 10_000;
/// They are so long inside, then so long outside.
const STAY_TICKS: usize = 50;
/// Positions of an entry.
const IN_ENTRY: usize = 64;

/// More vehicles than travel as arrays.
const CROWD: usize = 3_000;

/// What may be on its way: several replies, a part of what there is.
const IN_FLIGHT: &str = "4194304";
/// What a daemon may take beside what it takes when it is idle: for half a million positions, which it keeps with
/// all that is known of them, and the rows of some epochs, of which its allocator does not give back everything;
/// and for events of which nothing is kept.
const MAX_MORE_KB: u64 = 160 << 10;
const MAX_MORE_IN_PASSING_KB: u64 = 60 << 10;

/// Positions that say much: a hundred megabytes of them.
const TALKATIVE: usize = 2_000;
const ATTRIBUTES_BYTES: usize = 60_000;

#[test]
fn a_slow_postgres_makes_redis_wait() {
    let (pipeline, daemon) = held_up(fleet, MAX_MORE_KB);
    let (visits, positions) = (VEHICLES * TICKS / STAY_TICKS / 2, VEHICLES * TICKS);
    let counts = "SELECT (SELECT count(*) FROM visits WHERE exited_at - entered_at = interval '500 s'), \
                  (SELECT count(*) FROM visits), (SELECT count(*) FROM positions), \
                  (SELECT count(*) FROM geofence_membership), (SELECT count(*) FROM rejected_events)";
    assert_eq!(pipeline.sql(counts), format!("{visits}|{visits}|{positions}|0|0"));
    assert!(daemon.stop().success());
}

#[test]
fn few_large_events_are_no_more_in_memory_than_many_small_ones() {
    let (pipeline, daemon) = held_up(talkative, MAX_MORE_IN_PASSING_KB);
    let counts = "SELECT count(*), sum(length(attributes ->> 'said')) FROM positions";
    assert_eq!(pipeline.sql(counts), format!("{TALKATIVE}|{}", TALKATIVE * ATTRIBUTES_BYTES));
    assert!(daemon.stop().success());
}

/// Many rows go through temporary tables, which are gone with the transaction that made them.
#[test]
fn a_large_commit_that_came_to_nothing_is_written_again() {
    let redis = RedisServer::start(RedisOptions::default());
    let pipeline = pipeline(&redis, 1, 1, "");
    let daemon = pipeline.start();
    let log = crowd(&pipeline.keys());
    let all = log.len();
    log.clone().first(1).append(&redis.url());
    pipeline.wait_for_entries(1);
    // Longer than a session waits for it.
    let blocker = Blocker::start(&pipeline, "LOCK TABLE lagos.visits");
    log.append(&redis.url());
    wait_until("it gives up once", || daemon.log().contains("retrying the commit"));
    blocker.end();
    pipeline.wait_for_entries(all);
    let counts = "SELECT (SELECT count(*) FROM visits), (SELECT count(*) FROM geofence_membership), \
                  (SELECT vehicles FROM geofence_occupancy)";
    assert_eq!(pipeline.sql(counts), format!("{CROWD}|{CROWD}|{CROWD}"));
    pipeline.assert_commits_are_dense();
    assert!(daemon.stop().success());
}

/// A daemon through whom a log has come while PostgreSQL stood still for a while.
fn held_up(log: impl Fn(&[String]) -> Log, max_more_kb: u64) -> (Pipeline, Daemon) {
    let redis = RedisServer::start(RedisOptions::default());
    let mut pipeline = pipeline(&redis, 1, 1, "");
    pipeline.environment = vec![("WATCHTOWER_ENGINE_IN_FLIGHT", IN_FLIGHT), ("WATCHTOWER_CHECKPOINTS_EVERY", "1h")];
    let daemon = pipeline.start();
    let log = log(&pipeline.keys());
    let rest = Log { entries: log.entries[2..].to_vec(), keys: log.keys.clone() };
    let all = log.len();
    log.first(2).append(&redis.url());
    pipeline.wait_for_entries(2);
    let idle_kb = peak_kb(&daemon);

    let blocker = Blocker::start(&pipeline, "SELECT 1 FROM lagos.pipeline FOR UPDATE");
    rest.append(&redis.url());
    let reads = stopped_reading(&redis);
    let in_flight = in_flight(&daemon);
    println!("{reads} reads, {in_flight} bytes in flight; {idle_kb} kB idle, {} kB at most so far", peak_kb(&daemon));
    let committed: u64 = pipeline.sql("SELECT sum(entries) FROM cursors").parse().unwrap();
    assert!(committed < all / 2, "{committed} entries are committed: nothing was held up");
    assert!(in_flight > 0 && in_flight <= IN_FLIGHT.parse().unwrap(), "{in_flight} bytes in flight");
    assert_eq!(daemon.page("/readyz").unwrap().0, 200, "slow is not away");

    blocker.end();
    let begun = Instant::now();
    pipeline.wait_for_entries(all);
    println!("caught up in {:?}; {} kB at most", begun.elapsed(), peak_kb(&daemon));
    daemon.wait_until_page("/metrics", "watchtower_lag_entries{stream=\"wt:lagos:events:0\"} 0\n");
    daemon.wait_until_page("/metrics", "watchtower_bytes_in_flight 0\n");
    let most_kb = peak_kb(&daemon);
    assert!(most_kb - idle_kb < max_more_kb, "{most_kb} kB, and {idle_kb} kB when idle");
    pipeline.assert_commits_are_dense();
    (pipeline, daemon)
}

/// Positions with long attributes, each an entry.
fn talkative(keys: &[String]) -> Log {
    let said = "x".repeat(ATTRIBUTES_BYTES);
    let entry = |i: usize| {
        let ts = START + i as Millis;
        let json = format!(
            r#"{{"type":"position","vehicle_id":"v","ts":{ts},"lon":3.4,"lat":6.5,"attributes":{{"said":"{said}"}}}}"#
        );
        let id = EntryId { ms: ts.unsigned_abs(), seq: 0 };
        Entry { stream: 0, id, fields: vec![(b"json".to_vec(), json.into_bytes())] }
    };
    Log { keys: keys.to_vec(), entries: (0..TALKATIVE).map(entry).collect() }
}

/// Half a million positions, by a circle that all vehicles enter and leave together.
fn fleet(keys: &[String]) -> Log {
    let mut entries = Vec::new();
    let mut push = |stream, seq, now, events: &[Event<'_>]| entries.push(entry(stream, seq, now, events));
    let control = keys.len() - 1;
    push(control, 0, START, &[circle()]);
    for tick in 0..TICKS {
        let ts = START + tick as Millis * TICK_MS;
        let is_inside = (tick / STAY_TICKS).is_multiple_of(2);
        let lon = if is_inside { 3.4 } else { 3.5 } + (tick % 7) as f64 * 1e-5;
        let events: Vec<Event<'_>> = (0..VEHICLES).map(|vehicle| position(vehicle, ts, lon)).collect();
        for (seq, events) in events.chunks(IN_ENTRY).enumerate() {
            push(0, seq, ts, events);
        }
        if tick % 100 == 99 {
            let clock = decode(&format!(r#"{{"type":"clock","now":{ts}}}"#));
            push(0, IN_ENTRY, ts, std::slice::from_ref(&clock));
            push(control, IN_ENTRY, ts, &[clock]);
        }
    }
    Log { keys: keys.to_vec(), entries }
}

/// So many vehicles in the circle at once, in one entry.
fn crowd(keys: &[String]) -> Log {
    let crowd: Vec<Event<'_>> = (0..CROWD).map(|vehicle| position(vehicle, START, 3.4)).collect();
    let entries = vec![entry(keys.len() - 1, 0, START, &[circle()]), entry(0, 0, START, &crowd)];
    Log { keys: keys.to_vec(), entries }
}

/// An entry with one binary batch.
fn entry(stream: usize, seq: usize, now: Millis, events: &[Event<'_>]) -> Entry {
    let mut batch = Batch::default();
    events.iter().for_each(|event| batch.push(event));
    let id = EntryId { ms: now.unsigned_abs(), seq: seq as u64 };
    Entry { stream, id, fields: vec![(b"bin".to_vec(), batch.take())] }
}

/// A hundred metres around where vehicles are inside.
fn circle() -> Event<'static> {
    decode(&format!(
        r#"{{"type":"geofence","geofence_id":"yard","valid_from":{START},"geometry":{{"type":"Point","coordinates":[3.4,6.5]}},"radius_m":100}}"#
    ))
}

fn position(vehicle: usize, ts: Millis, lon: f64) -> Event<'static> {
    let measured = Measured {
        place: Place::from_degrees(lon, 6.5 + (vehicle % VEHICLES) as f64 * 1e-6),
        speed: Speed::NONE,
        heading: Heading::NONE,
        accuracy_m: None,
        altitude_m: None,
        ignition: None,
        attributes: None,
    };
    let vehicle_id = format!("truck-{vehicle}").into();
    Event::Position(PositionReport { vehicle_id, ts, received_at: None, fix: Fix::At(measured) })
}

fn decode(text: &str) -> Event<'static> {
    json::decode(text.as_bytes(), &watchtower_core::events::Limits::default()).unwrap().into_owned()
}

/// Waits until the daemon asks Redis for nothing more, though there is more; how often it had.
fn stopped_reading(redis: &RedisServer) -> u64 {
    let number = |section: &str, before: &str| -> u64 {
        let answer = redis.command(&["INFO", section]);
        let rest = answer.split(before).nth(1).unwrap_or("0");
        rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
    };
    let (mut before, mut since) = (0, Instant::now());
    wait_until("nothing more is read", || {
        let (reads, waiting) = (number("commandstats", "cmdstat_xread:calls="), number("clients", "blocked_clients:"));
        // One that had read everything would wait within Redis.
        if reads != before || waiting != 0 {
            (before, since) = (reads, Instant::now());
        }
        since.elapsed() > Duration::from_millis(1_500)
    });
    before
}

/// The most memory it ever took.
fn peak_kb(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn in_flight(daemon: &Daemon) -> u64 {
    let (_, page) = daemon.page("/metrics").unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix("watchtower_bytes_in_flight ")).unwrap();
    line.parse::<f64>().unwrap() as u64
}

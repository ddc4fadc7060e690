//! Tables of a daemon that forgets: tracks after an hour or two, days and hours after a day or two, as soon as nothing that
//! is accepted can change them any more.
//!
//! A random log of weeks, as producers would send it: late within and beyond what is accepted, corrected, withdrawn, with
//! geofences and vehicles edited as of a while ago. It is admitted as a stream is, and the tables are those of a plain
//! recomputation over everything that was accepted.

use std::fmt::Write as _;
use std::sync::Arc;

use watchtower_core::admission::{Accepted, Admission, Names, Stream, reach_ms, retention_ms};
use watchtower_core::events::{Limits, json};
use watchtower_core::time_zone::local_time;
use watchtower_model::{Millis, Rules, Speed};

use crate::support::harness::{Expected, check};
use crate::support::log::{Case, Event};
use crate::support::rng::Rng;
use crate::support::{cases, number};

const SECOND: Millis = 1_000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// 2024-10-20T04:00:00Z: clocks go back in New York two weeks later.
const START: Millis = 1_729_396_800_000;

const CASES: u64 = 24;

/// Longitudes of the places that vehicles go to, on one road, and of one that is far from all.
const PLACES: [f64; 4] = [3.30, 3.34, 3.40, 3.47];
const FAR: f64 = 10.7;

/// What a vehicle does for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Drives,
    Stands,
    /// Its ignition is off, and it is moved a little now and then.
    IsTowed,
    /// It reports places where it cannot be.
    Errs,
    IsSilent,
}

/// A vehicle on its way.
struct Source {
    id: String,
    at: Millis,
    lon: f64,
    mode: Mode,
    left: usize,
    /// How much later than measured its positions arrive.
    delay: Millis,
    /// Instants of its last positions, for corrections.
    recent: Vec<Millis>,
}

impl Source {
    fn step(&mut self, rng: &mut Rng, log: &mut Vec<(Millis, String)>) {
        if self.left == 0 {
            self.mode = rng.weighted(&[
                (30, Mode::Drives),
                (30, Mode::Stands),
                (12, Mode::IsTowed),
                (18, Mode::Errs),
                (10, Mode::IsSilent),
            ]);
            self.left = match self.mode {
                Mode::IsSilent => 1,
                Mode::Errs => 1 + rng.below(6),
                Mode::Drives | Mode::Stands | Mode::IsTowed => 4 + rng.below(40),
            };
            self.delay = *rng.pick(&[0, 0, 0, 20 * SECOND, 50 * MINUTE, 3 * HOUR]);
        }
        self.left -= 1;
        let hop = match self.mode {
            Mode::Drives => rng.between(20, 400) * SECOND,
            Mode::Stands | Mode::IsTowed => rng.between(1, 40) * MINUTE,
            Mode::Errs => rng.between(5, 200) * SECOND,
            Mode::IsSilent => rng.between(1, 60) * HOUR * *rng.pick(&[1, 1, 6]),
        };
        self.at += hop;
        if self.mode == Mode::IsSilent {
            return;
        }
        let (mut lon, mut extra) = (self.lon, String::new());
        match self.mode {
            Mode::Drives => {
                let goal = *rng.pick(&PLACES);
                self.lon += (goal - self.lon).clamp(-0.01, 0.01);
                lon = self.lon;
                let _ = write!(extra, r#","speed_kmh":{},"ignition":true"#, rng.below(120));
            }
            Mode::Stands => lon += rng.between(-3, 3) as f64 * 0.000_1,
            Mode::IsTowed => {
                self.lon += if rng.chance(15) { 0.000_6 } else { 0.0 };
                lon = self.lon;
                extra.push_str(r#","ignition":false"#);
            }
            Mode::Errs => lon = if rng.chance(70) { FAR } else { self.lon },
            Mode::IsSilent => {}
        }
        if rng.chance(20) {
            let _ = write!(extra, r#","accuracy_m":{}"#, rng.pick(&[5, 5, 3_000]));
        }
        if rng.chance(15) && !extra.contains("ignition") {
            let _ = write!(extra, r#","ignition":{}"#, rng.chance(50));
        }
        let (id, ts) = (&self.id, self.at);
        let arrival = ts + self.delay + rng.between(0, 5) * SECOND;
        log.push((
            arrival,
            format!(r#"{{"type":"position","vehicle_id":"{id}","ts":{ts},"lon":{lon},"lat":6.5{extra}}}"#),
        ));
        self.recent.push(ts);
        if rng.chance(4) {
            let ts = self.recent[self.recent.len() - 1 - rng.below(self.recent.len().min(12))];
            let event = if rng.chance(50) {
                format!(r#"{{"type":"position","vehicle_id":"{id}","ts":{ts},"deleted":true}}"#)
            } else {
                let lon = if rng.chance(30) { FAR } else { *rng.pick(&PLACES) };
                format!(r#"{{"type":"position","vehicle_id":"{id}","ts":{ts},"lon":{lon},"lat":6.5}}"#)
            };
            // Some of a vehicle that has been silent for weeks.
            log.push((arrival + rng.between(0, 120) * MINUTE * *rng.pick(&[1, 1, 300]), event));
        }
    }
}

/// Another shape, kind, limit or dwell of a place, some as of a while ago; or none any more.
fn redraw(rng: &mut Rng, place: usize, arrival: Millis) -> String {
    let valid_from = arrival - rng.between(0, 4) * 40 * MINUTE;
    if rng.chance(12) {
        return format!(r#"{{"type":"geofence","geofence_id":"p{place}","valid_from":{valid_from},"deleted":true}}"#);
    }
    let (radius_m, dwell_s, buffer_m) = (rng.between(200, 900), rng.pick(&[0, 300, 1_800]), rng.pick(&[0, 0, 50]));
    let (kind, limit, lon) =
        (rng.pick(&["terminal", "client", "depot", "zone"]), rng.pick(&[20, 50, 90]), PLACES[place]);
    format!(
        r#"{{"type":"geofence","geofence_id":"p{place}","valid_from":{valid_from},"kind":"{kind}","min_dwell_s":{dwell_s},
        "exit_buffer_m":{buffer_m},"speed_limit_kmh":{limit},"geometry":{{"type":"Point","coordinates":[{lon},6.5]}},
        "radius_m":{radius_m}}}"#
    )
}

fn rename(rng: &mut Rng, vehicle: usize, arrival: Millis) -> String {
    let (valid_from, fleet) = (arrival - rng.between(0, 4) * 40 * MINUTE, rng.below(3));
    let (limit, silence) = (rng.pick(&[40, 60, 80]), *rng.pick(&["null", "null", "300", "7200", "40000"]));
    format!(
        r#"{{"type":"vehicle","vehicle_id":"T{vehicle}","valid_from":{valid_from},"fleet":"f{fleet}","speed_limit_kmh":{limit},
        "offline_after_s":{silence}}}"#
    )
}

/// A version of an alert rule, or its end. Most have a cooldown: which alerts are raised then depends on earlier ones.
fn alert_rule(rng: &mut Rng, rule: usize, arrival: Millis) -> String {
    let valid_from = match rng.below(3) {
        0 => format!(r#""valid_from":{},"#, arrival - rng.between(-2, 4) * 40 * MINUTE),
        _ => String::new(),
    };
    if rng.chance(10) {
        return format!(r#"{{"type":"rule","rule_id":"r{rule}",{valid_from}"deleted":true}}"#);
    }
    let on = *rng.pick(&[
        r#""on":"enter""#,
        r#""on":"exit","where":{"kind":["terminal","client"]}"#,
        r#""on":"dwell","after":"40m""#,
        r#""on":"overspeed","where":{"fleet":"f1"}"#,
        r#""on":"idling","after":"1h""#,
        r#""on":"stop","after":"20m","where":{"tags":[],"geofence":["p0","p1"]}"#,
        r#""on":"offline""#,
        r#""on":"back_online""#,
        r#""on":"trip_started""#,
        r#""on":"trip_completed""#,
        r#""on":"turnaround_completed""#,
        r#""on":"geofence_changed""#,
        r#""on":"occupancy","more_than":1,"after":"30m""#,
        r#""on":"occupancy","fewer_than":1,"after":"2h","where":{"kind":"terminal"}"#,
        r#""on":"occupancy","more_than":0,"where":{"fleet":["f0","f2"]}"#,
    ]);
    let cooldown = rng.pick(&["0s", "30m", "5h", "3d", "20d"]);
    let hours = *rng.pick(&[
        "",
        "",
        r#","hours":{"from":"22:00","to":"06:00"}"#,
        r#","hours":{"from":"08:00","to":"17:30","days":"mon-fri","zone":"Africa/Lagos"}"#,
    ]);
    let mode = if rng.chance(15) { "final" } else { "immediate" };
    format!(r#"{{"type":"rule","rule_id":"r{rule}",{valid_from}{on},"cooldown":"{cooldown}","mode":"{mode}"{hours}}}"#)
}

/// Edits of alert rules. They have their own randomness, so that the logs of old seeds stay what they were.
fn alert_rules(rng: &mut Rng, end: Millis) -> Vec<(Millis, String)> {
    let mut log = Vec::new();
    for rule in 0..rng.below(6) {
        log.push((START, alert_rule(rng, rule, START)));
        let mut at = START;
        while rng.chance(60) {
            at += rng.between(1, 200) * HOUR;
            if at < end {
                log.push((at, alert_rule(rng, rule, at)));
            }
        }
    }
    log
}

/// Everything that is sent, in the order of arrival.
fn sent(rng: &mut Rng, end: Millis) -> Vec<(Millis, String)> {
    let mut log = Vec::new();
    for place in 0..PLACES.len() {
        log.push((START, redraw(rng, place, START)));
    }
    for vehicle in 0..4 {
        log.push((START, rename(rng, vehicle, START)));
        let (id, lon) = (format!("T{vehicle}"), *rng.pick(&PLACES));
        let mut source = Source { id, at: START, lon, mode: Mode::Drives, left: 9, delay: 0, recent: Vec::new() };
        while source.at < end {
            source.step(rng, &mut log);
        }
    }
    let mut at = START;
    while at < end {
        at += rng.between(1, 60) * HOUR;
        let (place, vehicle) = (rng.below(PLACES.len()), rng.below(4));
        log.push((at, if rng.chance(60) { redraw(rng, place, at) } else { rename(rng, vehicle, at) }));
    }
    log.extend(alert_rules(&mut Rng::new(rng.clone().next() ^ 0xA1E7), end));
    log.sort_by_key(|(arrival, _)| *arrival);
    log
}

/// The log as it is accepted, in epochs; the clock goes on in each.
fn case(rng: &mut Rng) -> Case {
    let lateness_ms = *rng.pick(&[HOUR, 2 * HOUR]);
    let horizon_ms = lateness_ms + *rng.pick(&[0, 2 * HOUR, 12 * HOUR]);
    let limits = Limits { lateness_ms: Some(lateness_ms), horizon_ms, ..Limits::default() };
    let default = Rules::default();
    let rules = Rules {
        offline_after_ms: *rng.pick(&[10 * MINUTE, default.offline_after_ms, 2 * HOUR]),
        idle_min_ms: *rng.pick(&[MINUTE, default.idle_min_ms]),
        max_plausible: Speed::from_kmh(1_000.0),
        presence_limit_ms: *rng.pick(&[HOUR, default.presence_limit_ms]),
        local_time: Arc::new(local_time("America/New_York").expect("a zone")),
        retention_ms: retention_ms(&limits),
        horizon_ms: Some(reach_ms(&limits)),
        ..default
    };
    let end = START + rng.between(6, 30) * DAY;
    let (mut admission, mut names) = (Admission::new(Stream::Control, limits.clone()), Names::default());
    let mut positions = Admission::new(Stream::Positions { index: 0, streams: 1 }, limits.clone());
    let (mut epochs, mut epoch) = (Vec::new(), Vec::new());
    let mut due = START;
    for (arrival, text) in sent(rng, end) {
        while arrival >= due {
            let clock = format!(r#"{{"type":"clock","now":{due}}}"#);
            let clock = json::decode(clock.as_bytes(), &limits).expect("a clock");
            for stream in [&mut admission, &mut positions] {
                stream.admit(&clock, due, &mut names).expect("a clock that goes on");
            }
            epoch.push(Event::Now(due));
            due += rng.between(10, 600) * MINUTE;
            epochs.push(std::mem::take(&mut epoch));
        }
        let event = json::decode(text.as_bytes(), &limits).expect("an event");
        let stream = if text.contains(r#""position""#) { &mut positions } else { &mut admission };
        match stream.admit(&event, arrival, &mut names) {
            Ok(Accepted::Position(position)) => epoch.push(Event::Position(position)),
            Ok(Accepted::Geofence(edit)) => epoch.push(Event::Geofence(edit, None)),
            Ok(Accepted::Vehicle(edit)) => epoch.push(Event::Vehicle(edit)),
            Ok(Accepted::Rule(edit)) => epoch.push(Event::Rule(edit)),
            Ok(Accepted::Clock) | Err(_) => {}
        }
    }
    epoch.push(Event::Now(due + DAY));
    epochs.push(epoch);
    let restarts_after = rng.chance(60).then(|| 1 + rng.below(epochs.len() - 2));
    Case { rules, epochs, backwards: rng.chance(50), ahead: false, restarts_after }
}

#[test]
fn what_has_been_forgotten_is_never_missed() {
    let first = number("WATCHTOWER_SEED").unwrap_or(0);
    let seeds = first..first + cases(CASES, 10);
    let (mut accepted, mut epochs) = (0, 0);
    for seed in seeds.clone() {
        let mut rng = Rng::new(seed);
        let case = case(&mut rng);
        accepted += case.events().count();
        epochs += case.epochs.len();
        // Each recomputation reads the whole log.
        let mut wanted: Vec<usize> = (0..10).map(|_| rng.below(case.epochs.len())).collect();
        wanted.push(case.epochs.len() - 1);
        let expected: Expected = wanted.into_iter().map(|epoch| (epoch, case.expected(epoch + 1))).collect();
        for workers in [1, 3] {
            if let Err(failure) = check(&case, workers, &expected) {
                panic!("seed {seed}, {workers} workers, epoch {}: {}", failure.epoch, failure.what);
            }
        }
    }
    println!("seeds {seeds:?}: {accepted} accepted events in {epochs} epochs, each log on one and three workers");
}

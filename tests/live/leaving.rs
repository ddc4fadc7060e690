//! Aggregates whose groups have left memory stand in the tables as PostGIS computes them.
//!
//! Sixteen days of a small fleet that keeps being late, corrected and redrawn, with the shortest memory that
//! the rules allow, around a change of the clocks; killed and resumed on the way.

use watchtower_core::EntryId;
use watchtower_core::events::stream_of;
use watchtower_core::time_zone::local_time;
use watchtower_dataflows::views::AGGREGATES;
use watchtower_model::{Millis, Rules, Speed};

use super::pipeline;
use crate::support::daemon::{Daemon, Pipeline};
use crate::support::entries::{Entry, Log};
use crate::support::oracle::compare_under;
use crate::support::rng::Rng;
use crate::support::servers::redis::{RedisOptions, RedisServer};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// 2024-10-27T04:00:00Z, midnight in New York, where clocks go back a week later.
const BEGINS: Millis = 1_730_001_600_000;
const DAYS: Millis = 16;
const FIX_EVERY: Millis = 10 * MINUTE;
const LATENESS: Millis = HOUR;
const STREAMS: u16 = 2;
const VEHICLES: usize = 5;

/// The shortest memory that these rules allow: a day or so.
const CONFIGURATION: &str = "lateness = \"1h\"\nhorizon = \"3h\"\n\
                             [rules]\nmax_plausible_kmh = 1000\ntime_zone = \"America/New_York\"";

/// Longitudes of the places that vehicles go to, on one road.
const PLACES: [f64; 4] = [3.30, 3.34, 3.40, 3.47];

struct Producer {
    rng: Rng,
    log: Log,
    sent: u64,
}

impl Producer {
    fn send(&mut self, stream: usize, at: Millis, event: String) {
        self.sent += 1;
        let id = EntryId { ms: at.unsigned_abs(), seq: self.sent };
        self.log.entries.push(Entry { stream, id, fields: vec![(b"json".to_vec(), event.into_bytes())] });
    }

    fn tell_the_time(&mut self, now: Millis) {
        for stream in 0..=usize::from(STREAMS) {
            self.send(stream, now, format!(r#"{{"type":"clock","now":{now}}}"#));
        }
    }

    /// Another radius, kind, limit or dwell of a place; some as of up to an hour ago.
    fn redraw(&mut self, place: usize, now: Millis) {
        let rng = &mut self.rng;
        let (radius_m, dwell_s) = (rng.between(200, 900), rng.pick(&[0, 300, 1_800]));
        let (kind, limit) = (*rng.pick(&["terminal", "client", "depot", "zone"]), *rng.pick(&[20, 50, 90]));
        let (valid_from, lon) = (now - rng.between(0, LATENESS), PLACES[place]);
        let event = format!(
            r#"{{"type":"geofence","geofence_id":"p{place}","valid_from":{valid_from},"kind":"{kind}","min_dwell_s":{dwell_s},
            "speed_limit_kmh":{limit},"geometry":{{"type":"Point","coordinates":[{lon},6.5]}},"radius_m":{radius_m}}}"#
        );
        self.send(usize::from(STREAMS), now, event);
    }

    fn move_fleet(&mut self, vehicle: usize, now: Millis) {
        let (valid_from, fleet) = (now - self.rng.between(0, LATENESS), self.rng.below(3));
        let limit = *self.rng.pick(&[40, 60, 80]);
        let event = format!(
            r#"{{"type":"vehicle","vehicle_id":"T{vehicle}","valid_from":{valid_from},"fleet":"f{fleet}","speed_limit_kmh":{limit}}}"#
        );
        self.send(usize::from(STREAMS), now, event);
    }
}

/// A vehicle on its way between places, and what it has not sent yet.
struct Vehicle {
    id: String,
    lon: f64,
    to: usize,
    waits: i64,
    unsent: Vec<String>,
    silent_until: Millis,
}

impl Vehicle {
    fn drive(&mut self, now: Millis, producer: &mut Producer) {
        let rng = &mut producer.rng;
        if self.waits > 0 {
            self.waits -= 1;
        } else {
            let left = PLACES[self.to] - self.lon;
            self.lon += left.clamp(-0.03, 0.03);
            if left.abs() <= 0.03 {
                (self.waits, self.to) = (rng.between(0, 30), rng.below(PLACES.len()));
            }
        }
        if rng.chance(1) {
            self.silent_until = now + rng.between(1, 30) * HOUR; // over midnight, often
        }
        if now < self.silent_until {
            return;
        }
        let lon = self.lon + rng.between(-900, 900) as f64 * 1e-6;
        let (speed, ignition) = (if self.waits > 0 { 0 } else { rng.between(20, 100) }, rng.chance(80));
        let ts = now - rng.between(0, 2) * MINUTE;
        let id = &self.id;
        let position = format!(
            r#"{{"type":"position","vehicle_id":"{id}","ts":{ts},"lon":{lon:.6},"lat":6.5,"speed_kmh":{speed},"ignition":{ignition}}}"#
        );
        self.unsent.push(position);
        if rng.chance(5) {
            self.unsent.push(format!(r#"{{"type":"position","vehicle_id":"{id}","ts":{ts},"deleted":true}}"#));
        }
        if rng.chance(20) {
            return; // no network: it goes with the next, in another order
        }
        let mut unsent = std::mem::take(&mut self.unsent);
        rng.shuffle(&mut unsent);
        let stream = usize::from(stream_of(id, STREAMS));
        unsent.into_iter().for_each(|event| producer.send(stream, now, event));
    }
}

fn log(pipeline: &Pipeline, seed: u64) -> Log {
    let log = Log { keys: pipeline.keys(), entries: Vec::new() };
    let mut producer = Producer { rng: Rng::new(seed), log, sent: 0 };
    let vehicle = |n| Vehicle {
        id: format!("T{n}"),
        lon: PLACES[n % PLACES.len()],
        to: 0,
        waits: 0,
        unsent: Vec::new(),
        silent_until: 0,
    };
    let mut vehicles: Vec<_> = (0..VEHICLES).map(vehicle).collect();
    (0..PLACES.len()).for_each(|place| producer.redraw(place, BEGINS));
    for fix in 0..DAYS * DAY / FIX_EVERY {
        let now = BEGINS + fix * FIX_EVERY;
        vehicles.iter_mut().for_each(|vehicle| vehicle.drive(now, &mut producer));
        if producer.rng.chance(1) {
            let place = producer.rng.below(PLACES.len());
            producer.redraw(place, now);
        }
        if producer.rng.chance(1) {
            let vehicle = producer.rng.below(VEHICLES);
            producer.move_fleet(vehicle, now);
        }
        producer.tell_the_time(now);
    }
    producer.log
}

fn metric(daemon: &Daemon, name: &str, aggregate: &str) -> u64 {
    let (_, page) = daemon.page("/metrics").unwrap();
    let name = format!("{name}{{aggregate=\"{aggregate}\"}} ");
    let value = page.lines().find_map(|line| line.strip_prefix(&name));
    value.unwrap_or_else(|| panic!("{name} in\n{page}")).parse().unwrap()
}

#[test]
fn rows_stand_when_their_groups_have_left_memory() {
    let seed = std::env::var("WATCHTOWER_SEED").map_or(16, |seed| seed.parse().unwrap());
    let redis = RedisServer::start(RedisOptions::default());
    let mut pipeline = pipeline(&redis, STREAMS, 2, CONFIGURATION);
    let log = log(&pipeline, seed);
    let thirds = log.entries.len() / 3;
    let mut appended = 0;
    for (workers, until) in [(2, thirds), (1, 2 * thirds), (2, log.entries.len())] {
        pipeline.setup.workers = workers;
        pipeline.configure();
        let daemon = pipeline.start();
        Log { keys: log.keys.clone(), entries: log.entries[appended..until].to_vec() }.append(&redis.url());
        appended = until;
        pipeline.wait_for_entries(appended as u64);
        if until < log.entries.len() {
            daemon.kill();
            continue;
        }
        let refused = pipeline.sql("SELECT coalesce(sum(events), 0) < 100 FROM rejected_counts");
        assert_eq!(refused, "t", "most is accepted");
        for aggregate in AGGREGATES {
            let rows: u64 = pipeline.sql(&format!("SELECT count(*) FROM {aggregate}")).parse().unwrap();
            let groups = metric(&daemon, "watchtower_groups", aggregate);
            println!("{aggregate}: {groups} groups in memory, {rows} rows");
            // The days around the last silences are kept, of all aggregates.
            assert!(groups > 0 && 2 * rows > 3 * groups, "{aggregate}: {groups} groups in memory, {rows} rows");
            assert_eq!(metric(&daemon, "watchtower_group_late_updates", aggregate), 0, "{aggregate}");
        }
    }
    let max_plausible = Speed::from_kmh(1_000.0);
    let zone = local_time("America/New_York").expect("a zone");
    let rules = Rules { max_plausible, local_time: zone.into(), ..Rules::default() };
    if let Err(differences) = compare_under(&rules, &pipeline.setup.postgres, "lagos") {
        panic!("seed {seed}:\n{differences}");
    }
}

//! Two gateways and Redis are killed (SIGKILL) at random points while clients send: what was acknowledged is in the log,
//! each delivery whole; and a delivery that is sent once more adds nothing and changes no row.
//!
//! The clients send positions of their own vehicles, one or some at a time, each delivery under an identifier, to either
//! gateway until it is answered with 200. Redis syncs every write. `WATCHTOWER_SEED` repeats the choices of a run, though
//! not its timing; with `WATCHTOWER_SOAK` there are a thousand kills.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use watchtower_core::events::{Event, Fix, Limits, decode_entry};
use watchtower_model::Place;

use crate::gateway::support::{Answer, YARD, now_s, try_request};
use crate::support::daemon::{COMPUTED, Daemon, PATIENCE, Pipeline, Setup, wait_until};
use crate::support::entries::Log;
use crate::support::number;
use crate::support::rng::Rng;
use crate::support::servers::postgres::PostgresServer;
use crate::support::servers::redis::{RedisOptions, RedisServer};
use crate::support::servers::{free_port, is_running};

/// Threads that send.
const CLIENTS: usize = 4;
/// Vehicles of each.
const VEHICLES: usize = 25;
/// Positions of a delivery with several.
const BATCH: Range<usize> = 2..30;
/// A vehicle has a position every second, from so long ago on: none is ahead of its arrival, and none is late.
const BEGINS_AGO_S: i64 = 5 * 60 * 60;
/// How long servers are killed, unless it is a soak.
const USUAL: Duration = Duration::from_secs(12);
/// Kills of a soak.
const SOAK_KILLS: usize = 1_000;

const REDIS: RedisOptions =
    RedisOptions { appendonly: true, password: None, config: &["appendfsync always", "auto-aof-rewrite-min-size 1mb"] };

#[test]
fn what_was_acknowledged_survives_kills_of_gateways_and_redis_and_is_there_once() {
    let seed = number("WATCHTOWER_SEED").unwrap_or_else(|| jiff::Timestamp::now().as_microsecond() as u64);
    println!("seed {seed}");
    let mut world = World::start();
    let (stop, seen) = (AtomicBool::new(false), Seen::default());
    let (kills, deliveries) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client =
                    Client { number, rng: Rng::new(seed + 1 + number as u64), ports: world.ports, seen: &seen };
                let stop = &stop;
                scope.spawn(move || client.send_until(stop))
            })
            .collect();
        let kills = {
            let _stop_at_the_end = Raise(&stop);
            world.kill_at_random(&mut Rng::new(seed), &seen)
        };
        let deliveries = clients.into_iter().flat_map(|client| client.join().unwrap());
        (kills, deliveries.collect::<Vec<Delivery>>())
    });
    let positions: usize = deliveries.iter().map(|delivery| delivery.positions.len()).sum();
    let doubled = world.assert_log_has(&deliveries);
    println!(
        "{kills:?}; {} deliveries with {positions} positions, {seen:?}; {doubled} deliveries without an answer were \
         appended again",
        deliveries.len()
    );
    assert!(seen.refused.load(Ordering::Relaxed) > 0 && seen.lost.load(Ordering::Relaxed) > 0, "no kill was noticed");
    world.assert_repeated(&deliveries);
    world.assert_rows_stay(&deliveries);
}

/// Sets the flag when it is dropped, also by a panic.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the clients have seen.
#[derive(Debug, Default)]
struct Seen {
    /// Deliveries that were answered with 200.
    acknowledged: AtomicUsize,
    /// Answers of 503.
    refused: AtomicUsize,
    /// Requests without an answer.
    lost: AtomicUsize,
}

/// Positions that are sent together until they are acknowledged.
#[derive(Debug)]
struct Delivery {
    id: String,
    /// Vehicle, time in epoch milliseconds, longitude.
    positions: Vec<(String, i64, f64)>,
    body: String,
    /// Requests up to the one that was acknowledged.
    requests: usize,
}

impl Delivery {
    fn post(&self, port: u16, id: Option<&str>) -> Option<Answer> {
        let headers: Vec<(&str, &str)> = id.map(|id| ("Idempotency-Key", id)).into_iter().collect();
        try_request(port, "POST", "/v1/events", &headers, self.body.as_bytes())
    }
}

/// The latitude of all positions, that of the yard.
const LAT: f64 = 6.44;

struct Client<'a> {
    number: usize,
    rng: Rng,
    ports: [u16; 2],
    seen: &'a Seen,
}

impl Client<'_> {
    fn send_until(mut self, stop: &AtomicBool) -> Vec<Delivery> {
        let (begin, mut steps) = (now_s() - BEGINS_AGO_S, [0; VEHICLES]);
        let mut sent = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let mut delivery = self.delivery(sent.len(), begin, &mut steps);
            self.deliver(&mut delivery);
            sent.push(delivery);
            std::thread::sleep(Duration::from_millis(self.rng.below(10) as u64));
        }
        sent
    }

    fn delivery(&mut self, number: usize, begin: i64, steps: &mut [i64; VEHICLES]) -> Delivery {
        let count = if self.rng.chance(50) { 1 } else { BATCH.start + self.rng.below(BATCH.len()) };
        let mut position = || {
            let vehicle = self.rng.below(VEHICLES);
            steps[vehicle] += 1;
            assert!(steps[vehicle] < BEGINS_AGO_S, "positions are ahead of their arrival");
            // Now and then in the yard.
            let lon = if steps[vehicle] / 60 % 2 == 0 { 3.36 } else { 3.40 };
            (format!("C{}-{vehicle}", self.number), (begin + steps[vehicle]) * 1000, lon)
        };
        let positions: Vec<(String, i64, f64)> = (0..count).map(|_| position()).collect();
        let events = positions.iter().map(|(vehicle_id, ts, lon)| {
            format!(r#"{{"type":"position","vehicle_id":"{vehicle_id}","ts":{ts},"lon":{lon},"lat":{LAT}}}"#)
        });
        let events: Vec<String> = events.collect();
        let body = if self.rng.chance(50) { events.join("\n") } else { format!("[{}]", events.join(",")) };
        Delivery { id: format!("C{}-{number}", self.number), positions, body, requests: 0 }
    }

    /// Sends until it is acknowledged.
    fn deliver(&mut self, delivery: &mut Delivery) {
        let started = Instant::now();
        loop {
            delivery.requests += 1;
            let port = *self.rng.pick(&self.ports);
            match delivery.post(port, Some(&delivery.id)) {
                Some(answer) if answer.status == 200 => {
                    self.seen.acknowledged.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Some(answer) if answer.status == 503 => self.seen.refused.fetch_add(1, Ordering::Relaxed),
                Some(answer) => panic!("{answer:?}"),
                None => self.seen.lost.fetch_add(1, Ordering::Relaxed),
            };
            assert!(started.elapsed() < PATIENCE, "{} is not accepted", delivery.id);
            std::thread::sleep(Duration::from_millis(5 + self.rng.below(20) as u64));
        }
    }
}

/// How often each was killed.
#[derive(Debug, Default)]
struct Kills {
    gateway: usize,
    redis: usize,
}

/// Servers that are killed and started again.
struct World {
    /// None while it is killed. Dropped first: their logs are in the folder of the pipeline.
    gateways: [Option<Daemon>; 2],
    ports: [u16; 2],
    pipeline: Pipeline,
    redis: RedisServer,
}

impl World {
    fn start() -> Self {
        let (redis, ports) = (RedisServer::start(REDIS), [free_port(), free_port()]);
        let postgres = PostgresServer::shared().database();
        let setup = Setup { redis: redis.url(), postgres, streams: 2, workers: 1, clock: "log", more: String::new() };
        let mut world = Self { redis, pipeline: Pipeline::new(setup), gateways: [None, None], ports };
        world.start_gateways();
        world.gateways.iter().flatten().for_each(Daemon::wait_until_ready);
        let answer = try_request(ports[0], "POST", "/v1/geofences", &[], YARD.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        world
    }

    /// Starts those that do not run, without waiting for them.
    fn start_gateways(&mut self) {
        for (gateway, port) in self.gateways.iter_mut().zip(self.ports) {
            gateway.get_or_insert_with(|| {
                let mut command = self.pipeline.command("gateway", &[]);
                command.env("WATCHTOWER_GATEWAY_LISTEN", format!("127.0.0.1:{port}"));
                Daemon::spawn(command, port, self.pipeline.config().parent().unwrap())
            });
        }
    }

    /// Kills one, two or all at a time, each time after some more deliveries were acknowledged.
    fn kill_at_random(&mut self, rng: &mut Rng, seen: &Seen) -> Kills {
        let is_soak = std::env::var_os("WATCHTOWER_SOAK").is_some();
        let (started, mut kills) = (Instant::now(), Kills::default());
        let has_enough = |kills: &Kills| {
            if is_soak { kills.gateway + kills.redis >= SOAK_KILLS } else { started.elapsed() >= USUAL }
        };
        while !has_enough(&kills) {
            let acknowledged = || seen.acknowledged.load(Ordering::Relaxed);
            let wanted = acknowledged() + 1 + rng.below(5);
            wait_until("deliveries are acknowledged", || acknowledged() >= wanted);
            std::thread::sleep(Duration::from_micros(rng.below(100_000) as u64));
            let ended = self.gateways.iter().flatten().find(|gateway| !is_running(gateway.pid()));
            assert!(ended.is_none(), "a gateway has ended by itself:\n{}", ended.unwrap().log());
            let [redis, one, other] = rng.weighted(&[
                (4, [true, false, false]),
                (2, [false, true, false]),
                (2, [false, false, true]),
                (1, [true, true, false]),
                (1, [true, true, true]),
            ]);
            for (gateway, _) in self.gateways.iter_mut().zip([one, other]).filter(|(_, dies)| *dies) {
                gateway.take().unwrap().kill();
                kills.gateway += 1;
            }
            if redis {
                self.redis.kill();
                kills.redis += 1;
            }
            std::thread::sleep(Duration::from_millis(rng.below(50) as u64));
            self.start_gateways();
            if redis {
                self.redis.restart();
            }
        }
        self.gateways.iter().flatten().for_each(Daemon::wait_until_ready);
        kills
    }

    /// Makes sure that the log has every position that was acknowledged and no other; that each delivery is there whole,
    /// and more than once only if it had to be sent more than once. Returns how many are.
    fn assert_log_has(&self, deliveries: &[Delivery]) -> usize {
        let mut found: HashMap<(String, i64), Vec<Place>> = HashMap::new();
        for entry in Log::read(&self.redis.url(), &self.pipeline.keys()).entries {
            let fields: Vec<(&[u8], &[u8])> =
                entry.fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
            let decoded = decode_entry(&fields, &Limits::default(), |decoded| match decoded.result.unwrap() {
                Event::Position(report) => {
                    let Fix::At(measured) = report.fix else { panic!("a withdrawal that was not sent") };
                    found.entry((report.vehicle_id.into_owned(), report.ts)).or_default().push(measured.place);
                }
                Event::Geofence(_) => {}
                Event::Vehicle(_) | Event::Rule(_) | Event::Clock(_) => panic!("an event that was not sent"),
            });
            decoded.unwrap();
        }
        let mut doubled = 0;
        for Delivery { id, positions, requests, .. } in deliveries {
            let times = positions.iter().map(|(vehicle_id, ts, lon)| {
                let places = found.remove(&(vehicle_id.clone(), *ts)).unwrap_or_default();
                assert!(places.iter().all(|place| *place == Place::from_degrees(*lon, LAT)), "{id}: {places:?}");
                places.len()
            });
            let times: Vec<usize> = times.collect();
            assert!(times[0] > 0, "{id} was acknowledged and is not in the log");
            assert!(times.iter().all(|time| *time == times[0]), "{id} is not there as a whole: {times:?}");
            assert!(times[0] <= *requests, "{id} was sent {requests} times and is there {} times", times[0]);
            doubled += usize::from(times[0] > 1);
        }
        assert!(found.is_empty(), "positions that were not sent: {found:?}");
        doubled
    }

    /// Number of entries of all streams.
    fn entries(&self) -> u64 {
        let length = |key: &String| self.redis.command(&["XLEN", key]).trim()[1..].parse::<u64>().unwrap();
        self.pipeline.keys().iter().map(length).sum()
    }

    /// Every delivery is remembered: sent once more under its identifier it adds nothing.
    fn assert_repeated(&self, deliveries: &[Delivery]) {
        let before = self.entries();
        self.send_again(deliveries, |delivery, port| {
            let answer = delivery.post(port, Some(&delivery.id)).unwrap();
            assert!(answer.status == 200 && answer.json()["repeated"] == true, "{}: {answer:?}", delivery.id);
        });
        assert_eq!(self.entries(), before);
    }

    /// Sent once more without their identifiers, deliveries add entries; these change no row.
    fn assert_rows_stay(&self, deliveries: &[Delivery]) {
        let before = self.entries();
        let _daemon = self.pipeline.start();
        self.pipeline.wait_for_entries(before);
        assert_ne!(self.pipeline.sql("SELECT count(*) FROM visits"), "0");
        let rows = self.pipeline.digest_of(&[&COMPUTED]);
        self.send_again(deliveries, |delivery, port| {
            let answer = delivery.post(port, None).unwrap();
            assert!(answer.json()["accepted"] == delivery.positions.len(), "{}: {answer:?}", delivery.id);
        });
        let after = self.entries();
        assert!(after > before);
        self.pipeline.wait_for_entries(after);
        assert_eq!(self.pipeline.digest_of(&[&COMPUTED]), rows);
    }

    fn send_again(&self, deliveries: &[Delivery], send: impl Fn(&Delivery, u16) + Sync) {
        std::thread::scope(|scope| {
            for (share, port) in deliveries.chunks(deliveries.len().div_ceil(CLIENTS)).zip(self.ports.iter().cycle()) {
                let send = &send;
                scope.spawn(move || share.iter().for_each(|delivery| send(delivery, *port)));
            }
        });
    }
}

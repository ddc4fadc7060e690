//! A simulated fleet of container trucks in Lagos: terminal, client, terminal.
//!
//! The places are real ones, roughly; the roads are straight, the drivers random. One truck's tracker
//! goes silent in the morning and uploads what it missed in the afternoon, another's receiver
//! scatters, and a terminal's geofence is redrawn while trucks stand in it. The same seed makes the
//! same day.

use std::borrow::Cow;
use std::sync::Arc;

use watchtower_dataflows::model::{Heading, Millis, Place, Speed};

use crate::events::json;
use crate::events::{Event, Fix, Limits, Measured, PositionReport};
use crate::random::SplitMix;

/// 2026-11-23, midnight in Lagos (UTC+1).
pub const DAY_BEGINS: Millis = 1_795_388_400_000;

/// How often a tracker reports.
pub const FIX_EVERY_MS: Millis = 30_000;

/// The truck that uploads late, as long as the fleet has one.
pub const LATE_TRUCK: usize = 3;
const SILENT_FROM: Millis = DAY_BEGINS + 8 * HOUR_MS;
const UPLOADS_AT: Millis = DAY_BEGINS + 13 * HOUR_MS;
const JITTERY_TRUCK: usize = 5;
const REDRAWN_AT: Millis = DAY_BEGINS + 12 * HOUR_MS;
const HOUR_MS: Millis = 3_600_000;

const M_PER_DEGREE: f64 = 111_320.0;

/// Terminals and depots: id, name, kind, longitude, latitude, radius in metres.
const YARDS: [(&str, &str, &str, f64, f64, f64); 6] = [
    ("esslibra", "ESSLIBRA Ibeshe", "terminal", 3.4755, 6.5563, 350.0),
    ("apapa", "Apapa", "terminal", 3.3655, 6.4405, 600.0),
    ("tincan", "Tin Can Island", "terminal", 3.3470, 6.4330, 500.0),
    ("depot-mile2", "Mile 2 depot", "depot", 3.3180, 6.4640, 180.0),
    ("depot-ojota", "Ojota depot", "depot", 3.3790, 6.5810, 150.0),
    ("depot-ikorodu", "Ikorodu depot", "depot", 3.5070, 6.6180, 200.0),
];

/// How many clients there are.
pub const CLIENTS: usize = 20;

/// How many terminals there are.
pub const TERMINALS: usize = 3;

/// A place trucks go to.
#[derive(Clone, Debug)]
struct Site {
    id: String,
    lon: f64,
    lat: f64,
    terminal: bool,
}

/// What a truck is doing.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Standing { until: Millis },
    Driving { to: usize, speed_kmh: f64 },
}

#[derive(Clone, Debug)]
struct Truck {
    id: Arc<str>,
    lon: f64,
    lat: f64,
    /// Where it stands, or came from.
    site: usize,
    doing: Doing,
    random: SplitMix,
}

/// The fleet, at an instant of its day.
#[derive(Debug)]
pub struct Simulator {
    sites: Vec<Site>,
    trucks: Vec<Truck>,
    now: Millis,
    unsent: Vec<Event<'static>>,
}

impl Simulator {
    /// A fleet at midnight.
    pub fn new(vehicles: u32, seed: u64) -> Self {
        let mut random = SplitMix::new(seed);
        let yards = YARDS.iter().map(|&(id, _, kind, lon, lat, _)| Site {
            id: id.to_owned(),
            lon,
            lat,
            terminal: kind == "terminal",
        });
        let mut sites: Vec<Site> = yards.collect();
        for n in 1..=CLIENTS {
            let (lon, lat) = (random.between(3.20, 3.60), random.between(6.44, 6.70));
            sites.push(Site { id: format!("client-{n:02}"), lon, lat, terminal: false });
        }
        let trucks = (0..vehicles as usize)
            .map(|n| {
                let mut random = SplitMix::new(random.next_u64());
                let site = random.below(YARDS.len() as u64) as usize;
                let until = DAY_BEGINS + random.below(7 * HOUR_MS as u64) as Millis;
                let Site { lon, lat, .. } = sites[site];
                let id = format!("T{}LA", 11_982 + n).into();
                Truck { id, lon, lat, site, doing: Doing::Standing { until }, random }
            })
            .collect();
        Self { sites, trucks, now: DAY_BEGINS, unsent: Vec::new() }
    }

    /// The next instant.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// The id of a truck by its number.
    pub fn truck_id(&self, n: usize) -> Option<Arc<str>> {
        self.trucks.get(n).map(|truck| Arc::clone(&truck.id))
    }

    /// The geofences as they are at midnight.
    pub fn geofences(&self) -> Vec<Event<'static>> {
        let yards =
            YARDS.iter().map(|&(id, name, kind, lon, lat, radius_m)| circle(id, name, kind, lon, lat, radius_m));
        let clients = self.sites[YARDS.len()..].iter().map(|s| circle(&s.id, &s.id, "client", s.lon, s.lat, 120.0));
        yards.chain(clients).collect()
    }

    /// What arrives at this instant, in order; then the next instant is `FIX_EVERY_MS` later.
    pub fn step(&mut self) -> Vec<Event<'static>> {
        let Self { sites, trucks, now, unsent } = self;
        let mut arrived = Vec::with_capacity(trucks.len());
        if *now == REDRAWN_AT {
            arrived.push(redrawn());
        }
        for (n, truck) in trucks.iter_mut().enumerate() {
            truck.advance(sites, *now);
            let event = truck.report(*now, if n == JITTERY_TRUCK { 60.0 } else { 4.0 });
            if n == LATE_TRUCK && (SILENT_FROM..UPLOADS_AT).contains(now) {
                unsent.push(event);
            } else {
                if n == LATE_TRUCK {
                    arrived.append(unsent);
                }
                arrived.push(event);
            }
        }
        *now += FIX_EVERY_MS;
        arrived
    }
}

impl Truck {
    fn advance(&mut self, sites: &[Site], now: Millis) {
        match self.doing {
            Doing::Standing { until } if now < until => {}
            Doing::Standing { .. } => {
                let to = self.choose(sites);
                self.doing = Doing::Driving { to, speed_kmh: self.random.between(14.0, 38.0) };
            }
            Doing::Driving { to, speed_kmh } => {
                let (east, north) = self.towards(&sites[to]);
                let (left_m, step_m) = (east.hypot(north), speed_kmh / 3.6 * (FIX_EVERY_MS as f64 / 1000.0));
                let share = (step_m / left_m.max(1.0)).min(1.0);
                self.lon += (sites[to].lon - self.lon) * share;
                self.lat += (sites[to].lat - self.lat) * share;
                if share >= 1.0 {
                    self.site = to;
                    let minutes = if sites[to].terminal { (25.0, 160.0) } else { (15.0, 90.0) };
                    let stay_ms = self.random.between(minutes.0, minutes.1) * 60_000.0;
                    self.doing = Doing::Standing { until: now + stay_ms as Millis };
                }
            }
        }
    }

    /// From a terminal to a client, from anywhere else to a terminal.
    fn choose(&mut self, sites: &[Site]) -> usize {
        if sites[self.site].terminal {
            YARDS.len() + self.random.below(CLIENTS as u64) as usize
        } else {
            self.random.below(TERMINALS as u64) as usize
        }
    }

    /// Metres east and north.
    fn towards(&self, site: &Site) -> (f64, f64) {
        let east = (site.lon - self.lon) * M_PER_DEGREE * self.lat.to_radians().cos();
        (east, (site.lat - self.lat) * M_PER_DEGREE)
    }

    fn report(&mut self, ts: Millis, scatter_m: f64) -> Event<'static> {
        let mut scattered = |degrees: f64| degrees + self.random.between(-scatter_m, scatter_m) / M_PER_DEGREE;
        let place = Place::from_degrees(scattered(self.lon), scattered(self.lat));
        let speed_kmh = match self.doing {
            Doing::Standing { .. } => 0.0,
            Doing::Driving { speed_kmh, .. } => speed_kmh + self.random.between(-6.0, 6.0),
        };
        Event::Position(PositionReport {
            vehicle_id: Cow::Owned(self.id.as_ref().to_owned()),
            ts,
            received_at: None,
            fix: Fix::At(Measured {
                place,
                speed: Speed::from_kmh((speed_kmh * 10.0).round() / 10.0),
                heading: Heading::NONE,
                accuracy_m: Some(5.0),
                altitude_m: None,
                ignition: Some(speed_kmh > 0.0),
                attributes: None,
            }),
        })
    }
}

/// The geofence of ESSLIBRA as its operator redraws it at noon: the gate's queue belongs to it now.
fn redrawn() -> Event<'static> {
    let valid_from = REDRAWN_AT - 2 * HOUR_MS;
    geofence(&format!(
        r#"{{"type":"geofence","geofence_id":"esslibra","valid_from":{valid_from},"name":"ESSLIBRA Ibeshe","kind":"terminal",
        "min_dwell_s":300,"exit_buffer_m":25,"geometry":{{"type":"Point","coordinates":[3.4755,6.5563]}},"radius_m":900}}"#
    ))
}

fn circle(id: &str, name: &str, kind: &str, lon: f64, lat: f64, radius_m: f64) -> Event<'static> {
    geofence(&format!(
        r#"{{"type":"geofence","geofence_id":"{id}","valid_from":"2026-11-01T00:00:00Z","name":"{name}","kind":"{kind}",
        "min_dwell_s":300,"exit_buffer_m":25,"geometry":{{"type":"Point","coordinates":[{lon},{lat}]}},"radius_m":{radius_m}}}"#
    ))
}

fn geofence(text: &str) -> Event<'static> {
    json::decode(text.as_bytes(), &Limits::default()).expect("a simulated geofence is a valid event").into_owned()
}

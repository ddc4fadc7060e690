//! A simulated fleet of container lorries in Lagos that drive from terminal to client and back.
//!
//! ```text
//! wheel ──due this second──> truck ──truth──> tracker ──fixes──> what arrives
//!                             │  asks roads, traffic, yard          ^
//!                             │                                cast, delayed, kept while silent
//! ```
//!
//! Time is simulated: one [`Simulator::step`] is one second, and its cost is proportional to the reports due in it. The
//! same seed makes the same events on any machine with the same floating-point rounding. Places and roads are real to
//! a few hundred metres; the rest is invented: queues at the gates of terminals, rush hours, speeding, breakdowns,
//! lunch, nights in the depot. Trackers report every 10 s on the road, every 60 s while standing and every 5 minutes
//! at night in a depot. A tracker without network keeps its positions and uploads them later, with their own times.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use watchtower_model::Millis;

use watchtower_core::events::{Clock, Event};
use watchtower_core::random::SplitMix;

mod cast;
mod geodesy;
mod geofences;
mod map;
mod places;
mod roads;
#[cfg(test)]
mod tests;
mod tracker;
mod traffic;
mod truck;
mod vehicles;
mod wheel;
mod yard;

pub use cast::{Correction, CorrectionKind};
pub use tracker::{MOVING_EVERY_S, PARKED_EVERY_S, STANDING_EVERY_S};

use cast::{SILENT_FROM, TrackerFault, UPLOADS_AT};
use places::PLACES;
use roads::Roads;
use tracker::Silence;
use traffic::Traffic;
use truck::{Incident, Town, Truck};
use wheel::Wheel;
use yard::Yard;

/// 2026-11-23, midnight in Lagos (UTC+1), a Monday.
pub const MIDNIGHT: Millis = 1_795_388_400_000;
/// Interval between clock events.
const CLOCK_EVERY_MS: Millis = 10 * SECOND_MS;

const SECOND_MS: Millis = 1000;
const MINUTE_MS: Millis = 60 * SECOND_MS;
const HOUR_MS: Millis = 60 * MINUTE_MS;
const DAY_MS: Millis = 24 * HOUR_MS;

/// Parameters of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Number of lorries.
    pub vehicles: u32,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Instant of the first second.
    pub begins: Millis,
}

/// A simulated fleet at an instant of its day.
#[derive(Debug)]
pub struct Simulator {
    begins: Millis,
    now: Millis,
    town: Town,
    trucks: Vec<Truck>,
    due: Wheel<u32>,
    /// Fixes that are sent later than they were measured.
    delayed: Wheel<Event<'static>>,
    silent: HashMap<u32, Silence, FxBuildHasher>,
    meant_to_be_refused: u64,
}

impl Simulator {
    /// A simulation before its first second.
    pub fn new(fleet: Fleet) -> Self {
        let Fleet { vehicles, seed, begins } = fleet;
        let now = begins.div_euclid(SECOND_MS) * SECOND_MS;
        // Sized so that lorries queue for about an hour in the middle of the day.
        let bays = (vehicles / 14).max(2);
        let mut town = Town {
            roads: Roads::new(),
            traffic: Traffic::at(now),
            yards: std::array::from_fn(|_| Yard::new(bays)),
            grounds: PLACES.iter().map(|place| (place.ground.reach_m(), place.ground.room_m())).collect(),
        };
        let (mut random, mut due) = (SplitMix::new(seed), Wheel::new());
        let trucks = (0..vehicles).map(|n| {
            let mut random = SplitMix::new(random.next_u64());
            due.put(now, 1 + random.below(u64::from(STANDING_EVERY_S)) as u32, n);
            Truck::new(random, &mut town, now)
        });
        let trucks = trucks.collect();
        let (delayed, silent) = (Wheel::new(), HashMap::default());
        Self { begins: now, now, town, trucks, due, delayed, silent, meant_to_be_refused: 0 }
    }

    /// The instant that the next step simulates.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Number of lorries.
    pub fn vehicles(&self) -> u32 {
        self.trucks.len() as u32
    }

    /// Number of events so far that a daemon should reject, because of a wrong tracker clock.
    pub fn meant_to_be_refused(&self) -> u64 {
        self.meant_to_be_refused
    }

    /// Simulates one second. Appends what arrives in it to `events`; the returned corrections arrive after them.
    pub fn step(&mut self, events: &mut Vec<Event<'static>>) -> Vec<Correction> {
        let now = self.now;
        let mut corrections = Vec::new();
        if now == self.begins {
            // Geofences come first, so that they hold from the beginning of the log.
            events.extend(geofences::all(now));
            events.extend((0..self.vehicles()).map(|truck| vehicles::metadata(truck, None, now, now)));
        }
        if now % CLOCK_EVERY_MS == 0 {
            events.push(Event::Clock(Clock { now, received_at: Some(now) }));
            self.town.traffic = Traffic::at(now);
        }
        let mut late = self.delayed.take(now);
        for mut event in late.drain(..) {
            *event.received_at_mut() = Some(now);
            events.push(event);
        }
        self.delayed.give_back(now, late);
        self.play(now, events, &mut corrections);
        let due = self.due.take(now);
        for &truck in &due {
            let in_s = self.report(truck, now, events, &mut corrections);
            self.due.put(now, in_s, truck);
        }
        self.due.give_back(now, due);
        self.now += SECOND_MS;
        corrections
    }

    /// Moves a lorry and emits its tracker's report, if it has network. Returns the seconds until its next report.
    fn report(
        &mut self,
        number: u32,
        now: Millis,
        events: &mut Vec<Event<'static>>,
        corrections: &mut Vec<Correction>,
    ) -> u32 {
        let truck = &mut self.trucks[number as usize];
        if let Some(Incident::Dark { until }) = truck.advance(&mut self.town, now) {
            self.silent.entry(number).or_insert(Silence { until, kept: None });
        }
        // A wrong clock only shows in reports sent at once: by the time of an upload the reported time has passed.
        let fault = TrackerFault::of(number)
            .filter(|fault| *fault != TrackerFault::WrongClock || !self.silent.contains_key(&number));
        let (truth, id) = (truck.truth(&self.town), vehicles::id(number));
        let (event, refused) = tracker::fix(&id, &truth, fault, &mut truck.random, now);
        self.meant_to_be_refused += u64::from(refused);
        let lost = match fault {
            Some(TrackerFault::Late) => (SILENT_FROM..UPLOADS_AT).contains(&now).then_some(UPLOADS_AT),
            _ if refused => None,
            _ => tracker::lost(&truth, &mut truck.random, now),
        };
        if let Some(until) = lost {
            self.silent.entry(number).or_insert(Silence { until, kept: Some(Vec::new()) });
        }
        let in_s = match (truth.awake, truck.is_parked()) {
            (true, _) => MOVING_EVERY_S,
            (false, true) => PARKED_EVERY_S,
            (false, false) => STANDING_EVERY_S,
        };
        match self.silent.get_mut(&number) {
            Some(silence) if now < silence.until => {
                if let Some(kept) = &mut silence.kept {
                    kept.push(event);
                }
            }
            Some(_) => {
                let kept = self.silent.remove(&number).and_then(|silence| silence.kept);
                match kept {
                    None => events.push(event),
                    Some(mut kept) => {
                        kept.push(event);
                        kept.iter_mut().for_each(|event| *event.received_at_mut() = Some(now));
                        let kind = CorrectionKind::LateUpload;
                        corrections.push(Correction { kind, subject: id, events: kept });
                    }
                }
            }
            None => match tracker::delay_s(&mut truck.random) {
                Some(delay_s) if !refused => self.delayed.put(now, delay_s, event),
                Some(_) | None => {
                    if fault == Some(TrackerFault::Twice) {
                        events.push(event.clone());
                    }
                    events.push(event);
                }
            },
        }
        in_s
    }
}

//! `vehicle_daily`: what each vehicle did on each local day.
//!
//! What is measured along a vehicle's positions comes as one [`Motion`] a day; idlings and overspeeds
//! are split at the days' ends; the rest is counted on the day of its end. All of it adds up, but for the
//! greatest speed and the first and last movement, which are the motion's own: as a motion that changes is
//! replaced, a group holds one, or none, of them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::views::grouped::{Given, Grouped, grouped};
use crate::views::groups::{Group, Key};
use crate::views::{GroupSnapshot, Rows};
use watchtower_model::Span;
use watchtower_model::aggregates::VehicleDaily;
use watchtower_model::facts::{Motion, Overspeed, Spell, SpellKind, Stop, Towing, Trip};
use watchtower_model::local_time::{Day, LocalTime};
use watchtower_model::{Millis, Speed, VehicleId, Visit};

/// Facts from which the table is computed.
pub struct VehicleFacts<'s> {
    /// One for each vehicle and day.
    pub motions: Rows<'s, Motion>,
    /// One for each move with the ignition off and day.
    pub towings: Rows<'s, Towing>,
    /// Idlings and overspeeds as far as they are confirmed.
    pub spells: Rows<'s, Spell>,
    /// Overspeeds, ended or not.
    pub overspeeds: Rows<'s, Overspeed>,
    /// Stops, ended or not.
    pub stops: Rows<'s, Stop>,
    /// Open and unconfirmed ones too.
    pub visits: Rows<'s, Visit>,
    /// Trips, arrived or not.
    pub trips: Rows<'s, Trip>,
}

impl std::fmt::Debug for VehicleFacts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VehicleFacts").finish_non_exhaustive()
    }
}

/// A vehicle's local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VehicleDay {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// Local day, by `[rules] time_zone`.
    pub day: Day,
}

/// Contribution of a fact to a vehicle's day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Part {
    /// Sums over the positions.
    Motion(MotionOfDay),
    /// How far it went with the ignition off, millimetres.
    Towing(i64),
    /// Time idling or above the limit, milliseconds.
    Spell(SpellKind, i64),
    /// An overspeed ended.
    Overspeed,
    /// A stop that ended on the day.
    Stop,
    /// A confirmed visit ended.
    Visit,
    /// A trip that arrived on the day.
    Trip,
}

/// A [`Motion`] without whose and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MotionOfDay {
    distance_mm: i64,
    gap_mm: i64,
    moving_ms: i64,
    stopped_ms: i64,
    offline_ms: i64,
    positions: i64,
    moved: Option<(Millis, Millis)>,
    max_speed: Speed,
}

/// The state of a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct VehicleDailyGroup {
    /// The motion there is once, if it is the only one.
    motion: Option<MotionOfDay>,
    /// Else all of them, ascending, none of them zero times.
    motions: Vec<(MotionOfDay, i64)>,
    towed_mm: i64,
    idling_ms: i64,
    overspeed_ms: i64,
    overspeeds: i64,
    stops: i64,
    visits: i64,
    trips: i64,
}

/// The table. Its slack: see [`crate::views::groups`].
pub fn vehicle_daily<'s>(facts: VehicleFacts<'s>, given: &Given<'s>) -> Grouped<'s, VehicleDaily> {
    let VehicleFacts { motions, towings, spells, overspeeds, stops, visits, trips } = facts;
    let motions = motions.map(|motion| {
        let Motion {
            vehicle,
            day,
            distance_mm,
            gap_mm,
            moving_ms,
            stopped_ms,
            offline_ms,
            max_speed,
            moved,
            positions,
        } = motion;
        let motion =
            MotionOfDay { distance_mm, gap_mm, moving_ms, stopped_ms, offline_ms, positions, moved, max_speed };
        (VehicleDay { vehicle, day }, Part::Motion(motion))
    });
    let towings = towings.map(|Towing { vehicle, day, started_at: _, distance_mm }| {
        (VehicleDay { vehicle, day }, Part::Towing(distance_mm))
    });
    let zone = Arc::clone(&given.local_time);
    let spells = spells.flat_map(move |Spell { vehicle, kind, from, until }| {
        let zone = Arc::clone(&zone);
        days(zone, from, until).map(move |(day, ms)| (VehicleDay { vehicle, day }, Part::Spell(kind, ms)))
    });
    let counted = |part: Part| {
        let zone = Arc::clone(&given.local_time);
        move |vehicle, ended_at| Some((VehicleDay { vehicle, day: zone.day(ended_at) }, part.clone()))
    };
    let of = counted(Part::Overspeed);
    let overspeeds = overspeeds.flat_map(move |overspeed| of(overspeed.vehicle, overspeed.ended_at?));
    let of = counted(Part::Stop);
    let stops = stops.flat_map(move |stop| of(stop.vehicle, stop.ended_at?));
    let of = counted(Part::Visit);
    let visits = visits.filter(|visit| visit.confirmed).flat_map(move |visit| of(visit.vehicle, visit.exited_at?));
    let of = counted(Part::Trip);
    let trips = trips.flat_map(move |trip| of(trip.vehicle, trip.arrival?.arrived_at));
    let parts = motions.concatenate([towings, spells, overspeeds, stops, visits, trips]);
    grouped::<VehicleDailyGroup>("VehicleDaily", parts, given)
}

/// The local days of an interval, and how much of it each has.
fn days(zone: Arc<LocalTime>, from: Millis, until: Millis) -> impl Iterator<Item = (Day, i64)> {
    let mut rest = Span { from, until };
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (day, end) = (zone.day(rest.from), zone.day_span(rest.from).until.min(rest.until));
        let ms = end - rest.from;
        rest.from = end;
        Some((day, ms))
    })
}

impl Key for VehicleDay {
    fn route(&self) -> u64 {
        u64::from(self.vehicle.0) // as the timelines: its facts need not change the worker
    }

    fn end(&self, local_time: &LocalTime) -> Millis {
        local_time.day_end(self.day)
    }
}

impl VehicleDailyGroup {
    fn update_motion(&mut self, motion: MotionOfDay, diff: i64) {
        if self.motions.is_empty() {
            match self.motion {
                None if diff == 1 => return self.motion = Some(motion),
                Some(held) if diff == -1 && held == motion => return self.motion = None,
                held => self.motions.extend(held.map(|held| (held, 1))),
            }
        }
        self.motion = None;
        match self.motions.binary_search_by_key(&motion, |(motion, _)| *motion) {
            Ok(at) => {
                self.motions[at].1 += diff;
                if self.motions[at].1 == 0 {
                    self.motions.remove(at);
                }
            }
            Err(at) => self.motions.insert(at, (motion, diff)),
        }
        if let [(motion, 1)] = self.motions[..] {
            self.motion = Some(motion);
            self.motions = Vec::new();
        }
    }

    fn motions(&self) -> impl Iterator<Item = (MotionOfDay, i64)> {
        self.motion.iter().map(|motion| (*motion, 1)).chain(self.motions.iter().copied())
    }
}

impl Group for VehicleDailyGroup {
    type Key = VehicleDay;
    type Value = Part;
    type Row = VehicleDaily;

    const VEHICLE: Option<fn(&VehicleDay) -> VehicleId> = Some(|key| key.vehicle);

    fn update(&mut self, value: &Part, diff: i64) {
        match value {
            Part::Motion(motion) => self.update_motion(*motion, diff),
            Part::Towing(distance_mm) => self.towed_mm += distance_mm * diff,
            Part::Spell(SpellKind::Idling, ms) => self.idling_ms += ms * diff,
            Part::Spell(SpellKind::Overspeed, ms) => self.overspeed_ms += ms * diff,
            Part::Overspeed => self.overspeeds += diff,
            Part::Stop => self.stops += diff,
            Part::Visit => self.visits += diff,
            Part::Trip => self.trips += diff,
        }
    }

    fn row(&self, key: &VehicleDay) -> Option<VehicleDaily> {
        if self.is_empty() {
            return None;
        }
        let mut row = VehicleDaily {
            vehicle: key.vehicle,
            day: key.day,
            distance_mm: 0,
            gap_mm: 0,
            towed_mm: self.towed_mm,
            moving_ms: 0,
            stopped_ms: 0,
            idling_ms: self.idling_ms,
            offline_ms: 0,
            overspeed_ms: self.overspeed_ms,
            max_speed: Speed::NONE,
            positions: 0,
            overspeeds: self.overspeeds,
            stops: self.stops,
            visits: self.visits,
            trips: self.trips,
            moved: None,
        };
        for (motion, count) in self.motions() {
            row.distance_mm += motion.distance_mm * count;
            row.gap_mm += motion.gap_mm * count;
            row.moving_ms += motion.moving_ms * count;
            row.stopped_ms += motion.stopped_ms * count;
            row.offline_ms += motion.offline_ms * count;
            row.positions += motion.positions * count;
            if motion.max_speed.micro_kmh() > row.max_speed.micro_kmh() {
                row.max_speed = motion.max_speed;
            }
            row.moved = match (row.moved, motion.moved) {
                (Some((first, last)), Some((from, until))) => Some((first.min(from), last.max(until))),
                (moved, None) | (None, moved) => moved,
            };
        }
        Some(row)
    }

    fn is_empty(&self) -> bool {
        let Self { motion, motions, towed_mm, idling_ms, overspeed_ms, overspeeds, stops, visits, trips } = self;
        let sums = [towed_mm, idling_ms, overspeed_ms, overspeeds, stops, visits, trips];
        motion.is_none() && motions.is_empty() && sums.into_iter().all(|sum| *sum == 0)
    }

    fn heap_bytes(&self) -> usize {
        self.motions.capacity() * size_of::<(MotionOfDay, i64)>()
    }

    fn peek(&self) -> i64 {
        self.motion.map_or(0, |motion| motion.positions) ^ self.trips
    }

    fn snapshot(key: VehicleDay, group: Arc<Self>) -> GroupSnapshot {
        GroupSnapshot::VehicleDaily(key, group)
    }

    fn restored(snapshot: GroupSnapshot) -> Option<(VehicleDay, Arc<Self>)> {
        let GroupSnapshot::VehicleDaily(key, group) = snapshot else { return None };
        Some((key, group))
    }
}

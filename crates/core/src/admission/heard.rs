//! Memory of a stream: the newest position of each vehicle, and a bound of the positions of each that are retained.
//!
//! **Newest.** The greatest ts of a vehicle's positions that are accepted and not withdrawn decides what is late. A
//! withdrawal never raises it; the withdrawal of the newest gives the vehicle its earlier newest back, which the
//! [`Keys`] know. By then the clock may have passed the mistaken one, and what lay before was given up:
//! `kept_from` is the instant from which the track is complete, and nothing older is accepted any more.
//!
//! **How much.** Event time is cut into windows as long as tracks are retained (the lateness and [`ARRIVAL_SLACK_MS`]),
//! counted from 1970. Of one vehicle at most half of `max_retained_positions` are accepted in each window. No accepted
//! position is older than the window before its vehicle's newest, so two counts say all there is to say, and
//! what is retained behind the newest position lies in those two windows. When the newest goes back, the keys are
//! counted anew.
//!
//! Positions that are ahead of the log's time stay in memory until it has passed them, however many windows
//! they fill: a receiver whose clock is a year ahead sends a year of them. Those in windows before the two
//! are counted until the stream's clock has reached the newest window; with the two they may come to
//! `max_retained_positions`.
//!
//! A vehicle's count follows from its own accepted events and the clocks of its own stream: whoever reads that
//! stream again decides the same. A withdrawal keeps nothing in memory: it is neither counted nor refused.
//!
//! Why too many positions are refused, and not the oldest ones evicted: a geofence may be redrawn as of any
//! instant that is retained, and the control stream, which says so, is read independently of this one. Were a
//! position evicted before its time, it would depend on the interleaving whether the edit still finds it.
//! Raising the vehicle's lateness floor instead would free nothing either, for the same reason; it would only
//! refuse late positions so that there is more room for new ones, and that they have: each window has its own
//! count, so that what is late never takes the room of what is new.
//!
//! [`ARRIVAL_SLACK_MS`]: super::ARRIVAL_SLACK_MS

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use watchtower_model::{BEGINNING, Millis, VehicleId};

use super::keys::Keys;
use crate::events::{Limits, Reason, Rejection};

/// No vehicle of this stream.
const NONE: u32 = u32::MAX;

/// What is remembered of a vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The greatest ts of its positions that are accepted and not withdrawn; [`BEGINNING`] if there is none.
    pub newest: Millis,
    /// Accepted positions in the window of the newest, and in the window before that.
    pub counts: [u32; 2],
}

/// All that is remembered of a vehicle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VehicleMemory {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// State that every vehicle has, also one without a number.
    pub heard: Heard,
    /// Positions far ahead of the clock.
    pub ahead: u32,
    /// Before this instant its track may have been given up. [`BEGINNING`] unless its newest went back.
    pub kept_from: Millis,
    /// Where it holds positions.
    pub keys: Keys,
}

/// How much of a vehicle may be held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Vehicles of this stream.
    pub vehicles: u32,
    /// Positions of each.
    pub positions: u32,
    /// The length of a window.
    pub window_ms: Millis,
}

impl Bounds {
    /// Those of one of so many streams; none if nothing is ever too late.
    pub(super) fn of(limits: &Limits, streams: u16) -> Option<Self> {
        let window_ms = super::retention_ms(limits)?;
        let vehicles = limits.max_vehicles.div_ceil(u32::from(streams.max(1)));
        Some(Self { vehicles, positions: limits.max_retained_positions, window_ms })
    }

    /// The window of an instant. That of [`BEGINNING`] is before all others.
    fn window(&self, instant: Millis) -> Millis {
        instant.div_euclid(self.window_ms)
    }

    /// What is remembered after a position, with the stream's clock at `now`. In `ahead` are accepted
    /// positions before the two windows that the clock has not passed.
    fn after(&self, heard: Option<Heard>, ahead: u32, ts: Millis, now: Millis) -> (Heard, u32) {
        let Some(Heard { newest, counts: [in_newest, before] }) = heard.filter(|heard| heard.newest != BEGINNING)
        else {
            return (Heard { newest: ts, counts: [1, 0] }, 0);
        };
        let (counts, gone) = match self.window(ts) - self.window(newest) {
            ..0 => ([in_newest, before.saturating_add(1)], 0),
            0 => ([in_newest.saturating_add(1), before], 0),
            1 => ([1, in_newest], before),
            _ => ([1, 0], before.saturating_add(in_newest)),
        };
        let newest = newest.max(ts);
        let ahead = if self.window(now) >= self.window(newest) { 0 } else { ahead.saturating_add(gone) };
        (Heard { newest, counts }, ahead)
    }

    /// What is remembered where these are the positions that are left, with the stream's clock at `now`.
    fn recount(&self, keys: &Keys, now: Millis) -> (Heard, u32) {
        let Some(newest) = keys.last() else { return (Heard { newest: BEGINNING, counts: [0, 0] }, 0) };
        let begin = |window: Millis| window.saturating_mul(self.window_ms);
        let (at, clock) = (self.window(newest), self.window(now));
        let counts = [keys.count(begin(at)..Millis::MAX), keys.count(begin(at - 1)..begin(at))];
        let ahead = if clock >= at { 0 } else { keys.count(begin(clock)..begin(at - 1)) };
        (Heard { newest, counts }, ahead)
    }

    /// Whether a position with this result may be accepted.
    fn check(&self, ts: Millis, Heard { newest, counts }: Heard, ahead: u32) -> Result<(), Rejection> {
        let is_newest = ts.div_euclid(self.window_ms) == newest.div_euclid(self.window_ms);
        let in_window = if is_newest { counts[0] } else { counts[1] };
        let most = self.positions / 2;
        if in_window > most {
            let detail = format!(
                "ts: expected at most {most} positions of a vehicle in each {} ms of their time",
                self.window_ms
            );
            return Err(Rejection::new(Reason::TooManyPositions, detail));
        }
        let all = counts.into_iter().fold(ahead, u32::saturating_add);
        if all > self.positions {
            let detail = format!(
                "ts: expected at most {} positions of a vehicle that the clock in this stream has not long passed",
                self.positions
            );
            return Err(Rejection::new(Reason::TooManyPositions, detail));
        }
        Ok(())
    }
}

/// Memory of a stream, by vehicle.
#[derive(Clone, Debug, Default)]
pub(super) struct Vehicles {
    /// By the dense number of a vehicle, its place in `heard`: other streams have most of the numbers.
    places: Vec<u32>,
    heard: Vec<Heard>,
    /// By the same place; empty where nothing is ever late.
    keys: Vec<Keys>,
    /// Of vehicles that are far ahead of the clock: positions before the two windows that are counted.
    ahead: HashMap<VehicleId, u32, FxBuildHasher>,
    /// Of vehicles whose newest went back: from when on their tracks are whole.
    kept_from: HashMap<VehicleId, Millis, FxBuildHasher>,
}

impl Vehicles {
    /// What is remembered of a vehicle.
    pub(super) fn get(&self, vehicle: VehicleId) -> Option<Heard> {
        self.heard.get(self.place(vehicle)?).copied()
    }

    /// From when on the track of a vehicle is whole.
    pub(super) fn kept_from(&self, vehicle: VehicleId) -> Millis {
        let kept_from = if self.kept_from.is_empty() { None } else { self.kept_from.get(&vehicle).copied() };
        kept_from.unwrap_or(BEGINNING)
    }

    /// Whether a vehicle holds a position at `ts`, as far as is remembered.
    pub(super) fn holds(&self, vehicle: VehicleId, ts: Millis) -> bool {
        self.place(vehicle).and_then(|place| self.keys.get(place)).is_some_and(|keys| keys.contains(ts))
    }

    /// Refuses a vehicle for which there is no room.
    pub(super) fn check_room(&self, bounds: Option<&Bounds>, vehicle: Option<VehicleId>) -> Result<(), Rejection> {
        match bounds {
            Some(Bounds { vehicles, .. })
                if self.heard.len() >= *vehicles as usize && vehicle.and_then(|of| self.place(of)).is_none() =>
            {
                Err(too_many_vehicles(*vehicles))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What is to be remembered of a vehicle, known by its number if it has one, once a position is accepted; and
    /// how much of that is far ahead.
    pub(super) fn decide(
        &self,
        bounds: Option<&Bounds>,
        vehicle: Option<VehicleId>,
        ts: Millis,
        now: Millis,
    ) -> Result<(Heard, u32), Rejection> {
        let heard = vehicle.and_then(|vehicle| self.get(vehicle));
        let Some(bounds) = bounds else {
            let newest = heard.map_or(ts, |heard| heard.newest.max(ts));
            return Ok((Heard { newest, counts: [0, 0] }, 0));
        };
        let ahead = match vehicle {
            Some(vehicle) if !self.ahead.is_empty() => self.ahead.get(&vehicle).copied().unwrap_or(0),
            Some(_) | None => 0,
        };
        let (heard, ahead) = bounds.after(heard, ahead, ts, now);
        bounds.check(ts, heard, ahead)?;
        Ok((heard, ahead))
    }

    /// Remembers this of a vehicle.
    pub(super) fn set(&mut self, vehicle: VehicleId, heard: Heard, ahead: u32) {
        let place = self.place_or_next(vehicle);
        match self.heard.get_mut(place) {
            Some(known) => *known = heard,
            None => self.heard.push(heard),
        }
        if ahead > 0 {
            self.ahead.insert(vehicle, ahead);
        } else if !self.ahead.is_empty() {
            self.ahead.remove(&vehicle);
        }
    }

    /// Remembers that a vehicle holds a position at `ts`, and forgets where it held some before `kept`.
    pub(super) fn hold(&mut self, vehicle: VehicleId, ts: Millis, kept: Millis) {
        let place = self.place_or_next(vehicle);
        if place >= self.keys.len() {
            self.keys.resize_with(place + 1, Keys::default);
        }
        let keys = &mut self.keys[place];
        keys.insert(ts);
        keys.forget_before(kept);
    }

    /// A vehicle holds no position at `ts` any more. If that was its newest, the earlier one is the newest again;
    /// its track is whole from `retention_ms` before the older of the two that decided so far, the newest and `now`.
    pub(super) fn release(
        &mut self,
        bounds: Option<&Bounds>,
        vehicle: VehicleId,
        ts: Millis,
        (now, retention_ms): (Millis, Option<Millis>),
    ) {
        let Some(heard) = self.get(vehicle) else {
            return self.set(vehicle, Heard { newest: BEGINNING, counts: [0, 0] }, 0);
        };
        let Some(keys) = self.place(vehicle).and_then(|place| self.keys.get_mut(place)) else { return };
        if !keys.remove(ts) || ts != heard.newest {
            return;
        }
        if let Some(retention_ms) = retention_ms {
            let whole = heard.newest.min(now).saturating_sub(retention_ms);
            let kept_from = self.kept_from.entry(vehicle).or_insert(BEGINNING);
            *kept_from = (*kept_from).max(whole);
        }
        let (heard, ahead) = match bounds {
            Some(bounds) => bounds.recount(keys, now),
            None => (Heard { newest: keys.last().unwrap_or(BEGINNING), counts: [0, 0] }, 0),
        };
        self.set(vehicle, heard, ahead);
    }

    /// Everything, by number.
    pub(super) fn all(&self) -> impl Iterator<Item = VehicleMemory> {
        (0..).map(VehicleId).zip(&self.places).filter_map(|(vehicle, place)| {
            let place = *place as usize;
            Some(VehicleMemory {
                vehicle,
                heard: *self.heard.get(place)?,
                ahead: self.ahead.get(&vehicle).copied().unwrap_or(0),
                kept_from: self.kept_from(vehicle),
                keys: self.keys.get(place).cloned().unwrap_or_default(),
            })
        })
    }

    /// Restores the result of [`Self::all`].
    pub(super) fn restore(&mut self, memory: VehicleMemory) {
        let VehicleMemory { vehicle, heard, ahead, kept_from, keys } = memory;
        self.set(vehicle, heard, ahead);
        let place = self.place_or_next(vehicle);
        if keys != Keys::default() {
            self.keys.resize_with(self.keys.len().max(place + 1), Keys::default);
            self.keys[place] = keys;
        }
        if kept_from != BEGINNING {
            self.kept_from.insert(vehicle, kept_from);
        }
    }

    fn place(&self, vehicle: VehicleId) -> Option<usize> {
        self.places.get(vehicle.0 as usize).filter(|place| **place != NONE).map(|place| *place as usize)
    }

    /// The place of a vehicle in `heard`; if it has none, the next.
    fn place_or_next(&mut self, vehicle: VehicleId) -> usize {
        let number = vehicle.0 as usize;
        if number >= self.places.len() {
            self.places.resize(number + 1, NONE);
        }
        let place = &mut self.places[number];
        if *place == NONE {
            *place = self.heard.len() as u32;
        }
        *place as usize
    }
}

/// That there is no room for another vehicle.
pub(super) fn too_many_vehicles(most: u32) -> Rejection {
    Rejection::new(Reason::TooManyVehicles, format!("vehicle_id: expected at most {most} vehicles in this stream"))
}

//! What a stream remembers of its vehicles, and how much of each may be held in memory.
//!
//! Event time is cut into windows as long as tracks are retained (the lateness and [`ARRIVAL_SLACK_MS`]), counted
//! from 1970. Of one vehicle at most half of `max_retained_positions` are accepted in each window. No accepted
//! position is older than the window before its vehicle's newest, so two counts say all there is to say, and
//! what is retained behind the newest position lies in those two windows.
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
use watchtower_model::{Millis, VehicleId};

use crate::events::{Limits, Reason, Rejection};

/// No vehicle of this stream.
const NONE: u32 = u32::MAX;

/// What is remembered of a vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The greatest ts of any accepted position event, withdrawals included.
    pub newest: Millis,
    /// Accepted positions in the window of the newest, and in the window before that.
    pub counts: [u32; 2],
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

    /// What is remembered after a position event, with the stream's clock at `now`. In `ahead` are accepted
    /// positions before the two windows that the clock has not passed.
    fn after(&self, heard: Option<Heard>, ahead: u32, ts: Millis, is_kept: bool, now: Millis) -> (Heard, u32) {
        let window = |instant: Millis| instant.div_euclid(self.window_ms);
        let (more, at) = (u32::from(is_kept), window(ts));
        let Some(Heard { newest, counts: [in_newest, before] }) = heard else {
            return (Heard { newest: ts, counts: [more, 0] }, 0);
        };
        let (counts, gone) = match at - window(newest) {
            ..0 => ([in_newest, before.saturating_add(more)], 0),
            0 => ([in_newest.saturating_add(more), before], 0),
            1 => ([more, in_newest], before),
            _ => ([more, 0], before.saturating_add(in_newest)),
        };
        let newest = newest.max(ts);
        let ahead = if window(now) >= window(newest) { 0 } else { ahead.saturating_add(gone) };
        (Heard { newest, counts }, ahead)
    }

    /// Whether a position may come to this.
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

/// What a stream remembers of its vehicles.
#[derive(Clone, Debug, Default)]
pub(super) struct Vehicles {
    /// By the dense number of a vehicle, its place in `heard`: other streams have most of the numbers.
    places: Vec<u32>,
    heard: Vec<Heard>,
    /// Of vehicles that are far ahead of the clock: positions before the two windows that are counted.
    ahead: HashMap<VehicleId, u32, FxBuildHasher>,
}

impl Vehicles {
    /// What is remembered of a vehicle.
    pub(super) fn get(&self, vehicle: VehicleId) -> Option<Heard> {
        let place = *self.places.get(vehicle.0 as usize)?;
        self.heard.get(place as usize).copied()
    }

    /// Decides on an event of a vehicle, known by its number if it has one, and says what is remembered after it
    /// and how much of that is far ahead.
    pub(super) fn decide(
        &self,
        bounds: Option<&Bounds>,
        vehicle: Option<VehicleId>,
        (ts, is_kept): (Millis, bool),
        now: Millis,
    ) -> Result<(Heard, u32), Rejection> {
        let heard = vehicle.and_then(|vehicle| self.get(vehicle));
        let Some(bounds) = bounds else {
            let newest = heard.map_or(ts, |heard| heard.newest.max(ts));
            return Ok((Heard { newest, counts: [0, 0] }, 0));
        };
        if heard.is_none() && self.heard.len() >= bounds.vehicles as usize {
            return Err(too_many_vehicles(bounds.vehicles));
        }
        let ahead = match vehicle {
            Some(vehicle) if !self.ahead.is_empty() => self.ahead.get(&vehicle).copied().unwrap_or(0),
            Some(_) | None => 0,
        };
        let (heard, ahead) = bounds.after(heard, ahead, ts, is_kept, now);
        if is_kept {
            bounds.check(ts, heard, ahead)?;
        }
        Ok((heard, ahead))
    }

    /// Remembers this of a vehicle.
    pub(super) fn set(&mut self, vehicle: VehicleId, heard: Heard, ahead: u32) {
        let number = vehicle.0 as usize;
        if number >= self.places.len() {
            self.places.resize(number + 1, NONE);
        }
        match self.heard.get_mut(self.places[number] as usize) {
            Some(known) => *known = heard,
            None => {
                self.places[number] = self.heard.len() as u32;
                self.heard.push(heard);
            }
        }
        if ahead > 0 {
            self.ahead.insert(vehicle, ahead);
        } else if !self.ahead.is_empty() {
            self.ahead.remove(&vehicle);
        }
    }

    /// Everything, by number.
    pub(super) fn all(&self) -> impl Iterator<Item = (VehicleId, Heard, u32)> {
        (0..).map(VehicleId).zip(&self.places).filter_map(|(vehicle, place)| {
            let ahead = self.ahead.get(&vehicle).copied().unwrap_or(0);
            Some((vehicle, *self.heard.get(*place as usize)?, ahead))
        })
    }
}

/// That there is no room for another vehicle.
pub(super) fn too_many_vehicles(most: u32) -> Rejection {
    Rejection::new(Reason::TooManyVehicles, format!("vehicle_id: expected at most {most} vehicles in this stream"))
}

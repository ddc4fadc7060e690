//! Trips and turnarounds: the way from one anchor geofence to the next.
//!
//! Which visits count is known late: one is confirmed only when it has lasted its dwell, and then counts
//! from its beginning, before which others may have begun and ended. So visits that have ended wait until
//! no vehicle's stay that began earlier can still be confirmed; then they are taken in, in the order of
//! their beginnings, and what they end is final. What is said meanwhile is the same computation, carried on
//! over those who wait and those that last, and thrown away.
//!
//! A trip ends where a visit begins after the last of the earlier ones has ended: visits that overlap or
//! touch are one stay, without an exit in between.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::timeline::deltas::Leg;
use watchtower_model::{END, GeofenceId, Millis};

/// Role of a geofence in trips, as of the beginning of a visit to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// No anchor: neither begins nor ends anything.
    None,
    /// Trips begin and end there.
    Anchor,
    /// Turnarounds do, too.
    Terminal,
}

/// A visit to an anchor that is confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stay {
    /// Dense number of the geofence.
    pub geofence: GeofenceId,
    /// The geofence's id in the log, by which the smallest is chosen.
    pub id: Arc<str>,
    /// [`Role::Anchor`] or [`Role::Terminal`].
    pub role: Role,
    /// First instant inside.
    pub from: Millis,
    /// First instant no longer inside; [`END`] while it lasts.
    pub until: Millis,
}

/// The end of the last stay, or of several at once the one with the smallest id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Departure {
    /// The first instant outside; [`END`] while it lasts.
    pub at: Millis,
    /// Dense number of the anchor that was left.
    pub geofence: GeofenceId,
    id: Arc<str>,
}

/// A vehicle's open trip and turnaround.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Route {
    /// From the last anchor.
    trip: Option<Departure>,
    /// From the last terminal.
    round: Option<Departure>,
    /// The other anchors since then, in order of entry.
    clients: Vec<(Millis, GeofenceId)>,
    /// Stays that have ended, by beginning and id, and must wait for others.
    waiting: Vec<Stay>,
}

impl Route {
    /// A stay has ended.
    pub fn leave(&mut self, stay: Stay) {
        let at = self.waiting.partition_point(|other| (other.from, &other.id) <= (stay.from, &stay.id));
        self.waiting.insert(at, stay);
    }

    /// Takes in those whose turn has come: that began before `earliest`, when the first of the stays that
    /// last began, confirmed or not.
    pub fn settle(&mut self, earliest: Millis, mut ended: impl FnMut(Leg)) {
        let ready = self.waiting.partition_point(|stay| stay.from < earliest);
        let mut waiting = std::mem::take(&mut self.waiting);
        for stay in waiting.drain(..ready) {
            self.arrive(&stay, &mut ended);
        }
        self.waiting = waiting;
        let awaits_terminal = self.waiting.iter().any(|stay| stay.role == Role::Terminal);
        if self.round.is_none() && !awaits_terminal {
            self.clients.clear();
        }
    }

    /// What the stays that wait and those that last and are confirmed (`lasting`, in any order) end, and
    /// the trip that is under way after them, if one is: from where, since when.
    pub fn so_far(&self, lasting: &[Stay], mut ended: impl FnMut(Leg)) -> Option<(GeofenceId, Millis)> {
        if self.waiting.is_empty() && lasting.is_empty() {
            return self.trip.as_ref().map(|trip| (trip.geofence, trip.at));
        }
        let mut then = Self { waiting: Vec::new(), ..self.clone() };
        let mut stays: Vec<&Stay> = self.waiting.iter().chain(lasting).collect();
        stays.sort_by(|a, b| (a.from, &a.id).cmp(&(b.from, &b.id)));
        for stay in stays {
            then.arrive(stay, &mut ended);
        }
        then.trip.filter(|trip| trip.at != END).map(|trip| (trip.geofence, trip.at))
    }

    /// The intervals whose sums may still be asked for and that began before `now`: from a departure to
    /// any of `arrivals` or to one to come, which is [`END`].
    pub fn intervals(&self, arrivals: &[Millis]) -> Vec<(Millis, Millis)> {
        let departures = self.trip.iter().chain(&self.round).map(|departure| departure.at);
        let departures = departures.chain(self.waiting.iter().map(|stay| stay.until));
        let arrivals = || arrivals.iter().copied().chain(self.waiting.iter().map(|stay| stay.from)).chain([END]);
        let mut intervals: Vec<_> = departures
            .flat_map(|from| arrivals().filter(move |&until| from < until).map(move |until| (from, until)))
            .collect();
        intervals.sort_unstable();
        intervals.dedup();
        intervals
    }

    /// When the first of those that wait began.
    pub fn waits_since(&self) -> Option<Millis> {
        self.waiting.first().map(|stay| stay.from)
    }

    fn arrive(&mut self, stay: &Stay, ended: &mut impl FnMut(Leg)) {
        if let Some(trip) = self.trip.as_ref().filter(|trip| trip.at < stay.from) {
            let (origin, departed_at) = (trip.geofence, trip.at);
            ended(Leg::Trip { origin, departed_at, destination: stay.geofence, arrived_at: stay.from });
        }
        depart(&mut self.trip, stay);
        match stay.role {
            Role::None => {}
            Role::Anchor => self.clients.push((stay.from, stay.geofence)),
            Role::Terminal => {
                if let Some(round) = self.round.as_ref().filter(|round| round.at < stay.from) {
                    let between = self.clients.iter().filter(|(from, _)| (round.at..stay.from).contains(from));
                    let clients: Arc<[GeofenceId]> = between.map(|&(_, geofence)| geofence).collect();
                    if !clients.is_empty() {
                        let (left, departed_at) = (round.geofence, round.at);
                        let (reached, returned_at) = (stay.geofence, stay.from);
                        ended(Leg::Turnaround { left, departed_at, reached, returned_at, clients });
                    }
                }
                depart(&mut self.round, stay);
                let since = self.round.as_ref().map_or(END, |round| round.at);
                self.clients.retain(|(from, _)| *from >= since);
            }
        }
    }
}

/// The later of two ends, or at once that of the smaller id.
fn depart(departure: &mut Option<Departure>, stay: &Stay) {
    let later = departure
        .as_ref()
        .is_none_or(|other| (stay.until, std::cmp::Reverse(&stay.id)) > (other.at, std::cmp::Reverse(&other.id)));
    if later {
        *departure = Some(Departure { at: stay.until, geofence: stay.geofence, id: Arc::clone(&stay.id) });
    }
}

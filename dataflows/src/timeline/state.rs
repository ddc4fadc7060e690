//! State of a timeline between two positions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::timeline::movement::Movement;
use crate::timeline::route::{Role, Route};
use crate::timeline::runs::{Limited, Runs};
use watchtower_model::Span;
use watchtower_model::local_time::Day;
use watchtower_model::{BEGINNING, END, GeofenceId, Ignition, Membership, Millis, Position, Rules, VehicleId, Visit};

/// A visit that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Dense number of the geofence.
    pub geofence: GeofenceId,
    /// First instant inside, epoch milliseconds.
    pub entered_at: Millis,
    /// How long it must last to be confirmed: a rule of the version in force at `entered_at`.
    pub min_dwell_ms: i64,
    /// Role in trips, of the same version.
    pub role: Role,
    /// Its kind, of the same version.
    pub kind: Option<Arc<str>>,
    /// Up to here its presence has been told.
    pub present_from: Millis,
}

impl Inside {
    /// Whether it has lasted its dwell at `t`.
    pub fn is_confirmed(&self, t: Millis) -> bool {
        t >= self.entered_at.saturating_add(self.min_dwell_ms)
    }

    /// The visit as it is at `now`.
    pub fn visit(&self, vehicle: VehicleId, now: Millis) -> Visit {
        let Self { geofence, entered_at, .. } = *self;
        Visit { vehicle, geofence, entered_at, exited_at: None, confirmed: self.is_confirmed(now) }
    }

    /// That the vehicle is inside.
    pub fn membership(&self, vehicle: VehicleId) -> Membership {
        let Self { geofence, entered_at, .. } = *self;
        Membership { vehicle, geofence, entered_at }
    }
}

/// The last position of any kind, marked or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// Instant of the position, epoch milliseconds.
    pub ts: Millis,
    /// The first position since the last offline.
    pub since: Millis,
    /// Ignition, as last reported.
    pub ignition: Ignition,
}

/// All a timeline remembers of its past: instants and modes, no sums. Two folds that reach equal
/// states report equal facts from there on. For views that are not computed ([`watchtower_model::ViewSet`]) it has no state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The last position of any kind; none before the first.
    pub heard: Option<Heard>,
    /// The position the vehicle is at: the last usable one.
    pub last: Option<Position>,
    /// The geofences it is in, ascending by dense number.
    pub inside: Arc<[Inside]>,
    /// How it moves, once there is a usable position.
    pub(super) movement: Option<Box<Movement>>,
    /// State of the analytics views; `None` if they are not computed.
    pub(super) analytics: Option<Box<Analytics>>,
}

/// A visit that has ended, or several to the same geofence during a stop as one that lasted as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stayed {
    /// Dense number of the geofence.
    pub geofence: GeofenceId,
    /// It was an anchor then.
    pub is_anchor: bool,
    /// First instant inside.
    pub from: Millis,
    /// First instant no longer inside.
    pub until: Millis,
}

/// State that only analytics need, in its own box: without analytics it takes one pointer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Analytics {
    /// Up to where movement is settled.
    pub runs: Runs,
    /// Speed limits that hold from where movement is settled.
    pub limits: SmallVec<[Limited; 1]>,
    /// Between anchors.
    pub route: Arc<Route>,
    /// Visits that have ended and yet may tell where a stop is.
    pub stayed: Vec<Stayed>,
}

impl Analytics {
    /// Something of all its lines in memory.
    pub fn peek_near(&self) -> i64 {
        let Self { runs, limits, route, stayed: _ } = self;
        i64::from(runs.overspeed.is_some()) ^ limits.len() as i64 ^ Arc::as_ptr(route).addr() as i64
    }

    /// Something of what is looked at first behind these.
    pub fn peek(&self) -> i64 {
        Arc::strong_count(&self.route) as i64
    }
}

impl State {
    /// The first instant of which something may still turn out to be otherwise, though nothing that is late comes.
    pub fn settled_until(&self) -> Millis {
        self.movement.as_ref().map_or(BEGINNING, |movement| movement.settled_until())
    }

    /// The intervals whose sums may still be asked for though they began before that: see [`Route::intervals`].
    pub fn intervals(&self, rules: &Rules) -> Vec<(Millis, Millis)> {
        let arrivals: Vec<Millis> =
            self.inside.iter().filter(|i| i.role != Role::None).map(|inside| inside.entered_at).collect();
        let Some(Analytics { runs, route, .. }) = self.analytics.as_deref() else { return Vec::new() };
        let mut intervals = route.intervals(&arrivals);
        intervals.extend(runs.overspeed.map(|run| (run.from, END)));
        if let Some((from, until)) = runs.off.and_then(|run| run.moved) {
            let days = days_of_way(from, until, rules).map(|(_, span)| span);
            // The last leg may not have been the last.
            intervals.extend(days.map(|span| (span.from, if span.until == until { END } else { span.until })));
        }
        intervals.sort_unstable();
        intervals.dedup();
        intervals
    }

    /// The first instant at which a measured fact may yet be said to have ended, or be taken back.
    pub fn first_end(&self) -> Millis {
        let inside = self.inside.iter().filter(|i| i.role != Role::None).map(|i| i.entered_at).min();
        let waiting = self.analytics.as_ref().and_then(|analytics| analytics.route.waits_since());
        let moved = self.analytics.as_ref().and_then(|analytics| analytics.runs.off?.moved);
        let ends = [inside, waiting, moved.map(|(_, until)| until), Some(self.settled_until())];
        ends.into_iter().flatten().min().unwrap_or(END)
    }
}

/// The parts of a way on each local day. As legs count at their end, a part is without its first instant and with its
/// last.
pub fn days_of_way(from: Millis, until: Millis, rules: &Rules) -> impl Iterator<Item = (Day, Span)> {
    let mut after = from;
    std::iter::from_fn(move || {
        if after >= until {
            return None;
        }
        let (day, of_day) = rules.local_time.day_and_span(after + 1);
        let span = Span { from: after, until: until.min(of_day.until - 1) };
        after = span.until;
        Some((day, span))
    })
}

//! What a timeline remembers between two positions.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::timeline::odometer::Odometer;
use crate::timeline::route::{Role, Route};
use crate::timeline::runs::{Anchor, Runs};
use watchtower_model::{END, GeofenceId, Membership, Millis, Position, VehicleId, Visit};

/// A visit that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Where.
    pub geofence: GeofenceId,
    /// Since when.
    pub entered_at: Millis,
    /// How long it must last to be confirmed: a rule of the version in force at `entered_at`.
    pub min_dwell_ms: i64,
    /// What it is for trips: of the same version.
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

/// All a timeline remembers of its past: instants and modes, no sums. Two folds that reach equal
/// states report equal facts from there on. Of what nobody asks for ([`watchtower_model::ViewSet`]) it remembers nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The position the vehicle is at; none before the first.
    pub last: Option<Position>,
    /// Whether it moves there, unless `analytics` know.
    pub(super) moving: bool,
    /// The geofences it is in, ascending by dense number.
    pub inside: Arc<[Inside]>,
    /// What else there is to know once there is a position, if anybody asks for it.
    pub(super) analytics: Option<Box<Analytics>>,
}

/// What only analytics remember, in a box of its own: where nobody asks for it, it takes a pointer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Analytics {
    /// What is known of the way to the last position.
    pub odometer: Odometer,
    /// Where it may have stopped.
    pub anchor: Anchor,
    /// Idling and overspeed.
    pub runs: Runs,
    /// Between anchors.
    pub route: Arc<Route>,
}

impl Analytics {
    /// Something of all its lines in memory.
    pub fn peek(&self) -> i64 {
        let Self { odometer: _, anchor, runs, route } = self;
        anchor.ts ^ i64::from(runs.overspeed.is_some()) ^ Arc::as_ptr(route).addr() as i64
    }
}

impl State {
    /// The intervals whose sums may still be asked for though they began at or before the last position:
    /// see [`Route::intervals`].
    pub fn intervals(&self) -> Vec<(Millis, Millis)> {
        let arrivals: Vec<Millis> =
            self.inside.iter().filter(|i| i.role != Role::None).map(|inside| inside.entered_at).collect();
        let Some(Analytics { runs, route, .. }) = self.analytics.as_deref() else { return Vec::new() };
        let mut intervals = route.intervals(&arrivals);
        intervals.extend(runs.overspeed.map(|run| (run.from, END)));
        intervals
    }

    /// What is known of the way to the last position; nothing if nobody asks for it.
    pub fn odometer(&self) -> Odometer {
        self.analytics.as_ref().map_or_else(Odometer::default, |analytics| analytics.odometer)
    }

    /// The first instant at which a trip or turnaround may yet be said to have ended.
    pub fn first_arrival(&self) -> Millis {
        let inside = self.inside.iter().filter(|i| i.role != Role::None).map(|i| i.entered_at).min();
        let waiting = self.analytics.as_ref().and_then(|analytics| analytics.route.waits_since());
        inside.into_iter().chain(waiting).min().unwrap_or(END)
    }
}

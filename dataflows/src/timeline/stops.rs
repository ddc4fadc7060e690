//! Stops as facts, and the geofence each is in.
//!
//! That is the one the vehicle was inside for the longest time in sum, anchors first. What a visit that has ended
//! adds to it is remembered as long as a stop may need it; of a long stop, visits to one geofence are put together
//! once they are settled, so that a vehicle parked at a border does not fill the memory.

use std::cmp::Reverse;

use smallvec::SmallVec;

use crate::timeline::fold::Fold;
use crate::timeline::route::Role;
use crate::timeline::standing::Stopped;
use crate::timeline::state::{Analytics, Inside, State, Stayed};
use watchtower_model::facts::Stop;
use watchtower_model::{GeofenceId, Millis};

impl Fold<'_> {
    /// The stop as it is.
    pub(super) fn stop_fact(&self, state: &State, stop: &Stopped, has_ended: bool) -> Stop {
        let &Stopped { from: started_at, place, until, .. } = stop;
        let ended_at = has_ended.then_some(until);
        let geofence = self.stop_geofence(state, started_at, until);
        Stop { vehicle: self.vehicle, started_at, ended_at, place, geofence }
    }

    fn stop_geofence(&self, state: &State, from: Millis, until: Millis) -> Option<GeofenceId> {
        let stayed = state.analytics.as_deref().map_or(&[][..], |analytics| &analytics.stayed);
        if let ([], [inside]) = (stayed, &state.inside[..]) {
            return (inside.entered_at < until).then_some(inside.geofence);
        }
        let lasting = state.inside.iter().map(|inside| stayed_of(inside, until));
        let mut times = SmallVec::<[(GeofenceId, bool, i64); 4]>::new();
        for Stayed { geofence, is_anchor, from: entered_at, until: exited_at } in stayed.iter().copied().chain(lasting)
        {
            let lasted_ms = exited_at.min(until) - entered_at.max(from);
            if lasted_ms <= 0 {
                continue;
            }
            match times.iter_mut().find(|time| time.0 == geofence) {
                Some(time) => (time.1, time.2) = (time.1 || is_anchor, time.2 + lasted_ms),
                None => times.push((geofence, is_anchor, lasted_ms)),
            }
        }
        let rank = |&(geofence, is_anchor, lasted_ms): &(GeofenceId, bool, i64)| {
            (!is_anchor, Reverse(lasted_ms), self.catalogue.id(geofence))
        };
        times.into_iter().min_by(|a, b| rank(a).cmp(&rank(b))).map(|(geofence, ..)| geofence)
    }

    /// Visits have ended.
    pub(super) fn remember_stayed(&self, state: &mut State, left: &[Inside], t: Millis) {
        let (Some(movement), Some(analytics)) = (state.movement.as_deref(), state.analytics.as_deref_mut()) else {
            return;
        };
        if let Some(stop) = movement.standing().stop() {
            put_together(&mut analytics.stayed, &stop);
        }
        analytics.stayed.extend(left.iter().map(|inside| stayed_of(inside, t)));
    }

    /// Forgets the visits that ended before any stop that may come.
    pub(super) fn forget_stayed(&self, state: &mut State) {
        let State { movement: Some(movement), analytics: Some(analytics), .. } = state else { return };
        let Analytics { stayed, .. } = &mut **analytics;
        if !stayed.is_empty() {
            let standing = movement.standing();
            let from = standing.stop().map_or(standing.anchor_at(), |stop| stop.from);
            stayed.retain(|stayed| stayed.until > from);
        }
    }
}

fn stayed_of(inside: &Inside, until: Millis) -> Stayed {
    let is_anchor = inside.role != Role::None;
    Stayed { geofence: inside.geofence, is_anchor, from: inside.entered_at, until }
}

/// Makes one of the visits to the same geofence that ended during a stop: as if it had begun with the stop and lasted
/// as long as they together.
fn put_together(stayed: &mut Vec<Stayed>, stop: &Stopped) {
    let mut kept = Vec::<Stayed>::with_capacity(stayed.len() + 1);
    for visit in stayed.drain(..) {
        let is_settled = visit.until <= stop.until;
        let same = kept.iter_mut().find(|other| {
            is_settled
                && other.until <= stop.until
                && (other.geofence, other.is_anchor) == (visit.geofence, visit.is_anchor)
        });
        match same {
            Some(other) => {
                let of = |visit: &Stayed| visit.until - visit.from.max(stop.from);
                other.until = stop.from + of(other) + of(&visit);
                other.from = stop.from;
            }
            None => kept.push(visit),
        }
    }
    *stayed = kept;
}

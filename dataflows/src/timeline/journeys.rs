//! Trips and turnarounds from the visits of a fold.

use std::sync::Arc;

use crate::timeline::deltas::FactDeltas;
use crate::timeline::fold::Fold;
use crate::timeline::route::{Role, Route, Stay};
use crate::timeline::state::{Inside, State};
use watchtower_model::facts::Trip;
use watchtower_model::{END, Geofence, Millis};

impl Role {
    /// The part that a geofence plays in trips and turnarounds.
    pub fn of(geofence: &Geofence) -> Self {
        match (geofence.is_anchor(), geofence.kind.as_deref()) {
            (false, _) => Self::None,
            (true, Some("terminal")) => Self::Terminal,
            (true, _) => Self::Anchor,
        }
    }
}

impl Fold<'_> {
    /// The visits in `left` have ended: those to anchors that are confirmed are stays.
    pub(super) fn leave(&self, state: &mut State, left: &[Inside], t: Millis, facts: &mut FactDeltas) {
        if left.iter().all(|inside| inside.role == Role::None) {
            return;
        }
        let Some(analytics) = &mut state.analytics else { return };
        let route = Arc::make_mut(&mut analytics.route);
        for inside in left.iter().filter(|inside| inside.role != Role::None && inside.is_confirmed(t)) {
            route.leave(self.stay_of(inside, t));
        }
        let anchors = state.inside.iter().filter(|inside| inside.role != Role::None);
        let earliest = anchors.map(|inside| inside.entered_at).min().unwrap_or(END);
        route.settle(earliest, |leg| facts.legs.push((leg, self.sign)));
    }

    /// Legs that end with open or unconfirmed stays, and the trip under way.
    pub(super) fn open_route(&self, route: &Route, inside: &[Inside], now: Millis, facts: &mut FactDeltas) {
        let sign = self.sign;
        let confirmed = inside.iter().filter(|inside| inside.role != Role::None && inside.is_confirmed(now));
        let lasting: Vec<Stay> = confirmed.map(|inside| self.stay_of(inside, END)).collect();
        let under_way = route.so_far(&lasting, |leg| facts.legs.push((leg, sign)));
        facts.trips.extend(
            under_way.map(|(origin, departed_at)| {
                (Trip { vehicle: self.vehicle, origin, departed_at, arrival: None }, sign)
            }),
        );
    }

    fn stay_of(&self, inside: &Inside, until: Millis) -> Stay {
        let Inside { geofence, entered_at, role, .. } = *inside;
        Stay { geofence, id: Arc::clone(self.catalogue.id(geofence)), role, from: entered_at, until }
    }
}

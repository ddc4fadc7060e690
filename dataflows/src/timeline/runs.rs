//! Stops, idlings, overspeeds, and what ends trips: the small state machines of the fold.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::timeline::deltas::{FactDeltas, Leg};
use crate::timeline::fold::{Fold, is_near};
use crate::timeline::odometer::Segment;
use crate::timeline::route::{Role, Route, Stay};
use crate::timeline::state::{Inside, State};
use watchtower_model::Span;
use watchtower_model::facts::{Idling, Overspeed, Spell, SpellKind, Stop, Trip};
use watchtower_model::{END, Geofence, GeofenceId, Millis, Place, Position, Speed};

/// Where a stop begins, if it becomes one: the first position after the last that was too far away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The position's instant.
    pub ts: Millis,
    /// Its place.
    pub place: Place,
    /// The geofence it is in; of several, the one with the smallest id.
    pub geofence: Option<GeofenceId>,
}

/// Positions at which the vehicle idles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleRun {
    /// The first.
    pub from: Millis,
    /// There is another.
    pub repeated: bool,
}

/// Instants at which the vehicle is above one and the same limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverRun {
    /// The first.
    pub from: Millis,
    /// Whose limit.
    pub geofence: Option<GeofenceId>,
    /// The limit.
    pub limit: Speed,
}

/// Runs that last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// It is idling.
    pub idling: Option<IdleRun>,
    /// It is above a limit.
    pub overspeed: Option<OverRun>,
}

impl Role {
    /// Of a geofence.
    pub fn of(geofence: &Geofence) -> Self {
        match (geofence.is_anchor(), geofence.kind.as_deref()) {
            (false, _) => Self::None,
            (true, Some("terminal")) => Self::Terminal,
            (true, _) => Self::Anchor,
        }
    }
}

impl Fold<'_> {
    /// A possible stop that begins at `position`, in these geofences.
    pub(super) fn anchor(&self, inside: &[Inside], position: &Position) -> Anchor {
        let geofence = inside.iter().map(|i| i.geofence).min_by_key(|&geofence| self.catalogue.id(geofence));
        Anchor { ts: position.ts, place: position.place, geofence }
    }

    /// Goes on to `next`: ends the stop if it is too far away.
    pub(super) fn stop(
        &self,
        state: &mut State,
        last: &Position,
        next: &Position,
        facts: &mut FactDeltas,
    ) -> Option<Span> {
        let State { inside, analytics, .. } = state;
        let anchor = &mut analytics.as_mut()?.anchor;
        if is_near(anchor.place, next.place, self.rules) {
            return None;
        }
        let anchor = std::mem::replace(anchor, self.anchor(inside, next));
        let stop = self.stop_until(&anchor, last)?;
        let Anchor { ts: started_at, place, geofence } = anchor;
        let fact = Stop { vehicle: self.vehicle, started_at, ended_at: Some(last.ts), place, geofence };
        facts.stops.push((fact, self.view.sign()));
        Some(stop)
    }

    fn stop_until(&self, anchor: &Anchor, last: &Position) -> Option<Span> {
        let is_stop = last.ts > anchor.ts && last.ts - anchor.ts >= self.rules.stop_min_ms;
        is_stop.then_some(Span { from: anchor.ts, until: last.ts })
    }

    /// What the position of a segment says of idling and overspeed, now that its speed is known.
    pub(super) fn settle(&self, runs: &mut Runs, inside: &[Inside], segment: &Segment, facts: &mut FactDeltas) {
        let idles = segment.ignition && segment.speed.micro_kmh().is_some() && !segment.is_moving(self.rules);
        runs.idling = match runs.idling {
            None => idles.then_some(IdleRun { from: segment.at, repeated: false }),
            Some(run) if idles => Some(IdleRun { repeated: true, ..run }),
            Some(run) => {
                self.end_idling(&run, segment.at, facts);
                None
            }
        };
        self.overspeed(runs, inside, segment.at, segment, facts);
        if segment.gap {
            if let Some(run) = runs.idling.take() {
                self.end_idling(&run, segment.at, facts);
            }
            if let Some(run) = runs.overspeed.take() {
                self.end_overspeed(&run, segment.at, facts);
            }
        }
    }

    fn is_idling(&self, run: &IdleRun, until: Millis) -> bool {
        run.repeated && until - run.from >= self.rules.idle_min_ms
    }

    fn end_idling(&self, run: &IdleRun, at: Millis, facts: &mut FactDeltas) {
        if self.is_idling(run, at) {
            let (vehicle, sign) = (self.vehicle, self.view.sign());
            facts.idlings.push((Idling { vehicle, started_at: run.from, ended_at: Some(at) }, sign));
            facts.spells.push((Spell { vehicle, kind: SpellKind::Idling, from: run.from, until: at }, sign));
        }
    }

    /// Whether the vehicle is above the limit at `t`, and above which.
    pub(super) fn overspeed(
        &self,
        runs: &mut Runs,
        inside: &[Inside],
        t: Millis,
        segment: &Segment,
        facts: &mut FactDeltas,
    ) {
        let limit = segment.speed.micro_kmh().map(|_| self.limit(inside, t));
        let above = limit.filter(|(limit, _)| segment.speed > *limit);
        let is_same = match (&runs.overspeed, &above) {
            (None, None) => true,
            (Some(run), Some((limit, geofence))) => run.limit == *limit && run.geofence == *geofence,
            (None, Some(_)) | (Some(_), None) => false,
        };
        if is_same {
            return;
        }
        // What begins after the last position has not been confirmed by any.
        if let Some(run) = runs.overspeed.take().filter(|run| !segment.is_last() || run.from <= segment.at) {
            self.end_overspeed(&run, t, facts);
        }
        runs.overspeed = above.map(|(limit, geofence)| OverRun { from: t, geofence, limit });
    }

    fn end_overspeed(&self, run: &OverRun, at: Millis, facts: &mut FactDeltas) {
        if at - run.from >= self.rules.overspeed_min_ms {
            let (vehicle, sign) = (self.vehicle, self.view.sign());
            let OverRun { from, geofence, limit } = *run;
            facts.legs.push((Leg::Overspeed { started_at: from, ended_at: at, geofence, limit }, sign));
            facts.spells.push((Spell { vehicle, kind: SpellKind::Overspeed, from, until: at }, sign));
        }
    }

    /// The limit in force at `t`, and whose it is if it is a geofence's.
    fn limit(&self, inside: &[Inside], t: Millis) -> (Speed, Option<GeofenceId>) {
        let limiting = inside.iter().filter(|inside| self.catalogue.may_limit(inside.geofence));
        let of_geofences = limiting.filter_map(|inside| {
            let geofence = self.catalogue.in_force(inside.geofence, t, self.view)?;
            geofence.speed_limit.micro_kmh()?;
            Some((geofence.speed_limit, &geofence.id, inside.geofence))
        });
        if let Some((limit, _, geofence)) = of_geofences.min() {
            return (limit, Some(geofence));
        }
        let own = self.roster.limit(self.vehicle, t, self.view);
        (if own == Speed::NONE { self.rules.default_speed_limit } else { own }, None)
    }

    /// The runs and the stop that last.
    pub(super) fn open_runs(&self, anchor: &Anchor, runs: &Runs, last: &Position, facts: &mut FactDeltas) {
        let (vehicle, sign) = (self.vehicle, self.view.sign());
        if self.stop_until(anchor, last).is_some() {
            let Anchor { ts: started_at, place, geofence } = *anchor;
            facts.stops.push((Stop { vehicle, started_at, ended_at: None, place, geofence }, sign));
        }
        if let Some(run) = runs.idling.filter(|run| self.is_idling(run, last.ts)) {
            facts.idlings.push((Idling { vehicle, started_at: run.from, ended_at: None }, sign));
            facts.spells.push((Spell { vehicle, kind: SpellKind::Idling, from: run.from, until: last.ts }, sign));
        }
        let confirmed = |run: &OverRun| run.from <= last.ts && last.ts - run.from >= self.rules.overspeed_min_ms;
        if let Some(run) = runs.overspeed.filter(confirmed) {
            let OverRun { from, geofence, limit } = run;
            let fact = Overspeed { vehicle, started_at: from, ended_at: None, geofence, limit, measures: None };
            facts.overspeeds.push((fact, sign));
            facts.spells.push((Spell { vehicle, kind: SpellKind::Overspeed, from, until: last.ts }, sign));
        }
    }

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
        route.settle(earliest, |leg| facts.legs.push((leg, self.view.sign())));
    }

    /// What ended with the stays that last or wait, and the trip under way.
    pub(super) fn open_route(&self, route: &Route, inside: &[Inside], now: Millis, facts: &mut FactDeltas) {
        let sign = self.view.sign();
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

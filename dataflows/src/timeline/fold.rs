//! The rules of a timeline, as a fold over its instants.
//!
//! A vehicle is deemed to be at position `i` from `ts_i` until `ts_{i+1}`. Its instants are its
//! positions and the moments at which a geofence version or a speed limit begins or ends. [`Fold::step`]
//! takes the state just after one position to the state just after the next and reports the facts that
//! ended on the way; what has not ended yet is read off the last state ([`Fold::open`]).
//!
//! Every rule is written here, in [`super::odometer`], [`super::runs`] or [`super::route`], and nowhere
//! else. A late position, a withdrawn one or an edit in the past is no rule: it is the same fold run again
//! from an earlier state.
//!
//! Speed is known a position late (see [`super::odometer`]), so the rules that look at it are applied to a
//! position when the next one is there, or, to say what is open, when the fold ends.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::catalogue::{Catalogue, CataloguedVersion, View};
use crate::cells::SafeRegion;
use crate::index::VersionId;
use crate::roster::Roster;
use crate::timeline::deltas::FactDeltas;
use crate::timeline::odometer::{self, Odometer, Segment};
use crate::timeline::route::Role;
use crate::timeline::runs::Runs;
use crate::timeline::state::{Analytics, Inside, State};
use watchtower_model::Span;
use watchtower_model::facts::KindVisit;
use watchtower_model::geometry::geodesic;
use watchtower_model::{
    BEGINNING, END, GeofenceId, Millis, Offline, Place, Position, Rules, Status, VehicleId, VehicleState, Visit,
};

/// What a step did.
#[derive(Clone, Copy, Debug)]
pub struct Stepped {
    /// Of the position before; the first has none, nor has any if nobody asks for analytics.
    pub settled: Option<Settled>,
    /// The vehicle may have entered or left a geofence: if not, it is in the same ones as before.
    pub turned: bool,
}

/// What a step found out for good.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    /// Of the position before the one stepped to.
    pub segment: Segment,
    /// A stop that has ended.
    pub stop: Option<Span>,
}

/// The rules, applied to one vehicle under one view of the geofences.
#[derive(Clone, Copy)]
pub struct Fold<'a> {
    /// Whose timeline it is.
    pub vehicle: VehicleId,
    /// The geofences.
    pub catalogue: &'a Catalogue,
    /// The vehicles' limits.
    pub roster: &'a Roster,
    /// Before or after this epoch's edits; also how the facts count.
    pub view: View,
    /// The parameters.
    pub rules: &'a Rules,
    /// Reused, so that a step allocates only if it changes something.
    scratch: &'a RefCell<Scratch>,
    hour: &'a Cell<Span>,
}

/// What the folds of all vehicles have in common.
#[derive(Debug)]
pub struct World {
    /// The geofences.
    pub catalogue: Catalogue,
    /// The vehicles' limits and fleets.
    pub roster: Roster,
    /// The parameters.
    pub rules: Rules,
    scratch: RefCell<Scratch>,
    /// A local hour, the last that was asked for: most of what happens next happens in it.
    hour: Cell<Span>,
}

impl World {
    /// Without any geofence.
    pub fn new(rules: Rules) -> Self {
        let (catalogue, roster) = (Catalogue::default(), Roster::default());
        Self { catalogue, roster, rules, scratch: RefCell::default(), hour: Cell::new(Span::EMPTY) }
    }

    /// The rules, applied to a vehicle.
    pub fn fold(&self, vehicle: VehicleId, view: View) -> Fold<'_> {
        let Self { catalogue, roster, rules, scratch, hour } = self;
        Fold { vehicle, catalogue, roster, view, rules, scratch, hour }
    }
}

/// What a place is found to be in.
#[derive(Debug, Default)]
struct Scratch {
    /// The versions that cover it, by geofence.
    covering: Vec<(GeofenceId, VersionId)>,
    /// The visits that go on or begin.
    next: Vec<Inside>,
    /// The visits that end.
    left: Vec<Inside>,
}

impl Fold<'_> {
    /// From one position to the next. `region` is one that the state's geofences are known to hold in, for this
    /// fold's next steps to know.
    pub fn step(&self, state: &mut State, region: &mut SafeRegion, next: &Position, facts: &mut FactDeltas) -> Stepped {
        let Some(last) = state.last else {
            self.evaluate(state, region, next.place, next.ts, facts);
            if self.has_analytics() {
                state.analytics = Some(Box::new(Analytics {
                    odometer: Odometer::start(next, self.rules),
                    anchor: self.anchor(&state.inside, next),
                    runs: Runs::default(),
                    route: Arc::default(),
                }));
            } else {
                state.moving = odometer::moves(None, next, self.rules);
            }
            state.last = Some(*next);
            return Stepped { settled: None, turned: true };
        };
        let segment = match &mut state.analytics {
            Some(analytics) => {
                let segment = analytics.odometer.step(&last, next, self.rules);
                self.settle(&mut analytics.runs, &state.inside, &segment, facts);
                Some(segment)
            }
            None => {
                state.moving = odometer::moves(Some(&last), next, self.rules);
                None
            }
        };
        let ruled_anew = self.pass_boundaries(state, region, &last, segment.as_ref(), next.ts - 1, facts);
        if self.is_silent(&last, next.ts) {
            let offline = Offline { vehicle: self.vehicle, started_at: last.ts, ended_at: Some(next.ts) };
            facts.offlines.push((offline, self.view.sign()));
        }
        if segment.is_some() {
            self.stay_present(state, last.ts, next.ts, facts);
        }
        let mut turned = ruled_anew;
        if ruled_anew || last.place != next.place {
            turned |= self.evaluate(state, region, next.place, next.ts, facts);
        }
        let settled = segment.map(|segment| {
            self.be_present(state, &last, next.ts, facts);
            Settled { segment, stop: self.stop(state, &last, next, facts) }
        });
        state.last = Some(*next);
        Stepped { settled, turned }
    }

    /// The same where it is known whether the step turns.
    pub fn step_again(
        &self,
        state: &mut State,
        region: &mut SafeRegion,
        next: &Position,
        turned: bool,
        facts: &mut FactDeltas,
    ) -> Stepped {
        if turned {
            return self.step(state, region, next, facts);
        }
        let mut same = SafeRegion::everywhere(self.catalogue.generation());
        self.step(state, &mut same, next, facts)
    }

    /// From the last position on, through what begins or ends until `until` (inclusive). A fold that has
    /// stayed cannot step on: it has taken the last position for what it is while it is the last.
    pub fn stay(&self, state: &mut State, until: Millis, facts: &mut FactDeltas) {
        if let Some(last) = state.last {
            let segment = state.analytics.as_mut().map(|analytics| {
                let segment = analytics.odometer.last(&last, self.is_silent(&last, until));
                self.settle(&mut analytics.runs, &state.inside, &segment, facts);
                segment
            });
            let mut unknown = SafeRegion::NONE;
            self.pass_boundaries(state, &mut unknown, &last, segment.as_ref(), until, facts);
        }
    }

    /// The facts that have not ended, as they are at `now`, for a fold that has stayed until then.
    pub fn open(&self, state: &State, now: Millis, facts: &mut FactDeltas) {
        let Some(last) = &state.last else { return };
        facts.visits.extend(state.inside.iter().map(|inside| (inside.visit(self.vehicle, now), self.view.sign())));
        self.open_silence(last, now, facts);
        if let Some(Analytics { odometer: _, anchor, runs, route }) = state.analytics.as_deref() {
            self.open_runs(anchor, runs, last, facts);
            self.open_route(route, &state.inside, now, facts);
            self.open_presence(&state.inside, last, now, facts);
        }
    }

    /// What [`Fold::stay`] and [`Fold::open`] say while no geofence and no limit begins or ends, but for the
    /// visits and trips that have not ended, and for presence: what every position may make different.
    pub fn open_running(&self, state: &State, now: Millis, facts: &mut FactDeltas) {
        let Some(last) = &state.last else { return };
        self.open_silence(last, now, facts);
        if let Some(Analytics { odometer, anchor, runs, route: _ }) = state.analytics.as_deref() {
            let mut runs = *runs;
            self.settle(&mut runs, &state.inside, &odometer.last(last, self.is_silent(last, now)), facts);
            self.open_runs(anchor, &runs, last, facts);
        }
    }

    fn open_silence(&self, last: &Position, now: Millis, facts: &mut FactDeltas) {
        if self.is_silent(last, now) {
            let offline = Offline { vehicle: self.vehicle, started_at: last.ts, ended_at: None };
            facts.offlines.push((offline, self.view.sign()));
        }
    }

    /// The first instant after `now` at which the clock alone changes an open fact.
    pub fn due(&self, state: &State, now: Millis) -> Option<Millis> {
        let last = state.last.as_ref()?;
        let silent_at = last.ts.saturating_add(self.rules.offline_after_ms).saturating_add(1);
        let confirmed_at = state.inside.iter().map(|i| i.entered_at.saturating_add(i.min_dwell_ms));
        let first = confirmed_at.chain([silent_at]).filter(|&t| t > now).min();
        if !self.has_analytics() {
            return first;
        }
        let hour = self.hour_span(now.max(last.ts));
        let is_present = !state.inside.is_empty() && hour.from < self.present_until(last);
        let hour_at = (is_present || self.is_silent(last, now)).then_some(hour.until);
        let limits = self.roster.changes(self.vehicle, self.view, now.max(last.ts), END - 1);
        let limit_at = limits.first().copied();
        first.into_iter().chain(hour_at).chain(limit_at).filter(|&t| t > now).min()
    }

    /// Where the vehicle is and what it does, at `now`.
    pub fn vehicle_state(&self, state: &State, now: Millis) -> Option<VehicleState> {
        let last = state.last?;
        let moving = match &state.analytics {
            Some(analytics) => analytics.odometer.last(&last, false).is_moving(self.rules),
            None => state.moving,
        };
        let status = match (self.is_silent(&last, now), moving) {
            (true, _) => Status::Offline,
            (false, true) => Status::Moving,
            (false, false) => Status::Stopped,
        };
        let inside = state.inside.iter().map(|inside| inside.geofence).collect();
        let Position { ts, place, speed, heading, ignition: _ } = last;
        Some(VehicleState { vehicle: self.vehicle, ts, place, speed, heading, status, inside })
    }

    /// The silence after the last position, as far as full hours of the clock have told it.
    pub fn silence(&self, state: &State, now: Millis) -> Option<Span> {
        let last = state.last.filter(|last| self.is_silent(last, now))?;
        Some(Span { from: last.ts, until: self.full_hour(now) }).filter(|silence| !silence.is_empty())
    }

    /// Whether more is asked for than who is where.
    fn has_analytics(&self) -> bool {
        self.rules.views.has_analytics()
    }

    /// The start of the local hour that it is.
    pub(super) fn full_hour(&self, now: Millis) -> Millis {
        if now == BEGINNING { BEGINNING } else { self.hour_span(now).from }
    }

    /// The local hour around `t`.
    pub(super) fn hour_span(&self, t: Millis) -> Span {
        if !self.hour.get().contains(t) {
            self.hour.set(self.rules.local_time.hour_span(t));
        }
        self.hour.get()
    }

    pub(super) fn is_silent(&self, last: &Position, now: Millis) -> bool {
        now.saturating_sub(last.ts) > self.rules.offline_after_ms
    }

    /// Until when a vehicle that says nothing more counts as present.
    pub(super) fn present_until(&self, last: &Position) -> Millis {
        last.ts.saturating_add(self.rules.presence_limit_ms)
    }

    /// Evaluates the geofences and limits that begin or end in `last.ts < t <= until` for a vehicle that
    /// stays where it is; `segment` is what analytics say of the time until then. Whether a geofence does here
    /// between, or in the millisecond after.
    fn pass_boundaries(
        &self,
        state: &mut State,
        region: &mut SafeRegion,
        last: &Position,
        segment: Option<&Segment>,
        until: Millis,
        facts: &mut FactDeltas,
    ) -> bool {
        let limits = segment.map(|_| self.roster.changes(self.vehicle, self.view, last.ts, until)).unwrap_or_default();
        if limits.is_empty() && !self.catalogue.has_boundaries() {
            return false;
        }
        let reached = self.catalogue.boundaries(last.ts, until.saturating_add(1));
        let reached = reached.filter(|(_, version)| version.reaches(last.place));
        let mut concerned = reached.map(|(t, version)| (t, version.geofence)).peekable();
        let any = concerned.peek().is_some();
        let mut limits = limits.into_iter().peekable();
        loop {
            let (fence, limit) = (concerned.peek().map(|(t, _)| *t), limits.peek().copied());
            let Some(t) = fence.into_iter().chain(limit).min().filter(|&t| t <= until) else { break };
            let mut turned = Vec::new();
            while let Some((_, geofence)) = concerned.next_if(|next| next.0 == t) {
                turned.push(geofence);
            }
            limits.next_if_eq(&t);
            if fence == Some(t) {
                if segment.is_some() {
                    self.stay_present(state, last.ts, t, facts);
                }
                *region = SafeRegion::NONE;
                self.turn(state, last.place, t, &turned, facts);
            }
            if let (Some(segment), Some(analytics)) = (segment, &mut state.analytics)
                && !segment.gap
            {
                self.overspeed(&mut analytics.runs, &state.inside, t, segment, facts);
            }
        }
        any
    }

    /// Which geofences the vehicle is in at `t`, being at `place`: ends visits and begins them. In `region`,
    /// if it holds, nothing of that is different from the last time. Whether there was anything to end or begin.
    fn evaluate(
        &self,
        state: &mut State,
        region: &mut SafeRegion,
        place: Place,
        t: Millis,
        facts: &mut FactDeltas,
    ) -> bool {
        if region.holds(place, t, self.catalogue.generation()) {
            return false;
        }
        let scratch = &mut *self.scratch.borrow_mut();
        let covering = &mut scratch.covering;
        covering.clear();
        let found = |version, geofence| covering.push((geofence, version));
        *region = self.catalogue.covering(place, t, self.view, region, found);
        covering.sort_unstable();
        covering.dedup();
        let unchanged = state.inside.len() == covering.len()
            && state.inside.iter().zip(covering.iter()).all(|(inside, (geofence, _))| inside.geofence == *geofence);
        if !unchanged {
            self.enter_and_exit(state, place, t, scratch, facts);
            if state.inside.len() != scratch.covering.len() {
                *region = SafeRegion::NONE; // within an exit buffer, of which a region knows nothing
            }
        }
        !unchanged
    }

    /// The same where only some geofences (`turned`) begin, end or become others at `t`: the vehicle was at
    /// `place` just before, and with the rest nothing happens.
    fn turn(&self, state: &mut State, place: Place, t: Millis, turned: &[GeofenceId], facts: &mut FactDeltas) {
        let scratch = &mut *self.scratch.borrow_mut();
        let covering = &mut scratch.covering;
        covering.clear();
        let rest = state.inside.iter().map(|inside| inside.geofence).filter(|geofence| !turned.contains(geofence));
        covering.extend(rest.map(|geofence| (geofence, VersionId::MAX))); // it stays inside, by whichever version
        for &geofence in turned {
            let version = self.catalogue.version_in_force(geofence, t, self.view);
            let covers = |version: &VersionId| self.catalogue.version(*version).definition.shape.covers(place);
            covering.extend(version.filter(covers).map(|version| (geofence, version)));
        }
        covering.sort_unstable();
        covering.dedup();
        self.enter_and_exit(state, place, t, scratch, facts);
    }

    /// At `t` and `place` the vehicle is in what covers it, as found.
    fn enter_and_exit(
        &self,
        state: &mut State,
        place: Place,
        t: Millis,
        scratch: &mut Scratch,
        facts: &mut FactDeltas,
    ) {
        let Scratch { covering, next, left } = scratch;
        for inside in state.inside.iter() {
            let covered = covering.binary_search_by_key(&inside.geofence, |c| c.0).is_ok();
            if covered || self.lingers(inside.geofence, place, t) {
                next.push(inside.clone());
            } else {
                left.push(inside.clone());
            }
        }
        for &(geofence, version) in covering.iter() {
            if state.inside.binary_search_by_key(&geofence, |i| i.geofence).is_err() {
                let CataloguedVersion { definition, min_dwell_ms, .. } = self.catalogue.version(version);
                let min_dwell_ms = *min_dwell_ms;
                let (role, kind) = if self.has_analytics() {
                    (Role::of(definition), definition.kind.as_deref().map(Arc::from))
                } else {
                    (Role::None, None)
                };
                next.push(Inside { geofence, entered_at: t, min_dwell_ms, role, kind, present_from: t });
            }
        }
        next.sort_unstable_by_key(|i| i.geofence);
        if next[..] != state.inside[..] {
            state.inside = next.drain(..).collect();
            self.exit(state, left, t, facts);
        }
        next.clear();
        left.clear();
    }

    /// Whether a vehicle that was inside, and is not covered, is still within the exit buffer.
    fn lingers(&self, geofence: GeofenceId, place: Place, t: Millis) -> bool {
        self.catalogue.may_linger(geofence)
            && self
                .catalogue
                .in_force(geofence, t, self.view)
                .is_some_and(|g| g.exit_buffer_m > 0.0 && g.shape.covers_buffered(place, g.exit_buffer_m))
    }

    /// The visits that have ended, and what that means for the route.
    fn exit(&self, state: &mut State, left: &[Inside], t: Millis, facts: &mut FactDeltas) {
        let (vehicle, sign) = (self.vehicle, self.view.sign());
        for inside in left {
            let Inside { geofence, entered_at, .. } = *inside;
            let confirmed = inside.is_confirmed(t);
            facts.visits.push((Visit { vehicle, geofence, entered_at, exited_at: Some(t), confirmed }, sign));
            if !self.has_analytics() {
                continue;
            }
            if confirmed {
                let visit =
                    KindVisit { vehicle, kind: inside.kind.clone().unwrap_or_default(), entered_at, exited_at: t };
                facts.kind_visits.push((visit, sign));
            }
            self.end_presence(state.last.as_ref(), inside, t, facts);
        }
        self.leave(state, left, t, facts);
    }
}

/// Whether two places are within the radius of a stop.
pub(super) fn is_near(a: Place, b: Place, rules: &Rules) -> bool {
    a == b || geodesic::is_within_m(a, b, rules.stop_radius_m)
}

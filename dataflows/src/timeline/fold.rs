//! The rules of a timeline, as a fold over its instants.
//!
//! A vehicle is deemed to be at position `i` from `ts_i` until `ts_{i+1}`. Its instants are its
//! positions and the moments at which a geofence version begins or ends. [`Fold::step`] takes the
//! state just after one position to the state just after the next and reports the facts that ended
//! on the way; what has not ended yet is read off the last state ([`Fold::open`]).
//!
//! Every rule is written here and nowhere else. A late position, a withdrawn one or an edit in the
//! past is no rule: it is the same fold run again from an earlier state.

use std::cell::RefCell;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, View};
use crate::geometry::geodesic;
use crate::index::VersionId;
use crate::model::{
    GeofenceId, Millis, Offline, Place, Position, Rules, Speed, Status, VehicleId, VehicleState, Visit,
};

/// A visit that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Where.
    pub geofence: GeofenceId,
    /// Since when.
    pub entered_at: Millis,
    /// How long it must last to be confirmed: a rule of the version in force at `entered_at`.
    pub min_dwell_ms: i64,
}

/// All a timeline remembers of its past: instants and modes, no sums. Two folds that reach equal
/// states report equal facts from there on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The position the vehicle is at; none before the first.
    pub last: Option<Position>,
    /// It was moving there.
    pub moving: bool,
    /// The geofences it is in, ascending by dense number.
    pub inside: Arc<[Inside]>,
}

/// Facts and how many more (or fewer) of each there are.
#[derive(Debug, Default)]
pub struct FactDeltas {
    /// Visits.
    pub visits: Vec<(Visit, i64)>,
    /// Offlines.
    pub offlines: Vec<(Offline, i64)>,
}

impl FactDeltas {
    /// Cancels what was added against what was removed.
    pub fn consolidate(&mut self) {
        let Self { visits, offlines } = self;
        differential_dataflow::consolidation::consolidate(visits);
        differential_dataflow::consolidation::consolidate(offlines);
    }

    /// Takes everything out of `other`.
    pub fn append(&mut self, other: &mut Self) {
        let Self { visits, offlines } = other;
        self.visits.append(visits);
        self.offlines.append(offlines);
    }
}

/// The rules, applied to one vehicle under one view of the geofences.
#[derive(Clone, Copy)]
pub struct Fold<'a> {
    /// Whose timeline it is.
    pub vehicle: VehicleId,
    /// The geofences.
    pub catalogue: &'a Catalogue,
    /// Before or after this epoch's edits; also how the facts count.
    pub view: View,
    /// The parameters.
    pub rules: &'a Rules,
    /// Reused, so that a step allocates only if it changes something.
    pub covering: &'a RefCell<Covering>,
}

/// The versions that cover the place under evaluation, by geofence.
pub type Covering = Vec<(GeofenceId, VersionId)>;

impl Fold<'_> {
    /// From one position to the next.
    pub fn step(&self, state: &mut State, next: &Position, facts: &mut FactDeltas) {
        let Some(last) = state.last else {
            state.moving = self.is_moving(None, next);
            self.evaluate(state, next.place, next.ts, facts);
            state.last = Some(*next);
            return;
        };
        let ruled_anew = self.pass_boundaries(state, &last, next.ts - 1, facts);
        if next.ts - last.ts > self.rules.offline_after_ms {
            let offline = Offline { vehicle: self.vehicle, started_at: last.ts, ended_at: Some(next.ts) };
            facts.offlines.push((offline, self.view.sign()));
        }
        if ruled_anew || last.place != next.place {
            self.evaluate(state, next.place, next.ts, facts);
        }
        state.moving = self.is_moving(Some(&last), next);
        state.last = Some(*next);
    }

    /// From the last position on, through the versions that begin or end until `until` (inclusive).
    pub fn stay(&self, state: &mut State, until: Millis, facts: &mut FactDeltas) {
        if let Some(last) = state.last {
            self.pass_boundaries(state, &last, until, facts);
        }
    }

    /// The facts that have not ended, as they are at `now`.
    pub fn open(&self, state: &State, now: Millis, facts: &mut FactDeltas) {
        let Some(last) = &state.last else { return };
        let (vehicle, sign) = (self.vehicle, self.view.sign());
        facts.visits.extend(state.inside.iter().map(|i| {
            let confirmed = now >= i.entered_at.saturating_add(i.min_dwell_ms);
            (Visit { vehicle, geofence: i.geofence, entered_at: i.entered_at, exited_at: None, confirmed }, sign)
        }));
        if self.is_silent(last, now) {
            facts.offlines.push((Offline { vehicle, started_at: last.ts, ended_at: None }, sign));
        }
    }

    /// The first instant after `now` at which the clock alone changes an open fact.
    pub fn due(&self, state: &State, now: Millis) -> Option<Millis> {
        let last = state.last.as_ref()?;
        let silent_at = last.ts.saturating_add(self.rules.offline_after_ms).saturating_add(1);
        let confirmed_at = state.inside.iter().map(|i| i.entered_at.saturating_add(i.min_dwell_ms));
        confirmed_at.chain([silent_at]).filter(|&t| t > now).min()
    }

    /// Where the vehicle is and what it does, at `now`.
    pub fn vehicle_state(&self, state: &State, now: Millis) -> Option<VehicleState> {
        let last = state.last?;
        let status = match (self.is_silent(&last, now), state.moving) {
            (true, _) => Status::Offline,
            (false, true) => Status::Moving,
            (false, false) => Status::Stopped,
        };
        let inside = state.inside.iter().map(|i| i.geofence).collect();
        let Position { ts, place, speed, heading, ignition: _ } = last;
        Some(VehicleState { vehicle: self.vehicle, ts, place, speed, heading, status, inside })
    }

    fn is_silent(&self, last: &Position, now: Millis) -> bool {
        now.saturating_sub(last.ts) > self.rules.offline_after_ms
    }

    /// Whether it was at least as fast as `idle_speed` at `next`, as far as that can be told.
    fn is_moving(&self, last: Option<&Position>, next: &Position) -> bool {
        let plausible = |speed: &Speed| speed.micro_kmh().is_some() && *speed <= self.rules.max_plausible;
        let mean = || {
            let last = last.filter(|last| next.ts - last.ts <= self.rules.offline_after_ms)?;
            let distance_mm = if last.place == next.place { 0 } else { geodesic::distance_mm(last.place, next.place) };
            Some(Speed::mean(distance_mm, next.ts - last.ts)).filter(plausible)
        };
        let speed = Some(next.speed).filter(plausible).or_else(mean);
        speed.is_some_and(|speed| speed >= self.rules.idle_speed)
    }

    /// Evaluates the geofences that begin or end in `last.ts < t <= until` for a vehicle that stays
    /// where it is. Whether one begins or ends here between, or in the millisecond after.
    fn pass_boundaries(&self, state: &mut State, last: &Position, until: Millis, facts: &mut FactDeltas) -> bool {
        if !self.catalogue.has_boundaries() {
            return false;
        }
        let mut concerned = self
            .catalogue
            .boundaries(last.ts, until.saturating_add(1))
            .filter(|(_, version)| version.reaches(last.place))
            .map(|(t, _)| t)
            .peekable();
        let any = concerned.peek().is_some();
        let mut evaluated = None;
        for t in concerned.take_while(|&t| t <= until) {
            if evaluated != Some(t) {
                self.evaluate(state, last.place, t, facts);
                evaluated = Some(t);
            }
        }
        any
    }

    /// Which geofences the vehicle is in at `t`, being at `place`: ends visits and begins them.
    fn evaluate(&self, state: &mut State, place: Place, t: Millis, facts: &mut FactDeltas) {
        let mut covering = self.covering.borrow_mut();
        covering.clear();
        self.catalogue.covering(place, t, self.view, |version, geofence| covering.push((geofence, version)));
        covering.sort_unstable();
        covering.dedup();
        let unchanged = state.inside.len() == covering.len()
            && state.inside.iter().zip(covering.iter()).all(|(inside, (geofence, _))| inside.geofence == *geofence);
        if !unchanged {
            self.enter_and_exit(state, place, t, &covering, facts);
        }
    }

    fn enter_and_exit(&self, state: &mut State, place: Place, t: Millis, covering: &Covering, facts: &mut FactDeltas) {
        let mut next = Vec::with_capacity(covering.len() + 1);
        for inside in state.inside.iter() {
            let covered = covering.binary_search_by_key(&inside.geofence, |c| c.0).is_ok();
            if covered || self.lingers(inside.geofence, place, t) {
                next.push(*inside);
            } else {
                let visit = Visit {
                    vehicle: self.vehicle,
                    geofence: inside.geofence,
                    entered_at: inside.entered_at,
                    exited_at: Some(t),
                    confirmed: t >= inside.entered_at.saturating_add(inside.min_dwell_ms),
                };
                facts.visits.push((visit, self.view.sign()));
            }
        }
        for &(geofence, version) in covering {
            if state.inside.binary_search_by_key(&geofence, |i| i.geofence).is_err() {
                let min_dwell_ms = self.catalogue.version(version).definition.min_dwell_ms;
                next.push(Inside { geofence, entered_at: t, min_dwell_ms });
            }
        }
        next.sort_unstable_by_key(|i| i.geofence);
        if next[..] != state.inside[..] {
            state.inside = next.into();
        }
    }

    /// Whether a vehicle that was inside, and is not covered, is still within the exit buffer.
    fn lingers(&self, geofence: GeofenceId, place: Place, t: Millis) -> bool {
        self.catalogue
            .in_force(geofence, t, self.view)
            .is_some_and(|g| g.exit_buffer_m > 0.0 && g.shape.covers_buffered(place, g.exit_buffer_m))
    }
}

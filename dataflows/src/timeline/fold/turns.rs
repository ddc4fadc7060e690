//! Where a vehicle enters geofences and leaves them: visits that begin and end.

use std::sync::Arc;

use super::Fold;
use crate::catalogue::CataloguedVersion;
use crate::cells::SafeRegion;
use crate::index::VersionId;
use crate::timeline::deltas::FactDeltas;
use crate::timeline::route::Role;
use crate::timeline::state::{Inside, State};
use watchtower_model::facts::KindVisit;
use watchtower_model::{GeofenceId, Millis, Place, Visit};

/// Geofences found around a place; reused to save allocations.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The versions that cover it, by geofence.
    covering: Vec<(GeofenceId, VersionId)>,
    /// The visits that go on or begin.
    next: Vec<Inside>,
    /// The visits that end.
    left: Vec<Inside>,
}

impl Fold<'_> {
    /// Which geofences the vehicle is in at `t`, being at `place`: ends visits and begins them. In `region`,
    /// if it holds, nothing of that is different from the last time. Whether there was anything to end or begin.
    pub(super) fn evaluate(
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
    pub(super) fn turn(
        &self,
        state: &mut State,
        place: Place,
        t: Millis,
        turned: &[GeofenceId],
        facts: &mut FactDeltas,
    ) {
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
        let (vehicle, sign) = (self.vehicle, self.sign);
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
        self.remember_stayed(state, left, t);
        self.leave(state, left, t, facts);
    }
}

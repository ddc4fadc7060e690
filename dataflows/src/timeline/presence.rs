//! Presence: for how long a vehicle counts as inside, by local hour.
//!
//! A visit goes on through silence, presence only for `presence_limit`. What has passed is told hour by
//! hour, so that nothing that has been told changes as a visit goes on, however long it lasts.

use std::sync::Arc;

use crate::timeline::deltas::FactDeltas;
use crate::timeline::fold::Fold;
use crate::timeline::state::{Inside, State};
use watchtower_model::facts::Presence;
use watchtower_model::{Millis, Position};

impl Fold<'_> {
    /// Tells the presence of those inside through the full hours up to `t`, while the last position is the
    /// one at `since`.
    pub(super) fn stay_present(&self, state: &mut State, since: Millis, t: Millis, facts: &mut FactDeltas) {
        if state.inside.is_empty() {
            return;
        }
        let until = t.min(since.saturating_add(self.rules.presence_limit_ms));
        if state.inside.iter().all(|inside| until < self.hour_span(inside.present_from).until) {
            return;
        }
        for inside in Arc::make_mut(&mut state.inside) {
            inside.present_from = self.tell_hours(inside, until, facts);
        }
    }

    /// At `t`, the next position: after a gap that was too long, those still inside are present anew.
    pub(super) fn be_present(&self, state: &mut State, last: &Position, t: Millis, facts: &mut FactDeltas) {
        let until = self.present_until(last);
        if t <= until || state.inside.is_empty() {
            return;
        }
        for inside in Arc::make_mut(&mut state.inside) {
            self.tell(inside, inside.present_from, until, facts);
            inside.present_from = t;
        }
    }

    /// A visit has ended at `t`.
    pub(super) fn end_presence(&self, last: Option<&Position>, inside: &Inside, t: Millis, facts: &mut FactDeltas) {
        let Some(last) = last else { return };
        let until = t.min(self.present_until(last));
        let from = self.tell_hours(inside, until, facts);
        self.tell(inside, from, until, facts);
    }

    /// The presence that has not been told: up to the last position or the full hour that the clock has
    /// reached since. The instant of the last position always counts.
    pub(super) fn open_presence(&self, inside: &[Inside], last: &Position, now: Millis, facts: &mut FactDeltas) {
        if inside.is_empty() {
            return;
        }
        let until = self.open_until(last, now);
        for inside in inside {
            let from = self.tell_hours(inside, until, facts);
            if from == last.ts {
                let (vehicle, geofence) = (self.vehicle, inside.geofence);
                facts.presences.push((Presence { vehicle, geofence, from, until: from.max(until) }, self.sign));
            } else {
                self.tell(inside, from, until, facts);
            }
        }
    }

    /// The same for those who stay inside while the vehicle goes on from `was` to `is`, each a last position and the
    /// clock: of each presence the piece it was and the piece it is, side by side. Not if an hour ends meanwhile.
    pub(super) fn prolong_presence(
        &self,
        inside: &[Inside],
        was: (&Position, Millis),
        is: (&Position, Millis),
        presences: &mut Vec<(Presence, i64)>,
    ) -> bool {
        let [was, is] = [was, is].map(|(last, now)| self.open_until(last, now));
        if inside.iter().any(|inside| is >= self.hour_span(inside.present_from).until) {
            return false;
        }
        if was < is {
            let piece = |inside: &Inside, until, diff| {
                let Inside { geofence, present_from: from, .. } = *inside;
                (Presence { vehicle: self.vehicle, geofence, from, until }, diff)
            };
            presences.extend(inside.iter().flat_map(|inside| [piece(inside, was, -1), piece(inside, is, 1)]));
        }
        true
    }

    /// Up to when presence that has not been told is known at `now`.
    fn open_until(&self, last: &Position, now: Millis) -> Millis {
        self.full_hour(now).max(last.ts).min(self.present_until(last))
    }

    /// Tells the hours that are full at `until`; returns what is left from.
    fn tell_hours(&self, inside: &Inside, until: Millis, facts: &mut FactDeltas) -> Millis {
        let mut from = inside.present_from;
        loop {
            let hour = self.hour_span(from).until;
            if until < hour {
                return from;
            }
            self.tell(inside, from, hour, facts);
            from = hour;
        }
    }

    fn tell(&self, inside: &Inside, from: Millis, until: Millis, facts: &mut FactDeltas) {
        if from < until {
            let (vehicle, geofence) = (self.vehicle, inside.geofence);
            facts.presences.push((Presence { vehicle, geofence, from, until }, self.sign));
        }
    }
}

//! Idlings, overspeeds and moves with the ignition off: small state machines that are fed the segments of
//! [`super::movement`] in order, once settled, and, to say what is open, as they are as yet.

use serde::{Deserialize, Serialize};

use crate::timeline::deltas::{FactDeltas, Leg};
use crate::timeline::movement::Segment;
use crate::timeline::standing::is_near;
use watchtower_model::facts::{Idling, Overspeed, Spell, SpellKind};
use watchtower_model::{GeofenceId, Ignition, Millis, Offline, Place, Rules, Speed, VehicleId};

/// The vehicle idles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdleRun {
    /// Its first position.
    pub from: Millis,
    /// There is another position at which it idled.
    pub repeated: bool,
    /// The place of the last of them.
    pub place: Place,
}

/// The vehicle is above one and the same limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverRun {
    /// The first instant.
    pub from: Millis,
    /// The geofence that has the limit, if one has.
    pub geofence: Option<GeofenceId>,
    /// Speed limit that was exceeded.
    pub limit: Speed,
}

/// Positions in a row at which the ignition is known to be off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffRun {
    /// First instant of the run, epoch milliseconds.
    pub from: Millis,
    /// From where its first leg starts to where its last ends.
    pub moved: Option<(Millis, Millis)>,
}

/// Runs that have not ended: idling, overspeed, ignition off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// Run of positions that may become an idling, or is one.
    pub idling: Option<IdleRun>,
    /// It is above a limit.
    pub overspeed: Option<OverRun>,
    /// Its ignition is off.
    pub off: Option<OffRun>,
}

/// From when on which limit holds where the vehicle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// First instant at which the limit holds, epoch milliseconds.
    pub from: Millis,
    /// Greatest speed that it allows.
    pub limit: Speed,
    /// The geofence that has it, if one has.
    pub geofence: Option<GeofenceId>,
}

/// Takes runs on, segment by segment, and reports those that end.
#[derive(Clone, Copy)]
pub struct Runner<'a> {
    /// Whose runs they are.
    pub vehicle: VehicleId,
    /// How facts count.
    pub sign: i64,
    /// Parameters of the rules.
    pub rules: &'a Rules,
    /// The limits at and after the segments that come, ascending.
    pub limits: &'a [Limited],
}

impl Runner<'_> {
    /// Takes in the next segment. Of the last position only what is known for good at it is taken in: see
    /// [`Runner::open`].
    pub fn step(&self, runs: &mut Runs, segment: &Segment<'_>, facts: &mut FactDeltas) {
        self.idle(&mut runs.idling, segment, facts);
        if segment.has_next {
            self.overspeed(&mut runs.overspeed, segment, facts);
        }
        self.off(&mut runs.off, segment, facts);
    }

    fn idle(&self, run: &mut Option<IdleRun>, segment: &Segment<'_>, facts: &mut FactDeltas) {
        let first = segment.first();
        if first.ignition != Ignition::On {
            self.end_idling(run, first.ts, facts);
        } else if !segment.is_moving(self.rules) {
            let place = first.place;
            *run = Some(match *run {
                None => IdleRun { from: first.ts, repeated: false, place },
                Some(run) => IdleRun { repeated: true, place, ..run },
            });
        } else if run.is_some_and(|run| !is_near(run.place, first.place, self.rules)) {
            self.end_idling(run, first.ts, facts);
        }
        if run.is_none() {
            return;
        }
        for pair in segment.items.windows(2) {
            if pair[1].is_silent {
                self.end_idling(run, pair[0].ts, facts);
            } else if pair[1].ignition != Ignition::On {
                self.end_idling(run, pair[1].ts, facts);
            }
        }
    }

    fn is_idling(&self, run: &IdleRun, until: Millis) -> bool {
        run.repeated && until - run.from >= self.rules.idle_min_ms
    }

    fn end_idling(&self, run: &mut Option<IdleRun>, at: Millis, facts: &mut FactDeltas) {
        let Some(run) = run.take().filter(|run| self.is_idling(run, at)) else { return };
        let (vehicle, sign) = (self.vehicle, self.sign);
        facts.idlings.push((Idling { vehicle, started_at: run.from, ended_at: Some(at) }, sign));
        facts.spells.push((Spell { vehicle, kind: SpellKind::Idling, from: run.from, until: at }, sign));
    }

    /// A speed that holds from one position to the next, with the limits meanwhile.
    fn overspeed(&self, run: &mut Option<OverRun>, segment: &Segment<'_>, facts: &mut FactDeltas) {
        let (at, until) = (segment.at(), segment.until());
        if segment.speed == Speed::NONE || segment.speed == Speed::ZERO {
            self.end_overspeed(run, at, facts);
            return;
        }
        let mut number = self.limits.partition_point(|limited| limited.from <= at).max(1) - 1;
        let mut from = at;
        while let Some(&Limited { limit, geofence, .. }) = self.limits.get(number).filter(|_| from < until) {
            if segment.speed <= limit {
                self.end_overspeed(run, from, facts);
            } else if run.is_none_or(|run| (run.limit, run.geofence) != (limit, geofence)) {
                self.end_overspeed(run, from, facts);
                *run = Some(OverRun { from, geofence, limit });
            }
            number += 1;
            from = self.limits.get(number).map_or(until, |next| next.from);
        }
    }

    fn is_over(&self, run: &OverRun, until: Millis) -> bool {
        until > run.from && until - run.from >= self.rules.overspeed_min_ms
    }

    fn end_overspeed(&self, run: &mut Option<OverRun>, at: Millis, facts: &mut FactDeltas) {
        let Some(run) = run.take().filter(|run| self.is_over(run, at)) else { return };
        let (vehicle, sign) = (self.vehicle, self.sign);
        let OverRun { from, geofence, limit } = run;
        facts.legs.push((Leg::Overspeed { started_at: from, ended_at: at, geofence, limit }, sign));
        facts.spells.push((Spell { vehicle, kind: SpellKind::Overspeed, from, until: at }, sign));
    }

    fn off(&self, run: &mut Option<OffRun>, segment: &Segment<'_>, facts: &mut FactDeltas) {
        let first = segment.first();
        if segment.after_offline || first.ignition != Ignition::Off {
            self.end_off(run, facts);
        }
        if first.ignition != Ignition::Off {
            return;
        }
        match run {
            None => *run = Some(OffRun { from: first.ts, moved: None }),
            Some(run) if segment.leg_mm > 0 => {
                let started_at = run.moved.map_or(segment.leg_from.max(run.from), |(from, _)| from);
                run.moved = Some((started_at, first.ts));
            }
            Some(_) => {}
        }
    }

    fn end_off(&self, run: &mut Option<OffRun>, facts: &mut FactDeltas) {
        let moved = run.take().and_then(|run| run.moved);
        facts.legs.extend(moved.map(|(started_at, ended_at)| (Leg::MovesOff { started_at, ended_at }, self.sign)));
    }

    /// What lasts after the last segment, which is that of the last position. `silence` is the offline that the clock
    /// has found behind the last position of any kind.
    pub fn open(&self, mut runs: Runs, last: &Segment<'_>, silence: Option<&Offline>, facts: &mut FactDeltas) {
        let (vehicle, sign) = (self.vehicle, self.sign);
        let at = last.at();
        if let Some(silence) = silence {
            self.end_idling(&mut runs.idling, silence.started_at, facts);
        }
        if let Some(run) = runs.idling.filter(|run| self.is_idling(run, at)) {
            facts.idlings.push((Idling { vehicle, started_at: run.from, ended_at: None }, sign));
            facts.spells.push((Spell { vehicle, kind: SpellKind::Idling, from: run.from, until: at }, sign));
        }
        let is_silent = silence.is_some() || last.items[1..].iter().any(|item| item.is_silent);
        let in_force = self.limits.iter().rfind(|limited| limited.from <= at);
        let lasts = |run: &OverRun| {
            !is_silent
                && last.speed != Speed::NONE
                && last.speed > run.limit
                && in_force.is_some_and(|now| (now.limit, now.geofence) == (run.limit, run.geofence))
        };
        match runs.overspeed.filter(lasts) {
            None => self.end_overspeed(&mut runs.overspeed, at, facts),
            Some(run) if self.is_over(&run, at) => {
                let OverRun { from, geofence, limit } = run;
                let fact = Overspeed { vehicle, started_at: from, ended_at: None, geofence, limit, measures: None };
                facts.overspeeds.push((fact, sign));
                facts.spells.push((Spell { vehicle, kind: SpellKind::Overspeed, from, until: at }, sign));
            }
            Some(_) => {}
        }
        self.end_off(&mut runs.off, facts);
    }
}

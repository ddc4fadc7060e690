//! The rules of a timeline, as a fold over its instants.
//!
//! A vehicle is deemed to be at usable position `i` from `ts_i` until `ts_{i+1}`. Its instants are its usable
//! positions and the moments at which a geofence version or a speed limit begins or ends. [`Fold::step`]
//! takes the state just after one position to the state just after the next and reports the facts that
//! ended on the way; what has not ended yet is read off the last state ([`Fold::open`]).
//!
//! Every rule is written here, in [`super::marks`], [`super::standing`], [`super::movement`], [`super::runs`] or
//! [`super::route`], and nowhere else. A late position, a withdrawn one or an edit in the past is no rule: it is the
//! same fold run again from an earlier state. So is a mark: positions come here with theirs, and one that turns out
//! to be an outlier when others have come is rewritten like one that is corrected.
//!
//! Whether the vehicle stands is known late, and with it speed and distance. So there are two folds in one: the
//! first, of geofences, visits and silence, is at the last position; the second, of all that looks at speed, follows
//! behind it, up to where that is settled ([`super::movement`]), and is carried on from there over the few positions
//! that wait, as they are as yet, whenever what is open is reported.

mod turns;

use std::cell::{Cell, RefCell};

use crate::catalogue::{Catalogue, View};
use crate::cells::SafeRegion;
use crate::roster::Roster;
use crate::timeline::deltas::FactDeltas;
use crate::timeline::movement::{Item, Movement, Segment, Sink, UNMEASURED};
use crate::timeline::runs::{Limited, Runner, Runs};
use crate::timeline::standing::Stopped;
use crate::timeline::state::{Analytics, Heard, Inside, State};
use crate::timeline::sums::{Days, Tally};
use turns::Scratch;
use watchtower_model::Span;
use watchtower_model::{
    BEGINNING, END, GeofenceId, Ignition, Marked, Millis, Offline, Position, Rules, Speed, Status, VehicleId,
    VehicleState,
};

/// The rules, applied to one vehicle under one view of the geofences.
#[derive(Clone, Copy)]
pub struct Fold<'a> {
    /// Whose timeline it is.
    pub vehicle: VehicleId,
    /// Geofences and their versions.
    pub catalogue: &'a Catalogue,
    /// The vehicles' limits.
    pub roster: &'a Roster,
    /// Before or after this epoch's edits.
    pub view: View,
    /// How the facts count: 1 if they are, -1 if they are taken back.
    pub sign: i64,
    /// Parameters of the rules.
    pub rules: &'a Rules,
    /// Reused, so that a step allocates only if it changes something.
    scratch: &'a RefCell<Scratch>,
    hour: &'a Cell<Span>,
}

/// Data that the folds of all vehicles share: rules, index, versions.
#[derive(Debug)]
pub struct World {
    /// Geofences and their versions.
    pub catalogue: Catalogue,
    /// The vehicles' limits and fleets.
    pub roster: Roster,
    /// Parameters of the rules.
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
        Fold { vehicle, catalogue, roster, view, sign: view.sign(), rules, scratch, hour }
    }
}

impl Fold<'_> {
    /// The same fold, to take back what it has reported.
    pub fn undoing(&self) -> Self {
        Self { sign: -1, ..*self }
    }
}

/// Where settled segments go: into the runs and the sums.
struct Settling<'a, 't> {
    runner: Runner<'a>,
    runs: &'a mut Runs,
    facts: &'a mut FactDeltas,
    tally: &'a mut Tally<'t>,
    /// A stop that is over.
    ended: Option<Stopped>,
}

impl Sink for Settling<'_, '_> {
    fn segment(&mut self, segment: &Segment<'_>) {
        self.runner.step(self.runs, segment, self.facts);
        self.tally.segment(segment);
    }

    fn stop_began(&mut self, started_at: Millis) {
        self.tally.stop(started_at);
    }

    fn stop_ended(&mut self, stop: &Stopped) {
        self.ended = Some(*stop);
    }
}

impl Fold<'_> {
    /// From one position to the next. `region` is one that the state's geofences are known to hold in, for this
    /// fold's next steps to know. Returns whether the vehicle may have entered or left a geofence: if not, it is in
    /// the same ones as before.
    pub fn step(
        &self,
        state: &mut State,
        region: &mut SafeRegion,
        next: &Position,
        facts: &mut FactDeltas,
        tally: &mut Tally<'_>,
    ) -> bool {
        let before = state.heard;
        let (item, heard) = self.hear(before.as_ref(), next);
        state.heard = Some(heard);
        tally.position(next.ts);
        let heard_at = before.map_or(next.ts, |before| before.ts);
        if item.is_silent {
            let offline = Offline { vehicle: self.vehicle, started_at: heard_at, ended_at: Some(next.ts) };
            facts.offlines.push((offline, self.sign));
            tally.silence(self.counted_silence(heard_at, next.ts));
        }
        if !next.is_usable() {
            facts.marks.push((Marked { vehicle: self.vehicle, ts: next.ts, mark: next.mark }, self.sign));
            if let Some(movement) = state.movement.as_deref_mut() {
                movement.hear(item, heard_at);
            }
            return false;
        }
        let Some(last) = state.last else {
            self.evaluate(state, region, next.place, next.ts, facts);
            state.movement = Some(Box::new(Movement::start(item)));
            state.analytics = self.has_analytics().then(Box::default);
            self.note_limit(state, next.ts);
            state.last = Some(*next);
            return true;
        };
        let ruled_anew = self.pass_boundaries(state, region, &last, next.ts - 1, facts);
        let has_analytics = state.analytics.is_some();
        if has_analytics {
            self.stay_present(state, last.ts, next.ts, facts);
        }
        let mut turned = ruled_anew;
        if ruled_anew || last.place != next.place {
            turned |= self.evaluate(state, region, next.place, next.ts, facts);
        }
        if turned || self.roster.changes_limit(self.vehicle, self.view, last.ts, next.ts) {
            self.note_limit(state, next.ts);
        }
        if has_analytics {
            self.be_present(state, &last, next.ts, facts);
        }
        self.go(state, item, heard_at, facts, tally);
        state.last = Some(*next);
        turned
    }

    /// Movement and silence as of a position of any kind.
    fn hear(&self, before: Option<&Heard>, next: &Position) -> (Item, Heard) {
        let &Position { ts, place, ignition, .. } = next;
        let is_silent = before.is_some_and(|before| self.is_silent(before.ts, ts));
        let anew = Heard { ts, since: ts, ignition: Ignition::Unknown };
        let Heard { since, ignition: known, .. } = *before.filter(|_| !is_silent).unwrap_or(&anew);
        let ignition = known.then(ignition);
        let (speed, is_usable) = (self.rules.plausible(next.speed), next.is_usable());
        (Item { ts, place, speed, ignition, is_usable, is_silent, hop_mm: UNMEASURED }, Heard { ts, since, ignition })
    }

    /// Takes nothing but movement on to a position.
    pub(super) fn move_on(
        &self,
        heard: &mut Option<Heard>,
        movement: &mut Option<Movement>,
        next: &Position,
        sink: &mut impl Sink,
    ) {
        let heard_at = heard.map_or(next.ts, |heard| heard.ts);
        let (item, now) = self.hear(heard.as_ref(), next);
        *heard = Some(now);
        match movement {
            Some(movement) if item.is_usable => movement.step(item, heard_at, self.rules, sink),
            Some(movement) => movement.hear(item, heard_at),
            None if item.is_usable => *movement = Some(Movement::start(item)),
            None => {}
        }
    }

    /// Takes movement on to a usable position.
    fn go(&self, state: &mut State, item: Item, heard: Millis, facts: &mut FactDeltas, tally: &mut Tally<'_>) {
        let Some(movement) = state.movement.as_deref_mut() else { return };
        let Some(Analytics { runs, limits, .. }) = state.analytics.as_deref_mut() else {
            movement.step_unasked(item, heard, self.rules);
            return;
        };
        let runner = self.runner(limits);
        let mut sink = Settling { runner, runs, facts: &mut *facts, tally: &mut *tally, ended: None };
        movement.step(item, heard, self.rules, &mut sink);
        let ended = sink.ended;
        let settled = movement.settled_until();
        let old = limits.iter().skip(1).take_while(|limited| limited.from <= settled).count();
        limits.drain(..old);
        if let Some(stop) = ended {
            let fact = self.stop_fact(state, &stop, true);
            facts.stops.push((fact, self.sign));
        }
        self.forget_stayed(state);
    }

    pub(super) fn runner<'s>(&'s self, limits: &'s [Limited]) -> Runner<'s> {
        Runner { vehicle: self.vehicle, sign: self.sign, rules: self.rules, limits }
    }

    /// The same where it is known whether the step turns.
    pub fn step_again(
        &self,
        state: &mut State,
        region: &mut SafeRegion,
        next: &Position,
        turned: bool,
        facts: &mut FactDeltas,
        tally: &mut Tally<'_>,
    ) -> bool {
        if turned {
            return self.step(state, region, next, facts, tally);
        }
        let mut same = SafeRegion::everywhere(self.catalogue.generation());
        self.step(state, &mut same, next, facts, tally)
    }

    /// From the last position on, through what begins or ends until `until` (inclusive). A fold that has
    /// stayed cannot step on: it has passed what the next position may not wait for.
    pub fn stay(&self, state: &mut State, until: Millis, facts: &mut FactDeltas) {
        if let Some(last) = state.last {
            let mut unknown = SafeRegion::NONE;
            self.pass_boundaries(state, &mut unknown, &last, until, facts);
        }
    }

    /// The facts that have not ended, as they are at `now`, for a fold that has stayed until then, and those that
    /// have ended as far as is known as yet.
    pub fn open(&self, state: &State, now: Millis, facts: &mut FactDeltas) {
        let days = &mut Days::default();
        let running = self.run(state, facts, days);
        self.open_from(state, running, now, facts, |_| {});
        let Some(last) = &state.last else { return };
        facts.visits.extend(state.inside.iter().map(|inside| (inside.visit(self.vehicle, now), self.sign)));
        if let Some(analytics) = state.analytics.as_deref() {
            self.open_route(&analytics.route, &state.inside, now, facts);
            self.open_presence(&state.inside, last, now, facts);
        }
    }

    pub(super) fn open_silence(&self, state: &State, now: Millis) -> Option<Offline> {
        let heard = state.heard.filter(|heard| self.is_silent(heard.ts, now))?;
        Some(Offline { vehicle: self.vehicle, started_at: heard.ts, ended_at: None })
    }

    /// The first instant after `now` at which the clock alone changes an open fact.
    pub fn due(&self, state: &State, now: Millis) -> Option<Millis> {
        let heard = state.heard?;
        let silent_at = heard.ts.saturating_add(self.offline_after_ms(heard.ts)).saturating_add(1);
        let confirmed_at = state.inside.iter().map(|i| i.entered_at.saturating_add(i.min_dwell_ms));
        let first = confirmed_at.chain([silent_at]).filter(|&t| t > now).min();
        if !self.has_analytics() {
            return first;
        }
        let hour = self.hour_span(now.max(heard.ts));
        let is_present =
            !state.inside.is_empty() && state.last.is_some_and(|last| hour.from < self.present_until(&last));
        let is_counted = self.is_silent(heard.ts, now) && hour.from < self.counted_silence(heard.ts, END).until;
        let hour_at = (is_present || is_counted).then_some(hour.until);
        first.into_iter().chain(hour_at).filter(|&t| t > now).min()
    }

    /// Where the vehicle is and what it does, at `now`.
    pub fn vehicle_state(&self, state: &State, now: Millis) -> Option<VehicleState> {
        let last = state.last?;
        let speed_now = state.movement.as_ref().map_or(Speed::NONE, |movement| movement.last_speed(self.rules));
        let status = if self.open_silence(state, now).is_some() {
            Status::Offline
        } else if speed_now != Speed::NONE && speed_now >= self.rules.idle_speed {
            Status::Moving
        } else {
            Status::Stopped
        };
        let inside = state.inside.iter().map(|inside| inside.geofence).collect();
        let Position { ts, place, speed, heading, ignition: _, mark: _ } = last;
        Some(VehicleState { vehicle: self.vehicle, ts, place, speed, heading, status, inside })
    }

    /// The silence after the last position, as far as full hours of the clock have told it and days count it.
    pub fn silence(&self, state: &State, now: Millis) -> Option<Span> {
        let silence = self.open_silence(state, now)?;
        Some(self.counted_silence(silence.started_at, self.full_hour(now))).filter(|silence| !silence.is_empty())
    }

    /// As much of a silence as days count.
    fn counted_silence(&self, from: Millis, until: Millis) -> Span {
        Span { from, until: until.min(from.saturating_add(self.rules.offline_count_ms)) }
    }

    /// How long the vehicle may be silent after `t` before it is offline.
    pub(super) fn offline_after_ms(&self, t: Millis) -> i64 {
        self.roster.offline_after_ms(self.vehicle, t, self.view).unwrap_or(self.rules.offline_after_ms)
    }

    /// Whether the time from one position to the next, or to now, is an offline.
    pub(super) fn is_silent(&self, from: Millis, until: Millis) -> bool {
        until.saturating_sub(from) > self.offline_after_ms(from)
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

    /// Until when a vehicle that says nothing more counts as present.
    pub(super) fn present_until(&self, last: &Position) -> Millis {
        last.ts.saturating_add(self.rules.presence_limit_ms)
    }

    /// Evaluates the geofences and limits that begin or end in `last.ts < t <= until` for a vehicle that
    /// stays where it is. Whether a geofence does here between, or in the millisecond after.
    fn pass_boundaries(
        &self,
        state: &mut State,
        region: &mut SafeRegion,
        last: &Position,
        until: Millis,
        facts: &mut FactDeltas,
    ) -> bool {
        let has_analytics = state.analytics.is_some();
        let limits =
            if has_analytics { self.roster.changes(self.vehicle, self.view, last.ts, until) } else { Vec::new() };
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
                if has_analytics {
                    self.stay_present(state, last.ts, t, facts);
                }
                *region = SafeRegion::NONE;
                self.turn(state, last.place, t, &turned, facts);
            }
            self.note_limit(state, t);
        }
        any
    }

    /// Remembers the limit that holds from `t` on, if it is another.
    fn note_limit(&self, state: &mut State, t: Millis) {
        let Some(analytics) = state.analytics.as_deref_mut() else { return };
        let (limit, geofence) = self.limit(&state.inside, t);
        if analytics.limits.last().is_none_or(|last| (last.limit, last.geofence) != (limit, geofence)) {
            analytics.limits.push(Limited { from: t, limit, geofence });
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
}

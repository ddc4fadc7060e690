//! How one vehicle is brought up to date.
//!
//! Most of the time it says where it is, and nothing else has happened: then its fold goes on from where
//! it stands, and only what may differ is said ([`Timelines::go_on`]). Else all that is open is said as it
//! was and as it is, and what both say cancels ([`Timelines::settle`]).

use std::cmp::Reverse;
use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;

use super::chunk::Reach;
use super::deltas::FactDeltas;
use super::fleets::Labels;
use super::fold::Fold;
use super::rewrite::Rewrite;
use super::route::Route;
use super::state::{Analytics, Inside, State};
use super::track::{Appended, Rewound, Track, day};
use super::{Changes, Stats, Timeline, Timelines};
use crate::catalogue::{Change, View};
use crate::views::groups::{reach_ms, silence_reach_ms};
use watchtower_model::Span;
use watchtower_model::facts::{Pin, Pinned};
use watchtower_model::local_time::Day;
use watchtower_model::{BEGINNING, END, Mark, Membership, Millis, Position, PositionEvent, VehicleId};

/// Input of an epoch for one vehicle.
pub(super) struct Happened<'a> {
    /// By instant and place in the log.
    pub events: &'a [PositionEvent],
    /// Areas that edits changed around it.
    pub changes: &'a [Change],
    /// For how long it may be silent was or will be another time.
    pub silences: bool,
    /// Its metadata say that it was or will be in another fleet.
    pub moves_fleet: bool,
}

/// What appended positions did to a track.
struct Extended {
    /// Whether a chunk is full, and another one begun.
    begins_chunk: bool,
    /// Whether marks of positions before them changed, so that facts may be both added and retracted.
    has_rewound: bool,
}

impl Timeline {
    /// One of which nothing is known.
    fn unheard_of() -> Self {
        Self { track: Track::default(), newest: BEGINNING, ledger: None, armed: END }
    }

    /// Takes in what the vehicle sent and what was edited around it. Returns when numbers may have become
    /// different: nowhere else have they.
    fn take(
        &mut self,
        happened: &Happened<'_>,
        old: &Fold<'_>,
        new: &Fold<'_>,
        stats: &mut Stats,
        facts: &mut FactDeltas,
    ) -> Span {
        let last = self.track.last().copied();
        let last_ts = last.map_or(BEGINNING, |last| last.ts);
        let unsettled = self.track.head().settled_until().min(last_ts);
        let mut rewrites = Vec::new();
        let mut appended = Vec::new();
        for event in latest_of_each_instant(happened.events) {
            let position = (!event.withdrawn).then_some(event.position);
            if position.is_some() && position == last.map(as_arrived) {
                continue; // the same fix sent again
            }
            match position {
                Some(position) if position.ts > last_ts => appended.push(position),
                None if event.position.ts > last_ts => {}
                _ => rewrites.push(Rewrite { ts: event.position.ts, position }),
            }
        }
        let mut changed = Span::EMPTY;
        if !rewrites.is_empty() || !happened.changes.is_empty() {
            let Happened { changes, silences, .. } = *happened;
            let rewound = self.track.rewrite(&rewrites, changes, silences, (old, new), facts);
            stats.add(&rewound);
            if !rewrites.is_empty() || silences {
                changed = rewound.span;
                changed.from = changed.from.min(unsettled);
            }
        }
        if !appended.is_empty() {
            // What was said of the last positions was said as of then.
            changed = Span { from: changed.from.min(unsettled), until: END };
        }
        stats.retained_positions += appended.len() as u64;
        for position in appended {
            let Appended { begins_chunk: _, rewound } = self.track.append(new, position, facts);
            if let Some(rewound) = rewound {
                stats.add(&rewound);
                changed.from = changed.from.min(rewound.span.from);
            }
        }
        // A withdrawal moves it back to the position before, and never ahead.
        let heard = self.track.head().heard.map(|heard| heard.ts);
        self.newest = self.track.last().map(|last| last.ts).max(heard).unwrap_or(BEGINNING);
        changed
    }

    /// Appends positions that are later than all it has. `changed` grows by what they change before them.
    fn extend(
        &mut self,
        events: &[PositionEvent],
        fold: &Fold<'_>,
        changed: &mut Span,
        stats: &mut Stats,
        facts: &mut FactDeltas,
    ) -> Extended {
        let mut extended = Extended { begins_chunk: false, has_rewound: false };
        for event in latest_of_each_instant(events) {
            let Appended { begins_chunk, rewound } = self.track.append(fold, event.position, facts);
            extended.begins_chunk |= begins_chunk;
            if let Some(rewound) = rewound {
                extended.has_rewound = true;
                stats.add(&rewound);
                changed.from = changed.from.min(rewound.span.from);
            }
            stats.retained_positions += 1;
        }
        extended
    }

    /// Emits on which days facts may change though they were long ago, where that has changed.
    ///
    /// While positions come, what they change lies close behind them. Behind a silence there is a run that may yet become
    /// a stop, outliers that the next position tells, and positions that may be corrected as far back as tracks are
    /// kept.
    pub(super) fn pin(&mut self, fold: &Fold<'_>, now: Millis, facts: &mut FactDeltas) {
        let lasting = self.waits(fold, now);
        let Some(ledger) = &mut self.ledger else { return };
        if lasting.is_none() && ledger.silences.is_empty() {
            return;
        }
        let (rules, heard) = (fold.rules, self.track.head().heard.map_or(BEGINNING, |heard| heard.ts));
        // The mark of the first position after a silence is decided by those that follow, each less than an offline behind
        // the one before.
        let legs_ms = silence_reach_ms(fold.offline_after_ms(heard));
        let kept_ms = rules.retention_ms.map(|retention_ms| retention_ms.saturating_add(legs_ms));
        let is_decided = self.track.is_decided();
        let kept_ms = kept_ms.filter(|_| is_decided);
        let final_before = kept_ms.map_or(BEGINNING, |kept_ms| self.newest.min(now).saturating_sub(kept_ms));
        ledger.silences.update(lasting, heard, final_before, facts);
    }

    fn waits(&self, fold: &Fold<'_>, now: Millis) -> Option<Pin> {
        let (vehicle, rules, head) = (fold.vehicle, fold.rules, self.track.head());
        let heard = head.heard.filter(|_| rules.horizon_ms.is_some() && rules.views.has_analytics())?;
        // Marked positions may come for weeks without a usable one.
        let (last, settled) = head.last.map_or((heard.since, heard.since), |last| (last.ts, head.settled_until()));
        if !fold.is_silent(heard.ts, now) && (last == heard.ts || !fold.is_silent(last, heard.ts)) {
            return None;
        }
        let own = fold.roster.offline_after_ms(vehicle, last, fold.view);
        let behind_ms = reach_ms(rules).saturating_add(own.map_or(0, silence_reach_ms));
        let repaired = rules.retention_ms.map_or(BEGINNING, |retention_ms| heard.ts.saturating_sub(retention_ms));
        let first = settled.min(last).min(repaired).saturating_sub(behind_ms);
        let first = if first == BEGINNING { Day(i32::MIN) } else { rules.local_time.day(first) };
        let counted_ms = rules.presence_limit_ms.max(rules.offline_count_ms);
        let last = rules.local_time.day(heard.ts.saturating_add(counted_ms));
        Some(Pin { vehicle, first, last, groups: Pinned::All })
    }

    /// Gives up what is older than may be asked for.
    fn forget(&mut self, now: Millis, fold: &Fold<'_>, reach: &mut Reach, stats: &mut Stats, facts: &mut FactDeltas) {
        let rules = fold.rules;
        let Some(retention_ms) = rules.retention_ms else { return };
        let measured = || self.ledger.as_ref().map_or_else(Vec::new, |ledger| ledger.measured(rules));
        let bound = self.newest.min(now).saturating_sub(retention_ms);
        let given_up = self.track.forget_before(bound, measured, fold);
        if given_up == 0 {
            return;
        }
        stats.retained_positions -= given_up as u64;
        *reach = self.track.reach();
        if let Some(ledger) = &mut self.ledger {
            ledger.forget(fold.vehicle, &self.track, rules, facts);
        }
    }

    /// Something is due at an instant, which is returned if the timer must learn of it: if nothing was due
    /// before.
    pub(super) fn arm(&mut self, due: Option<Millis>) -> Option<Millis> {
        let due = due.filter(|&due| due < self.armed)?;
        self.armed = due;
        Some(due)
    }
}

impl Stats {
    fn add(&mut self, rewound: &Rewound) {
        self.rewinds += 1;
        self.rewound_positions += rewound.positions as u64;
        self.retained_positions = self.retained_positions.wrapping_add_signed(rewound.gained);
    }
}

/// A position without the mark that others give it.
fn as_arrived(position: Position) -> Position {
    let mark = if position.mark == Mark::Outlier { Mark::None } else { position.mark };
    Position { mark, ..position }
}

/// What of a state begins and ends seldom: shared with it, so that to see whether it is the same costs
/// nothing.
struct Standing {
    inside: Arc<[Inside]>,
    route: Option<Arc<Route>>,
}

impl Standing {
    fn of(state: &State) -> Self {
        let route = state.analytics.as_ref().map(|analytics| Arc::clone(&analytics.route));
        Self { inside: Arc::clone(&state.inside), route }
    }

    fn is_same(&self, other: &Self) -> bool {
        let same_route = match (&self.route, &other.route) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_route && Arc::ptr_eq(&self.inside, &other.inside)
    }

    /// The visits that the other one lacks.
    fn lacking(&self, other: &Self) -> impl Iterator<Item = &Inside> {
        let is_there = |inside: &Inside| {
            other.inside.iter().any(|i| (i.geofence, i.entered_at) == (inside.geofence, inside.entered_at))
        };
        self.inside.iter().filter(move |inside| !is_there(inside))
    }

    fn open_route(&self, fold: &Fold<'_>, at: Millis, facts: &mut FactDeltas) {
        self.route.iter().for_each(|route| fold.open_route(route, &self.inside, at, facts));
    }
}

/// Says which visits that last have become others, from what was said at one instant to what is said at another.
fn say_turns(
    vehicle: VehicleId,
    (was, before): (&Standing, Millis),
    (is, now): (&Standing, Millis),
    membership: &mut Vec<(Membership, i64)>,
    facts: &mut FactDeltas,
) {
    if Arc::ptr_eq(&was.inside, &is.inside) {
        return;
    }
    let mut say = |inside: &Inside, at, diff| {
        facts.visits.push((inside.visit(vehicle, at), diff));
        membership.push((inside.membership(vehicle), diff));
    };
    was.lacking(is).for_each(|inside| say(inside, before, -1));
    is.lacking(was).for_each(|inside| say(inside, now, 1));
}

impl Timelines {
    /// Takes in positions of a vehicle to which nothing else happens and which all are later than what it has.
    /// Its fold goes on from where it stands, so that the visits and trips it neither begins nor ends stay as
    /// they were: they are not looked at. Whether it was so simple; if not, nothing is done.
    pub(super) fn go_on(
        &mut self,
        vehicle: VehicleId,
        events: &[PositionEvent],
        before: Millis,
        out: &mut Changes,
    ) -> bool {
        let (now, slot) = (self.now, self.slot(vehicle));
        let Some(timeline) = self.timelines.get_mut(slot).and_then(Option::as_mut) else { return false };
        let (Some(last), Some(heard)) = (timeline.track.head().last, timeline.track.head().heard) else { return false };
        let ([first, ..], [.., latest]) = (events, events) else { return false };
        let newest = latest.position.ts;
        let is_quiet = self.world.catalogue.is_quiet(last.ts, newest.max(now));
        if !is_quiet || first.position.ts <= heard.ts || events.iter().any(|event| event.withdrawn) {
            return false;
        }
        let [old, new] = [View::Old, View::New].map(|view| self.world.fold(vehicle, view));
        let has_analytics = self.world.rules.views.has_analytics();
        let (facts, days, rules) = (&mut self.facts, &mut self.days, &self.world.rules);

        let was = Standing::of(timeline.track.head());
        // Positions that are marked as they come may leave the row as it is.
        let row_was = events.iter().all(|event| !event.position.is_accurate());
        let row_was = row_was.then(|| old.vehicle_state(timeline.track.head(), before));
        let running = old.run(timeline.track.head(), facts, days);
        old.open_from(timeline.track.head(), running, before, facts, |_| {});
        let mut changed = Span { from: timeline.track.head().settled_until().min(heard.ts), until: END };
        let Extended { begins_chunk, has_rewound } =
            timeline.extend(events, &new, &mut changed, &mut self.stats, facts);
        timeline.newest = timeline.newest.max(newest);
        let (head, is) = (timeline.track.head(), Standing::of(timeline.track.head()));
        let running = new.run_on(head, running.filter(|_| !has_rewound), facts, days);
        new.open_from(head, running, now, facts, |segment| days.add_segment(segment, rules));
        if let Some(latest) = head.last.as_ref().filter(|_| has_analytics) {
            let (stays, presences) = (Arc::ptr_eq(&was.inside, &is.inside), &mut out.facts.presences);
            if !stays || !new.prolong_presence(&is.inside, (&last, before), (latest, now), presences) {
                old.open_presence(&was.inside, &last, before, facts);
                new.open_presence(&is.inside, latest, now, facts);
            }
        }
        say_turns(vehicle, (&was, before), (&is, now), &mut out.membership, facts);
        if has_analytics {
            if !was.is_same(&is) {
                was.open_route(&old, before, facts);
                is.open_route(&new, now, facts);
            }
            facts.consolidate();
            let (track, ledger) = (&timeline.track, timeline.ledger.get_or_insert_default());
            ledger.measure(track, changed, &new, facts);
            ledger.tell_days(&new, track, new.silence(head, now), day(changed.from, rules), days, facts);
            Labels { vehicle, roster: &self.world.roster, rules }.label(facts, &mut out.fleet_days);
            timeline.pin(&new, now, facts);
        } else if has_rewound {
            facts.consolidate();
        }
        out.facts.append(facts);
        let head = timeline.track.head();
        let row = new.vehicle_state(head, now);
        if row_was.as_ref() != Some(&row) {
            out.states.push((vehicle, row));
        }
        let due = timeline.arm(new.due(head, now));
        self.timers.extend(due.map(|due| Reverse((due, vehicle))));
        // What is given up is given up by the chunk: to look for it once a chunk is enough.
        events.iter().for_each(|event| self.reaches[slot].add(event.position.place));
        if begins_chunk {
            timeline.forget(now, &new, &mut self.reaches[slot], &mut self.stats, &mut out.facts);
        }
        true
    }

    /// Brings one vehicle up to date and says what became different.
    pub(super) fn settle(&mut self, vehicle: VehicleId, happened: &Happened<'_>, before: Millis, out: &mut Changes) {
        let slot = self.slot(vehicle);
        self.make_room(slot);
        let stats = &mut self.stats;
        let timeline = self.timelines[slot].get_or_insert_with(|| {
            stats.vehicles += 1;
            Box::new(Timeline::unheard_of())
        });
        let [old, new] = [View::Old, View::New].map(|view| self.world.fold(vehicle, view));
        let mut facts = FactDeltas::default();

        // What was said: the head as it was, through the boundaries the clock had reached.
        let mut was = timeline.track.head().clone();
        old.stay(&mut was, before, &mut facts);
        old.open(&was, before, &mut facts);
        let labels = Labels { vehicle, roster: &self.world.roster, rules: &self.world.rules };
        if happened.moves_fleet {
            let under_way = std::mem::take(&mut facts.trips);
            let ledger = timeline.ledger.get_or_insert_default();
            labels.label_all(ledger, &under_way, View::Old, &mut facts, &mut out.fleet_days);
            facts.trips = under_way;
        }

        let last_ts = timeline.track.last().map_or(BEGINNING, |last| last.ts);
        let untold = old.silence(&was, before).map_or(last_ts, |told| told.until);
        let changed = timeline.take(happened, &old, &new, stats, &mut facts);

        // What is said now.
        let mut is = timeline.track.head().clone();
        new.stay(&mut is, self.now, &mut facts);
        new.open(&is, self.now, &mut facts);
        facts.consolidate();
        if self.world.rules.views.has_analytics() {
            let (track, ledger, rules) = (&timeline.track, timeline.ledger.get_or_insert_default(), &self.world.rules);
            ledger.measure(track, changed, &new, &mut facts);
            let first = day(if changed.is_empty() { untold } else { changed.from }, rules);
            let days = new.days_as_yet(&is, &mut self.days);
            ledger.tell_days(&new, track, new.silence(&is, self.now), first, days, &mut facts);
            if happened.moves_fleet {
                let mut under_way = FactDeltas::default();
                if let Some(Analytics { route, .. }) = is.analytics.as_deref() {
                    new.open_route(route, &is.inside, self.now, &mut under_way);
                }
                labels.label_all(ledger, &under_way.trips, View::New, &mut facts, &mut out.fleet_days);
                consolidate(&mut facts.fleet_facts);
            } else {
                labels.label(&mut facts, &mut out.fleet_days);
            }
            timeline.pin(&new, self.now, &mut facts);
        }
        let lasting = facts.visits.iter().filter(|(visit, _)| visit.exited_at.is_none());
        let mut membership: Vec<_> = lasting.map(|(visit, diff)| (Membership::of(visit), *diff)).collect();
        consolidate(&mut membership); // some were only confirmed
        out.membership.append(&mut membership);
        out.facts.append(&mut facts);

        let (row_was, row_is) = (old.vehicle_state(&was, before), new.vehicle_state(&is, self.now));
        if row_was != row_is {
            out.states.push((vehicle, row_is));
        }
        if let Some(due) = timeline.arm(new.due(&is, self.now)) {
            self.timers.push(Reverse((due, vehicle)));
        }
        // Only when the vehicle is heard of: a timer may be stale, and what is kept must not depend on that.
        if !happened.events.is_empty() {
            let heard = happened.events.iter().filter(|event| !event.withdrawn);
            heard.for_each(|event| self.reaches[slot].add(event.position.place));
            timeline.forget(self.now, &new, &mut self.reaches[slot], stats, &mut out.facts);
        }
    }
}

/// Of the events of one vehicle, ascending by instant and place in the log, the last at each instant.
fn latest_of_each_instant(events: &[PositionEvent]) -> impl Iterator<Item = &PositionEvent> {
    events.chunk_by(|a, b| a.position.ts == b.position.ts).filter_map(<[PositionEvent]>::last)
}

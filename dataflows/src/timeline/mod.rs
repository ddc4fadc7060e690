//! The timelines of many vehicles, kept up to date epoch by epoch.
//!
//! [`Timelines::advance`] takes what one epoch brought, in no particular order, and returns the
//! difference between what the timelines say after it and what they said before. Only vehicles that
//! something happened to are looked at: a position, an edit of a geofence they may have been in, a
//! geofence version that the clock has now reached, or an instant their own timer waited for.

mod compact;
pub mod deltas;
mod fleets;
pub mod fold;
mod ledger;
mod odometer;
pub mod operator;
mod order;
mod presence;
mod route;
mod runs;
mod sums;
#[cfg(test)]
mod tests;
mod track;

use std::borrow::Cow;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;

use crate::catalogue::{Catalogue, Change, View};
use crate::geometry::BoundingBox;
use crate::local_time::Day;
use crate::model::{
    BEGINNING, END, GeofenceEdit, Membership, Millis, Offline, PositionEvent, Rules, VehicleEdit, VehicleId,
    VehicleState,
};
use crate::roster::{Edited, Roster};
use crate::versions::Span;
use deltas::FactDeltas;
use differential_dataflow::consolidation::consolidate;
use fleets::Labels;
use fold::{Covering, Fold, Inside};
pub use ledger::Ledger;
use order::Order;
use serde::{Deserialize, Serialize};
pub use track::{Chunk, Past, Track, TrackParts};
use track::{Reach, Rewrite};

/// What an epoch changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// What there is more or less of.
    pub facts: FactDeltas,
    /// The visits that last, by whom and where: those of `facts` without an end, whether confirmed or not.
    pub membership: Vec<(Membership, i64)>,
    /// The vehicles of which `vehicle_state` says something else now, each once, and what.
    pub states: Vec<(VehicleId, Option<VehicleState>)>,
}

/// A vehicle's timeline as it was after some epoch: what it takes to go on from there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimelineSnapshot {
    /// Whose.
    pub vehicle: VehicleId,
    /// The greatest instant of any of its position events, withdrawals included.
    pub newest: Millis,
    /// What is kept of its past.
    pub track: Track,
    /// What was said of it and may still change.
    pub ledger: Ledger,
}

/// What an epoch brings to the timelines of a worker.
#[derive(Debug)]
pub struct Arrivals {
    /// In no particular order; `seq` orders those of one vehicle.
    pub positions: Vec<PositionEvent>,
    /// Of geofences.
    pub edits: Vec<GeofenceEdit>,
    /// Of vehicles.
    pub vehicles: Vec<VehicleEdit>,
    /// Timelines to go on from, of vehicles that have none yet.
    pub restored: Vec<TimelineSnapshot>,
    /// The log's time, or [`BEGINNING`] if nothing is said of it.
    pub now: Millis,
}

/// One vehicle: its track, and what was last said of it.
#[derive(Debug, Default)]
struct Timeline {
    track: Track,
    /// The greatest instant of any of its position events, withdrawals included.
    newest: Millis,
    /// The facts with numbers that stand, as far as they may change.
    ledger: Ledger,
    /// The entry of the timer queue that counts; later entries of the same vehicle are stale.
    armed: Option<Millis>,
}

impl Timeline {
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
        let last = self.track.head().last;
        let last_ts = last.map_or(BEGINNING, |last| last.ts);
        let mut rewrites = Vec::new();
        let mut appended = Vec::new();
        for event in latest_of_each_instant(happened.events) {
            self.newest = self.newest.max(event.position.ts);
            let position = (!event.withdrawn).then_some(event.position);
            if position.is_some() && position == last {
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
            let rewound = self.track.rewrite(&rewrites, happened.changes, old, new, facts);
            stats.rewinds += 1;
            stats.rewound_positions += rewound.positions as u64;
            if !rewrites.is_empty() {
                changed = rewound.span;
                changed.from = changed.from.min(last_ts);
            }
        }
        if !appended.is_empty() {
            // What was said took the last position for no outlier, its speed for one that held for no time,
            // and a stop there for one that goes on.
            changed = Span { from: changed.from.min(last_ts), until: END };
        }
        for position in appended {
            self.track.append(new, position, facts);
        }
        changed
    }

    /// Something is due at an instant, which is returned if the timer must learn of it: if nothing was due
    /// before.
    fn arm(&mut self, due: Option<Millis>) -> Option<Millis> {
        let due = due.filter(|&due| self.armed.is_none_or(|armed| due < armed))?;
        self.armed = Some(due);
        Some(due)
    }
}

/// What the timelines of one worker hold, and how often they went back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Vehicles that have a timeline.
    pub vehicles: u64,
    /// Positions that are kept.
    pub retained_positions: u64,
    /// How often a past was rewritten, since ever.
    pub rewinds: u64,
    /// Positions that were folded again for it, since ever.
    pub rewound_positions: u64,
}

/// All timelines of one worker.
#[derive(Debug)]
pub struct Timelines {
    rules: Rules,
    catalogue: Catalogue,
    roster: Roster,
    /// By dense number divided by `stride`: a worker has every `stride`-th vehicle.
    timelines: Vec<Option<Box<Timeline>>>,
    /// As [`Self::timelines`]: a box around every place that is kept of each.
    reaches: Vec<Reach>,
    stride: u32,
    offset: u32,
    now: Millis,
    timers: BinaryHeap<Reverse<(Millis, VehicleId)>>,
    stats: Stats,
    covering: RefCell<Covering>,
    order: Order,
}

impl Timelines {
    /// The timelines of the vehicles whose number is `offset` modulo `stride`.
    pub fn new(rules: Rules, offset: u32, stride: u32) -> Self {
        Self {
            rules,
            catalogue: Catalogue::default(),
            roster: Roster::default(),
            timelines: Vec::new(),
            reaches: Vec::new(),
            stride,
            offset,
            now: BEGINNING,
            timers: BinaryHeap::new(),
            stats: Stats::default(),
            covering: RefCell::default(),
            order: Order::default(),
        }
    }

    /// How much there is, and how much was done again.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Takes in one epoch.
    pub fn advance(&mut self, arrivals: Arrivals) -> Changes {
        let Arrivals { positions, edits, vehicles, restored, now } = arrivals;
        let before = self.now;
        self.now = self.now.max(now);
        let changes = self.catalogue.prepare(edits);
        let has_analytics = self.rules.views.has_analytics();
        let edited_vehicles = if has_analytics { self.roster.prepare(vehicles) } else { Edited::default() };
        let mut concerned = self.concerned_without_positions(&changes, before);
        let Edited { limits, fleets } = &edited_vehicles;
        concerned.extend(limits.union(fleets).filter(|&&vehicle| self.has(vehicle)));
        let mut out = Changes::default();
        let mut concerned = concerned.into_iter().peekable();
        let mut order = std::mem::take(&mut self.order);
        order.sort(positions.iter().map(|event| self.slot(event.vehicle) as u32));
        let mut sorted = order.iter().peekable();
        let mut several = Vec::new();
        loop {
            let by_position = sorted.peek().map(|&(_, place)| positions[place as usize].vehicle);
            let by_change = concerned.peek().copied();
            let vehicle = match (by_position, by_change) {
                (None, None) => break,
                (Some(a), Some(b)) => a.min(b),
                (a, b) => a.or(b).expect("one of them is some"),
            };
            let mut events: &[PositionEvent] = &[];
            if by_position == Some(vehicle)
                && let Some((slot, place)) = sorted.next()
            {
                events = std::slice::from_ref(&positions[place as usize]);
                if sorted.peek().is_some_and(|next| next.0 == slot) {
                    several.clear();
                    several.push(positions[place as usize]);
                    while let Some((_, place)) = sorted.next_if(|next| next.0 == slot) {
                        several.push(positions[place as usize]);
                    }
                    several.sort_unstable_by_key(|event| (event.position.ts, event.seq));
                    events = &several;
                }
            }
            if by_change != Some(vehicle) && self.go_on(vehicle, events, before, &mut out) {
                continue;
            }
            let edited = by_change == Some(vehicle) && concerned.next().is_some();
            let mut changes = if edited { Cow::from(&changes) } else { Cow::from(&[]) };
            if limits.contains(&vehicle) {
                changes.to_mut().push(everywhere());
            }
            let happened = Happened { events, changes: &changes, moves_fleet: fleets.contains(&vehicle) };
            self.settle(vehicle, &happened, before, &mut out);
        }
        drop(sorted);
        self.order = order;
        self.catalogue.commit();
        self.roster.commit();
        for snapshot in restored {
            self.restore(snapshot, &mut out);
        }
        out
    }

    /// The timelines as they are now.
    pub fn snapshots(&self) -> impl Iterator<Item = TimelineSnapshot> {
        self.timelines.iter().enumerate().filter_map(|(slot, timeline)| {
            let Timeline { track, newest, ledger, armed: _ } = &**timeline.as_ref()?;
            let vehicle = VehicleId(slot as u32 * self.stride + self.offset);
            Some(TimelineSnapshot { vehicle, newest: *newest, track: track.clone(), ledger: ledger.clone() })
        })
    }

    /// Goes on from a snapshot. What is open is said, as if it had just begun: what has ended was said
    /// before the snapshot was taken, and is remembered by nobody else.
    fn restore(&mut self, snapshot: TimelineSnapshot, out: &mut Changes) {
        let TimelineSnapshot { vehicle, newest, track, ledger } = snapshot;
        let (now, slot) = (self.now, self.slot(vehicle));
        let fold = Fold {
            vehicle,
            catalogue: &self.catalogue,
            roster: &self.roster,
            view: View::New,
            rules: &self.rules,
            covering: &self.covering,
        };
        let mut is = track.head().clone();
        fold.stay(&mut is, now, &mut FactDeltas::default());
        fold.open(&is, now, &mut out.facts);
        out.facts.legs.clear(); // they have ended, and were said
        out.membership.extend(is.inside.iter().map(|inside| (inside.membership(vehicle), 1)));
        out.states.extend(fold.vehicle_state(&is, now).map(|state| (vehicle, Some(state))));
        let armed = fold.due(&is, now);
        self.timers.extend(armed.map(|due| Reverse((due, vehicle))));
        self.stats.vehicles += 1;
        self.stats.retained_positions += track.positions() as u64;
        if self.timelines.len() <= slot {
            self.timelines.resize_with(slot + 1, || None);
            self.reaches.resize_with(slot + 1, Reach::default);
        }
        self.reaches[slot] = track.reach();
        debug_assert!(self.timelines[slot].is_none(), "a timeline is restored before anything happens to it");
        self.timelines[slot] = Some(Box::new(Timeline { track, newest, ledger, armed }));
    }

    /// The vehicles that something other than a position of their own happens to.
    fn concerned_without_positions(&mut self, changes: &[Change], before: Millis) -> BTreeSet<VehicleId> {
        let mut concerned = BTreeSet::new();
        while let Some(&Reverse((due, vehicle))) = self.timers.peek() {
            if due > self.now {
                break;
            }
            self.timers.pop();
            let slot = self.slot(vehicle);
            let Some(timeline) = self.timelines[slot].as_mut().filter(|timeline| timeline.armed == Some(due)) else {
                continue;
            };
            timeline.armed = None;
            let (head, now) = (timeline.track.head(), self.now);
            let fold = Fold {
                vehicle,
                catalogue: &self.catalogue,
                roster: &self.roster,
                view: View::Old,
                rules: &self.rules,
                covering: &self.covering,
            };
            let is_quiet = head.last.is_some_and(|last| self.catalogue.is_quiet(last.ts, now));
            // It has been heard of since: what it waits for now may be far.
            match fold.due(head, before).filter(|&due| is_quiet && due > now) {
                Some(due) => self.timers.extend(timeline.arm(Some(due)).map(|due| Reverse((due, vehicle)))),
                None => {
                    concerned.insert(vehicle);
                }
            }
        }
        let reached: Vec<_> = self.catalogue.boundaries(before, self.now).collect();
        if changes.is_empty() && reached.is_empty() {
            return concerned;
        }
        // Most vehicles are far from what is edited: to find those that are not, one array is gone through.
        let edited_boxes = changes.iter().flat_map(|change| &change.reach);
        let reached_boxes = reached.iter().flat_map(|(_, version)| version.reach());
        let mut boxes: Vec<Reach> = edited_boxes.chain(reached_boxes).map(Reach::around).collect();
        boxes.dedup();
        for (slot, reach) in self.reaches.iter().enumerate() {
            if !boxes.iter().any(|b| reach.overlaps(b)) {
                continue;
            }
            let Some(timeline) = &self.timelines[slot] else { continue };
            let edited = || timeline.track.concerned(changes);
            let begun =
                || {
                    timeline.track.head().last.is_some_and(|last| {
                        reached.iter().any(|(t, version)| *t > last.ts && version.reaches(last.place))
                    })
                };
            if edited() || begun() {
                concerned.insert(VehicleId(slot as u32 * self.stride + self.offset));
            }
        }
        concerned
    }

    /// Takes in positions of a vehicle to which nothing else happens and which all are later than what it has.
    /// Its fold goes on from where it stands, so that only what this begins and ends becomes different: nothing
    /// else is looked at. Whether it was so simple; if not, nothing is done.
    fn go_on(&mut self, vehicle: VehicleId, events: &[PositionEvent], before: Millis, out: &mut Changes) -> bool {
        let (now, slot) = (self.now, self.slot(vehicle));
        let Some(timeline) = self.timelines.get_mut(slot).and_then(Option::as_mut) else { return false };
        let Some(last) = timeline.track.head().last else { return false };
        let ([first, ..], [.., latest]) = (events, events) else { return false };
        let newest = latest.position.ts;
        if self.rules.views.has_analytics()
            || first.position.ts <= last.ts
            || events.iter().any(|event| event.withdrawn)
            || !self.catalogue.is_quiet(last.ts, newest.max(now))
        {
            return false;
        }
        let fold = Fold {
            vehicle,
            catalogue: &self.catalogue,
            roster: &self.roster,
            view: View::New,
            rules: &self.rules,
            covering: &self.covering,
        };
        let was = Arc::clone(&timeline.track.head().inside);
        if fold.is_silent(&last, before) {
            out.facts.offlines.push((Offline { vehicle, started_at: last.ts, ended_at: None }, -1));
        }
        let (mut appended, mut begins_chunk) = (0, false);
        for event in latest_of_each_instant(events) {
            begins_chunk |= timeline.track.append(&fold, event.position, &mut out.facts);
            appended += 1;
        }
        timeline.newest = timeline.newest.max(newest);
        let head = timeline.track.head();
        if let Some(last) = head.last.filter(|last| fold.is_silent(last, now)) {
            out.facts.offlines.push((Offline { vehicle, started_at: last.ts, ended_at: None }, 1));
        }
        if !Arc::ptr_eq(&was, &head.inside) {
            let mut say = |inside: &Inside, at, diff| {
                out.facts.visits.push((inside.visit(vehicle, at), diff));
                out.membership.push((inside.membership(vehicle), diff));
            };
            let lacks = |set: &[Inside], inside: &Inside| {
                !set.iter().any(|i| i.geofence == inside.geofence && i.entered_at == inside.entered_at)
            };
            was.iter().filter(|inside| lacks(&head.inside, inside)).for_each(|inside| say(inside, before, -1));
            head.inside.iter().filter(|inside| lacks(&was, inside)).for_each(|inside| say(inside, now, 1));
        }
        out.states.push((vehicle, fold.vehicle_state(head, now)));
        let due = fold.due(head, now);
        self.timers.extend(timeline.arm(due).map(|due| Reverse((due, vehicle))));
        self.stats.retained_positions += appended;
        // What is given up is given up by the chunk: to look for it once a chunk is enough.
        if let Some(retention_ms) = self.rules.retention_ms.filter(|_| begins_chunk) {
            let bound = timeline.newest.min(now).saturating_sub(retention_ms);
            self.stats.retained_positions -= timeline.track.forget_before(bound, &self.rules) as u64;
        }
        self.reaches[slot] = timeline.track.reach();
        true
    }

    /// Brings one vehicle up to date and says what became different.
    fn settle(&mut self, vehicle: VehicleId, happened: &Happened<'_>, before: Millis, out: &mut Changes) {
        let slot = self.slot(vehicle);
        if self.timelines.len() <= slot {
            self.timelines.resize_with(slot + 1, || None);
            self.reaches.resize_with(slot + 1, Reach::default);
        }
        let stats = &mut self.stats;
        let timeline = self.timelines[slot].get_or_insert_with(|| {
            stats.vehicles += 1;
            Box::new(Timeline { newest: BEGINNING, ..Timeline::default() })
        });
        let kept_before = timeline.track.positions();
        let old = Fold {
            vehicle,
            catalogue: &self.catalogue,
            roster: &self.roster,
            view: View::Old,
            rules: &self.rules,
            covering: &self.covering,
        };
        let new = Fold { view: View::New, ..old };
        let mut facts = FactDeltas::default();

        // What was said: the head as it was, through the boundaries the clock had reached.
        let mut was = timeline.track.head().clone();
        old.stay(&mut was, before, &mut facts);
        old.open(&was, before, &mut facts);
        let labels = Labels { vehicle, roster: &self.roster, rules: &self.rules };
        if happened.moves_fleet {
            let under_way = std::mem::take(&mut facts.trips);
            labels.label_all(&timeline.ledger, &under_way, View::Old, &mut facts);
            facts.trips = under_way;
        }

        let last_ts = timeline.track.head().last.map_or(BEGINNING, |last| last.ts);
        let untold = old.silence(&was, before).map_or(last_ts, |told| told.until);
        let changed = timeline.take(happened, &old, &new, stats, &mut facts);

        // What is said now.
        let mut is = timeline.track.head().clone();
        new.stay(&mut is, self.now, &mut facts);
        new.open(&is, self.now, &mut facts);
        facts.consolidate();
        if self.rules.views.has_analytics() {
            let (track, ledger, rules) = (&timeline.track, &mut timeline.ledger, &self.rules);
            ledger.measure(vehicle, track, changed, rules, &mut facts);
            let first = if changed.is_empty() { untold } else { changed.from };
            let first = if first == BEGINNING { Day(i32::MIN) } else { rules.local_time.day(first) };
            ledger.tell_days(vehicle, track, new.silence(&is, self.now), first, rules, &mut facts);
            if happened.moves_fleet {
                let mut under_way = FactDeltas::default();
                new.open_route(&is, self.now, &mut under_way);
                labels.label_all(ledger, &under_way.trips, View::New, &mut facts);
                consolidate(&mut facts.fleet_facts);
            } else {
                labels.label(&mut facts);
            }
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
        if let Some(retention_ms) = self.rules.retention_ms.filter(|_| !happened.events.is_empty()) {
            let bound = timeline.newest.min(self.now).saturating_sub(retention_ms);
            if timeline.track.forget_before(bound, &self.rules) > 0 {
                timeline.ledger.forget(&timeline.track, &self.rules);
            }
        }
        self.reaches[slot] = timeline.track.reach();
        stats.retained_positions = stats.retained_positions + timeline.track.positions() as u64 - kept_before as u64;
    }

    fn has(&self, vehicle: VehicleId) -> bool {
        vehicle.0 % self.stride == self.offset
            && self.timelines.get(self.slot(vehicle)).is_some_and(|timeline| timeline.is_some())
    }

    fn slot(&self, vehicle: VehicleId) -> usize {
        debug_assert_eq!(vehicle.0 % self.stride, self.offset, "a vehicle is routed to the worker that keeps it");
        (vehicle.0 / self.stride) as usize
    }
}

/// What an epoch brought to one vehicle.
struct Happened<'a> {
    /// By instant and place in the log.
    events: &'a [PositionEvent],
    /// What edits made different around it.
    changes: &'a [Change],
    /// Its metadata say that it was or will be in another fleet.
    moves_fleet: bool,
}

/// A change that concerns all that is kept of a vehicle.
fn everywhere() -> Change {
    let world = BoundingBox { west: -180.0, south: -90.0, east: 180.0, north: 90.0 };
    Change { span: Span { from: BEGINNING, until: END }, reach: vec![world] }
}

/// Of the events of one vehicle, ascending by instant and place in the log, the last at each instant.
fn latest_of_each_instant(events: &[PositionEvent]) -> impl Iterator<Item = &PositionEvent> {
    events.chunk_by(|a, b| a.position.ts == b.position.ts).filter_map(<[PositionEvent]>::last)
}

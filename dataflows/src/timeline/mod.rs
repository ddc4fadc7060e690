//! The timelines of many vehicles, kept up to date epoch by epoch.
//!
//! [`Timelines::advance`] takes what one epoch brought, in no particular order, and returns the
//! difference between what the timelines say after it and what they said before. Only vehicles that
//! something happened to are looked at: a position, an edit of a geofence they may have been in, a
//! geofence version that the clock has now reached, or an instant their own timer waited for.

mod chunk;
mod compact;
pub mod deltas;
#[cfg(test)]
mod driver_tests;
mod fleets;
pub mod fold;
mod journeys;
mod ledger;
mod marks;
mod movement;
pub mod operator;
mod order;
mod presence;
mod refold;
mod rewrite;
mod route;
mod running;
mod runs;
mod silences;
#[cfg(test)]
mod situations_tests;
mod standing;
pub mod state;
mod stops;
mod sums;
#[cfg(test)]
mod tests;
mod track;
mod update;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::catalogue::{Change, View};
use crate::roster::Edited;
use chunk::Reach;
pub use chunk::{CHUNK, Chunk};
use deltas::FactDeltas;
pub use fleets::FleetDays;
use fold::World;
pub use ledger::Ledger;
use order::Order;
use serde::{Deserialize, Serialize};
use sums::Days;
pub use track::{Past, Track, TrackParts};
use update::Happened;
use watchtower_model::Span;
use watchtower_model::geometry::BoundingBox;
use watchtower_model::{
    BEGINNING, END, GeofenceEdit, Membership, Millis, PositionEvent, Rules, VehicleEdit, VehicleId, VehicleState,
};

/// Positions or facts that are looked ahead: waiting for memory is waiting for all of theirs at once.
pub(crate) const AHEAD: usize = 32;

/// Changes of an epoch.
#[derive(Debug, Default)]
pub struct Changes {
    /// Change in the number of each fact.
    pub facts: FactDeltas,
    /// The visits that last, by whom and where: those of `facts` without an end, whether confirmed or not.
    pub membership: Vec<(Membership, i64)>,
    /// How much more the days of the vehicles of each fleet come to.
    pub fleet_days: FleetDays,
    /// The vehicles of which `vehicle_state` says something else now, each once, and what.
    pub states: Vec<(VehicleId, Option<VehicleState>)>,
}

/// A vehicle's timeline as it was after some epoch: what it takes to go on from there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimelineSnapshot {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// The instant of its last position; [`BEGINNING`] if it has none.
    pub newest: Millis,
    /// Retained positions, and states of the fold between them.
    pub track: Track,
    /// Reported facts with numbers that may still change.
    pub ledger: Ledger,
}

/// Input of the timelines of a worker in one epoch.
#[derive(Debug)]
pub struct Arrivals {
    /// In no particular order; `seq` orders those of one vehicle.
    pub positions: Vec<PositionEvent>,
    /// Edits of geofences, in no order.
    pub edits: Vec<GeofenceEdit>,
    /// Edits of vehicles' metadata, in no order.
    pub vehicles: Vec<VehicleEdit>,
    /// Timelines to go on from, of vehicles that have none yet.
    pub restored: Vec<TimelineSnapshot>,
    /// The log's time, or [`BEGINNING`] if nothing is said of it.
    pub now: Millis,
}

/// One vehicle: its track, and what was last said of it.
#[derive(Debug)]
struct Timeline {
    track: Track,
    /// The instant of its last position; [`BEGINNING`] if it has none.
    newest: Millis,
    /// The facts with numbers that stand, as far as they may change; none if there never was any.
    ledger: Option<Box<Ledger>>,
    /// The entry of the timer queue that counts, [`END`] if none does; later entries of the same vehicle are stale.
    armed: Millis,
}

/// Sizes of the timelines of one worker, and how often late events made them rewind.
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
    world: World,
    /// By dense number divided by `stride`: a worker has every `stride`-th vehicle.
    timelines: Vec<Option<Box<Timeline>>>,
    /// As [`Self::timelines`]: a box around every place that is kept of each.
    reaches: Vec<Reach>,
    stride: u32,
    offset: u32,
    now: Millis,
    timers: BinaryHeap<Reverse<(Millis, VehicleId)>>,
    stats: Stats,
    /// Emptied after each vehicle; what it has allocated is used again.
    facts: FactDeltas,
    /// The same, for days that are added up.
    days: Days,
    /// Buffers of an earlier epoch, emptied, for reuse.
    spare: Changes,
    order: Order,
}

impl Timelines {
    /// The timelines of the vehicles whose number is `offset` modulo `stride`.
    pub fn new(rules: Rules, offset: u32, stride: u32) -> Self {
        Self {
            world: World::new(rules),
            timelines: Vec::new(),
            reaches: Vec::new(),
            stride,
            offset,
            now: BEGINNING,
            timers: BinaryHeap::new(),
            stats: Stats::default(),
            facts: FactDeltas::default(),
            days: Days::default(),
            spare: Changes::default(),
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
        let changes = self.world.catalogue.prepare(edits);
        let edited_vehicles = self.world.roster.prepare(vehicles);
        let mut concerned = self.concerned_without_positions(&changes, before);
        let has_analytics = self.world.rules.views.has_analytics();
        let Edited { limits, silences, fleets } = &edited_vehicles;
        concerned.extend([limits, silences, fleets].into_iter().flatten().filter(|&&vehicle| self.has(vehicle)));
        let mut out = std::mem::take(&mut self.spare);
        let mut concerned = concerned.into_iter().peekable();
        let mut order = std::mem::take(&mut self.order);
        order.sort(positions.iter().map(|event| self.slot(event.vehicle) as u32));
        let mut sorted = order.iter().peekable();
        let mut ahead = order.iter();
        let mut several = Vec::new();
        loop {
            if sorted.len() <= ahead.len() {
                self.look_ahead(ahead.clone().take(AHEAD).map(|(_, place)| &positions[place as usize]));
                ahead.by_ref().take(AHEAD).for_each(drop);
            }
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
            let silences = silences.contains(&vehicle);
            if silences || (has_analytics && limits.contains(&vehicle)) {
                changes.to_mut().push(everywhere());
            }
            let moves_fleet = has_analytics && fleets.contains(&vehicle);
            let happened = Happened { events, changes: &changes, silences, moves_fleet };
            self.settle(vehicle, &happened, before, &mut out);
        }
        drop((sorted, ahead));
        self.order = order;
        self.world.catalogue.commit();
        self.world.roster.commit();
        for snapshot in restored {
            self.restore(snapshot, &mut out);
        }
        out
    }

    /// Takes back what was returned, once all that it says has been taken out: the next epoch will not have to
    /// allocate as much again.
    pub fn reuse(&mut self, emptied: Changes) {
        debug_assert!(emptied.states.is_empty(), "what it said would be said again");
        self.spare = emptied;
    }

    /// The timelines as they are now.
    pub fn snapshots(&self) -> impl Iterator<Item = TimelineSnapshot> {
        self.timelines.iter().enumerate().filter_map(|(slot, timeline)| {
            let Timeline { track, newest, ledger, armed: _ } = &**timeline.as_ref()?;
            let vehicle = VehicleId(slot as u32 * self.stride + self.offset);
            let ledger = ledger.as_deref().cloned().unwrap_or_default();
            Some(TimelineSnapshot { vehicle, newest: *newest, track: track.clone(), ledger })
        })
    }

    /// Goes on from a snapshot. What is open is said, as if it had just begun: what has ended was said
    /// before the snapshot was taken, and has no other owner.
    fn restore(&mut self, snapshot: TimelineSnapshot, out: &mut Changes) {
        let TimelineSnapshot { vehicle, newest, track, ledger } = snapshot;
        let (now, slot) = (self.now, self.slot(vehicle));
        let fold = self.world.fold(vehicle, View::New);
        let mut is = track.head().clone();
        fold.stay(&mut is, now, &mut FactDeltas::default());
        fold.open(&is, now, &mut out.facts);
        out.facts.legs.clear(); // they have ended, and were said
        out.facts.forget_ended();
        out.membership.extend(is.inside.iter().map(|inside| (inside.membership(vehicle), 1)));
        out.states.extend(fold.vehicle_state(&is, now).map(|state| (vehicle, Some(state))));
        let armed = fold.due(&is, now);
        self.timers.extend(armed.map(|due| Reverse((due, vehicle))));
        self.stats.vehicles += 1;
        self.stats.retained_positions += track.positions() as u64;
        self.make_room(slot);
        self.reaches[slot] = track.reach();
        let armed = armed.unwrap_or(END);
        debug_assert!(self.timelines[slot].is_none(), "a timeline is restored before anything happens to it");
        let ledger = self.world.rules.views.has_analytics().then(|| Box::new(ledger));
        let mut timeline = Timeline { track, newest, ledger, armed };
        let fold = self.world.fold(vehicle, View::New);
        if let Some(ledger) = &mut timeline.ledger {
            ledger.pin(vehicle, fold.rules, &mut out.facts);
            ledger.silences.restate(&mut out.facts);
        }
        timeline.pin(&fold, now, &mut out.facts);
        self.timelines[slot] = Some(Box::new(timeline));
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
            let Some(timeline) = self.timelines[slot].as_mut().filter(|timeline| timeline.armed == due) else {
                continue;
            };
            timeline.armed = END;
            let (head, now) = (timeline.track.head(), self.now);
            let fold = self.world.fold(vehicle, View::Old);
            let is_quiet = head.last.is_none_or(|last| self.world.catalogue.is_quiet(last.ts, now));
            // It has been heard of since: what it waits for now may be far.
            match fold.due(head, before).filter(|&due| is_quiet && due > now) {
                Some(due) => self.timers.extend(timeline.arm(Some(due)).map(|due| Reverse((due, vehicle)))),
                None => {
                    concerned.insert(vehicle);
                }
            }
        }
        let reached: Vec<_> = self.world.catalogue.boundaries(before, self.now).collect();
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
            let edited = || changes.iter().any(|change| change.reach.iter().any(|b| reach.meets(b)));
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

    /// Reads what positions that come next will be put to, for nothing but to have read it.
    fn look_ahead<'a>(&self, events: impl Iterator<Item = &'a PositionEvent> + Clone) {
        let timelines = events.filter_map(|event| {
            let slot = self.slot(event.vehicle);
            let timeline = self.timelines.get(slot)?.as_deref()?;
            Some((timeline, event.position, slot))
        });
        // Of all vehicles first what is nearest: what one is waited for does not depend on what another is.
        let own = timelines.clone().fold(0, |read, (timeline, _, slot)| {
            read ^ timeline.newest ^ timeline.armed ^ timeline.track.peek_own() ^ i64::from(self.reaches[slot].west())
        });
        let near = timelines.clone().fold(0, |read, (timeline, ..)| {
            read ^ timeline.track.peek_near() ^ timeline.ledger.as_ref().map_or(0, |ledger| ledger.peek_near())
        });
        let rest = timelines.clone().fold(0, |read, (timeline, ..)| {
            read ^ timeline.track.peek() ^ timeline.ledger.as_ref().map_or(0, |ledger| ledger.peek())
        });
        std::hint::black_box((own, near, rest));
        let generation = self.world.catalogue.generation();
        let leaving = timelines.filter(|(timeline, position, _)| !timeline.track.is_safe_at(position, generation));
        self.world.catalogue.look_ahead(leaving.map(|(_, position, _)| position.place));
    }

    fn make_room(&mut self, slot: usize) {
        if self.timelines.len() <= slot {
            self.timelines.resize_with(slot + 1, || None);
            self.reaches.resize_with(slot + 1, Reach::default);
        }
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

/// A change that concerns all that is kept of a vehicle.
fn everywhere() -> Change {
    let world = BoundingBox { west: -180.0, south: -90.0, east: 180.0, north: 90.0 };
    Change { span: Span { from: BEGINNING, until: END }, reach: vec![world] }
}

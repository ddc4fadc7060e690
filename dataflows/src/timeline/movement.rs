//! Speed and distance along the usable positions of a track.
//!
//! What holds from one position to the next is a [`Segment`]. Both speed and distance depend on whether the
//! vehicle stands ([`super::standing`]), which is known late, so positions wait in a *window* until it is: then
//! their segments are handed out, each once and in order. What waits can be walked through at any time as it is
//! as yet ([`Movement::as_yet`]). Settled positions stay in the window as long as a mean speed may be taken from
//! them. Of marked positions only those are there that begin or end an offline or tell something else of the
//! ignition.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::timeline::standing::{Standing, Stopped};
use watchtower_model::geometry::geodesic::{at_most_mm, distance_mm};
use watchtower_model::{BEGINNING, END, Ignition, Millis, Place, Rules, Speed, UTC_HOUR_MS};

/// No speed depends on the distance between two items.
pub const UNMEASURED: i64 = -1;

/// A position, as far as movement is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Instant of the position, epoch milliseconds.
    pub ts: Millis,
    /// Longitude and latitude, WGS 84.
    pub place: Place,
    /// As reported, if plausible.
    pub speed: Speed,
    /// Ignition as of this position.
    pub ignition: Ignition,
    /// It is not marked.
    pub is_usable: bool,
    /// An offline ends here that began at the item before.
    pub is_silent: bool,
    /// Distance from the usable item before, millimetres, if a speed depends on it; else [`UNMEASURED`].
    pub hop_mm: i64,
}

/// A usable position and the time until the next.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The position and all items up to the next usable one, with that; of the last position, all behind it.
    pub items: &'a [Item],
    /// There is a next one.
    pub has_next: bool,
    /// The speed from the position on, or at the last position.
    pub speed: Speed,
    /// The position belongs to a stop.
    pub is_in_stop: bool,
    /// An offline lies before it, behind the usable position before.
    pub after_offline: bool,
    /// The leg that ends here; 0 if none does. Millimetres.
    pub leg_mm: i64,
    /// From when on the vehicle may have gone it: the counted position before, or the end of the stop there.
    pub leg_from: Millis,
    /// The straight way across offlines to the next position, and when it counts; 0 if there is none.
    pub gap_mm: i64,
    /// The end of the last of these offlines.
    pub gap_at: Millis,
}

impl Segment<'_> {
    /// The position that the segment begins at.
    pub fn first(&self) -> &Item {
        &self.items[0]
    }

    /// The position's instant.
    pub fn at(&self) -> Millis {
        self.items[0].ts
    }

    /// The next one's; `at` of the last position.
    pub fn until(&self) -> Millis {
        if self.has_next { self.items[self.items.len() - 1].ts } else { self.at() }
    }

    /// Whether the vehicle was at least as fast as `idle_speed`.
    pub fn is_moving(&self, rules: &Rules) -> bool {
        self.speed != Speed::NONE && self.speed >= rules.idle_speed
    }

    /// The reported speed of a position outside stops.
    pub fn outside_speed(&self) -> Speed {
        if self.is_in_stop { Speed::NONE } else { self.first().speed }
    }

    /// The parts of it that are no offline, from when until when, in order.
    pub fn parts(&self) -> impl Iterator<Item = (Millis, Millis)> {
        let items = if self.has_next { self.items } else { &self.items[..1] };
        let (mut from, mut rest) = (items[0].ts, 1);
        std::iter::from_fn(move || {
            while rest < items.len() {
                let (before, item, is_last) = (items[rest - 1].ts, &items[rest], rest + 1 == items.len());
                rest += 1;
                let part = if item.is_silent {
                    (std::mem::replace(&mut from, item.ts), before)
                } else if is_last {
                    (from, item.ts)
                } else {
                    continue;
                };
                if part.0 < part.1 {
                    return Some(part);
                }
            }
            None
        })
    }
}

/// Where movement reports what has become certain.
pub trait Sink {
    /// A segment, in order.
    fn segment(&mut self, segment: &Segment<'_>);

    /// A stop has begun that starts here.
    fn stop_began(&mut self, _started_at: Millis) {}

    /// Called when a stop has ended.
    fn stop_ended(&mut self, _stop: &Stopped) {}
}

impl<F: FnMut(&Segment<'_>)> Sink for F {
    fn segment(&mut self, segment: &Segment<'_>) {
        self(segment);
    }
}

/// The way so far, until segments are settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Odometer {
    /// The last counted position.
    counted_at: Millis,
    counted: Place,
    /// When the vehicle may have left it: the same, or the last position of the stop there.
    leg_from: Millis,
    /// The UTC hour of the last position outside stops.
    hour: i64,
    /// There was a position before.
    has_begun: bool,
    /// An offline lies before the next position.
    after_offline: bool,
}

impl Odometer {
    fn new() -> Self {
        Self {
            counted_at: BEGINNING,
            counted: Place { lon: 0, lat: 0 },
            leg_from: BEGINNING,
            hour: i64::MIN,
            has_begun: false,
            after_offline: false,
        }
    }

    /// The leg that ends at a usable item, in this stop if in any, if it is counted. `before` is the instant of the
    /// usable item before it.
    fn leg_mm(&mut self, item: &Item, before: Option<Millis>, stop: Option<&Stopped>, rules: &Rules) -> i64 {
        let (hour, is_outside) = (item.ts.div_euclid(UTC_HOUR_MS), stop.is_none());
        let is_anchor = stop.is_some_and(|stop| stop.from == item.ts);
        let is_first = !self.has_begun || self.after_offline;
        let must_count = is_first || is_anchor || (is_outside && hour != self.hour);
        if is_outside {
            self.hour = hour;
        } else if !must_count {
            return 0;
        }
        let way_mm = if is_first {
            0
        } else if before == Some(self.counted_at) && item.hop_mm != UNMEASURED {
            item.hop_mm
        } else if !must_count && at_most_mm(self.counted, item.place) < rules.min_step_mm {
            return 0; // as most are that are not counted, without a distance being computed
        } else {
            way_mm(self.counted, item.place)
        };
        if !must_count && way_mm < rules.min_step_mm {
            return 0;
        }
        let is_plausible = is_first || Speed::mean(way_mm, item.ts - self.counted_at) <= rules.max_plausible;
        (self.counted_at, self.counted, self.has_begun) = (item.ts, item.place, true);
        if is_plausible { way_mm } else { 0 }
    }
}

/// A walk through the segments that are not settled, in front of the last one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unsettled {
    /// Instant of the first item that is not settled.
    from: Millis,
    /// Instant of the item that the walk has come to.
    at: Millis,
    /// The stop as it was taken into account.
    stop: Option<Stopped>,
    walk: Walk,
}

/// State of the fold that follows behind the last position: stops, speeds and legs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Movement {
    standing: Standing,
    odometer: Odometer,
    window: SmallVec<[Item; 4]>,
    /// How many of the window are settled.
    settled: u32,
}

impl Movement {
    /// At the first usable position of a track.
    pub fn start(first: Item) -> Self {
        let standing = Standing::start(first.ts, first.place);
        let first = Item { is_silent: false, ..first };
        Self { standing, odometer: Odometer::new(), window: SmallVec::from_iter([first]), settled: 0 }
    }

    /// Something of its lines in memory.
    pub fn peek_near(&self) -> i64 {
        self.standing.anchor_at() ^ self.odometer.counted_at ^ i64::from(self.settled)
    }

    /// Something of what is looked at first behind these.
    pub fn peek(&self) -> i64 {
        self.window[self.window.len() - 1].ts ^ self.window[self.settled as usize].ts
    }

    /// Where the vehicle stands.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The first instant whose segment is not settled.
    pub fn settled_until(&self) -> Millis {
        self.standing.settled()
    }

    /// Instant of the last usable position.
    fn last_at(&self) -> Millis {
        self.window[self.last()].ts
    }

    /// The last usable position.
    fn last(&self) -> usize {
        let last = self.window.iter().rposition(|item| item.is_usable);
        last.expect("a usable position is never given up while no other has come")
    }

    /// A marked position was heard of. `heard` is the instant of the position before, of any kind.
    pub fn hear(&mut self, item: Item, heard: Millis) {
        let known = self.window[self.window.len() - 1].ignition;
        if item.is_silent || item.ignition != known {
            self.push(item, heard);
        }
    }

    fn push(&mut self, item: Item, heard: Millis) {
        let last = self.window[self.window.len() - 1];
        if item.is_silent && last.ts != heard {
            let marked = Item { ts: heard, is_usable: false, is_silent: false, hop_mm: UNMEASURED, ..last };
            self.window.push(marked);
        }
        self.window.push(item);
    }

    /// Goes on to a usable position. `heard` is the instant of the position before, of any kind.
    pub fn step(&mut self, mut next: Item, heard: Millis, rules: &Rules, sink: &mut impl Sink) {
        let last = self.window[self.last()];
        next.hop_mm = hop_mm(&last, &next, rules);
        self.push(next, heard);
        let settled = self.standing.step((last.ts, last.place), (next.ts, next.place), rules);
        if let Some(stop) = &settled.ended {
            self.settle(self.standing.anchor_at(), Some(stop), rules, sink);
            sink.stop_ended(stop);
        } else if settled.began {
            self.settle(self.standing.anchor_at(), None, rules, sink);
        }
        let stop = self.standing.stop();
        if let Some(stop) = stop.as_ref().filter(|_| settled.began) {
            sink.stop_began(stop.from);
        }
        self.settle(self.standing.settled(), stop.as_ref(), rules, sink);
        self.forget(self.settled as usize, rules);
    }

    /// The same if no segments are needed, only the speed at the last position.
    pub fn step_unasked(&mut self, mut next: Item, heard: Millis, rules: &Rules) {
        let before = self.last();
        let last = self.window[before];
        next.hop_mm = hop_mm(&last, &next, rules);
        self.push(next, heard);
        self.standing.step((last.ts, last.place), (next.ts, next.place), rules);
        self.forget(before, rules);
    }

    /// Hands out the segments of the positions before `until`.
    fn settle(&mut self, until: Millis, stop: Option<&Stopped>, rules: &Rules, sink: &mut impl Sink) {
        let Self { standing: _, odometer, window, settled } = self;
        if window[*settled as usize].ts < until {
            let mut walk = Walk::new(*odometer, window, *settled as usize);
            while walk.step(window, until, stop, rules, &mut |segment: &Segment<'_>| sink.segment(segment)) {}
            (*odometer, *settled) = (walk.odometer, walk.at as u32);
        }
    }

    /// Gives up the items that no mean speed can be taken from, if what comes is asked of those from `first` on.
    fn forget(&mut self, first: usize, rules: &Rules) {
        let oldest = self.window[first].ts.saturating_sub(rules.speed_span_ms);
        let is_enough = |item: &Item| item.is_silent || (item.is_usable && item.ts <= oldest);
        let kept = self.window[..=first].iter().rposition(is_enough).unwrap_or(0);
        if kept > 0 {
            self.window.drain(..kept);
            self.settled = self.settled.saturating_sub(kept as u32);
        }
    }

    /// The segments that are not settled, as they are while nothing else is known.
    pub fn as_yet(&self, rules: &Rules, mut sink: impl FnMut(&Segment<'_>)) {
        self.last_as_yet(self.unsettled(rules, &mut sink), rules, sink);
    }

    /// The same but for the segment of the last position. Returns where that is.
    pub fn unsettled(&self, rules: &Rules, mut sink: impl FnMut(&Segment<'_>)) -> Unsettled {
        let (stop, first) = (self.standing.stop(), self.settled as usize);
        let mut walk = Walk::new(self.odometer, &self.window, first);
        while walk.step(&self.window, self.last_at(), stop.as_ref(), rules, &mut sink) {}
        Unsettled { from: self.window[first].ts, at: self.window[walk.at].ts, stop, walk }
    }

    /// Goes on from where the last position was some steps ago, if none of them settled anything: the segments before
    /// are as they were then. Returns where the last one is now.
    pub fn go_on(&self, from: Unsettled, rules: &Rules, mut sink: impl FnMut(&Segment<'_>)) -> Option<Unsettled> {
        let is_same = self.window[self.settled as usize].ts == from.from && self.standing.stop() == from.stop;
        let mut walk = from.walk;
        // Of the settled ones before fewer may be left, those behind are as many.
        if !is_same || self.window.get(walk.at).is_none_or(|item| item.ts != from.at) {
            return None;
        }
        while walk.step(&self.window, self.last_at(), from.stop.as_ref(), rules, &mut sink) {}
        Some(Unsettled { at: self.window[walk.at].ts, walk, ..from })
    }

    /// The segment of the last position.
    pub fn last_as_yet(&self, mut from: Unsettled, rules: &Rules, mut sink: impl FnMut(&Segment<'_>)) {
        from.walk.step(&self.window, END, from.stop.as_ref(), rules, &mut sink);
    }

    /// The speed at the last position.
    pub fn last_speed(&self, rules: &Rules) -> Speed {
        let last = self.last();
        let is_in_stop = self.standing.stop().is_some_and(|stop| stop.holds(self.window[last].ts));
        let before = self.window[..last].iter().rposition(|item| item.is_usable);
        last_speed(&self.window[last], is_in_stop, || {
            before.map_or(Speed::NONE, |before| speed(&self.window, before, last, rules))
        })
    }
}

/// A walk through the usable items of a window, segment by segment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Walk {
    odometer: Odometer,
    /// Number of the next item.
    at: usize,
    /// Instant of the usable item before it, if that is there.
    before: Option<Millis>,
    /// Speed of the segment before it.
    speed_before: Speed,
}

impl Walk {
    /// One that begins at the usable item with this number.
    fn new(odometer: Odometer, window: &[Item], first: usize) -> Self {
        let before = window[..first].iter().rfind(|item| item.is_usable).map(|item| item.ts);
        Self { odometer, at: first, before, speed_before: Speed::NONE }
    }

    /// Hands out the next segment if it begins before `until`. Whether there is one behind it.
    fn step(
        &mut self,
        window: &[Item],
        until: Millis,
        stop: Option<&Stopped>,
        rules: &Rules,
        sink: &mut impl FnMut(&Segment<'_>),
    ) -> bool {
        let Self { odometer, at, before, speed_before } = self;
        let item = &window[*at];
        if item.ts >= until {
            return false;
        }
        let stop = stop.filter(|stop| stop.holds(item.ts));
        let (leg_from, after_offline) = (odometer.leg_from, odometer.after_offline);
        let leg_mm = odometer.leg_mm(item, *before, stop, rules);
        if stop.is_some() || odometer.counted_at == item.ts {
            odometer.leg_from = item.ts;
        }
        let next = window[*at + 1..].iter().position(|item| item.is_usable).map(|behind| *at + 1 + behind);
        let items = &window[*at..=next.unwrap_or(window.len() - 1)];
        let mut segment = Segment {
            items,
            has_next: next.is_some(),
            speed: Speed::NONE,
            is_in_stop: stop.is_some(),
            after_offline,
            leg_mm,
            leg_from,
            gap_mm: 0,
            gap_at: BEGINNING,
        };
        let Some(next) = next else {
            segment.speed = last_speed(item, stop.is_some(), || *speed_before);
            sink(&segment);
            return false;
        };
        let stands = stop.is_some_and(|stop| stop.holds(window[next].ts));
        let silence = items[1..].iter().rfind(|item| item.is_silent);
        odometer.after_offline = silence.is_some();
        segment.speed = if stands { Speed::ZERO } else { speed(window, *at, next, rules) };
        if let Some(end) = silence.filter(|_| !stands) {
            let (way_mm, elapsed_ms) = (way_mm(item.place, window[next].place), window[next].ts - item.ts);
            if Speed::mean(way_mm, elapsed_ms) <= rules.max_plausible {
                (segment.gap_mm, segment.gap_at) = (way_mm, end.ts);
            }
        }
        sink(&segment);
        (*before, *speed_before, *at) = (Some(item.ts), segment.speed, next);
        true
    }
}

/// The speed at the last position of a track.
fn last_speed(last: &Item, is_in_stop: bool, before: impl FnOnce() -> Speed) -> Speed {
    if is_in_stop {
        Speed::ZERO
    } else if last.speed != Speed::NONE {
        last.speed
    } else {
        before()
    }
}

/// The speed from one usable item to the next, outside stops.
fn speed(window: &[Item], at: usize, next: usize, rules: &Rules) -> Speed {
    let (item, end) = (&window[at], &window[next]);
    if window[at + 1..=next].iter().any(|item| item.is_silent) {
        return Speed::NONE;
    }
    let lasted_ms = end.ts - item.ts;
    if holds(item, lasted_ms, rules) {
        return item.speed;
    }
    if lasted_ms >= rules.speed_span_ms {
        return rules.plausible(Speed::mean(end.hop_mm, lasted_ms));
    }
    for (number, from) in window[..=at].iter().enumerate().rev() {
        if from.is_usable && end.ts - from.ts >= rules.speed_span_ms {
            return rules.plausible(Speed::mean(way_mm(from.place, end.place), end.ts - from.ts));
        }
        // An offline may lie before the first of a track, too: nothing that was usable does.
        if from.is_silent || number == 0 {
            break;
        }
    }
    Speed::NONE
}

/// Whether the reported speed is that of a segment that lasts so long.
fn holds(item: &Item, lasted_ms: i64, rules: &Rules) -> bool {
    item.speed != Speed::NONE && lasted_ms <= rules.speed_hold_ms
}

/// [`Item::hop_mm`] of the usable item behind `last`.
fn hop_mm(last: &Item, next: &Item, rules: &Rules) -> i64 {
    if holds(last, next.ts - last.ts, rules) { UNMEASURED } else { way_mm(last.place, next.place) }
}

fn way_mm(a: Place, b: Place) -> i64 {
    if a == b { 0 } else { distance_mm(a, b) }
}

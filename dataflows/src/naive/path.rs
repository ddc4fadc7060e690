//! Movement: what the rules say of speed and distance along the usable positions of one vehicle, and what
//! adds up during an interval.
//!
//! Segment `i` lasts from usable position `i` until the next one; the last one has no length. A *standing*
//! is a stop as the numbers of its first and last position.

use super::Track;
use super::marks::{crosses, marks};
use watchtower_model::geometry::geodesic::{distance_m, distance_mm};
use watchtower_model::{
    Edit, Ignition, Mark, Millis, Offline, Position, Rules, STOP_RETURN_MS, Speed, UTC_HOUR_MS, Vehicle, VehicleId,
};

use super::versions::definition_at;

/// The positions of one vehicle by time, and what judges them.
pub(super) struct Path<'a> {
    pub(super) vehicle: VehicleId,
    /// All of them, with their marks.
    pub(super) heard: Vec<Position>,
    /// Those without a mark.
    pub(super) positions: Vec<Position>,
    /// The one that lasts included.
    pub(super) offlines: Vec<Offline>,
    /// First and last position of each stop.
    pub(super) standings: Vec<(usize, usize)>,
    /// Between counted positions.
    pub(super) legs: Vec<Leg>,
    pub(super) now: Millis,
    pub(super) rules: &'a Rules,
}

/// The way from one counted position to the next.
pub(super) struct Leg {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Length that the leg adds to the way, millimetres.
    pub(super) way_mm: i64,
}

/// Sums over an interval.
pub(super) struct Measures {
    pub(super) distance_mm: i64,
    pub(super) gap_mm: i64,
    pub(super) moving_ms: i64,
    pub(super) stopped_ms: i64,
    /// [`Speed::NONE`] if none is known.
    pub(super) max_speed: Speed,
}

impl<'a> Path<'a> {
    pub(super) fn new(
        vehicle: VehicleId,
        track: &Track,
        metadata: &[&Edit<VehicleId, Vehicle>],
        now: Millis,
        rules: &'a Rules,
    ) -> Self {
        let mut heard: Vec<Position> = track.values().copied().collect();
        let offlines = offlines(vehicle, &heard, metadata, now, rules);
        let marks = marks(&heard, &offlines, rules);
        heard.iter_mut().zip(marks).for_each(|(position, mark)| position.mark = mark);
        let positions = heard.iter().filter(|position| position.mark == Mark::None).copied().collect();
        let (standings, legs) = (Vec::new(), Vec::new());
        let mut path = Self { vehicle, heard, positions, offlines, standings, legs, now, rules };
        path.standings = path.find_standings();
        path.legs = path.find_legs();
        path
    }

    /// Number of the last position, if there is one.
    pub(super) fn last(&self) -> Option<usize> {
        self.positions.len().checked_sub(1)
    }

    pub(super) fn ts(&self, i: usize) -> Millis {
        self.positions[i].ts
    }

    /// Whether an offline lies between two usable positions.
    pub(super) fn crosses(&self, a: usize, b: usize) -> bool {
        crosses(&self.offlines, self.ts(a), self.ts(b))
    }

    /// Whether one follows the last of them.
    pub(super) fn is_silent_after(&self, last: usize) -> bool {
        self.offlines.iter().any(|offline| offline.started_at >= self.ts(last))
    }

    fn way_mm(&self, a: usize, b: usize) -> i64 {
        distance_mm(self.positions[a].place, self.positions[b].place)
    }

    fn is_within(&self, a: usize, b: usize, radii: f64) -> bool {
        distance_m(self.positions[a].place, self.positions[b].place) <= radii * self.rules.stop_radius_m
    }

    /// Whether two positions are farther from each other than the radius of a stop.
    pub(super) fn is_away(&self, a: usize, b: usize) -> bool {
        !self.is_within(a, b, 1.0)
    }

    /// The last position of the run that begins at an anchor.
    fn run_end(&self, anchor: usize) -> usize {
        let is_inside = |i: usize| i < self.positions.len() && self.is_within(anchor, i, 1.0);
        let mut last = anchor;
        loop {
            if is_inside(last + 1) {
                last += 1;
            } else if is_inside(last + 2) && self.ts(last + 2) - self.ts(last + 1) <= STOP_RETURN_MS {
                last += 2;
            } else {
                return last;
            }
        }
    }

    fn find_standings(&self) -> Vec<(usize, usize)> {
        let mut standings = Vec::<(usize, usize)>::new();
        let mut anchor = 0;
        while anchor < self.positions.len() {
            let last = self.run_end(anchor);
            if last > anchor && self.ts(last) - self.ts(anchor) >= self.rules.stop_min_ms {
                match standings.last_mut() {
                    Some((first, end))
                        if (anchor == *end + 1 || self.ts(anchor) - self.ts(*end) <= STOP_RETURN_MS)
                            && self.is_within(*first, anchor, 2.0) =>
                    {
                        *end = last;
                    }
                    Some(_) | None => standings.push((anchor, last)),
                }
            }
            anchor = last + 1;
        }
        standings
    }

    /// The stop that a position belongs to.
    pub(super) fn standing(&self, i: usize) -> Option<(usize, usize)> {
        self.standings.iter().copied().find(|&(first, last)| first <= i && i <= last)
    }

    /// The speed during a segment, or at the last position.
    pub(super) fn speed(&self, i: usize) -> Option<Speed> {
        let known = |speed: Speed| (speed <= self.rules.max_plausible).then_some(speed);
        let (here, reported) = (self.standing(i), known(self.positions[i].speed));
        if Some(i) == self.last() {
            let before = || i.checked_sub(1).and_then(|before| self.speed(before));
            return if here.is_some() { Some(Speed::from_kmh(0.0)) } else { reported.or_else(before) };
        }
        if here.is_some_and(|(_, last)| i < last) {
            return Some(Speed::from_kmh(0.0));
        }
        if self.crosses(i, i + 1) {
            return None;
        }
        let (until, lasted_ms) = (self.ts(i + 1), self.ts(i + 1) - self.ts(i));
        if reported.is_some() && lasted_ms <= self.rules.speed_hold_ms {
            return reported;
        }
        let from = if lasted_ms >= self.rules.speed_span_ms {
            i
        } else {
            let older = (0..=i).rev().find(|&j| self.ts(j) <= until - self.rules.speed_span_ms)?;
            if self.crosses(older, i + 1) {
                return None;
            }
            older
        };
        known(Speed::mean(self.way_mm(from, i + 1), until - self.ts(from)))
    }

    pub(super) fn is_moving(&self, i: usize) -> bool {
        self.speed(i).is_some_and(|speed| speed >= self.rules.idle_speed)
    }

    /// Ignition at an instant at which there is a position.
    pub(super) fn ignition(&self, t: Millis) -> Ignition {
        let since = self.offlines.iter().filter_map(|offline| offline.ended_at).filter(|&end| end <= t).max();
        let mut heard = self.heard.iter().rev().filter(|position| position.ts <= t);
        let last = heard.find(|position| position.ignition != Ignition::Unknown);
        last.filter(|last| since.is_none_or(|since| last.ts >= since)).map_or(Ignition::Unknown, |last| last.ignition)
    }

    fn find_legs(&self) -> Vec<Leg> {
        let hour = |i: usize| self.ts(i).div_euclid(UTC_HOUR_MS);
        let is_outside = |i: usize| self.standing(i).is_none();
        let mut legs = Vec::new();
        let mut from = 0;
        for to in 1..self.positions.len() {
            let is_anchor = self.standing(to).is_some_and(|(first, _)| first == to);
            let first_of_hour = is_outside(to) && !(0..to).any(|i| is_outside(i) && hour(i) == hour(to));
            let after_offline = self.crosses(to - 1, to);
            let far = is_outside(to) && self.way_mm(from, to) >= self.rules.min_step_mm;
            if is_anchor || first_of_hour || after_offline || far {
                let way_mm = self.way_mm(from, to);
                let is_told = !self.crosses(from, to)
                    && Speed::mean(way_mm, self.ts(to) - self.ts(from)) <= self.rules.max_plausible;
                legs.push(Leg { from, to, way_mm: if is_told { way_mm } else { 0 } });
                from = to;
            }
        }
        legs
    }

    /// The straight ways across offlines, each with the instant at which it counts.
    pub(super) fn gaps(&self) -> Vec<(Millis, i64)> {
        let pairs = (1..self.positions.len()).map(|i| (i - 1, i)).filter(|&(a, b)| self.crosses(a, b));
        let gap = |(a, b): (usize, usize)| {
            let ends = self.offlines.iter().filter_map(|offline| offline.ended_at);
            let end = ends.filter(|&end| end <= self.ts(b)).max()?;
            let way_mm = self.way_mm(a, b);
            let is_within_stop = self.standing(a).is_some_and(|(_, last)| b <= last);
            let is_told = !is_within_stop && Speed::mean(way_mm, self.ts(b) - self.ts(a)) <= self.rules.max_plausible;
            is_told.then_some((end, way_mm))
        };
        pairs.filter_map(gap).collect()
    }

    /// The parts of segment `i` that are no offline.
    pub(super) fn parts(&self, i: usize) -> Vec<(Millis, Millis)> {
        if Some(i) == self.last() {
            return Vec::new();
        }
        let (mut from, mut parts) = (self.ts(i), Vec::new());
        for offline in &self.offlines {
            let Some(end) = offline.ended_at else { continue };
            if self.ts(i) <= offline.started_at && end <= self.ts(i + 1) {
                parts.push((from, offline.started_at));
                from = end;
            }
        }
        parts.push((from, self.ts(i + 1)));
        parts.retain(|(from, until)| from < until);
        parts
    }

    /// The reported speed of a position outside stops, if it is plausible.
    pub(super) fn outside_speed(&self, i: usize) -> Option<Speed> {
        let speed = self.positions[i].speed;
        (self.standing(i).is_none() && speed <= self.rules.max_plausible).then_some(speed)
    }

    /// Sums over `[since, before)`.
    pub(super) fn measures(&self, since: Millis, before: Millis) -> Measures {
        let numbers = 0..self.positions.len();
        let (mut moving_ms, mut stopped_ms, mut max_speed) = (0, 0, None);
        for i in numbers {
            if since <= self.ts(i) && self.ts(i) < before {
                max_speed = max_speed.max(self.outside_speed(i));
            }
            for (from, until) in self.parts(i) {
                let overlap_ms = until.min(before) - from.max(since);
                if overlap_ms <= 0 {
                    continue;
                }
                max_speed = max_speed.max(self.speed(i));
                *if self.is_moving(i) { &mut moving_ms } else { &mut stopped_ms } += overlap_ms;
            }
        }
        let legs = self.legs.iter().filter(|leg| since < self.ts(leg.to) && self.ts(leg.to) <= before);
        let gaps = self.gaps().into_iter().filter(|&(end, _)| since <= end && end <= before);
        Measures {
            distance_mm: legs.map(|leg| leg.way_mm).sum(),
            gap_mm: gaps.map(|(_, way_mm)| way_mm).sum(),
            moving_ms,
            stopped_ms,
            max_speed: max_speed.unwrap_or(Speed::NONE),
        }
    }
}

/// Every silence longer than its limit, the one that still lasts included.
fn offlines(
    vehicle: VehicleId,
    heard: &[Position],
    metadata: &[&Edit<VehicleId, Vehicle>],
    now: Millis,
    rules: &Rules,
) -> Vec<Offline> {
    let is_silent = |from: Millis, until: Millis| {
        let own = definition_at(metadata, from).and_then(|vehicle| vehicle.offline_after_ms);
        i128::from(until) - i128::from(from) > i128::from(own.unwrap_or(rules.offline_after_ms))
    };
    let pairs = heard.windows(2).filter(|pair| is_silent(pair[0].ts, pair[1].ts));
    let mut offlines: Vec<Offline> =
        pairs.map(|pair| Offline { vehicle, started_at: pair[0].ts, ended_at: Some(pair[1].ts) }).collect();
    let last = heard.last().filter(|last| is_silent(last.ts, now));
    offlines.extend(last.map(|last| Offline { vehicle, started_at: last.ts, ended_at: None }));
    offlines
}

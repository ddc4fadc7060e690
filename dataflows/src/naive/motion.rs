//! Sums over a vehicle's positions, by local day.

use std::collections::BTreeMap;

use super::path::Path;
use watchtower_model::facts::Motion;
use watchtower_model::local_time::Day;
use watchtower_model::{Millis, Offline, Speed};

/// A row for each day that has a position or some time.
pub(super) fn motions(path: &Path<'_>) -> Vec<Motion> {
    let day = |t: Millis| path.rules.local_time.day(t);
    let mut days = BTreeMap::<Day, Motion>::new();
    for position in &path.heard {
        of_day(path, &mut days, day(position.ts)).positions += 1;
    }
    for offline in &path.offlines {
        for (day, lasted_ms) in pieces(path, offline.started_at, counted_until(path, offline)) {
            of_day(path, &mut days, day).offline_ms += lasted_ms;
        }
    }
    for leg in &path.legs {
        of_day(path, &mut days, day(path.ts(leg.to))).distance_mm += leg.way_mm;
    }
    for (end, way_mm) in path.gaps() {
        of_day(path, &mut days, day(end)).gap_mm += way_mm;
    }
    for i in 0..path.positions.len() {
        let ts = path.ts(i);
        let motion = of_day(path, &mut days, day(ts));
        motion.max_speed = greater(motion.max_speed, path.outside_speed(i));
        if path.is_moving(i) {
            motion.moved = Some((motion.moved.map_or(ts, |(first, _)| first), ts));
        }
        for (from, until) in path.parts(i) {
            for (day, lasted_ms) in pieces(path, from, until) {
                let motion = of_day(path, &mut days, day);
                motion.max_speed = greater(motion.max_speed, path.speed(i));
                *if path.is_moving(i) { &mut motion.moving_ms } else { &mut motion.stopped_ms } += lasted_ms;
            }
        }
    }
    days.into_values().collect()
}

/// How far an offline is counted: one that lasts, to the beginning of the hour that it is now.
fn counted_until(path: &Path<'_>, offline: &Offline) -> Millis {
    let end = offline.ended_at.unwrap_or_else(|| path.rules.local_time.hour_span(path.now).from);
    end.min(offline.started_at.saturating_add(path.rules.offline_count_ms))
}

/// The parts of an interval on each day, and how long they are.
fn pieces(path: &Path<'_>, from: Millis, until: Millis) -> Vec<(Day, i64)> {
    let mut pieces = Vec::new();
    let mut t = from;
    while t < until {
        let midnight = path.rules.local_time.day_span(t).until.min(until);
        pieces.push((path.rules.local_time.day(t), midnight - t));
        t = midnight;
    }
    pieces
}

fn of_day<'a>(path: &Path<'_>, days: &'a mut BTreeMap<Day, Motion>, day: Day) -> &'a mut Motion {
    days.entry(day).or_insert(Motion {
        vehicle: path.vehicle,
        day,
        distance_mm: 0,
        gap_mm: 0,
        moving_ms: 0,
        stopped_ms: 0,
        offline_ms: 0,
        max_speed: Speed::NONE,
        moved: None,
        positions: 0,
    })
}

/// The greater of two speeds of which either may be unknown.
fn greater(known: Speed, other: Option<Speed>) -> Speed {
    let known = (known != Speed::NONE).then_some(known);
    known.max(other).unwrap_or(Speed::NONE)
}

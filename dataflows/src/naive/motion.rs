//! What a vehicle's positions add up to, by local day.

use std::collections::BTreeMap;

use super::path::Path;
use watchtower_model::facts::Motion;
use watchtower_model::local_time::Day;
use watchtower_model::{Millis, Speed};

/// A row for each day that has a position or some time.
pub(super) fn motions(path: &Path<'_>) -> Vec<Motion> {
    let mut days = BTreeMap::<Day, Motion>::new();
    for i in 0..=path.last() {
        let ts = path.ts(i);
        let motion = of_day(path, &mut days, path.rules.local_time.day(ts));
        motion.positions += 1;
        motion.distance_mm += path.step_mm(i);
        motion.max_speed = greater(motion.max_speed, path.speed(i));
        if path.is_moving(i) {
            motion.moved = Some((motion.moved.map_or(ts, |(first, _)| first), ts));
        }

        for (day, lasted_ms) in pieces(path, ts, told_until(path, i)) {
            let motion = of_day(path, &mut days, day);
            if path.is_gap(i) {
                motion.offline_ms += lasted_ms;
                continue;
            }
            motion.max_speed = greater(motion.max_speed, path.speed(i));
            if path.is_moving(i) {
                motion.moving_ms += lasted_ms;
            } else {
                motion.stopped_ms += lasted_ms;
            }
        }
    }
    days.into_values().collect()
}

/// How far time is told after position `i`: to the next one; after the last one not at all, or, in
/// silence, to the beginning of the hour that it is now.
fn told_until(path: &Path<'_>, i: usize) -> Millis {
    if i == path.last() && path.is_gap(i) {
        return path.ts(i).max(path.rules.local_time.hour_span(path.now).from);
    }
    path.until(i)
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

//! Stops, idlings, and moves with the ignition off.

use std::collections::{BTreeMap, BTreeSet};

use super::path::Path;
use super::versions::{Geofences, geofence_at, name};
use watchtower_model::facts::{Idling, MovesOff, Stop, Towing};
use watchtower_model::local_time::Day;
use watchtower_model::{Geofence, GeofenceId, Ignition, Millis, Visit};

/// Every stop, open while it holds the last usable position.
pub(super) fn stops(path: &Path<'_>, visits: &[Visit], geofences: &Geofences<'_>) -> Vec<Stop> {
    let stop = |&(first, last): &(usize, usize)| Stop {
        vehicle: path.vehicle,
        started_at: path.ts(first),
        ended_at: (Some(last) != path.last()).then(|| path.ts(last)),
        place: path.positions[first].place,
        geofence: geofence_of(visits, geofences, path.ts(first), path.ts(last)),
    };
    path.standings.iter().map(stop).collect()
}

/// Of the geofences the vehicle was inside between the two instants: anchors first, then the longest time in sum,
/// then the smallest id.
fn geofence_of(visits: &[Visit], geofences: &Geofences<'_>, since: Millis, before: Millis) -> Option<GeofenceId> {
    let mut times = BTreeMap::<GeofenceId, (bool, i64)>::new();
    for visit in visits {
        let lasted_ms = visit.exited_at.unwrap_or(before).min(before) - visit.entered_at.max(since);
        if lasted_ms > 0 {
            let (is_anchor, sum_ms) = times.entry(visit.geofence).or_default();
            *is_anchor |= geofence_at(geofences, visit.geofence, visit.entered_at).is_some_and(Geofence::is_anchor);
            *sum_ms += lasted_ms;
        }
    }
    let first = times.into_iter().min_by_key(|&(geofence, (is_anchor, sum_ms))| {
        (!is_anchor, std::cmp::Reverse(sum_ms), name(geofences, geofence))
    });
    first.map(|(geofence, _)| geofence)
}

/// From a position with the ignition on and not moving, until what ends it.
pub(super) fn idlings(path: &Path<'_>) -> Vec<Idling> {
    let mut idlings = Vec::new();
    let mut next = 0;
    while next < path.positions.len() {
        let first = next;
        next += 1;
        if path.ignition(path.ts(first)) != Ignition::On || path.is_moving(first) {
            continue;
        }
        let (started_at, ended_at, is_offline) = (path.ts(first), idling_end(path, first), is_offline(path, first));
        let is_part = |i: usize| ended_at.is_none_or(|end| path.ts(i) < end || (is_offline && path.ts(i) == end));
        let parts: Vec<usize> = (first..path.positions.len()).take_while(|&i| is_part(i)).collect();
        next = first + parts.len().max(1);
        let until = ended_at.unwrap_or_else(|| path.ts(path.positions.len() - 1));
        let idles = |i: usize| path.ignition(path.ts(i)) == Ignition::On && !path.is_moving(i);
        let idled = parts.iter().filter(|&&i| idles(i)).count();
        if idled >= 2 && until - started_at >= path.rules.idle_min_ms {
            idlings.push(Idling { vehicle: path.vehicle, started_at, ended_at });
        }
    }
    idlings
}

/// The first instant at which the ignition is off, an offline begins or the vehicle has moved away.
fn idling_end(path: &Path<'_>, first: usize) -> Option<Millis> {
    let ends = [off_at(path, first), offline_at(path, first), away_at(path, first)];
    ends.into_iter().flatten().min()
}

/// Whether it is an offline that comes first.
fn is_offline(path: &Path<'_>, first: usize) -> bool {
    offline_at(path, first).is_some() && offline_at(path, first) == idling_end(path, first)
}

fn off_at(path: &Path<'_>, first: usize) -> Option<Millis> {
    let mut off = path.heard.iter().filter(|position| position.ignition == Ignition::Off);
    off.find(|position| position.ts > path.ts(first)).map(|position| position.ts)
}

fn offline_at(path: &Path<'_>, first: usize) -> Option<Millis> {
    path.offlines.iter().map(|offline| offline.started_at).find(|&t| t >= path.ts(first))
}

fn away_at(path: &Path<'_>, first: usize) -> Option<Millis> {
    let mut stood = first;
    for i in first + 1..path.positions.len() {
        if !path.is_moving(i) {
            stood = i;
        } else if path.is_away(stood, i) {
            return Some(path.ts(i));
        }
    }
    None
}

/// Runs of positions with the ignition known to be off and a way that is long enough, with that way by day.
pub(super) fn moves_off(path: &Path<'_>) -> (Vec<MovesOff>, Vec<Towing>) {
    let is_off = |i: usize| path.ignition(path.ts(i)) == Ignition::Off;
    let (mut moves, mut towings) = (Vec::new(), Vec::new());
    let mut first = 0;
    while first < path.positions.len() {
        let follows = |i: &usize| *i < path.positions.len() && is_off(*i) && !path.crosses(i - 1, *i);
        let end = if is_off(first) { (first + 1..).take_while(follows).last().unwrap_or(first) } else { first };
        let legs: Vec<_> = path.legs.iter().filter(|leg| first < leg.to && leg.to <= end && leg.way_mm > 0).collect();
        let distance_mm: i64 = legs.iter().map(|leg| leg.way_mm).sum();
        if let ([leg, ..], [.., last]) = (&legs[..], &legs[..])
            && distance_mm > path.rules.tow_min_mm
        {
            let left = path.standing(leg.from).map(|(_, stood)| path.ts(stood.min(leg.to)));
            let started_at = path.ts(leg.from).max(path.ts(first)).max(left.unwrap_or(Millis::MIN));
            let vehicle = path.vehicle;
            moves.push(MovesOff { vehicle, started_at, ended_at: path.ts(last.to), distance_mm });
            let day_of = |t| path.rules.local_time.day(t);
            let days: BTreeSet<Day> = legs.iter().map(|leg| day_of(path.ts(leg.to))).collect();
            towings.extend(days.into_iter().map(|day| {
                let of_day = legs.iter().filter(|leg| day_of(path.ts(leg.to)) == day);
                Towing { vehicle, day, started_at, distance_mm: of_day.map(|leg| leg.way_mm).sum() }
            }));
        }
        first = end + 1;
    }
    (moves, towings)
}

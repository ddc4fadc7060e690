//! Stops and idlings.

use super::path::Path;
use super::versions::{Geofences, smallest};
use super::visits::is_during;
use watchtower_model::facts::{Idling, Stop};
use watchtower_model::geometry::geodesic::distance_m;
use watchtower_model::{Millis, Visit};

/// An anchor, and the positions that follow it within the radius; the first one outside is the next
/// anchor. It is a stop if it has two positions and lasts long enough from the first to the last.
pub(super) fn stops(path: &Path<'_>, visits: &[Visit], geofences: &Geofences<'_>) -> Vec<Stop> {
    let mut stops = Vec::new();
    let mut anchor = 0;
    while anchor <= path.last() {
        let place = path.positions[anchor].place;
        let outside =
            (anchor + 1..=path.last()).find(|&i| distance_m(place, path.positions[i].place) > path.rules.stop_radius_m);
        let inside = outside.map_or(path.last(), |outside| outside - 1);
        let started_at = path.ts(anchor);
        if inside > anchor && path.ts(inside) - started_at >= path.rules.stop_min_ms {
            let there = visits.iter().filter(|visit| is_during(visit, started_at)).map(|visit| visit.geofence);
            stops.push(Stop {
                vehicle: path.vehicle,
                started_at,
                ended_at: outside.map(|_| path.ts(inside)),
                place,
                geofence: smallest(geofences, there),
            });
        }
        anchor = inside + 1;
    }
    stops
}

/// Positions in a row with the ignition on and a speed below `idle_speed`. Ended by another position, it
/// lasts until then; by a gap, until its last position.
pub(super) fn idlings(path: &Path<'_>) -> Vec<Idling> {
    let mut idlings = Vec::new();
    let mut first = 0;
    while first <= path.last() {
        if !is_idle(path, first) {
            first += 1;
            continue;
        }
        let mut last = first;
        while last < path.last() && !path.is_gap(last) && is_idle(path, last + 1) {
            last += 1;
        }
        let lasts = last == path.last() && !path.is_gap(last);
        // At its last position by a gap, or by lasting; else at the next position.
        let until: Millis = if lasts || path.is_gap(last) { path.ts(last) } else { path.ts(last + 1) };
        let started_at = path.ts(first);
        if last > first && until - started_at >= path.rules.idle_min_ms {
            idlings.push(Idling { vehicle: path.vehicle, started_at, ended_at: (!lasts).then_some(until) });
        }
        first = last + 1;
    }
    idlings
}

fn is_idle(path: &Path<'_>, i: usize) -> bool {
    path.positions[i].ignition && path.speed(i).is_some_and(|speed| speed < path.rules.idle_speed)
}

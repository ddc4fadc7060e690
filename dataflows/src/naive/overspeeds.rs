//! Overspeeds.

use std::collections::BTreeSet;

use super::path::Path;
use super::versions::{Geofences, changes, definition_at, geofence_at, name};
use super::visits::is_during;
use watchtower_model::facts::{Overspeed, OverspeedMeasures};
use watchtower_model::{Edit, GeofenceId, Millis, Speed, Vehicle, VehicleId, Visit};

/// How fast a vehicle may be, and which geofence says so, if one does.
type Limit = (Speed, Option<GeofenceId>);

/// The limit at `t`: the lowest of the geofences it is in (of equal ones that with the smallest id), else
/// the vehicle's, else the default.
fn limit_at(
    path: &Path<'_>,
    visits: &[Visit],
    geofences: &Geofences<'_>,
    metadata: &[&Edit<VehicleId, Vehicle>],
    t: Millis,
) -> Limit {
    let there = visits.iter().filter(|visit| is_during(visit, t)).map(|visit| visit.geofence);
    let limits = there.filter_map(|geofence| {
        let limit = geofence_at(geofences, geofence, t)?.speed_limit;
        (limit != Speed::NONE).then_some((limit, geofence))
    });
    let lowest = limits.min_by_key(|&(limit, geofence)| (limit, name(geofences, geofence)));
    if let Some((limit, geofence)) = lowest {
        return (limit, Some(geofence));
    }
    let own = definition_at(metadata, t).map(|vehicle| vehicle.speed_limit);
    (own.filter(|limit| *limit != Speed::NONE).unwrap_or(path.rules.default_speed_limit), None)
}

/// The instants at which the speed or the limit may change, with the number of the position that tells the
/// speed: positions, and the boundaries of versions after them, but not in gaps; up to now after the last.
fn instants(
    path: &Path<'_>,
    geofences: &Geofences<'_>,
    metadata: &[&Edit<VehicleId, Vehicle>],
) -> Vec<(Millis, usize)> {
    let of_geofences = geofences.values().flat_map(|history| changes(history)).map(|(t, _)| t);
    let of_vehicle = changes(metadata).into_iter().map(|(t, _)| t);
    let boundaries: BTreeSet<Millis> = of_geofences.chain(of_vehicle).collect();
    let mut instants = Vec::new();
    for i in 0..=path.last() {
        instants.push((path.ts(i), i));
        let during = |t: Millis| path.ts(i) < t && if i < path.last() { t < path.ts(i + 1) } else { t <= path.now };
        if !path.is_gap(i) {
            instants.extend(boundaries.iter().filter(|&&t| during(t)).map(|&t| (t, i)));
        }
    }
    instants
}

/// Runs of instants above one limit. A gap ends one at its last position.
pub(super) fn overspeeds(
    path: &Path<'_>,
    visits: &[Visit],
    geofences: &Geofences<'_>,
    metadata: &[&Edit<VehicleId, Vehicle>],
) -> Vec<Overspeed> {
    let mut overspeeds = Vec::new();
    let mut run: Option<(Millis, Limit)> = None;
    for (t, i) in instants(path, geofences, metadata) {
        let limit = limit_at(path, visits, geofences, metadata, t);
        let exceeded = path.speed(i).is_some_and(|speed| speed > limit.0).then_some(limit);
        if let Some((started_at, of)) = run
            && exceeded != Some(of)
        {
            overspeeds.extend(overspeed(path, started_at, Some(t), of));
            run = None;
        }
        run = run.or(exceeded.map(|limit| (t, limit)));
        // The position is the only instant of its segment.
        if path.is_gap(i)
            && let Some((started_at, of)) = run.take()
        {
            overspeeds.extend(overspeed(path, started_at, Some(t), of));
        }
    }
    overspeeds.extend(run.and_then(|(started_at, of)| overspeed(path, started_at, None, of)));
    overspeeds
}

/// The run as a row, if it lasted long enough, and if a position has confirmed it.
fn overspeed(
    path: &Path<'_>,
    started_at: Millis,
    ended_at: Option<Millis>,
    (limit, geofence): Limit,
) -> Option<Overspeed> {
    let last = path.ts(path.last());
    let lasted_ms = ended_at.unwrap_or(last) - started_at;
    let measures = ended_at.map(|ended_at| {
        let measures = path.measures(started_at, ended_at);
        OverspeedMeasures { max_speed: measures.max_speed, distance_mm: measures.distance_mm }
    });
    (started_at <= last && lasted_ms >= path.rules.overspeed_min_ms).then_some(Overspeed {
        vehicle: path.vehicle,
        started_at,
        ended_at,
        geofence,
        limit,
        measures,
    })
}

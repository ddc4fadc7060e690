//! Overspeeds, recomputed from all positions of a vehicle.

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

/// The parts of segment `i` during which the limit is the same, from when until when, with that limit.
fn limited_parts(
    path: &Path<'_>,
    visits: &[Visit],
    geofences: &Geofences<'_>,
    metadata: &[&Edit<VehicleId, Vehicle>],
    i: usize,
) -> Vec<(Millis, Millis, Limit)> {
    let of_geofences = geofences.values().flat_map(|history| changes(history)).map(|(t, _)| t);
    let of_vehicle = changes(metadata).into_iter().map(|(t, _)| t);
    let during = |t: &Millis| path.ts(i) < *t && *t < path.ts(i + 1);
    let mut instants: BTreeSet<Millis> = of_geofences.chain(of_vehicle).filter(during).collect();
    instants.extend([path.ts(i), path.ts(i + 1)]);
    let instants: Vec<Millis> = instants.into_iter().collect();
    let part = |pair: &[Millis]| (pair[0], pair[1], limit_at(path, visits, geofences, metadata, pair[0]));
    instants.windows(2).map(part).collect()
}

/// Runs of such parts above one limit. One that reaches the last position is open while the vehicle is above the
/// same limit there and no offline follows.
pub(super) fn overspeeds(
    path: &Path<'_>,
    visits: &[Visit],
    geofences: &Geofences<'_>,
    metadata: &[&Edit<VehicleId, Vehicle>],
) -> Vec<Overspeed> {
    let mut runs = Vec::<(Millis, Millis, Limit)>::new();
    let Some(last) = path.last() else { return Vec::new() };
    for i in 0..last {
        for (from, until, limit) in limited_parts(path, visits, geofences, metadata, i) {
            if path.speed(i).is_none_or(|speed| speed <= limit.0) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.1 == from && run.2 == limit => run.1 = until,
                Some(_) | None => runs.push((from, until, limit)),
            }
        }
    }
    let at_last = limit_at(path, visits, geofences, metadata, path.ts(last));
    let lasts = |&(_, until, limit): &(Millis, Millis, Limit)| {
        until == path.ts(last)
            && limit == at_last
            && path.speed(last).is_some_and(|speed| speed > limit.0)
            && !path.is_silent_after(last)
    };
    let long_enough = runs.iter().filter(|(from, until, _)| until - from >= path.rules.overspeed_min_ms);
    long_enough.map(|run| overspeed(path, run, lasts(run))).collect()
}

/// The run as a row.
fn overspeed(path: &Path<'_>, run: &(Millis, Millis, Limit), lasts: bool) -> Overspeed {
    let (started_at, until, (limit, geofence)) = *run;
    let measures = path.measures(started_at, until);
    Overspeed {
        vehicle: path.vehicle,
        started_at,
        ended_at: (!lasts).then_some(until),
        geofence,
        limit,
        measures: (!lasts)
            .then_some(OverspeedMeasures { max_speed: measures.max_speed, distance_mm: measures.distance_mm }),
    }
}

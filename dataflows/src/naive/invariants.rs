//! Invariants of the tables of every log, whatever the rules.

use std::collections::BTreeMap;

use super::path::{Measures, Path};
use super::versions::histories;
use super::{overspeeds, tracks, visits};
use watchtower_model::{GeofenceEdit, Millis, PositionEvent, Rules, VehicleEdit};

/// Violated invariants, of any vehicle.
pub(crate) fn broken(
    positions: &[PositionEvent],
    geofences: &[GeofenceEdit],
    vehicles: &[VehicleEdit],
    now: Millis,
    rules: &Rules,
) -> Vec<String> {
    let (geofences, vehicles) = (histories(geofences), histories(vehicles));
    let mut broken = Vec::new();
    for (vehicle, track) in tracks(positions) {
        let metadata = vehicles.get(&vehicle).map_or(&[][..], Vec::as_slice);
        let path = Path::new(vehicle, &track, metadata, now, rules);
        let usable: BTreeMap<_, _> = path.positions.iter().map(|position| (position.ts, *position)).collect();
        let visits = visits::visits(vehicle, &usable, &geofences, now);
        let overspeeds = overspeeds::overspeeds(&path, &visits, &geofences, metadata);
        let Some(last) = path.last() else { continue };
        let (from, until) = (path.ts(0), path.ts(last));
        let gaps = path.gaps();
        for &(first, stood) in &path.standings {
            let (from, until) = (path.ts(first), path.ts(stood));
            let Measures { distance_mm, moving_ms, .. } = path.measures(from, until);
            // One that ends as the stop starts led there.
            let gap_mm: i64 = gaps.iter().filter(|&&(end, _)| from < end && end <= until).map(|(_, mm)| mm).sum();
            if (distance_mm, gap_mm, moving_ms) != (0, 0, 0) {
                let moved = format!("{distance_mm} mm, {gap_mm} mm of gaps, {moving_ms} ms");
                broken.push(format!("the vehicle moves within the stop of {from} to {until}: {moved}"));
            }
            let overlaps = |fast: &&watchtower_model::facts::Overspeed| {
                fast.started_at < until && from < fast.ended_at.unwrap_or(path.ts(last))
            };
            broken.extend(overspeeds.iter().find(overlaps).map(|fast| format!("{fast:?} overlaps a stop")));
        }
        let offline_ms: i64 = path
            .offlines
            .iter()
            .map(|offline| offline.ended_at.unwrap_or(until).min(until) - offline.started_at.max(from))
            .map(|ms| ms.max(0))
            .sum();
        let all = path.measures(from, until);
        if all.moving_ms + all.stopped_ms + offline_ms != until - from {
            broken.push(format!("{} + {} + {offline_ms} ms of {}", all.moving_ms, all.stopped_ms, until - from));
        }
        // A mean is rounded down to a millionth of a km/h.
        let most = i128::from(rules.max_plausible.micro_kmh().unwrap_or(u32::MAX)) + 1;
        let reached = i128::from(all.distance_mm) * 3_600_000;
        if reached > most * i128::from(until - from - offline_ms) {
            broken.push(format!("{} mm cannot be gone in {} ms", all.distance_mm, until - from - offline_ms));
        }
    }
    broken
}

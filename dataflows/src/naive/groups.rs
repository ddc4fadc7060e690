//! `fleet_daily` and `kind_daily`: facts labelled by the versions of metadata and geofences.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Tables;
use super::versions::{Histories, definition_at};
use crate::views::plain::{mean, percentile, sorted};
use watchtower_model::aggregates::{FleetDaily, KindDaily};
use watchtower_model::local_time::{Day, LocalTime};
use watchtower_model::{Geofence, GeofenceId, Millis, Vehicle, VehicleId};

/// Every fact for the fleet in force at its end, a day's at the last instant of the day.
pub(super) fn fleet_daily(
    tables: &Tables,
    vehicles: &Histories<'_, VehicleId, Vehicle>,
    zone: &LocalTime,
) -> BTreeSet<FleetDaily> {
    let fleet = |vehicle: VehicleId, t: Millis| -> Arc<str> {
        let history = vehicles.get(&vehicle).map_or(&[][..], Vec::as_slice);
        definition_at(history, t).and_then(|vehicle| vehicle.fleet.as_deref()).unwrap_or_default().into()
    };
    let at = |vehicle, t| (fleet(vehicle, t), zone.day(t));
    let last_instant = |day: Day| zone.day_spans(day).map(|span| span.until - 1).max().unwrap_or(Millis::MAX);

    let motions: Vec<_> = tables.motions.iter().map(|m| ((fleet(m.vehicle, last_instant(m.day)), m.day), *m)).collect();
    let started: Vec<_> = tables.trips.iter().map(|trip| at(trip.vehicle, trip.departed_at)).collect();
    let arrived = tables.trips.iter().filter_map(|trip| Some(at(trip.vehicle, trip.arrival?.arrived_at)));
    let completed: Vec<_> = arrived.collect();
    let turned = tables.turnarounds.iter();
    let turned: Vec<_> =
        turned.map(|turn| (at(turn.vehicle, turn.returned_at), turn.returned_at - turn.departed_at)).collect();

    let mut keys: BTreeSet<(Arc<str>, Day)> = motions.iter().map(|(key, _)| key.clone()).collect();
    keys.extend(started.iter().chain(&completed).cloned());
    keys.extend(turned.iter().map(|(key, _)| key.clone()));
    let row = |key: (Arc<str>, Day)| {
        let mine = || motions.iter().filter(|(of, _)| *of == key).map(|(_, motion)| motion);
        let turnarounds = sorted(turned.iter().filter(|(of, _)| *of == key).map(|(_, ms)| *ms));
        FleetDaily {
            vehicles_known: mine().count() as i64,
            vehicles_reporting: mine().filter(|motion| motion.positions > 0).count() as i64,
            vehicles_moving: mine().filter(|motion| motion.moved.is_some()).count() as i64,
            distance_mm: mine().map(|motion| motion.distance_mm).sum(),
            gap_mm: mine().map(|motion| motion.gap_mm).sum(),
            moving_ms: mine().map(|motion| motion.moving_ms).sum(),
            known_ms: mine().map(|m| m.moving_ms + m.stopped_ms + m.offline_ms).sum(),
            trips_started: started.iter().filter(|of| **of == key).count() as i64,
            trips_completed: completed.iter().filter(|of| **of == key).count() as i64,
            turnarounds: turnarounds.len() as i64,
            turnaround_mean_ms: mean(&turnarounds),
            turnaround_p50_ms: percentile(&turnarounds, 50),
            turnaround_p95_ms: percentile(&turnarounds, 95),
            fleet: key.0.clone(),
            day: key.1,
        }
    };
    keys.into_iter().map(row).collect()
}

/// Every confirmed visit that has ended, by what its geofence was when it began.
pub(super) fn kind_daily(
    tables: &Tables,
    geofences: &Histories<'_, GeofenceId, Geofence>,
    zone: &LocalTime,
) -> BTreeSet<KindDaily> {
    let ended = tables.visits.iter().filter(|visit| visit.confirmed).filter_map(|visit| {
        let at_entry = definition_at(geofences.get(&visit.geofence)?, visit.entered_at);
        let kind: Arc<str> = at_entry.and_then(|geofence| geofence.kind.as_deref()).unwrap_or_default().into();
        let exited_at = visit.exited_at?;
        Some(((kind, zone.day(exited_at)), visit.vehicle, exited_at - visit.entered_at))
    });
    let ended: Vec<_> = ended.collect();
    let keys: BTreeSet<(Arc<str>, Day)> = ended.iter().map(|(key, ..)| key.clone()).collect();
    let row = |key: (Arc<str>, Day)| {
        let mine = || ended.iter().filter(|(of, ..)| *of == key);
        let dwells = sorted(mine().map(|(.., dwell_ms)| *dwell_ms));
        Some(KindDaily {
            visits: dwells.len() as i64,
            unique_vehicles: mine().map(|(_, vehicle, _)| vehicle).collect::<BTreeSet<_>>().len() as i64,
            dwell_total_ms: dwells.iter().sum(),
            dwell_mean_ms: mean(&dwells)?,
            dwell_p50_ms: percentile(&dwells, 50)?,
            dwell_p95_ms: percentile(&dwells, 95)?,
            kind: key.0.clone(),
            day: key.1,
        })
    };
    keys.into_iter().filter_map(row).collect()
}

//! The aggregates once more, each row from all facts by plain search: what the operators are held to.
//!
//! Percentiles are the nearest-rank values of the sorted times, told by the histogram's buckets.

use std::collections::BTreeSet;

use crate::views::histogram::rounded;
use watchtower_model::aggregates::{GeofenceHourly, OdDaily, VehicleDaily};
use watchtower_model::facts::{Motion, Overspeed, Presence, Spell, SpellKind, Stop, Towing, Trip};
use watchtower_model::local_time::{Day, LocalTime};
use watchtower_model::{Millis, Speed, VehicleId, Visit};

/// All facts there are.
#[derive(Clone, Debug, Default)]
pub struct PlainFacts {
    /// One for each vehicle and day.
    pub motions: Vec<Motion>,
    /// One for each move with the ignition off and day.
    pub towings: Vec<Towing>,
    /// Idlings and overspeeds as far as they are confirmed.
    pub spells: Vec<Spell>,
    /// Overspeeds, ended or not.
    pub overspeeds: Vec<Overspeed>,
    /// Stops, ended or not.
    pub stops: Vec<Stop>,
    /// Open and unconfirmed ones too.
    pub visits: Vec<Visit>,
    /// Trips, arrived or not.
    pub trips: Vec<Trip>,
    /// Cut at local hours.
    pub presences: Vec<Presence>,
}

/// `vehicle_daily`, ascending.
pub fn vehicle_daily(facts: &PlainFacts, zone: &LocalTime) -> Vec<VehicleDaily> {
    let PlainFacts { motions, towings, spells, overspeeds, stops, visits, trips, presences: _ } = facts;
    let ended: Vec<Vec<(VehicleId, Day)>> = vec![
        overspeeds.iter().filter_map(|fact| Some((fact.vehicle, zone.day(fact.ended_at?)))).collect(),
        stops.iter().filter_map(|fact| Some((fact.vehicle, zone.day(fact.ended_at?)))).collect(),
        visits.iter().filter(|v| v.confirmed).filter_map(|v| Some((v.vehicle, zone.day(v.exited_at?)))).collect(),
        trips.iter().filter_map(|fact| Some((fact.vehicle, zone.day(fact.arrival?.arrived_at)))).collect(),
    ];
    let mut keys: BTreeSet<_> = motions.iter().map(|motion| (motion.vehicle, motion.day)).collect();
    keys.extend(towings.iter().map(|towing| (towing.vehicle, towing.day)));
    keys.extend(ended.iter().flatten());
    for spell in spells.iter().filter(|spell| spell.from < spell.until) {
        keys.extend((spell.from..spell.until).step_by(60_000).map(|t| (spell.vehicle, zone.day(t))));
        keys.insert((spell.vehicle, zone.day(spell.until - 1)));
    }
    let row = |(vehicle, day): (VehicleId, Day)| {
        let motions = || motions.iter().filter(move |motion| (motion.vehicle, motion.day) == (vehicle, day));
        let spent = |kind: SpellKind| {
            let spells = spells.iter().filter(|spell| spell.vehicle == vehicle && spell.kind == kind);
            let spans: Vec<_> = zone.day_spans(day).collect();
            spells
                .flat_map(|spell| spans.iter().map(|span| spell.until.min(span.until) - spell.from.max(span.from)))
                .map(|ms| ms.max(0))
                .sum()
        };
        let count = |which: usize| ended[which].iter().filter(|key| **key == (vehicle, day)).count() as i64;
        let towed = towings.iter().filter(|towing| (towing.vehicle, towing.day) == (vehicle, day));
        let moved = || motions().filter_map(|motion| motion.moved);
        VehicleDaily {
            vehicle,
            day,
            distance_mm: motions().map(|motion| motion.distance_mm).sum(),
            gap_mm: motions().map(|motion| motion.gap_mm).sum(),
            towed_mm: towed.map(|towing| towing.distance_mm).sum(),
            moving_ms: motions().map(|motion| motion.moving_ms).sum(),
            stopped_ms: motions().map(|motion| motion.stopped_ms).sum(),
            idling_ms: spent(SpellKind::Idling),
            offline_ms: motions().map(|motion| motion.offline_ms).sum(),
            overspeed_ms: spent(SpellKind::Overspeed),
            max_speed: motions().map(|motion| motion.max_speed).max_by_key(|v| v.micro_kmh()).unwrap_or(Speed::NONE),
            positions: motions().map(|motion| motion.positions).sum(),
            overspeeds: count(0),
            stops: count(1),
            visits: count(2),
            trips: count(3),
            moved: moved().map(|(first, _)| first).min().zip(moved().map(|(_, last)| last).max()),
        }
    };
    keys.into_iter().map(row).collect()
}

/// `geofence_hourly`, ascending.
pub fn geofence_hourly(facts: &PlainFacts, zone: &LocalTime) -> Vec<GeofenceHourly> {
    let PlainFacts { visits, presences, .. } = facts;
    let hour = |t: Millis| zone.hour_span(t).from;
    let mut keys: BTreeSet<_> = presences.iter().map(|presence| (presence.geofence, hour(presence.from))).collect();
    keys.extend(visits.iter().map(|visit| (visit.geofence, hour(visit.entered_at))));
    keys.extend(visits.iter().filter_map(|visit| Some((visit.geofence, hour(visit.exited_at?)))));
    let row = |(geofence, at)| {
        let visits = || visits.iter().filter(move |visit| visit.geofence == geofence);
        let ended = || visits().filter(|visit| visit.exited_at.is_some_and(|t| hour(t) == at));
        let dwells = sorted(ended().filter_map(|visit| Some(visit.exited_at? - visit.entered_at)));
        let inside: Vec<_> = presences.iter().filter(|p| p.geofence == geofence && hour(p.from) == at).collect();
        let at_once = |t| inside.iter().filter(|p| p.from == t || (p.from < t && t < p.until)).count() as i64;
        GeofenceHourly {
            geofence,
            hour: at,
            entries: visits().filter(|visit| hour(visit.entered_at) == at).count() as i64,
            exits: dwells.len() as i64,
            confirmed_visits: ended().filter(|visit| visit.confirmed).count() as i64,
            unique_vehicles: inside.iter().map(|presence| presence.vehicle).collect::<BTreeSet<_>>().len() as i64,
            dwell_total_ms: dwells.iter().sum(),
            dwell_mean_ms: mean(&dwells),
            dwell_p50_ms: percentile(&dwells, 50),
            dwell_p95_ms: percentile(&dwells, 95),
            vehicle_ms_inside: inside.iter().map(|presence| presence.until - presence.from).sum(),
            peak_vehicles: inside.iter().map(|presence| at_once(presence.from)).max().unwrap_or(0),
        }
    };
    keys.into_iter().map(row).collect()
}

/// `od_daily`, ascending.
pub fn od_daily(facts: &PlainFacts, zone: &LocalTime) -> Vec<OdDaily> {
    let arrived = |trip: &Trip| Some((trip.origin, trip.departed_at, trip.arrival?));
    let arrived: Vec<_> = facts.trips.iter().filter_map(arrived).collect();
    let keys: BTreeSet<_> =
        arrived.iter().map(|(origin, _, end)| (*origin, end.destination, zone.day(end.arrived_at))).collect();
    let row = |(origin, destination, day)| {
        let these = arrived.iter().filter(|(from, _, end)| (*from, end.destination) == (origin, destination));
        let these: Vec<_> = these.filter(|(_, _, end)| zone.day(end.arrived_at) == day).collect();
        let durations = sorted(these.iter().map(|(_, departed_at, end)| end.arrived_at - departed_at));
        Some(OdDaily {
            origin,
            destination,
            day,
            trips: durations.len() as i64,
            duration_total_ms: durations.iter().sum(),
            duration_mean_ms: mean(&durations)?,
            duration_p50_ms: percentile(&durations, 50)?,
            duration_p95_ms: percentile(&durations, 95)?,
            distance_mm: these.iter().map(|(_, _, end)| end.measures.distance_mm).sum(),
        })
    };
    keys.into_iter().filter_map(row).collect()
}

/// The values in ascending order.
pub(crate) fn sorted(values: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values
}

/// Halves are rounded up.
pub(crate) fn mean(values: &[i64]) -> Option<i64> {
    let count = values.len() as i64;
    (count > 0).then(|| (2 * values.iter().sum::<i64>() + count).div_euclid(2 * count))
}

/// The smallest value that at least `percent` per cent of the ascending values do not exceed.
pub(crate) fn percentile(sorted: &[i64], percent: usize) -> Option<i64> {
    sorted.get((percent * sorted.len()).div_ceil(100).checked_sub(1)?).map(|value| rounded(*value))
}

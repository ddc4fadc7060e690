//! Random tracks of what fleets report: parked jitter, pairs of fixes a second apart, zeros in runs, fixes of cell
//! towers, silent tunnels, flapping ignition, wrong clocks; late, corrected and withdrawn positions among them. After
//! every epoch the facts are those of the recomputation, and some things hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use super::driver_tests::{Driver, HOUR, MINUTE, Rng, SECOND, WIRINGS};
use super::*;
use crate::naive::{self, FactSums, Tables};
use watchtower_model::facts::Motion;
use watchtower_model::geometry::Shape;
use watchtower_model::geometry::geodesic::distance_mm;
use watchtower_model::{Geofence, GeofenceId, Ignition, Mark, Outliers, Place, Position, Speed, Vehicle};

/// A quarter to midnight.
const START: Millis = 20_000 * 24 * HOUR - 15 * MINUTE;

fn track(rng: &mut Rng, episodes: usize) -> Vec<Position> {
    let (wiring, reports_speed) = (rng.pick(&WIRINGS), rng.chance(60));
    let driver =
        Driver { rng, now: START, east: 0.0, north: 0.0, wiring, runs: true, reports_speed, track: Vec::new() };
    driver.go(episodes)
}

/// Input of one epoch.
#[derive(Clone, Debug, Default)]
struct Epoch {
    positions: Vec<PositionEvent>,
    edits: Vec<GeofenceEdit>,
    vehicles: Vec<VehicleEdit>,
    now: Option<Millis>,
}

#[derive(Clone, Debug)]
struct Log {
    rules: Rules,
    epochs: Vec<Epoch>,
    /// After this epoch others go on, from what was kept.
    resumed_after: Option<usize>,
}

fn geofence(rng: &mut Rng, number: u32) -> Geofence {
    let (east, north) = (rng.between(-2, 2) as f64 * 700.0, rng.between(-2, 2) as f64 * 700.0);
    let place = Driver::place(east, north);
    let radius_m = rng.pick(&[30.0, 200.0, 600.0, 1_500.0]);
    let shape = Shape::circle([place.lon_degrees(), place.lat_degrees()], radius_m).expect("a circle");
    Geofence {
        id: (9 - number).to_string().into(),
        name: None,
        kind: rng.pick(&[None, Some("depot"), Some("terminal"), Some("terminal"), Some("client")]).map(str::to_owned),
        anchor: None,
        tags: Vec::new(),
        min_dwell_ms: rng.pick(&[0, 0, 3 * MINUTE]),
        exit_buffer_m: rng.pick(&[0.0, 50.0]),
        speed_limit: rng.pick(&[Speed::NONE, Speed::from_kmh(30.0), Speed::from_kmh(60.0), Speed::from_kmh(90.0)]),
        shape: Arc::new(shape),
    }
}

fn rules(rng: &mut Rng) -> Rules {
    let default = Rules::default();
    Rules {
        outliers: rng.pick(&[Outliers::Skip, Outliers::Skip, Outliers::Skip, Outliers::Use]),
        stop_min_ms: rng.pick(&[default.stop_min_ms, default.stop_min_ms, 0, MINUTE]),
        idle_min_ms: rng.pick(&[default.idle_min_ms, 0, 3 * MINUTE]),
        overspeed_min_ms: rng.pick(&[0, 0, 2 * MINUTE]),
        min_step_mm: rng.pick(&[default.min_step_mm, default.min_step_mm, 0, 100_000]),
        tow_min_mm: rng.pick(&[default.tow_min_mm, 0, 100_000]),
        speed_span_ms: rng.pick(&[default.speed_span_ms, default.speed_span_ms, 0, 40 * SECOND]),
        offline_count_ms: rng.pick(&[default.offline_count_ms, 2 * HOUR]),
        presence_limit_ms: rng.pick(&[default.presence_limit_ms, 20 * MINUTE]),
        ..default
    }
}

fn log(seed: u64) -> Log {
    let mut rng = Rng(seed);
    let rng = &mut rng;
    let rules = rules(rng);
    let retention_ms = rng.pick(&[None, None, Some(0), Some(5 * MINUTE), Some(HOUR), Some(10 * HOUR)]);
    let rules = Rules { retention_ms, ..rules };
    let episodes = rng.pick(&[3, 8, 8, 25]);
    let mut positions: Vec<Position> = track(rng, episodes);
    // Late, again, corrected, withdrawn, from a clock that is wrong.
    let count = positions.len();
    let mut events: Vec<(Position, bool)> = Vec::new();
    let late = rng.pick(&[0, 5, 30]);
    let mut held = Vec::new();
    for position in positions.drain(..) {
        if rng.chance(late) {
            held.push(position);
        } else {
            events.push((position, false));
        }
        if rng.chance(15) && !held.is_empty() {
            let at = rng.below(held.len());
            events.push((held.swap_remove(at), false));
        }
        if rng.chance(3) {
            let known = events[rng.below(events.len().max(1)).min(events.len().saturating_sub(1))..].first().copied();
            events.extend(known.map(|(position, _)| (position, rng.chance(50))));
        }
        if rng.chance(3) && !events.is_empty() {
            let (mut position, _) = events[rng.below(events.len())];
            position.place = Driver::place(rng.between(-500, 500) as f64, rng.between(-500, 500) as f64);
            events.push((position, false));
        }
        if rng.chance(1) {
            let by = rng.pick(&[-HOUR, HOUR, -24 * HOUR]);
            events.push((Position { ts: position.ts + by, ..position }, false));
        }
    }
    events.extend(held.into_iter().map(|position| (position, false)));
    let mut epochs = vec![Epoch::default()];
    for number in 0..rng.between(0, 4) as u32 {
        let definition = Some(Arc::new(geofence(rng, number)));
        let key = GeofenceId(number);
        epochs[0].edits.push(GeofenceEdit {
            key,
            valid_from: BEGINNING,
            effective_from: BEGINNING,
            seq: 0,
            definition,
        });
    }
    let greatest = rng.pick(&[1, 3, 10, count + 1]);
    let (mut seq, mut clock, mut newest) = (1, START, BEGINNING);
    // What is late is refused before it comes here.
    let mut rest = events.into_iter().filter(move |(position, _)| {
        let is_late = retention_ms.is_some_and(|retention_ms| position.ts < newest.saturating_sub(retention_ms));
        newest = newest.max(if is_late { newest } else { position.ts });
        !is_late
    });
    let mut rest = rest.by_ref().collect::<Vec<_>>().into_iter().peekable();
    while rest.peek().is_some() {
        let mut epoch = Epoch::default();
        for number in 0..1 + rng.below(greatest) {
            let Some((position, withdrawn)) = rest.next() else { break };
            let vehicle = VehicleId(0);
            clock = clock.max(position.ts);
            epoch.positions.push(PositionEvent { vehicle, seq: number as u32, position, withdrawn });
        }
        if rng.chance(20) {
            clock += rng.pick(&[0, MINUTE, HOUR]);
            epoch.now = Some(clock);
        }
        if rng.chance(5) {
            seq += 1;
            let number = rng.below(4) as u32;
            let t = clock - rng.pick(&[0, 5 * MINUTE, HOUR, 10 * HOUR, -MINUTE]).min(retention_ms.unwrap_or(END));
            let definition = rng.chance(80).then(|| Arc::new(geofence(rng, number)));
            epoch.edits.push(GeofenceEdit {
                key: GeofenceId(number),
                valid_from: t,
                effective_from: t,
                seq,
                definition,
            });
        }
        if rng.chance(5) {
            seq += 1;
            let t = clock - rng.pick(&[0, 5 * MINUTE, HOUR, 10 * HOUR, -MINUTE]).min(retention_ms.unwrap_or(END));
            let speed_limit = rng.pick(&[Speed::NONE, Speed::from_kmh(40.0)]);
            let offline_after_ms = rng.pick(&[None, Some(2 * HOUR), Some(10 * MINUTE)]);
            let vehicle = Vehicle { name: None, fleet: None, speed_limit, offline_after_ms, attributes: None };
            let definition = Some(Arc::new(vehicle));
            let edit = VehicleEdit { key: VehicleId(0), valid_from: t, effective_from: t, seq, definition };
            epoch.vehicles.push(edit);
        }
        epochs.push(epoch);
    }
    let resumed_after = rng.chance(50).then(|| rng.below(epochs.len()));
    Log { rules, epochs, resumed_after }
}

/// What is wrong after the first epoch after which something is.
fn check(log: &Log) -> Result<(), (usize, String)> {
    let mut timelines = Timelines::new(log.rules.clone(), 0, 1);
    let (mut facts, mut state) = (FactSums::default(), None);
    let (mut positions, mut edits, mut vehicles, mut now) = (Vec::new(), Vec::new(), Vec::new(), BEGINNING);
    for (number, epoch) in log.epochs.iter().enumerate() {
        let Epoch { positions: came, edits: edited, vehicles: told, now: said } = epoch.clone();
        positions.extend(came.iter().copied());
        edits.extend(edited.iter().cloned());
        vehicles.extend(told.iter().cloned());
        now = now.max(said.unwrap_or(BEGINNING));
        let arrivals = Arrivals {
            positions: came,
            edits: edited,
            vehicles: told,
            restored: Vec::new(),
            now: said.unwrap_or(BEGINNING),
        };
        let changes = timelines.advance(arrivals);
        facts.apply(changes.facts);
        for (_, row) in changes.states {
            state = row;
        }
        let wanted = naive::recompute(&positions, &edits, &vehicles, now, &log.rules);
        let mut what = facts.differences(&wanted);
        if state.as_ref() != wanted.vehicle_state.first() {
            let _ = writeln!(what, "state: {state:?} instead of {:?}", wanted.vehicle_state.first());
        }
        if !what.is_empty() {
            return Err((number, what));
        }
        if log.resumed_after == Some(number) {
            let snapshots: Vec<_> = timelines.snapshots().collect();
            let stored = serde_json::to_vec(&snapshots).expect("it can be stored");
            let restored = serde_json::from_slice(&stored).expect("as it was stored");
            timelines = Timelines::new(log.rules.clone(), 0, 1);
            let (edits, vehicles) = (edits.clone(), vehicles.clone());
            timelines.advance(Arrivals { positions: Vec::new(), edits, vehicles, restored, now });
        }
    }
    Ok(())
}

#[test]
fn of_what_fleets_report_some_things_always_hold() {
    for seed in 0..1_000 {
        let log = log(seed);
        let Everything { positions, edits, vehicles, now } = everything(&log);
        let broken = naive::invariants::broken(&positions, &edits, &vehicles, now, &log.rules);
        assert!(broken.is_empty(), "seed {seed}: {broken:?}");
    }
}

/// Clean but for one fix, amid good ones, to where the vehicle cannot have been.
#[test]
fn one_bad_fix_changes_nothing_but_counts() {
    let mut tried = 0;
    for seed in 0..1_000 {
        let mut rng = Rng(seed);
        let rules = Rules { outliers: Outliers::Skip, ..rules(&mut rng) };
        let clean = track(&mut rng, 6);
        let after = |number: usize| clean[number].ts - clean[number - 1].ts;
        let is_plausible = |number: usize| {
            let way_mm = distance_mm(clean[number - 1].place, clean[number].place);
            !rules.is_implausible(way_mm, after(number))
        };
        let is_clean = clean.iter().all(|position| position.mark == Mark::None)
            && (1..clean.len()).all(|number| after(number) <= 30 * MINUTE && is_plausible(number));
        let event = |position: &Position| PositionEvent {
            vehicle: VehicleId(0),
            seq: 0,
            position: *position,
            withdrawn: false,
        };
        let good: Vec<_> = clean.iter().map(event).collect();
        let without = naive::recompute(&good, &[], &[], BEGINNING, &rules);
        // Fewer than six good ones at the beginning might be outliers, and a good fix behind.
        if !is_clean || clean.len() < 10 || !without.marks.is_empty() {
            continue;
        }
        let number = 6 + rng.below(clean.len() - 8);
        if after(number) < 2 {
            continue;
        }
        let ts = clean[number - 1].ts + rng.between(1, after(number) - 1);
        let place = Place::from_degrees(rng.pick(&[0.0, 113.9, -70.0]), rng.pick(&[0.0, 22.6]));
        let bad = Position { ts, place, ignition: Ignition::Unknown, ..clean[number - 1] };
        let mut spoilt = good.clone();
        spoilt.insert(number, event(&bad));
        let with = naive::recompute(&spoilt, &[], &[], BEGINNING, &rules);
        let same = |tables: Tables| Tables {
            marks: BTreeSet::new(),
            motions: tables.motions.iter().map(|motion| Motion { positions: 0, ..*motion }).collect(),
            vehicle_daily: BTreeSet::new(),
            ..tables
        };
        assert_eq!(with.marks.len(), 1, "seed {seed}");
        assert_eq!(same(with), same(without), "seed {seed}");
        tried += 1;
    }
    assert!(tried >= 50, "{tried} logs are clean");
}

/// Leaves out what can be left out.
fn shrink(mut log: Log, fails: impl Fn(&Log) -> bool) -> Log {
    loop {
        let before = log.epochs.iter().map(|e| e.positions.len() + e.edits.len() + e.vehicles.len() + 1).sum::<usize>();
        for number in (0..log.epochs.len()).rev() {
            let mut less = log.clone();
            less.epochs.remove(number);
            if fails(&less) {
                log = less;
                continue;
            }
            for at in (0..log.epochs[number].positions.len()).rev() {
                let mut less = log.clone();
                less.epochs[number].positions.remove(at);
                if fails(&less) {
                    log = less;
                }
            }
            for at in (0..log.epochs[number].edits.len()).rev() {
                let mut less = log.clone();
                less.epochs[number].edits.remove(at);
                if fails(&less) {
                    log = less;
                }
            }
            for at in (0..log.epochs[number].vehicles.len()).rev() {
                let mut less = log.clone();
                less.epochs[number].vehicles.remove(at);
                if fails(&less) {
                    log = less;
                }
            }
        }
        let after = log.epochs.iter().map(|e| e.positions.len() + e.edits.len() + e.vehicles.len() + 1).sum::<usize>();
        if after == before {
            return log;
        }
    }
}

fn quietly(log: &Log) -> Result<(), (usize, String)> {
    std::panic::catch_unwind(|| check(log)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err((usize::MAX, text.unwrap_or_default()))
    })
}

fn environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn facts_of_what_fleets_report_are_those_of_a_recomputation() {
    let first = environment("WATCHTOWER_SEED").unwrap_or(0);
    for seed in first..first + environment("WATCHTOWER_CASES").unwrap_or(300) {
        let log = log(seed);
        let Err((epoch, what)) = quietly(&log) else { continue };
        let small = shrink(log, |log| quietly(log).is_err());
        let (small_epoch, small_what) = quietly(&small).expect_err("it fails");
        let mut text = String::new();
        for (number, epoch) in small.epochs.iter().enumerate() {
            let _ = writeln!(text, "epoch {number}: now {:?}", epoch.now);
            for event in &epoch.positions {
                let p = event.position;
                let _ = writeln!(
                    text,
                    "  {}{} ({}) {:.6} {:.6} {:?} {:?} {:?}",
                    if event.withdrawn { "withdrawn " } else { "" },
                    p.ts - START,
                    p.ts,
                    p.place.lon_degrees(),
                    p.place.lat_degrees(),
                    p.speed.kmh(),
                    p.ignition,
                    p.mark
                );
            }
            for edit in &epoch.edits {
                let _ = writeln!(text, "  {edit:?}");
            }
            for edit in &epoch.vehicles {
                let _ = writeln!(text, "  {edit:?}");
            }
        }
        panic!(
            "seed {seed}, epoch {epoch}:\n{what}\nsmall, epoch {small_epoch}:\n{small_what}\n{:?}\n{text}",
            small.rules
        );
    }
}

/// Everything a log brings.
struct Everything {
    positions: Vec<PositionEvent>,
    edits: Vec<GeofenceEdit>,
    vehicles: Vec<VehicleEdit>,
    now: Millis,
}

fn everything(log: &Log) -> Everything {
    let (mut positions, mut edits, mut vehicles, mut now) = (Vec::new(), Vec::new(), Vec::new(), BEGINNING);
    for epoch in &log.epochs {
        positions.extend(epoch.positions.iter().copied());
        edits.extend(epoch.edits.iter().cloned());
        vehicles.extend(epoch.vehicles.iter().cloned());
        now = now.max(epoch.now.unwrap_or(BEGINNING));
    }
    Everything { positions, edits, vehicles, now }
}

fn in_the_end(log: &Log) -> Tables {
    let Everything { positions, edits, vehicles, now } = everything(log);
    naive::recompute(&positions, &edits, &vehicles, now, &log.rules)
}

#[test]
fn random_tracks_reach_what_matters() {
    let mut seen = BTreeMap::<&str, usize>::new();
    for seed in 0..3_000 {
        let log = log(seed);
        let tables = in_the_end(&log);
        let mut count = |what, times: usize| *seen.entry(what).or_default() += times;
        count("positions", log.epochs.iter().map(|epoch| epoch.positions.len()).sum());
        count("long tracks", usize::from(tables.motions.iter().map(|motion| motion.positions).sum::<i64>() > 150));
        count("outliers", tables.marks.iter().filter(|row| row.mark == Mark::Outlier).count());
        count("inaccurate", tables.marks.iter().filter(|row| row.mark == Mark::Inaccurate).count());
        count("visits", tables.visits.len());
        count("offlines", tables.offlines.len());
        count("stops", tables.stops.len());
        count("stops somewhere", tables.stops.iter().filter(|stop| stop.geofence.is_some()).count());
        count("open stops", tables.stops.iter().filter(|stop| stop.ended_at.is_none()).count());
        count("idlings", tables.idlings.len());
        count("overspeeds", tables.overspeeds.len());
        count("open overspeeds", tables.overspeeds.iter().filter(|over| over.ended_at.is_none()).count());
        count("limited", tables.overspeeds.iter().filter(|over| over.geofence.is_some()).count());
        count("moves off", tables.moves_off.len());
        count("days of moves off", tables.towings.len());
        count("gaps", tables.motions.iter().filter(|motion| motion.gap_mm > 0).count());
        count("trips", tables.trips.iter().filter(|trip| trip.arrival.is_some()).count());
        count("turnarounds", 10 * tables.turnarounds.len());
        count("days", tables.motions.len());
    }
    assert!(seen.values().all(|&count| count >= 20), "{seen:?}");
}

//! A fleet of constant size takes constant memory, however long it drives.

use watchtower_dataflows::control::Control;
use watchtower_engine::{Batch, Engine, EngineStats};
use watchtower_model::{Ignition, Millis, Rules, Speed};

use crate::support::fleet::{circle, in_fleet, position};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// 2026-01-01T00:00:00Z
const START: Millis = 1_767_225_600_000;

/// Twenty days of a position a minute. `WATCHTOWER_EPOCHS` is another number of minutes.
const EPOCHS: u64 = 28_800;

const VEHICLES: u32 = 4;

#[test]
fn a_fleet_of_constant_size_takes_constant_memory() {
    let epochs = std::env::var("WATCHTOWER_EPOCHS").map_or(EPOCHS, |epochs| epochs.parse().unwrap());
    let rules = Rules {
        retention_ms: Some(2 * HOUR),
        horizon_ms: Some(DAY),
        // Who is faster than this is an outlier: twenty hours at most until the next position tells.
        max_plausible: Speed::from_kmh(1_000.0),
        ..Rules::default()
    };
    let mut engine = Engine::start(2, rules);
    let mut greatest = [EngineStats::default(); 4];
    for epoch in 0..epochs {
        engine.submit(batch(epoch));
        engine.next().unwrap();
        let quarter = (epoch * 4 / epochs) as usize;
        greatest[quarter] = greater(&greatest[quarter], &engine.stats());
    }
    engine.finish();
    println!("{epochs} epochs: {:#?}", greatest[3]);
    for aggregate in 0..greatest[0].groups.len() {
        let groups = greatest.map(|stats| stats.groups[aggregate].groups);
        assert!(groups[0] > 0 && groups[1] == groups[3], "groups by quarter: {groups:?}");
        assert_eq!(greatest[3].groups[aggregate].late_updates, 0);
    }
    let positions = greatest.map(|stats| stats.timelines.retained_positions);
    assert!(positions[3] <= positions[0] && positions[3] < u64::from(VEHICLES) * 300, "{positions:?}");
    let records = greatest.map(|stats| stats.arrangement_records);
    assert!(records[3] <= records[0] + 100, "records by quarter: {records:?}");
}

/// By the greatest of each number.
fn greater(a: &EngineStats, b: &EngineStats) -> EngineStats {
    let mut most = *b;
    most.arrangement_records = a.arrangement_records.max(b.arrangement_records);
    most.timelines.retained_positions = a.timelines.retained_positions.max(b.timelines.retained_positions);
    for (most, a) in most.groups.iter_mut().zip(a.groups) {
        most.groups = most.groups.max(a.groups);
        most.bytes = most.bytes.max(a.bytes);
    }
    most
}

/// One minute: every vehicle goes on, from the terminal to the client and back in four hours.
fn batch(epoch: u64) -> Batch {
    let now = START + epoch as Millis * MINUTE;
    let mut batch = Batch::default();
    if epoch == 0 {
        let places = [circle(0, "terminal", 3.3, 300.0), circle(1, "client", 3.4, 300.0)];
        batch.control.extend(places.map(Control::Geofence));
        batch.control.extend((0..VEHICLES).map(|vehicle| Control::Vehicle(in_fleet(vehicle))));
    }
    for vehicle in 0..VEHICLES {
        let minute = (epoch as i64 + i64::from(vehicle) * 37) % 240;
        let way = if minute < 120 { minute } else { 240 - minute };
        let lon = 3.3 + 0.1 * ((way - 10) as f64 / 100.0).clamp(0.0, 1.0);
        let moving = (10..=110).contains(&way);
        let speed = Speed::from_kmh(if moving { 66.0 } else { 0.0 });
        batch.positions.push(position(vehicle, now, lon, speed, Ignition::On));
    }
    batch.control.push(Control::Now(now));
    batch
}

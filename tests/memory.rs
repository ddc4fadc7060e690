//! A fleet of constant size takes constant memory, however long it drives.

use std::sync::Arc;

use watchtower_dataflows::control::Control;
use watchtower_engine::{Batch, Engine, EngineStats};
use watchtower_model::geometry::Shape;
use watchtower_model::{
    BEGINNING, Edit, Geofence, GeofenceId, Heading, Ignition, Mark, Millis, Place, Position, PositionEvent, Rules,
    Speed, Vehicle, VehicleId,
};

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
        batch.control = vec![geofence(0, "terminal", 3.3), geofence(1, "client", 3.4)];
        batch.control.extend((0..VEHICLES).map(fleet));
    }
    for vehicle in 0..VEHICLES {
        let minute = (epoch as i64 + i64::from(vehicle) * 37) % 240;
        let way = if minute < 120 { minute } else { 240 - minute };
        let lon = 3.3 + 0.1 * ((way - 10) as f64 / 100.0).clamp(0.0, 1.0);
        let moving = (10..=110).contains(&way);
        let speed = Speed::from_kmh(if moving { 66.0 } else { 0.0 });
        let place = Place::from_degrees(lon, 6.5);
        let (heading, ignition) = (Heading::NONE, Ignition::On);
        let position = Position { ts: now, place, speed, heading, ignition, mark: Mark::None };
        batch.positions.push(PositionEvent { vehicle: VehicleId(vehicle), seq: 0, position, withdrawn: false });
    }
    batch.control.push(Control::Now(now));
    batch
}

fn geofence(number: u32, kind: &str, lon: f64) -> Control {
    let geofence = Geofence {
        id: kind.into(),
        name: None,
        kind: Some(kind.to_owned()),
        anchor: None,
        tags: Vec::new(),
        min_dwell_ms: 5 * MINUTE,
        exit_buffer_m: 0.0,
        speed_limit: Speed::NONE,
        shape: Arc::new(Shape::circle([lon, 6.5], 300.0).unwrap()),
    };
    Control::Geofence(edit(GeofenceId(number), geofence))
}

fn fleet(vehicle: u32) -> Control {
    let fleet = Some((vehicle % 2).to_string());
    Control::Vehicle(edit(
        VehicleId(vehicle),
        Vehicle { name: None, fleet, speed_limit: Speed::NONE, offline_after_ms: None, attributes: None },
    ))
}

fn edit<K, D>(key: K, definition: D) -> Edit<K, D> {
    Edit { key, valid_from: BEGINNING, effective_from: BEGINNING, seq: 0, definition: Some(Arc::new(definition)) }
}

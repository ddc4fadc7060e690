//! What the next position decides, however long it takes to come: rows of days that are long past, and of groups that
//! would have left memory.

use watchtower_model::{Ignition, Millis, Rules, Speed};

use crate::support::fleet::{circle, in_fleet, position};
use crate::support::harness::{Expected, check};
use crate::support::log::{Case, Event};
use crate::support::rng::Rng;
use crate::support::{cases, number};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

/// 2026-01-01T00:00:00Z
const START: Millis = 1_767_225_600_000;

const CASES: u64 = 30;

/// Groups leave memory less than two days after their end.
fn rules() -> Rules {
    Rules {
        retention_ms: Some(HOUR),
        horizon_ms: Some(3 * HOUR),
        max_plausible: Speed::from_kmh(1_000.0),
        presence_limit_ms: 6 * HOUR,
        ..Rules::default()
    }
}

fn at(vehicle: u32, ts: Millis, lon: f64, ignition: Ignition) -> Event {
    Event::Position(position(vehicle, ts, lon, Speed::NONE, ignition))
}

fn geofence(number: u32, kind: &str, lon: f64) -> Event {
    Event::Geofence(circle(number, kind, lon, 3_000.0), None)
}

fn fleet(vehicle: u32) -> Event {
    Event::Vehicle(in_fleet(vehicle))
}

/// The places that geofences are around, and one that is far from all: 800 km.
const TERMINAL: f64 = 3.3;
const CLIENT: f64 = 3.5;
const FAR: f64 = 10.7;

/// Three vehicles that drive to and fro, then jump, or not, and are silent for days, again and again.
fn silences(rng: &mut Rng) -> Vec<Vec<Event>> {
    let mut epochs =
        vec![vec![geofence(0, "terminal", TERMINAL), geofence(1, "client", CLIENT), geofence(2, "depot", FAR)]];
    epochs[0].extend((0..3).map(fleet));
    // Per vehicle: when it is heard of next, and how many positions it sends before the next silence.
    let mut next = [0, 1, 2].map(|vehicle| (START + vehicle * MINUTE, 12 + rng.below(60), TERMINAL));
    let end = START + 40 * DAY;
    let mut now = START;
    while now < end {
        let mut epoch = Vec::new();
        for (vehicle, (due, left, lon)) in (0..).zip(&mut next) {
            while *due <= now {
                let jumps = *left < 6 && rng.chance(60);
                let here = if jumps { FAR + rng.between(0, 3) as f64 * 0.001 } else { *lon };
                let ignition = *rng.pick(&[Ignition::On, Ignition::Off, Ignition::Unknown]);
                epoch.push(at(vehicle, *due, here, ignition));
                *lon = (*lon + rng.between(-30, 31) as f64 * 0.002).clamp(TERMINAL - 0.05, CLIENT + 0.05);
                *left = if *left == 0 { 8 + rng.below(40) } else { *left - 1 };
                let hop = if *left < 6 { rng.between(10_000, MINUTE) } else { rng.between(1, 15) * MINUTE };
                *due += if *left == 0 { rng.between(2, 40) * HOUR * *rng.pick(&[1, 8]) } else { hop };
            }
        }
        epoch.push(Event::Now(now));
        epochs.push(epoch);
        now += rng.between(20, 300) * MINUTE;
    }
    epochs
}

/// A vehicle that is parked with its ignition off, and is moved a little now and then for weeks.
fn creeping(rng: &mut Rng) -> Vec<Vec<Event>> {
    let mut epochs = vec![vec![geofence(0, "terminal", TERMINAL), fleet(0)]];
    let (mut lon, mut sent) = (TERMINAL, START);
    let step = rng.between(30, 200) as f64 / 110_000.0;
    for epoch in 0..150 {
        let now = START + epoch * 4 * HOUR;
        let mut events = Vec::new();
        while sent <= now {
            let ignition = if rng.chance(1) && rng.chance(20) { Ignition::On } else { Ignition::Off };
            events.push(at(0, sent, lon, ignition));
            lon += if rng.chance(1) { step } else { 0.0 };
            sent += 20 * MINUTE;
        }
        events.push(Event::Now(now));
        epochs.push(events);
    }
    epochs
}

fn hold(kind: &str, generate: impl Fn(&mut Rng) -> Vec<Vec<Event>>) {
    let first = number("WATCHTOWER_SEED").unwrap_or(0);
    for seed in first..first + cases(CASES, 10) {
        let mut rng = Rng::new(seed);
        let epochs = generate(&mut rng);
        let restarts_after = rng.chance(60).then(|| 1 + rng.below(epochs.len() - 2));
        let case = Case { rules: rules(), epochs, backwards: rng.chance(50), ahead: false, restarts_after };
        // Each recomputation reads the whole log.
        let mut wanted: Vec<usize> = (0..12).map(|_| rng.below(case.epochs.len())).collect();
        wanted.push(case.epochs.len() - 1);
        let expected: Expected = wanted.into_iter().map(|epoch| (epoch, case.expected(epoch + 1))).collect();
        for workers in [1, 3] {
            if let Err(failure) = check(&case, workers, &expected) {
                panic!("{kind}, seed {seed}, {workers} workers, epoch {}: {}", failure.epoch, failure.what);
            }
        }
    }
}

#[test]
fn the_last_positions_before_a_silence_of_weeks_may_be_outliers() {
    hold("silences", silences);
}

#[test]
fn a_move_with_the_ignition_off_may_take_weeks_to_be_far_enough() {
    hold("creeping", creeping);
}

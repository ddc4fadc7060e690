//! Tests: the map is consistent, lorries behave, and a seed determines the events.

use std::collections::{BTreeMap, BTreeSet};

use watchtower_model::Rules;

use super::geodesy::Offset;
use super::*;
use watchtower_core::admission::{Admission, Names, Stream};
use watchtower_core::events::{Fix, Limits, Reason, json};
use watchtower_core::tables::Row;
use watchtower_engine::replay::{Driver, Intake};

const BEGINS: Millis = MIDNIGHT + 5 * HOUR_MS;

/// All events of `hours` hours, in order.
fn simulate(vehicles: u32, seed: u64, begins: Millis, hours: i64) -> (Simulator, Vec<Event<'static>>) {
    let mut simulator = Simulator::new(Fleet { vehicles, seed, begins });
    let mut events = Vec::new();
    while simulator.now() < begins + hours * HOUR_MS {
        let corrections = simulator.step(&mut events);
        events.extend(corrections.into_iter().flat_map(|correction| correction.events));
    }
    (simulator, events)
}

#[test]
fn every_place_can_be_reached_from_every_other() {
    let roads = Roads::new();
    for (from, to) in roads.nodes().flat_map(|from| roads.nodes().map(move |to| (from, to))) {
        for rush in [false, true] {
            let (mut at, mut steps) = (from, 0);
            while at != to {
                let next = roads.next(at, to, rush).unwrap_or_else(|| panic!("no way from {at} to {to}"));
                (at, steps) = (next.to, steps + 1);
                assert!(steps < 80, "round in circles from {from} to {to}");
            }
        }
    }
}

#[test]
fn places_and_roads_are_around_lagos_and_not_in_the_water() {
    // The middle of the lagoon; south of the coast is the ocean.
    let lagoon = [
        (3.412, 6.465),
        (3.412, 6.535),
        (3.440, 6.575),
        (3.465, 6.540),
        (3.520, 6.560),
        (3.580, 6.500),
        (3.500, 6.460),
    ];
    let in_lagoon = |lon: f64, lat: f64| {
        let edges = lagoon.iter().zip(lagoon.iter().cycle().skip(1));
        let east = |((ax, ay), (bx, by)): &(&(f64, f64), &(f64, f64))| {
            (*ay > lat) != (*by > lat) && lon < (bx - ax) * (lat - ay) / (by - ay) + ax
        };
        edges.filter(east).count() % 2 == 1
    };
    let roads = Roads::new();
    for node in roads.nodes() {
        let spot = roads.spot(node);
        assert!((3.05..4.05).contains(&spot.lon) && (6.425..6.85).contains(&spot.lat), "{node}: {spot:?}");
        assert!(!in_lagoon(spot.lon, spot.lat), "{node} is in the lagoon: {spot:?}");
    }
    assert!(in_lagoon(3.45, 6.50), "the water is where it is");
}

fn name(node: roads::Node) -> &'static str {
    match PLACES.get(usize::from(node)) {
        Some(place) => place.id,
        None => map::JUNCTIONS[usize::from(node) - PLACES.len()].0,
    }
}

#[test]
fn whoever_drives_past_a_place_does_not_visit_it() {
    let roads = Roads::new();
    let mut visited = Vec::new();
    for (node, place) in (0..).zip(&PLACES) {
        for from in roads.nodes().filter(|from| *from != node) {
            for stretch in roads.stretches(from).iter().filter(|stretch| stretch.to != node) {
                let (a, b) = (place.middle.to(roads.spot(from)), place.middle.to(roads.spot(stretch.to)));
                let distance = Offset::default().distance_to_segment(a, b);
                let reach = place.ground.reach_m() + 60.0;
                if distance < reach && from < stretch.to {
                    let ends = [from, stretch.to].map(name);
                    visited.push(format!("{} ({reach:.0} m): {distance:.0} m, {ends:?}", place.id));
                }
            }
        }
    }
    assert!(visited.is_empty(), "roads that lead elsewhere pass through: {visited:#?}");
}

#[test]
fn the_same_seed_makes_the_same_events() {
    let told = |seed| simulate(40, seed, BEGINS, 7).1;
    let events = told(7);
    assert!(events.len() > 20_000);
    assert_eq!(events, told(7));
    assert_ne!(events.len(), told(8).len());
}

#[test]
fn a_day_later_it_is_night_and_lorries_are_in_their_depots() {
    let (simulator, _) = simulate(60, 3, BEGINS, 22);
    let parked = simulator.trucks.iter().filter(|truck| truck.is_parked()).count();
    assert!(parked > 45, "at three in the morning {parked} of 60 lorries are in a depot");
}

#[test]
fn nothing_is_refused_but_what_is_meant_to_be() {
    let (simulator, events) = simulate(84, 7, BEGINS, 12);
    let limits = Limits::default();
    let streams = [Stream::Positions { index: 0, streams: 1 }, Stream::Control];
    let mut admissions = streams.map(|stream| Admission::new(stream, limits.clone()));
    let (mut names, mut refused) = (Names::default(), BTreeMap::<Reason, u64>::new());
    for event in &events {
        let arrival = event.received_at().expect("the simulator sets the arrival");
        let mut admit = |stream: usize| {
            if let Err(rejection) = admissions[stream].admit(event, arrival, &mut names) {
                *refused.entry(rejection.reason).or_default() += 1;
            }
        };
        match event {
            Event::Position(_) => admit(0),
            Event::Geofence(_) | Event::Vehicle(_) | Event::Rule(_) => admit(1),
            Event::Clock(_) => [0, 1].map(admit).into_iter().collect(),
        }
        let read = json::encode(event);
        assert_eq!(json::decode(read.as_bytes(), &limits).as_ref(), Ok(event));
    }
    assert!(simulator.meant_to_be_refused() > 5);
    // One receiver reports 0, 0.
    let expected = [(Reason::Future, simulator.meant_to_be_refused()), (Reason::NullIsland, 1)];
    assert_eq!(refused, BTreeMap::from(expected));
}

#[test]
fn speeds_are_those_of_lorries() {
    let (_, events) = simulate(84, 11, BEGINS, 10);
    let faulty: BTreeSet<String> = (0..84).filter(|n| TrackerFault::of(*n).is_some()).map(vehicles::id).collect();
    let mut last: BTreeMap<String, (Millis, geodesy::Spot)> = BTreeMap::new();
    let (mut moving, mut fast) = (0u32, 0u32);
    for event in &events {
        let Event::Position(report) = event else { continue };
        let Fix::At(measured) = &report.fix else { continue };
        if faulty.contains(report.vehicle_id.as_ref()) || measured.attributes.is_some() {
            continue;
        }
        let kmh = measured.speed.kmh().expect("a tracker without faults reports speed");
        assert!(kmh < 110.0, "{} drives {kmh} km/h", report.vehicle_id);
        (moving, fast) = (moving + u32::from(kmh > 0.0), fast + u32::from(kmh > 60.0));
        let spot = geodesy::Spot { lon: measured.place.lon_degrees(), lat: measured.place.lat_degrees() };
        if let Some((ts, before)) = last.insert(report.vehicle_id.to_string(), (report.ts, spot))
            && report.ts > ts
        {
            let seconds = (report.ts - ts) as f64 / 1000.0;
            let metres = before.to(spot).length();
            assert!(metres < 12.0 + seconds * 110.0 / 3.6, "{} came {metres} m in {seconds} s", report.vehicle_id);
        }
    }
    assert!(fast > moving / 400 && fast < moving / 10, "{fast} of {moving} fixes on the road are above 60 km/h");
}

/// The tables after all of these events.
fn tables(events: &[Event<'static>]) -> BTreeMap<&'static str, Vec<Row>> {
    let mut intake = Intake::new(Limits::for_replay(), watchtower_model::Rules::default());
    let mut driver = Driver::start(1, Rules::default());
    for event in events {
        match intake.admit(event) {
            Ok(accepted) => driver.push(accepted),
            Err(rejection) => assert_eq!(rejection.reason, Reason::NullIsland, "{rejection:?}"),
        }
    }
    driver.finish().tables(&intake.lookup).into_iter().map(|(table, rows)| (table.name, rows)).collect()
}

#[test]
fn every_table_has_something_to_say() {
    let (_, mut events) = simulate(84, 7, BEGINS, 7);
    events.retain(|event| !matches!(event, Event::Position(report) if Some(report.ts) > report.received_at));
    let tables = tables(&events);
    for (table, least) in [
        ("visits", 300),
        ("trips", 150),
        ("turnarounds", 25),
        ("stops", 200),
        ("idlings", 30),
        ("overspeeds", 60),
        ("offlines", 2),
        ("fleet_daily", 3),
    ] {
        assert!(tables[table].len() >= least, "{table} has {} rows", tables[table].len());
    }
}

#[test]
fn a_large_fleet_costs_what_it_says() {
    let (simulator, events) = simulate(2000, 7, BEGINS + 4 * HOUR_MS, 1);
    assert_eq!(simulator.vehicles(), 2000);
    let a_second = events.len() as f64 / 3600.0 / 2000.0;
    assert!((0.02..0.08).contains(&a_second), "{a_second} events a second and lorry");
}

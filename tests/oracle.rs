//! The tables are those that PostGIS computes from the same positions and geofences:
//! `tests/oracle/*.sql`, which say in SQL what each table is.
//!
//! `WATCHTOWER_CASES` and `WATCHTOWER_SEED` are for random logs as in `properties`, a tenth as many.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use watchtower::commands::replay::{self, Options};
use watchtower_core::events::{Limits, Measured};
use watchtower_core::tables::{Lookup, Materialized, Row, positions};
use watchtower_engine::Engine;
use watchtower_inputs::Present;
use watchtower_model::{BEGINNING, Geofence, GeofenceEdit, Mark, Millis, PositionEvent, Rules, VehicleId};
use watchtower_store::csv;

use crate::support::load::{SCHEMA, database, load};
use crate::support::log::{Case, Event};
use crate::support::servers::postgres::psql;
use crate::support::shrink::shrink;
use crate::support::{cases, data_dir, generate, number, oracle};

/// Random logs, of each kind: some ten seconds of them.
const CASES: u64 = 100;

/// The longest dwell that a geofence may ask for.
const MAX_DWELL_MS: i64 = 1_000_000_000_000;

/// Replays files and writes the tables.
fn replayed(options: Options, out: &Path) {
    let (tables, _) = replay::replay(&options, &mut |_, _| {}).unwrap();
    replay::write(tables, out).unwrap();
}

fn options(rules: Rules) -> Options {
    Options {
        geofences: Vec::new(),
        positions: Vec::new(),
        events: Vec::new(),
        shuffle: None,
        workers: 2,
        limits: Limits::for_replay(),
        present: Present::At(Millis::MAX),
        reading: Default::default(),
        alert_rules: Vec::new(),
        has_rule_events: true,
        rules,
    }
}

/// Positions against the neighbourhoods of Austin, and once more against its bus stops.
fn buses_agree(positions: &str) {
    let Some(data) = data_dir() else { return };
    let url = database();
    for geofences in ["city_austin_neighbourhoods.geojson.gz", "circles_austin_bus_stops.geojson.gz"] {
        let begun = Instant::now();
        let out = tempfile::tempdir().unwrap();
        replayed(
            Options {
                positions: vec![data.join("positions").join(positions)],
                geofences: vec![data.join("geofences").join(geofences)],
                ..options(Rules::default())
            },
            out.path(),
        );
        load(&url, out.path(), newest(&out.path().join("positions.csv")));
        let loaded = begun.elapsed();
        if let Err(differences) = oracle::compare(&url, SCHEMA) {
            panic!("{positions} in {geofences}:\n{differences}");
        }
        println!("{positions} in {geofences}: loaded in {loaded:.1?}, compared in {:.1?}", begun.elapsed() - loaded);
    }
}

/// The greatest time of a table of positions.
fn newest(csv: &PathBuf) -> Millis {
    let text = std::fs::read_to_string(csv).unwrap();
    let newest = text.lines().skip(1).filter_map(|line| line.split(',').nth(1)).max().unwrap();
    newest.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

#[test]
fn tables_of_clean_buses_are_what_postgis_computes() {
    buses_agree("bus_austin_2016-11-24_27.csv.gz");
}

#[test]
fn tables_of_messy_buses_are_what_postgis_computes() {
    buses_agree("bus_austin_messy.csv.gz");
}

/// The place lies beside the border of two triangles, by less than doubles can tell: for ST_Covers it
/// is in both.
#[test]
fn a_place_beside_a_border_is_on_one_side_though_doubles_put_it_on_the_border() {
    let triangle = |id: &str, third: &str| {
        format!(
            r#"{{"type":"geofence","geofence_id":"{id}","geometry":{{"type":"Polygon","coordinates":[[[3.42,6.56],[3.82,6.86],{third},[3.42,6.56]]]}}}}"#
        )
    };
    let position = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T06:00:00Z","lon":3.66,"lat":6.74}"#;
    let log = [triangle("left", "[3.42,6.86]"), triangle("right", "[3.82,6.56]"), position.to_owned()];
    let url = loaded(&log.join("\n"));
    let found = psql(
        &url,
        &format!(
            "SELECT geofence_id, ST_Covers(geometry, ST_SetSRID(ST_MakePoint(3.66, 6.74), 4326)), entered_at IS NOT NULL
             FROM {SCHEMA}.geofences LEFT JOIN {SCHEMA}.visits USING (geofence_id) ORDER BY geofence_id"
        ),
    );
    assert_eq!(found, "left|t|f\nright|t|t");
    assert_eq!(oracle::compare(&url, SCHEMA), Ok(()));
}

#[test]
fn what_is_wrong_is_told() {
    let log = r#"{"type":"geofence","geofence_id":"yard","geometry":{"type":"Point","coordinates":[3.36,6.44]},"radius_m":150}
                 {"type":"position","vehicle_id":"T1","ts":"2026-11-23T06:00:00Z","lon":3.36,"lat":6.44}"#;
    for (wrong, told) in [
        ("DELETE FROM visits", r#"visits: missing (1 of them): (T1,yard,"2026-11-23 06:00:00+00",,t)"#),
        ("UPDATE geofence_occupancy SET vehicles = 2", "geofence_occupancy: unexpected (1 of them): (yard,2)"),
        ("UPDATE vehicle_state SET geofence_ids = '{}'", "vehicle_state: missing (1 of them): (T1,"),
        ("UPDATE geofences SET effective_until = effective_from", "geofences: a row breaks a rule (1 of them): (yard,"),
        ("UPDATE positions_log SET lon = 3.4755 + 1e-15", "(T1,\"2026-11-23 06:00:00+00\",1,0,\"it is rounded"),
        ("UPDATE pipeline SET now = now + interval '31 minutes'", "offlines: missing (1 of them): (T1,"),
        ("INSERT INTO table_progress VALUES ('vehicle_state', 0, 7)", "vehicle_state is as of commit 7, not 0"),
    ] {
        let differences = after(log, wrong).unwrap_err();
        assert!(differences.contains(told), "after {wrong}:\n{differences}");
    }
}

/// A trip of 1.1 km at more than 60 km/h.
#[test]
fn measures_may_be_off_by_a_little() {
    let log = r#"{"type":"geofence","geofence_id":"a","kind":"depot","geometry":{"type":"Point","coordinates":[3.36,6.44]},"radius_m":150}
                 {"type":"geofence","geofence_id":"b","kind":"depot","geometry":{"type":"Point","coordinates":[3.38,6.44]},"radius_m":150}
                 {"type":"position","vehicle_id":"T1","ts":"2026-11-23T06:00:00Z","lon":3.36,"lat":6.44}
                 {"type":"position","vehicle_id":"T1","ts":"2026-11-23T06:02:00Z","lon":3.37,"lat":6.44,"speed_kmh":80}
                 {"type":"position","vehicle_id":"T1","ts":"2026-11-23T06:04:00Z","lon":3.38,"lat":6.44}"#;
    for right in [
        "UPDATE trips SET distance_m = distance_m + 0.001",
        "UPDATE vehicle_daily SET distance_m = distance_m - 0.003",
        "UPDATE od_daily SET duration_p50_s = duration_p50_s * 1.003",
    ] {
        assert_eq!(after(log, right), Ok(()), "after {right}");
    }
    for (wrong, told) in [
        ("UPDATE trips SET distance_m = distance_m + 0.01", "trips: distance_m is wrong (1 of them): (T1,"),
        ("UPDATE trips SET distance_m = NULL", "trips: distance_m is wrong (1 of them): (T1,"),
        ("UPDATE trips SET moving_s = moving_s + 0.001", "trips: missing (1 of them): (T1,"),
        ("UPDATE overspeeds SET max_speed_kmh = 80.000001", "overspeeds: max_speed_kmh is wrong (1 of them): (T1,"),
        ("DELETE FROM overspeeds", "overspeeds: missing (1 of them): (T1,"),
        ("UPDATE vehicle_daily SET day = day + 1", "vehicle_daily: unexpected (1 of them): (T1,2026-11-24,"),
        ("UPDATE od_daily SET duration_p95_s = 118", "od_daily: duration_p95_s is wrong (1 of them): (a,b,"),
    ] {
        let differences = after(log, wrong).unwrap_err();
        assert!(differences.contains(told), "after {wrong}:\n{differences}");
    }
}

/// What is told of the tables of a log, which are right, once they have been changed.
fn after(log: &str, change: &str) -> Result<(), String> {
    let url = loaded(log);
    assert_eq!(oracle::compare(&url, SCHEMA), Ok(()));
    psql(&url, &format!("SET search_path = {SCHEMA}, public; {change}"));
    oracle::compare(&url, SCHEMA)
}

/// A new database with the tables of a log, replayed.
fn loaded(log: &str) -> String {
    let out = tempfile::tempdir().unwrap();
    let events = out.path().join("events.ndjson");
    std::fs::write(&events, log).unwrap();
    replayed(Options { events: vec![events], ..options(Rules::default()) }, out.path());
    let url = database();
    load(&url, out.path(), newest(&out.path().join("positions.csv")));
    url
}

/// The log as NDJSON through a replay: edits hold from when they want to, and the time of the log is
/// the greatest clock or position, withdrawals aside.
fn replayed_case(case: &Case, out: &Path) -> Millis {
    let events = out.join("events.ndjson");
    let text = case.to_string();
    std::fs::write(&events, text.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect::<String>())
        .unwrap();
    replayed(Options { events: vec![events], ..options(case.rules.clone()) }, out);
    let instants = case.events().filter_map(|event| match event {
        Event::Position(event) => (!event.withdrawn).then_some(event.position.ts),
        Event::Now(now) => Some(*now),
        Event::Geofence(..) | Event::Vehicle(_) | Event::Rule(_) => None,
    });
    instants.max().unwrap_or(BEGINNING)
}

/// The log through the engine: edits may come into force later than they want to, and the time of the
/// log is its clock's, which positions may be ahead of.
fn computed_case(case: &Case, out: &Path) -> Millis {
    let mut case = case.clone();
    let (mut now, mut lookup, mut latest) = (BEGINNING, Lookup::default(), BTreeMap::new());
    for number in 0..11_usize {
        lookup.names.intern_vehicle(&number.to_string());
        lookup.names.intern_geofence(&generate::geofence_id(number));
        lookup.names.intern_rule(&generate::rule_id(number));
    }
    for event in case.epochs.iter_mut().flatten() {
        match event {
            Event::Position(event) => drop(latest.insert((event.vehicle, event.position.ts), *event)),
            Event::Geofence(edit, _) => {
                limit_dwell(edit);
                lookup.remember_geofence(edit);
            }
            Event::Vehicle(edit) => lookup.remember_vehicle(edit),
            Event::Rule(edit) => lookup.remember_rule(edit),
            Event::Now(t) => now = now.max(*t),
        }
    }
    let mut engine = Engine::start(2, case.rules.clone());
    let mut tables = Materialized::default();
    for epoch in 0..case.epochs.len() {
        engine.submit(case.batch(epoch));
        tables.apply(engine.next().unwrap().1.deltas);
    }
    engine.finish();
    let marks: BTreeMap<_, _> = tables.marks().map(|row| ((row.vehicle, row.ts), row.mark)).collect();
    let mut tables = tables.tables(&lookup);
    let left = latest.values().filter(|event| !event.withdrawn);
    tables.push((&positions::TABLE, left.map(|event| position(event, &marks, &lookup)).collect()));
    for (table, rows) in tables {
        csv::write(out, table, rows).unwrap();
    }
    now
}

/// "Never confirmed" is the longest dwell that can be written down.
fn limit_dwell(edit: &mut GeofenceEdit) {
    let limit = |geofence: &Geofence| {
        Geofence { min_dwell_ms: geofence.min_dwell_ms.min(MAX_DWELL_MS), ..geofence.clone() }.into()
    };
    edit.definition = edit.definition.as_deref().map(limit);
}

fn position(event: &PositionEvent, marks: &BTreeMap<(VehicleId, Millis), Mark>, lookup: &Lookup) -> Row {
    let at = event.position;
    let measured = Measured {
        place: at.place,
        speed: at.speed,
        heading: at.heading,
        accuracy_m: (at.mark == Mark::Inaccurate).then_some(5_000.0),
        altitude_m: None,
        ignition: at.ignition.is_on(),
        attributes: None,
    };
    let mark = marks.get(&(event.vehicle, at.ts)).copied().unwrap_or_default();
    positions::cells(event.vehicle, at.ts, &measured, mark, lookup)
}

/// A way from a log to a folder of tables, and what the log's own time is then.
type Route = fn(&Case, &Path) -> Millis;

fn differences(case: &Case, route: Route, url: &str) -> Option<String> {
    let out = tempfile::tempdir().unwrap();
    let now = route(case, out.path());
    load(url, out.path(), now);
    oracle::compare_under(&case.rules, url, SCHEMA).err()
}

fn random_logs_agree(kind: &str, generate: fn(u64) -> Case, route: Route) {
    let first = number("WATCHTOWER_SEED").unwrap_or(0);
    let cases = cases(CASES, 10);
    let url = database();
    for seed in first..first + cases {
        let case = generate(seed);
        let Some(found) = differences(&case, route, &url) else { continue };
        let small = shrink(case, |case| differences(case, route, &url).is_some());
        let found_small = differences(&small, route, &url).unwrap_or_default();
        panic!("{kind}, seed {seed}:\n{found}\n\nin this log, {kind}, too:\n{found_small}\n\n{small}");
    }
}

#[test]
fn tables_of_replayed_random_logs_are_what_postgis_computes() {
    random_logs_agree("replayed", generate::replay, replayed_case);
}

#[test]
fn tables_of_random_logs_with_a_clock_are_what_postgis_computes() {
    random_logs_agree("computed", generate::live, computed_case);
}

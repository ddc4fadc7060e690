//! Visits, versions, occupancy, offlines, and where vehicles are.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use watchtower_model::{BEGINNING, END, Edit, InForce, Membership, Occupancy, Offline, Status, Vehicle};

fn edit(valid_from: Millis, effective_from: Millis, seq: u64, definition: Option<Geofence>) -> GeofenceEdit {
    Edit { key: G, valid_from, effective_from, seq, definition: definition.map(Arc::new) }
}

fn since_ever(definition: Geofence) -> GeofenceEdit {
    edit(BEGINNING, BEGINNING, 0, Some(definition))
}

fn rules() -> Rules {
    Rules { offline_after_ms: 1_000, speed_span_ms: 0, ..plain() }
}

fn tables(positions: &[PositionEvent], geofences: &[GeofenceEdit], now: Millis) -> Tables {
    recompute(positions, geofences, &[], now, &rules())
}

/// `(entered_at, exited_at, confirmed)` of each visit.
fn visits_of(tables: &Tables) -> Vec<(Millis, Option<Millis>, bool)> {
    tables.visits.iter().map(|visit| (visit.entered_at, visit.exited_at, visit.confirmed)).collect()
}

#[test]
fn a_visit_lasts_until_the_first_position_outside() {
    let track = [at(0, -1.0), at(10, 0.0), at(20, 0.5), at(30, 1.5), at(40, 1.0)];
    let tables = tables(&track, &[since_ever(square(0.0))], BEGINNING);
    assert_eq!(visits_of(&tables), [(10, Some(30), true), (40, None, false)], "the border is inside");
    assert_eq!(tables.membership, BTreeSet::from([Membership { vehicle: V, geofence: G, entered_at: 40 }]));
    assert_eq!(tables.occupancy, BTreeSet::from([Occupancy { geofence: G, vehicles: 1 }]));
    assert_eq!(tables.vehicle_state.first().map(|state| state.inside.to_vec()), Some(vec![G]));
}

#[test]
fn of_equal_times_the_last_in_the_log_holds() {
    let geofences = [since_ever(square(0.0))];
    let late = [at(10, 0.5), at(30, 1.5), at(0, 0.5), at(20, 2.0)];
    assert_eq!(visits_of(&tables(&late, &geofences, BEGINNING)), [(0, Some(20), true)]);
    let corrected = [at(10, 0.5), at(30, 1.5), at(10, 2.0), at(30, 0.5)];
    assert_eq!(visits_of(&tables(&corrected, &geofences, BEGINNING)), [(30, None, false)]);
    let gone = [at(10, 0.5), at(30, 1.5), withdrawn(30), withdrawn(99)];
    assert_eq!(visits_of(&tables(&gone, &geofences, BEGINNING)), [(10, None, false)]);
    let back = [at(10, 0.5), withdrawn(10), at(10, 0.6)];
    assert_eq!(visits_of(&tables(&back, &geofences, BEGINNING)), [(10, None, false)]);
    let nothing = tables(&[at(10, 0.5), withdrawn(10)], &geofences, 50);
    assert_eq!(nothing.vehicle_state, BTreeSet::new());
    assert_eq!(nothing.occupancy, BTreeSet::from([Occupancy { geofence: G, vehicles: 0 }]));
}

#[test]
fn a_dwell_is_that_of_the_version_at_entry() {
    let dwell = |min_dwell_ms| Geofence { min_dwell_ms, ..square(0.0) };
    let geofences = [since_ever(dwell(20)), edit(15, 15, 1, Some(dwell(5)))];
    let track = [at(10, 0.5), at(29, 1.5), at(40, 0.5), at(45, 1.5), at(50, 0.5)];
    let confirmed = |now| visits_of(&tables(&track, &geofences, now)).iter().map(|visit| visit.2).collect::<Vec<_>>();
    assert_eq!(confirmed(BEGINNING), [false, true, false]);
    assert_eq!(confirmed(54), [false, true, false]);
    assert_eq!(confirmed(55), [false, true, true]);
    let never = [since_ever(dwell(i64::MAX))];
    assert_eq!(visits_of(&tables(&[at(10, 0.5)], &never, 1_000)), [(10, None, false)]);
    assert_eq!(visits_of(&tables(&[at(10, 0.5)], &[since_ever(dwell(0))], BEGINNING)), [(10, None, false)]);
    assert_eq!(visits_of(&tables(&[at(10, 0.5)], &[since_ever(dwell(0))], 9)), [(10, None, false)], "now is behind");
}

#[test]
fn versions_begin_and_end_visits_between_positions() {
    let track = [at(10, 0.5), at(100, 0.6)];
    let created = [edit(40, 40, 0, Some(square(0.0)))];
    assert_eq!(visits_of(&tables(&track, &created, BEGINNING)), [(40, None, false)]);
    let same_again = [since_ever(square(0.0)), edit(40, 40, 1, Some(square(0.0)))];
    assert_eq!(visits_of(&tables(&track, &same_again, BEGINNING)), [(10, None, false)]);
    let moved_and_back =
        [since_ever(square(0.0)), edit(40, 40, 1, Some(square(5.0))), edit(60, 60, 2, Some(square(0.0)))];
    assert_eq!(visits_of(&tables(&track, &moved_and_back, BEGINNING)), [(10, Some(40), true), (60, None, false)]);
    let deleted_later = [since_ever(square(0.0)), edit(150, 150, 1, None)];
    assert_eq!(visits_of(&tables(&track, &deleted_later, 149)), [(10, None, true)]);
    assert_eq!(visits_of(&tables(&track, &deleted_later, 150)), [(10, Some(150), true)], "now has reached it");
    let ahead_of_now = tables(&[at(200, 0.5)], &deleted_later, 20);
    assert_eq!(visits_of(&ahead_of_now), [], "a position of the vehicle has reached it");
}

#[test]
fn the_buffer_keeps_in_but_does_not_let_in() {
    // 0.001 degrees of longitude are 111 m here.
    let buffered = |exit_buffer_m| Geofence { exit_buffer_m, ..square(0.0) };
    let geofences = [since_ever(buffered(150.0))];
    let track = [at(0, 1.001), at(10, 1.0), at(20, 1.001), at(30, 1.002), at(40, 1.001)];
    assert_eq!(visits_of(&tables(&track, &geofences, BEGINNING)), [(10, Some(30), true)]);
    let narrowed = [since_ever(buffered(150.0)), edit(25, 25, 1, Some(buffered(50.0)))];
    assert_eq!(visits_of(&tables(&track, &narrowed, BEGINNING)), [(10, Some(25), true)]);
    let none = [since_ever(square(0.0))];
    assert_eq!(visits_of(&tables(&track, &none, BEGINNING)), [(10, Some(20), true)]);
}

#[test]
fn in_force_is_the_greatest_valid_from_that_is_effective() {
    let row = |effective_from, effective_until, valid_from, seq| InForce {
        key: G,
        effective_from,
        effective_until,
        valid_from,
        seq,
    };
    let square = || Some(square(0.0));
    let rows = |edits: &[GeofenceEdit]| tables(&[], edits, 0).geofences.into_iter().collect::<Vec<_>>();
    assert_eq!(rows(&[edit(5, 5, 0, square()), edit(9, 9, 1, None)]), [row(5, 9, 5, 0)]);
    assert_eq!(rows(&[edit(5, 5, 0, square()), edit(5, 5, 1, square())]), [row(5, END, 5, 1)], "replaced");
    assert_eq!(
        rows(&[edit(5, 5, 0, square()), edit(5, 8, 1, square())]),
        [row(5, 8, 5, 0), row(8, END, 5, 1)],
        "raised: until then what it replaces stays"
    );
    assert_eq!(
        rows(&[edit(7, 7, 0, square()), edit(3, 9, 1, square())]),
        [row(7, END, 7, 0)],
        "raised past its successor"
    );
    assert_eq!(
        rows(&[edit(7, 20, 0, square()), edit(9, 12, 1, None), edit(3, 3, 2, square())]),
        [row(3, 12, 3, 2)],
        "back-dated, then deleted before the one between could hold"
    );
}

#[test]
fn occupancy_has_a_row_while_a_version_is_in_force() {
    let geofences = [edit(10, 10, 0, Some(square(0.0))), edit(20, 20, 1, None)];
    let rows = |positions: &[PositionEvent], now| {
        tables(positions, &geofences, now).occupancy.into_iter().map(|row| row.vehicles).collect::<Vec<_>>()
    };
    assert!(rows(&[], BEGINNING).is_empty());
    assert!(rows(&[], 9).is_empty());
    assert_eq!(rows(&[], 10), [0]);
    assert!(rows(&[], 20).is_empty());
    assert_eq!(rows(&[at(15, 0.5)], 5), [1], "inside ahead of now");
    assert_eq!(rows(&[at(15, 0.5)], 15), [1]);
    assert!(rows(&[at(15, 0.5)], 20).is_empty());
}

#[test]
fn an_offline_is_longer_than_the_rule() {
    let track = [at(0, 5.0), at(1_000, 5.0), at(2_001, 5.0)];
    let gap = Offline { vehicle: V, started_at: 1_000, ended_at: Some(2_001) };
    let silence = Offline { vehicle: V, started_at: 2_001, ended_at: None };
    assert_eq!(tables(&track, &[], BEGINNING).offlines, BTreeSet::from([gap]));
    assert_eq!(tables(&track, &[], 3_001).offlines, BTreeSet::from([gap]));
    let silent = tables(&track, &[], 3_002);
    assert_eq!(silent.offlines, BTreeSet::from([gap, silence]));
    assert_eq!(silent.vehicle_state.first().map(|state| state.status), Some(Status::Offline));
}

#[test]
fn status_is_told_by_the_best_known_speed() {
    let status = |track: &[PositionEvent]| {
        tables(track, &[], BEGINNING).vehicle_state.first().map(|state| state.status).expect("one vehicle")
    };
    assert_eq!(status(&[reported(0, 0.0, 5.0)]), Status::Moving);
    assert_eq!(status(&[reported(0, 0.0, 4.9)]), Status::Stopped);
    assert_eq!(status(&[at(0, 0.0)]), Status::Stopped, "cannot be told");
    // 0.0001 degrees are 11 m: 40 km/h in a second, 400 in a tenth of one.
    assert_eq!(status(&[at(0, 0.0), at(1_000, 0.0001)]), Status::Moving);
    assert_eq!(status(&[at(0, 0.0), reported(1_000, 0.0001, 0.0)]), Status::Stopped);
    assert_eq!(status(&[at(0, 0.0), reported(1_000, 0.0001, 251.0)]), Status::Moving, "a fault of the receiver");
    assert_eq!(status(&[at(0, 0.0), at(100, 0.0001)]), Status::Stopped, "the mean is implausible too");
    assert_eq!(status(&[at(0, 0.0), at(1_001, 0.0001)]), Status::Stopped, "across an offline");
    assert_eq!(status(&[at(0, 0.0), at(1_000, 0.0)]), Status::Stopped);
}

#[test]
fn vehicles_have_versions_too() {
    let speed_limit = Speed::NONE;
    let vehicle = Vehicle { name: None, fleet: None, speed_limit, offline_after_ms: None, attributes: None };
    let edit = |valid_from, seq, definition| Edit { key: V, valid_from, effective_from: valid_from, seq, definition };
    let edits = [edit(5, 0, Some(Arc::new(vehicle))), edit(8, 1, None)];
    let rows = recompute(&[], &[], &edits, BEGINNING, &rules()).vehicles;
    let row = InForce { key: V, effective_from: 5, effective_until: 8, valid_from: 5, seq: 0 };
    assert_eq!(rows, BTreeSet::from([row]));
}

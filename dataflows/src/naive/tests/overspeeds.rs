//! Overspeeds of written situations.

use std::sync::Arc;

use super::*;
use watchtower_model::facts::Overspeed;
use watchtower_model::{Vehicle, VehicleEdit};

/// `(started_at, ended_at, limit, geofence)`: minutes, km/h and number.
type Row = (i64, Option<i64>, f64, Option<u32>);

fn row(overspeed: &Overspeed) -> Row {
    assert_eq!(overspeed.measures.is_some(), overspeed.ended_at.is_some());
    (
        overspeed.started_at / MINUTE,
        overspeed.ended_at.map(|t| t / MINUTE),
        overspeed.limit.kmh().expect("a limit is known"),
        overspeed.geofence.map(|geofence| geofence.0),
    )
}

fn overspeeds(
    track: &[PositionEvent],
    geofences: &[GeofenceEdit],
    vehicles: &[VehicleEdit],
    now: Millis,
) -> Vec<Overspeed> {
    recompute(track, geofences, vehicles, now, &plain()).overspeeds.into_iter().collect()
}

fn rows(track: &[PositionEvent], geofences: &[GeofenceEdit], now: Millis) -> Vec<Row> {
    overspeeds(track, geofences, &[], now).iter().map(row).collect()
}

/// A square that lets vehicles go so fast.
fn limited(west: f64, limit: f64) -> Geofence {
    Geofence { speed_limit: kmh(limit), ..square(west) }
}

fn vehicle(from: Millis, limit: Option<f64>) -> VehicleEdit {
    let speed_limit = limit.map_or(Speed::NONE, kmh);
    let definition = Vehicle { name: None, fleet: None, speed_limit, offline_after_ms: None, attributes: None };
    Edit { key: V, valid_from: from, effective_from: from, seq: 0, definition: Some(Arc::new(definition)) }
}

#[test]
fn an_overspeed_is_above_the_limit_and_ends_where_it_is_not() {
    let track = [
        reported(0, 0.50, 60.0),
        reported(MINUTE, 0.51, 60.1),
        reported(2 * MINUTE, 0.52, 90.0),
        reported(3 * MINUTE, 0.53, 60.0),
        reported(4 * MINUTE, 0.54, 61.0),
    ];
    let found = overspeeds(&track, &[], &[], BEGINNING);
    assert_eq!(found.iter().map(row).collect::<Vec<_>>(), [(1, Some(3), 60.0, None)], "the last one lasts no time yet");
    let measures = found[0].measures.expect("it has ended");
    assert_eq!(measures.max_speed, kmh(90.0));
    assert_eq!(measures.distance_mm, way_mm(0.51, 0.52) + way_mm(0.52, 0.53), "the way to where it ended counts");
}

#[test]
fn a_speed_that_cannot_be_told_is_not_too_fast() {
    // 1 degree a minute is 6 672 km/h.
    let fast = |minute: i64, lon| reported(minute * MINUTE, lon, 70.0);
    let track = [fast(0, 0.5), at(MINUTE, 0.51), fast(2, 1.51), fast(3, 1.52)];
    assert_eq!(rows(&track, &[], BEGINNING), [(0, Some(1), 60.0, None), (2, None, 60.0, None)]);
}

#[test]
fn a_gap_ends_an_overspeed_at_its_last_position() {
    let fast = |minute: i64, lon, kmh| reported(minute * MINUTE, lon, kmh);
    let track = [fast(0, 0.5, 70.0), fast(1, 0.51, 80.0), fast(32, 0.6, 70.0), fast(33, 0.61, 75.0)];
    assert_eq!(rows(&track, &[], BEGINNING), [(0, Some(1), 60.0, None), (32, None, 60.0, None)]);
    assert_eq!(rows(&track, &[], 63 * MINUTE), [(0, Some(1), 60.0, None), (32, None, 60.0, None)]);
    let silent = overspeeds(&track, &[], &[], 63 * MINUTE + 1);
    assert_eq!(silent.iter().map(row).collect::<Vec<_>>(), [(0, Some(1), 60.0, None), (32, Some(33), 60.0, None)]);
    let speeds: Vec<Speed> = silent.iter().filter_map(|row| row.measures).map(|row| row.max_speed).collect();
    assert_eq!(speeds, [kmh(70.0), kmh(70.0)], "the end is no part");
}

#[test]
fn a_shorter_one_than_the_minimum_is_none() {
    let fast = |minute: i64, lon, kmh| reported(minute * MINUTE, lon, kmh);
    let track = [fast(0, 0.5, 70.0), fast(2, 0.52, 0.0), fast(3, 0.53, 70.0), fast(4, 0.54, 70.0)];
    let under = |overspeed_min_ms, now| {
        let rules = Rules { overspeed_min_ms, ..plain() };
        recompute(&track, &[], &[], now, &rules).overspeeds.iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(under(2 * MINUTE, 30 * MINUTE), [(0, Some(2), 60.0, None)], "the clock does not confirm the open one");
    assert_eq!(under(2 * MINUTE + 1, 20 * MINUTE), []);
    assert_eq!(under(0, 30 * MINUTE), [(0, Some(2), 60.0, None), (3, None, 60.0, None)]);
}

#[test]
fn the_lowest_limit_of_the_geofences_holds_then_the_vehicles_then_the_default() {
    let track = [reported(0, 0.5, 70.0), reported(MINUTE, 0.51, 0.0)];
    let limit = |geofences: &[GeofenceEdit], vehicles: &[VehicleEdit]| {
        let found = overspeeds(&track, geofences, vehicles, BEGINNING);
        found.iter().map(row).map(|(_, _, limit, geofence)| (limit, geofence)).collect::<Vec<_>>()
    };
    assert_eq!(limit(&[], &[vehicle(0, Some(50.0))]), [(50.0, None)]);
    assert_eq!(limit(&[], &[vehicle(0, Some(80.0))]), []);
    assert_eq!(limit(&[], &[vehicle(0, None)]), [(60.0, None)]);
    let three = [always(1, limited(0.0, 30.0)), always(2, limited(0.0, 20.0)), always(3, limited(0.0, 20.0))];
    assert_eq!(limit(&three, &[vehicle(0, Some(10.0))]), [(20.0, Some(3))], "of equal ones the smallest id");
    assert_eq!(limit(&[always(1, square(0.0))], &[vehicle(0, Some(50.0))]), [(50.0, None)], "it has no limit");
    assert_eq!(limit(&[always(1, limited(0.0, 90.0))], &[vehicle(0, Some(50.0))]), [], "it lets one go faster");
    assert_eq!(limit(&[always(1, limited(7.0, 20.0))], &[]), [(60.0, None)], "it is elsewhere");
}

#[test]
fn another_limit_or_geofence_is_another_overspeed() {
    let fast = |ts, lon| reported(ts, lon, 70.0);
    let track =
        [fast(0, 0.99), fast(MINUTE, 1.0), fast(2 * MINUTE, 1.01), fast(3 * MINUTE, 2.5), fast(4 * MINUTE, 2.51)];
    let geofences = [always(2, limited(0.0, 20.0)), always(1, limited(1.0, 20.0))];
    assert_eq!(
        rows(&track, &geofences, BEGINNING),
        [(0, Some(2), 20.0, Some(2)), (2, Some(3), 20.0, Some(1)), (3, None, 60.0, None)],
        "on the border the one with the smaller id"
    );
    let own = [vehicle(MINUTE, Some(60.0)), vehicle(2 * MINUTE, Some(65.0))];
    let track = [fast(0, 0.99), fast(MINUTE, 1.0), fast(2 * MINUTE, 1.01), fast(3 * MINUTE, 1.02)];
    let found: Vec<Row> = overspeeds(&track, &[], &own, BEGINNING).iter().map(row).collect();
    assert_eq!(found, [(0, Some(2), 60.0, None), (2, None, 65.0, None)], "whose limit it is does not matter");
}

#[test]
fn limits_change_between_positions() {
    // 11.1 km in ten minutes.
    let track = [reported(0, 0.5, 70.0), reported(10 * MINUTE, 0.6, 0.0)];
    let raised = [always(1, limited(0.0, 20.0)), version(1, 4 * MINUTE, limited(0.0, 30.0))];
    assert_eq!(
        rows(&track, &raised, BEGINNING),
        [(0, Some(4), 20.0, Some(1)), (4, Some(10), 30.0, Some(1))],
        "the visit goes on"
    );
    let lifted = [always(1, limited(0.0, 20.0)), version(1, 4 * MINUTE, limited(0.0, 90.0))];
    assert_eq!(rows(&track, &lifted, BEGINNING), [(0, Some(4), 20.0, Some(1))]);
    let imposed = [always(1, limited(0.0, 90.0)), version(1, 4 * MINUTE, limited(0.0, 20.0))];
    assert_eq!(rows(&track, &imposed, BEGINNING), [(4, Some(10), 20.0, Some(1))]);
    let fast = |minute: i64, lon| reported(minute * MINUTE, lon, 70.0);
    let in_a_gap = [fast(0, 0.5), fast(31, 0.6), fast(32, 0.61)];
    assert_eq!(rows(&in_a_gap, &raised, BEGINNING), [(31, None, 30.0, Some(1))]);
}

#[test]
fn an_open_overspeed_is_measured_up_to_the_last_position() {
    let track = [reported(0, 0.5, 70.0), reported(MINUTE, 0.51, 70.0)];
    let raised = [always(1, limited(0.0, 20.0)), version(1, 4 * MINUTE, limited(0.0, 30.0))];
    let open = [(0, None, 20.0, Some(1))];
    assert_eq!(rows(&track, &raised, 2 * MINUTE), open);
    assert_eq!(rows(&track, &raised, 4 * MINUTE), open, "what changes after it changes nothing");
    assert_eq!(rows(&track, &raised, 32 * MINUTE), [(0, Some(1), 20.0, Some(1))], "an offline follows");
    let slower = [reported(0, 0.5, 70.0), reported(MINUTE, 0.51, 20.0)];
    assert_eq!(rows(&slower, &raised, BEGINNING), [(0, Some(1), 20.0, Some(1))]);
    let elsewhere = [always(1, limited(-0.495, 20.0))];
    assert_eq!(rows(&track, &elsewhere, BEGINNING), [(0, Some(1), 20.0, Some(1))], "another limit holds there");
}

#[test]
fn nobody_is_too_fast_in_a_stop() {
    let track = [0, 1, 2, 8].map(|minute| reported(minute * MINUTE, 0.5, 70.0));
    assert_eq!(rows(&track, &[], BEGINNING), []);
}

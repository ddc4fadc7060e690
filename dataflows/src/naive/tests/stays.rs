//! Stops and idlings.

use super::*;
use watchtower_model::geometry::geodesic::distance_m;

/// `(started_at, ended_at)` of each stop, minutes.
fn stops(track: &[PositionEvent], now: Millis, rules: &Rules) -> Vec<(i64, Option<i64>)> {
    let stops = recompute(track, &[], &[], now, rules).stops;
    stops.iter().map(|stop| (stop.started_at / MINUTE, stop.ended_at.map(|t| t / MINUTE))).collect()
}

/// `(started_at, ended_at)` of each idling, minutes.
fn idlings(track: &[PositionEvent], now: Millis) -> Vec<(i64, Option<i64>)> {
    let idlings = recompute(track, &[], &[], now, &Rules::default()).idlings;
    idlings.iter().map(|idling| (idling.started_at / MINUTE, idling.ended_at.map(|t| t / MINUTE))).collect()
}

/// Positions a minute apart.
fn minutes(lons: &[f64]) -> Vec<PositionEvent> {
    (0..).zip(lons).map(|(minute, &lon)| at(minute * MINUTE, lon)).collect()
}

#[test]
fn a_stop_lasts_from_its_anchor_to_the_last_position_within() {
    let rules = Rules { stop_min_ms: 2 * MINUTE, ..Rules::default() };
    // 0.0001 degrees are 11 m.
    let near = [0.0, 0.0001, 0.0004, 0.01, 0.0, 0.0, 0.0];
    assert_eq!(stops(&minutes(&near), BEGINNING, &rules), [(0, Some(2)), (4, None)]);
    let too_short = [0.0, 0.0001, 0.01, 0.02];
    assert_eq!(stops(&minutes(&too_short), BEGINNING, &rules), []);
    let creeping = [0.0, 0.0003, 0.0006, 0.0009, 0.0012, 0.0015];
    assert_eq!(stops(&minutes(&creeping), BEGINNING, &rules), [], "each second one is an anchor");
    let back = [0.0, 0.0, 0.01, 0.0, 0.0];
    assert_eq!(stops(&minutes(&back), BEGINNING, &rules), [], "the anchor of before is forgotten");
    let outside = [0.0, 0.0, 0.0006, 0.0006, 0.0006];
    assert_eq!(stops(&minutes(&outside), BEGINNING, &rules), [(2, None)], "the first outside is an anchor");
}

#[test]
fn a_stop_takes_its_limits_in() {
    let (anchor, rim) = (at(0, 0.0).position.place, at(0, 0.0004).position.place);
    let track = [at(0, 0.0), at(5 * MINUTE, 0.0004), at(6 * MINUTE, 1.0)];
    let rules = |stop_radius_m| Rules { stop_radius_m, ..Rules::default() };
    let radius_m = distance_m(anchor, rim);
    assert_eq!(stops(&track, BEGINNING, &rules(radius_m)), [(0, Some(5))]);
    assert_eq!(stops(&track, BEGINNING, &rules(radius_m - 1e-6)), []);
    let shorter = [at(1, 0.0), at(5 * MINUTE, 0.0), at(6 * MINUTE, 1.0)];
    assert_eq!(stops(&shorter, BEGINNING, &Rules::default()), []);
    let no_minimum = Rules { stop_min_ms: 0, ..Rules::default() };
    assert_eq!(stops(&[at(0, 0.0), at(MINUTE, 1.0), at(MINUTE + 1, 1.0)], BEGINNING, &no_minimum), [(1, None)]);
}

#[test]
fn a_stop_survives_silence_and_knows_no_clock() {
    let rules = Rules::default();
    let track = [at(0, 0.0), at(100 * MINUTE, 0.0), at(101 * MINUTE, 1.0)];
    assert_eq!(stops(&track, BEGINNING, &rules), [(0, Some(100))]);
    assert_eq!(stops(&track[..1], 100 * MINUTE, &rules), [], "one position is none");
    assert_eq!(stops(&track[..2], 999 * MINUTE, &rules), [(0, None)]);
}

#[test]
fn an_outlier_ends_a_stop() {
    let rules = Rules { stop_min_ms: 2 * MINUTE, ..Rules::default() };
    assert_eq!(stops(&minutes(&[0.0, 0.0, 0.0, 0.5, 0.0]), BEGINNING, &rules), [(0, Some(2))]);
}

#[test]
fn a_stop_is_in_the_geofence_with_the_smallest_id_at_its_start() {
    let stop_in = |track: &[PositionEvent], geofences: &[GeofenceEdit]| {
        let stops = recompute(track, geofences, &[], BEGINNING, &Rules::default()).stops;
        stops.iter().map(|stop| stop.geofence.map(|geofence| geofence.0)).collect::<Vec<_>>()
    };
    let track = [at(0, 0.5), at(10 * MINUTE, 0.5)];
    assert_eq!(stop_in(&track, &[]), [None]);
    assert_eq!(stop_in(&track, &[always(1, square(0.0)), always(2, square(0.0)), always(3, square(7.0))]), [Some(2)]);
    assert_eq!(stop_in(&track, &[version(1, 1, square(0.0))]), [None], "it came later");
    let gone = [always(1, square(0.0)), version(1, 0, square(7.0))];
    assert_eq!(stop_in(&track, &gone), [None], "what happens at that instant has happened");
    // Past the border by 11 m, inside still.
    let buffered = [always(1, Geofence { exit_buffer_m: 80.0, ..square(0.0) })];
    assert_eq!(stop_in(&[at(-MINUTE, 0.9), at(0, 1.0001), at(10 * MINUTE, 1.0001)], &buffered), [Some(1)]);
    assert_eq!(stop_in(&[at(0, 1.0001), at(10 * MINUTE, 1.0001)], &buffered), [None]);
}

#[test]
fn an_idling_lasts_until_the_first_position_that_is_none() {
    let run = |ended: PositionEvent| idlings(&[running(0, 0.0), running(15 * MINUTE, 4.9), ended], BEGINNING);
    assert_eq!(run(running(20 * MINUTE, 5.0)), [(0, Some(20))], "exactly the minimum, at exactly idle_speed");
    assert_eq!(run(running(20 * MINUTE - 1, 5.0)), []);
    assert_eq!(run(reported(21 * MINUTE, 0.5, 0.0)), [(0, Some(21))], "ignition off");
    assert_eq!(run(running(21 * MINUTE, 4.0)), [(0, None)]);
    assert_eq!(run(running(19 * MINUTE, 4.0)), [], "open, but not confirmed");
    // 9 degrees in a minute cannot be; a speed that is not known is none below the limit.
    let mut unknown = running(21 * MINUTE, 300.0);
    unknown.position.place = Place::from_degrees(9.5, 0.5);
    assert_eq!(run(unknown), [(0, Some(21))]);
}

#[test]
fn an_idling_has_two_positions() {
    assert_eq!(idlings(&[running(0, 0.0), running(25 * MINUTE, 9.0)], BEGINNING), []);
    assert_eq!(idlings(&[running(0, 0.0)], 25 * MINUTE), [], "the clock confirms nothing");
    let track = [running(0, 9.0), running(MINUTE, 0.0), running(22 * MINUTE, 0.0)];
    assert_eq!(idlings(&track, 25 * MINUTE), [(1, None)]);
}

#[test]
fn a_gap_ends_an_idling_at_its_last_position() {
    let parked = [running(0, 0.0), running(20 * MINUTE, 0.0), running(51 * MINUTE, 0.0), running(80 * MINUTE, 0.0)];
    assert_eq!(idlings(&parked, BEGINNING), [(0, Some(20)), (51, None)]);
    assert_eq!(idlings(&parked, 110 * MINUTE), [(0, Some(20)), (51, None)]);
    assert_eq!(idlings(&parked, 110 * MINUTE + 1), [(0, Some(20)), (51, Some(80))], "silence to now");
    let alone = [running(0, 0.0), running(40 * MINUTE, 0.0), running(41 * MINUTE, 9.0)];
    assert_eq!(idlings(&alone, BEGINNING), [], "the silence is no part of it");
    let short = [running(0, 0.0), running(19 * MINUTE, 0.0), running(51 * MINUTE, 9.0)];
    assert_eq!(idlings(&short, BEGINNING), [], "19 minutes, whatever follows");
}

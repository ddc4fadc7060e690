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
    let idlings = recompute(track, &[], &[], now, &plain()).idlings;
    idlings.iter().map(|idling| (idling.started_at / MINUTE, idling.ended_at.map(|t| t / MINUTE))).collect()
}

/// Positions a minute apart.
fn minutes(lons: &[f64]) -> Vec<PositionEvent> {
    (0..).zip(lons).map(|(minute, &lon)| at(minute * MINUTE, lon)).collect()
}

#[test]
fn a_stop_lasts_from_its_anchor_to_the_last_position_within() {
    let rules = Rules { stop_min_ms: 2 * MINUTE, ..plain() };
    // 0.0001 degrees are 11 m.
    let near = [0.0, 0.0001, 0.0004, 0.01, 0.0, 0.0, 0.0];
    assert_eq!(stops(&minutes(&near), BEGINNING, &rules), [(0, None)], "one outside for a minute");
    let left = [0.0, 0.0001, 0.0004, 0.01, 0.01, 0.0, 0.0, 0.0];
    assert_eq!(stops(&minutes(&left), BEGINNING, &rules), [(0, Some(2)), (5, None)]);
    let too_short = [0.0, 0.0001, 0.01, 0.02];
    assert_eq!(stops(&minutes(&too_short), BEGINNING, &rules), []);
    let creeping = [0.0, 0.0003, 0.0006, 0.0009, 0.0012, 0.0015];
    assert_eq!(stops(&minutes(&creeping), BEGINNING, &rules), [], "each second one is an anchor");
    let outside = [0.0, 0.0, 0.0006, 0.0006, 0.0006];
    assert_eq!(stops(&minutes(&outside), BEGINNING, &rules), [(2, None)], "the first outside is an anchor");
}

#[test]
fn a_single_position_outside_is_a_part_if_the_next_is_back_in_two_minutes() {
    let rules = plain();
    let track = |back: Millis| [at(0, 0.0), at(6 * MINUTE, 0.0), at(7 * MINUTE, 0.01), at(back, 0.0), at(HOUR, 0.0)];
    assert_eq!(stops(&track(9 * MINUTE), BEGINNING, &rules), [(0, None)]);
    // The stop behind it begins at once behind its end, where it was: that one goes on.
    assert_eq!(stops(&track(9 * MINUTE + 1), BEGINNING, &rules), [(0, Some(6)), (9, None)]);
    let twice = [
        at(0, 0.0),
        at(6 * MINUTE, 0.0),
        at(7 * MINUTE, 0.01),
        at(8 * MINUTE, 0.01),
        at(9 * MINUTE, 0.0),
        at(HOUR, 0.0),
    ];
    assert_eq!(stops(&twice, BEGINNING, &rules), [(0, Some(6)), (9, None)]);
}

#[test]
fn a_stop_near_the_first_anchor_continues_the_one_before() {
    let rules = plain();
    // 0.0006 degrees are 67 m, 0.00089 are 99, 0.0009 are 100.2.
    let drift =
        |lon: f64| [at(0, 0.0), at(6 * MINUTE, 0.0), at(20 * MINUTE, lon), at(26 * MINUTE, lon), at(27 * MINUTE, 0.1)];
    assert_eq!(stops(&drift(0.0006), BEGINNING, &rules), [(0, Some(26))], "its anchor is right behind");
    assert_eq!(stops(&drift(0.00089), BEGINNING, &rules), [(0, Some(26))]);
    assert_eq!(stops(&drift(0.0009), BEGINNING, &rules), [(0, Some(6)), (20, Some(26))]);
    let aside = |ms: Millis| {
        [at(0, 0.0), at(6 * MINUTE, 0.0), at(7 * MINUTE, 0.01), at(6 * MINUTE + ms, 0.0006), at(30 * MINUTE, 0.0006)]
    };
    assert_eq!(stops(&aside(2 * MINUTE), BEGINNING, &rules), [(0, None)], "or at most two minutes after its end");
    assert_eq!(stops(&aside(2 * MINUTE + 1), BEGINNING, &rules), [(0, Some(6)), (8, None)]);
    // Of three, the third is measured from the first.
    let away = [
        at(0, 0.0),
        at(6 * MINUTE, 0.0),
        at(7 * MINUTE, 0.0006),
        at(13 * MINUTE, 0.0006),
        at(14 * MINUTE, 0.0012),
        at(20 * MINUTE, 0.0012),
    ];
    assert_eq!(stops(&away, BEGINNING, &rules), [(0, Some(13)), (14, None)]);
}

#[test]
fn a_stop_takes_its_limits_in() {
    let (anchor, rim) = (at(0, 0.0).position.place, at(0, 0.0004).position.place);
    let track = [at(0, 0.0), at(5 * MINUTE, 0.0004), at(6 * MINUTE, 1.0)];
    let rules = |stop_radius_m| Rules { stop_radius_m, ..plain() };
    let radius_m = distance_m(anchor, rim);
    assert_eq!(stops(&track, BEGINNING, &rules(radius_m)), [(0, Some(5))]);
    assert_eq!(stops(&track, BEGINNING, &rules(radius_m - 1e-6)), []);
    let shorter = [at(1, 0.0), at(5 * MINUTE, 0.0), at(6 * MINUTE, 1.0)];
    assert_eq!(stops(&shorter, BEGINNING, &plain()), []);
    let no_minimum = Rules { stop_min_ms: 0, ..plain() };
    assert_eq!(stops(&[at(0, 0.0), at(MINUTE, 1.0), at(MINUTE + 1, 1.0)], BEGINNING, &no_minimum), [(1, None)]);
}

#[test]
fn a_stop_survives_silence_and_knows_no_clock() {
    let rules = plain();
    let track = [at(0, 0.0), at(100 * MINUTE, 0.0), at(101 * MINUTE, 1.0)];
    assert_eq!(stops(&track, BEGINNING, &rules), [(0, Some(100))]);
    assert_eq!(stops(&track[..1], 100 * MINUTE, &rules), [], "one position is none");
    assert_eq!(stops(&track[..2], 999 * MINUTE, &rules), [(0, None)]);
}

#[test]
fn a_stop_is_where_it_was_for_the_longest_time() {
    let stop_in = |track: &[PositionEvent], geofences: &[GeofenceEdit]| {
        let stops = recompute(track, geofences, &[], BEGINNING, &plain()).stops;
        stops.iter().map(|stop| stop.geofence.map(|geofence| geofence.0)).collect::<Vec<_>>()
    };
    let track = [at(0, 0.5), at(10 * MINUTE, 0.5)];
    assert_eq!(stop_in(&track, &[]), [None]);
    assert_eq!(stop_in(&track, &[always(1, square(0.0)), always(2, square(0.0)), always(3, square(7.0))]), [Some(2)]);
    assert_eq!(stop_in(&track, &[version(1, 1, square(0.0))]), [Some(1)], "it came later");
    assert_eq!(stop_in(&track, &[version(1, 10 * MINUTE, square(0.0))]), [None], "at its end");
    let short = version(2, MINUTE, square(0.0));
    assert_eq!(stop_in(&track, &[always(1, square(0.0)), short.clone()]), [Some(1)], "nine minutes of ten");
    let anchor = Geofence { kind: Some("depot".to_owned()), ..square(0.0) };
    assert_eq!(stop_in(&track, &[always(1, square(0.0)), version(3, MINUTE, anchor)]), [Some(3)], "an anchor first");
    let twice = [always(1, square(0.0)), version(1, 4 * MINUTE, square(7.0)), version(1, 6 * MINUTE, square(0.0))];
    let between = version(2, 3 * MINUTE, square(0.0));
    assert_eq!(
        stop_in(&track, &[twice.to_vec(), vec![between]].concat()),
        [Some(1)],
        "eight minutes in sum, and seven"
    );
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
    let off = |ts| {
        let mut event = running(ts, 0.0);
        event.position.ignition = Ignition::Off;
        event
    };
    // Driving, 56 m away and more.
    let away = |ts| {
        let mut event = running(ts, 5.0);
        event.position.place = Place::from_degrees(0.5005, 0.5);
        event
    };
    assert_eq!(run(away(20 * MINUTE)), [(0, Some(20))], "exactly the minimum, at exactly idle_speed");
    assert_eq!(run(away(20 * MINUTE - 1)), []);
    assert_eq!(run(off(21 * MINUTE)), [(0, Some(21))]);
    assert_eq!(run(off(19 * MINUTE)), []);
    assert_eq!(run(reported(21 * MINUTE, 0.5, 0.0)), [(0, None)], "the ignition is what was last known");
    assert_eq!(run(running(21 * MINUTE, 4.0)), [(0, None)]);
    assert_eq!(run(running(21 * MINUTE, 9.0)), [(0, None)], "it has moved, but not away");
    assert_eq!(run(running(19 * MINUTE, 4.0)), [], "open, but not confirmed");
}

#[test]
fn a_truck_that_creeps_in_a_queue_idles() {
    // 45 m in each half a minute, 5.4 km/h, and then a minute of standing.
    let creeps = (0..20).flat_map(|i| {
        let place = |steps: i64| Place::from_degrees(0.5 + 0.0004 * steps as f64, 0.5);
        [(90 * i, i, 0.0), (90 * i + 60, i, 5.4)].map(|(second, steps, kmh)| {
            let mut event = running(second * SECOND, kmh);
            event.position.place = place(steps);
            event
        })
    });
    let track: Vec<PositionEvent> = creeps.collect();
    let rules = Rules { stop_radius_m: 50.0, stop_min_ms: HOUR, ..plain() };
    let found = recompute(&track, &[], &[], BEGINNING, &rules).idlings;
    assert_eq!(found.iter().map(|row| (row.started_at, row.ended_at)).collect::<Vec<_>>(), [(0, None)]);
}

#[test]
fn an_idling_has_two_positions() {
    let mut off = running(25 * MINUTE, 0.0);
    off.position.ignition = Ignition::Off;
    assert_eq!(idlings(&[running(0, 0.0), off], BEGINNING), []);
    assert_eq!(idlings(&[running(0, 0.0)], 25 * MINUTE), [], "the clock confirms nothing");
    let mut driving = running(0, 9.0);
    driving.position.place = Place::from_degrees(0.6, 0.5);
    let track = [driving, running(MINUTE, 0.0), running(22 * MINUTE, 0.0)];
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

#[test]
fn a_way_with_the_ignition_off_is_told_if_it_is_long_enough() {
    let moves = |track: &[PositionEvent], rules: &Rules| {
        let moves = recompute(track, &[], &[], BEGINNING, rules).moves_off;
        moves.iter().map(|row| (row.started_at / MINUTE, row.ended_at / MINUTE, row.distance_mm)).collect::<Vec<_>>()
    };
    let with = |minute: i64, lon: f64, ignition: Ignition| {
        let mut event = at(minute * MINUTE, lon);
        event.position.ignition = ignition;
        event
    };
    let (off, on, unknown) = (Ignition::Off, Ignition::On, Ignition::Unknown);
    // Parked for twenty minutes, then towed at 33 km/h.
    let towed = [
        with(0, 0.0, on),
        with(1, 0.01, off),
        with(11, 0.01, unknown),
        with(21, 0.01, unknown),
        with(23, 0.02, unknown),
        with(25, 0.03, off),
        with(27, 0.03, on),
    ];
    assert_eq!(
        moves(&towed, &plain()),
        [(21, 25, way_mm(0.01, 0.02) + way_mm(0.02, 0.03))],
        "from the end of the stop"
    );
    let exact = Rules { tow_min_mm: way_mm(0.01, 0.02) + way_mm(0.02, 0.03), ..plain() };
    assert_eq!(moves(&towed, &exact), [], "not more than the minimum");
    let mut never = towed;
    never.iter_mut().for_each(|event| event.position.ignition = unknown);
    assert_eq!(moves(&never, &plain()), [], "off must be known");
    // The leg into the first position of the run is none of it.
    let switched = [with(0, 0.0, on), with(1, 0.01, off), with(2, 0.02, off), with(3, 0.03, on)];
    assert_eq!(moves(&switched, &plain()), [(1, 2, way_mm(0.01, 0.02))]);
    let offline = [with(0, 0.0, off), with(1, 0.01, off), with(40, 0.02, unknown), with(41, 0.03, unknown)];
    assert_eq!(moves(&offline, &plain()), [(0, 1, way_mm(0.0, 0.01))], "what was known is not known after an offline");
    let days = recompute(
        &[with(24 * 60 - 2, 0.0, off), with(24 * 60 - 1, 0.01, off), with(24 * 60, 0.02, off)],
        &[],
        &[],
        BEGINNING,
        &plain(),
    );
    let towed: Vec<i64> = days.vehicle_daily.iter().map(|row| row.towed_mm).collect();
    assert_eq!(towed, [way_mm(0.0, 0.01), way_mm(0.01, 0.02)]);
}

//! Presence in geofences by local hour.

use std::sync::Arc;

use super::*;
use watchtower_model::local_time::LocalTime;

/// `(from, until)` of each presence, minutes.
fn presences(track: &[PositionEvent], geofences: &[GeofenceEdit], now: Millis, rules: &Rules) -> Vec<(i64, i64)> {
    let presences = recompute(track, geofences, &[], now, rules).presences;
    presences.iter().map(|presence| (presence.from / MINUTE, presence.until / MINUTE)).collect()
}

fn in_the_square(track: &[PositionEvent], now: Millis) -> Vec<(i64, i64)> {
    presences(track, &[always(1, square(0.0))], now, &plain())
}

#[test]
fn a_visit_is_cut_at_the_hours() {
    let track = [at(50 * MINUTE, 0.5), at(70 * MINUTE, 0.5), at(130 * MINUTE, 0.5), at(135 * MINUTE, 1.5)];
    assert_eq!(in_the_square(&track, BEGINNING), [(50, 60), (60, 120), (120, 135)], "whatever the offlines");
    let kathmandu = Arc::new(LocalTime::new("Asia/Kathmandu", 5 * HOUR + 45 * MINUTE, []));
    let rules = Rules { local_time: kathmandu, ..plain() };
    let found = presences(&track, &[always(1, square(0.0))], BEGINNING, &rules);
    assert_eq!(found, [(50, 75), (75, 135)]);
    assert_eq!(in_the_square(&[at(60 * MINUTE, 0.5), at(120 * MINUTE, 1.5)], BEGINNING), [(60, 120)]);
}

#[test]
fn an_open_one_lasts_to_the_newest_position_or_the_full_hour() {
    let track = [at(50 * MINUTE, 0.5), at(70 * MINUTE, 0.5)];
    assert_eq!(in_the_square(&track, BEGINNING), [(50, 60), (60, 70)]);
    assert_eq!(in_the_square(&track, 119 * MINUTE), [(50, 60), (60, 70)]);
    assert_eq!(in_the_square(&track, 120 * MINUTE), [(50, 60), (60, 120)]);
    assert_eq!(in_the_square(&track, 199 * MINUTE), [(50, 60), (60, 120), (120, 180)]);
}

#[test]
fn the_newest_position_is_always_present() {
    assert_eq!(in_the_square(&[at(50 * MINUTE, 0.5)], BEGINNING), [(50, 50)]);
    assert_eq!(in_the_square(&[at(50 * MINUTE, 0.5)], 59 * MINUTE), [(50, 50)]);
    assert_eq!(in_the_square(&[at(50 * MINUTE, 0.5)], 60 * MINUTE), [(50, 60)]);
    let at_the_hour = [at(50 * MINUTE, 0.5), at(60 * MINUTE, 0.5)];
    assert_eq!(in_the_square(&at_the_hour, 65 * MINUTE), [(50, 60), (60, 60)]);
    assert_eq!(in_the_square(&at_the_hour[..1], 70 * MINUTE), [(50, 60)]);
    let left = [at(50 * MINUTE, 0.5), at(55 * MINUTE, 1.5)];
    assert_eq!(in_the_square(&left, BEGINNING), [(50, 55)]);
}

#[test]
fn what_begins_after_the_newest_position_waits_for_the_full_hour() {
    let track = [at(10 * MINUTE, 0.5)];
    let created = [version(1, 40 * MINUTE, square(0.0))];
    let found = |now| presences(&track, &created, now, &plain());
    assert_eq!(found(45 * MINUTE), []);
    assert_eq!(found(60 * MINUTE), [(40, 60)]);
    let moved = [always(1, square(0.0)), version(1, 40 * MINUTE, square(5.0))];
    let found = |now| presences(&track, &moved, now, &plain());
    assert_eq!(found(39 * MINUTE), [(10, 10)]);
    assert_eq!(found(40 * MINUTE), [(10, 40)], "a visit that has ended is told to its end");
}

#[test]
fn through_silence_presence_has_a_limit() {
    let rules = Rules { presence_limit_ms: 90 * MINUTE, ..plain() };
    let square = [always(1, square(0.0))];
    let found = |track: &[PositionEvent], now| presences(track, &square, now, &rules);
    let silent = [at(0, 0.5), at(10 * MINUTE, 0.5)];
    assert_eq!(found(&silent, 999 * MINUTE), [(0, 60), (60, 100)]);
    let again = [at(0, 0.5), at(10 * MINUTE, 0.5), at(110 * MINUTE, 0.5), at(115 * MINUTE, 1.5)];
    assert_eq!(found(&again, BEGINNING), [(0, 60), (60, 100), (110, 115)]);
    assert_eq!(found(&again[..3], BEGINNING), [(0, 60), (60, 100), (110, 110)]);
    let just = [at(0, 0.5), at(90 * MINUTE, 0.5)];
    assert_eq!(found(&just, BEGINNING), [(0, 60), (60, 90)], "as long as the limit leaves nothing open");
    let left = [at(0, 0.5), at(300 * MINUTE, 1.5)];
    assert_eq!(found(&left, BEGINNING), [(0, 60), (60, 90)]);
}

#[test]
fn each_visit_is_present_by_itself() {
    let track = [at(0, 0.5), at(10 * MINUTE, 1.5), at(20 * MINUTE, 0.5), at(30 * MINUTE, 1.5)];
    assert_eq!(in_the_square(&track, BEGINNING), [(0, 10), (20, 30)]);
    let two = [always(1, square(0.0)), always(2, square(0.0))];
    assert_eq!(presences(&track, &two, BEGINNING, &plain()), [(0, 10), (20, 30), (0, 10), (20, 30)]);
}

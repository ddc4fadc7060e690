//! Speeds, outliers, steps and measures.

use super::super::path::Path;
use super::*;

fn path<'a>(events: &[PositionEvent], now: Millis, rules: &'a Rules) -> Path<'a> {
    Path { vehicle: V, positions: events.iter().map(|event| event.position).collect(), now, rules }
}

fn all<T>(path: &Path<'_>, what: impl Fn(usize) -> T) -> Vec<T> {
    (0..=path.last()).map(what).collect()
}

#[test]
fn an_outlier_has_no_speed_and_no_part_in_distance() {
    let rules = Rules::default();
    // 0.1 degrees are 11 km; 0.001 are 111 m, 40 km/h in ten seconds.
    let track = [0.0, 0.001, 0.1, 0.002, 0.003];
    let events: Vec<PositionEvent> = (0..).zip(track).map(|(i, lon)| reported(i * 10 * SECOND, lon, 33.0)).collect();
    let path = path(&events, BEGINNING, &rules);
    assert_eq!(all(&path, |i| path.is_outlier(i)), [false, false, true, false, false]);
    let known = Some(kmh(33.0));
    assert_eq!(all(&path, |i| path.speed(i)), [known, known, None, known, known], "whatever was reported");
    let step = way_mm(0.0, 0.001);
    assert_eq!(all(&path, |i| path.step_mm(i)), [0, step, 0, step, step]);
    assert!(!path.is_moving(2));
}

#[test]
fn the_first_and_the_last_are_no_outliers_nor_is_one_side_enough() {
    let rules = Rules::default();
    let far = [at(0, 0.1), at(10_000, 0.001), at(20_000, 0.002), at(30_000, 0.1)];
    let path = path(&far, BEGINNING, &rules);
    assert_eq!(all(&path, |i| path.is_outlier(i)), [false; 4]);
    let steps = [0, way_mm(0.1, 0.001), way_mm(0.001, 0.002), way_mm(0.002, 0.1)];
    assert_eq!(all(&path, |i| path.step_mm(i)), steps);
    let mean = Some(Speed::mean(steps[2], 10_000));
    assert_eq!(all(&path, |i| path.speed(i)), [None, None, mean, None], "an implausible mean is none");
}

#[test]
fn two_outliers_in_a_row_are_both_skipped() {
    let rules = Rules::default();
    let track = [at(0, 0.0), at(10_000, 0.1), at(20_000, 0.2), at(30_000, 0.001), at(40_000, 0.002)];
    let path = path(&track, BEGINNING, &rules);
    assert_eq!(all(&path, |i| path.is_outlier(i)), [false, true, true, false, false]);
    assert_eq!(all(&path, |i| path.step_mm(i)), [0, 0, 0, way_mm(0.0, 0.001), way_mm(0.001, 0.002)]);
    assert_eq!(path.speed(3), None, "the mean is since the adjacent position, outlier or not");
}

#[test]
fn limits_themselves_are_within() {
    let rules = Rules { max_plausible: Speed::mean(way_mm(0.0, 0.01), 10_000), ..Rules::default() };
    let track = [at(0, 0.0), at(10_000, 0.01), at(20_000, 0.0), reported(30_000, 0.0, 5.0), reported(40_000, 0.0, 4.9)];
    let path = path(&track, BEGINNING, &rules);
    assert!(!path.is_outlier(1));
    let mean = Some(rules.max_plausible);
    assert_eq!(all(&path, |i| path.speed(i)), [None, mean, mean, Some(kmh(5.0)), Some(kmh(4.9))]);
    assert_eq!(all(&path, |i| path.is_moving(i)), [false, true, true, true, false]);
    let slower = Rules { max_plausible: kmh(10.0), ..Rules::default() };
    assert!(super::path::path(&track, BEGINNING, &slower).is_outlier(1));
}

#[test]
fn a_gap_is_longer_than_the_rule_and_takes_step_and_mean() {
    let rules = Rules::default();
    let track = [at(0, 0.0), at(30 * MINUTE, 0.1), at(60 * MINUTE + 1, 0.2), reported(61 * MINUTE, 0.2, 300.0)];
    let path = path(&track, 91 * MINUTE, &rules);
    assert_eq!(all(&path, |i| path.is_gap(i)), [false, true, false, false]);
    assert_eq!(all(&path, |i| path.step_mm(i)), [0, way_mm(0.0, 0.1), 0, 0]);
    let mean = Some(Speed::mean(way_mm(0.0, 0.1), 30 * MINUTE));
    assert_eq!(all(&path, |i| path.speed(i)), [None, mean, None, Some(kmh(0.0))], "300 km/h is not believed");
    assert!(super::path::path(&track, 91 * MINUTE + 1, &rules).is_gap(3), "silence to now");
}

#[test]
fn no_distance_goes_round_an_outlier_that_a_gap_touches() {
    let rules = Rules::default();
    // 4 degrees are 445 km: 861 km/h in 31 minutes.
    let track = [at(0, 0.0), at(31 * MINUTE, 4.0), at(32 * MINUTE, 0.001), at(33 * MINUTE, 0.002)];
    let path = path(&track, BEGINNING, &rules);
    assert_eq!(all(&path, |i| path.is_outlier(i)), [false, true, false, false]);
    assert_eq!(all(&path, |i| path.step_mm(i)), [0, 0, 0, way_mm(0.001, 0.002)]);
}

#[test]
fn measures_are_of_the_interval() {
    let rules = Rules::default();
    let track = [
        reported(0, 0.0, 50.0),
        reported(10 * MINUTE, 0.01, 2.0),
        at(20 * MINUTE, 0.03),
        reported(60 * MINUTE, 0.05, 90.0),
        reported(70 * MINUTE, 0.06, 80.0),
    ];
    let path = path(&track, BEGINNING, &rules);
    let of = |from, until| {
        let measures = path.measures(from, until);
        (measures.distance_mm, measures.moving_ms / MINUTE, measures.stopped_ms / MINUTE, measures.max_speed)
    };
    let steps = [way_mm(0.0, 0.01), way_mm(0.01, 0.03), way_mm(0.05, 0.06)];
    let mean = Speed::mean(steps[1], 10 * MINUTE);
    assert_eq!(of(0, 70 * MINUTE), (steps.iter().sum(), 20, 10, kmh(90.0)), "the gap is neither");
    assert_eq!(of(5 * MINUTE, 10 * MINUTE), (steps[0], 5, 0, kmh(50.0)), "the step into the end is in it");
    assert_eq!(of(10 * MINUTE, 20 * MINUTE), (steps[1], 0, 10, kmh(2.0)), "that into the start is not");
    assert_eq!(of(20 * MINUTE, 21 * MINUTE), (0, 0, 0, mean), "before a gap: at its instant only");
    assert_eq!(of(21 * MINUTE, 59 * MINUTE), (0, 0, 0, Speed::NONE));
    assert_eq!(of(65 * MINUTE, 99 * MINUTE), (steps[2], 5, 0, kmh(90.0)));
    assert_eq!(of(70 * MINUTE, 99 * MINUTE), (0, 0, 0, kmh(80.0)), "the last lasts no time");
    assert_eq!(of(0, 0), (0, 0, 0, kmh(50.0)), "no time has the speed of its instant");
    assert_eq!(of(MINUTE, MINUTE), (0, 0, 0, Speed::NONE), "if it is a position's");
}

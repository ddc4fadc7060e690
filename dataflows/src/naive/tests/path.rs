//! Speeds, counted distance, gaps and measures.

use super::super::path::Path;
use super::*;

fn path<'a>(events: &[PositionEvent], rules: &'a Rules) -> Path<'a> {
    let track = events.iter().map(|event| (event.position.ts, event.position)).collect();
    Path::new(V, &track, &[], BEGINNING, rules)
}

fn speeds(events: &[PositionEvent], rules: &Rules) -> Vec<Option<Speed>> {
    let path = path(events, rules);
    (0..events.len()).map(|i| path.speed(i)).collect()
}

#[test]
fn a_reported_speed_holds_for_two_minutes() {
    let rules = plain();
    let track = |ms| [reported(0, 0.0, 50.0), reported(ms, 0.01, 70.0)];
    assert_eq!(speeds(&track(2 * MINUTE), &rules), [Some(kmh(50.0)), Some(kmh(70.0))]);
    let mean = Speed::mean(way_mm(0.0, 0.01), 2 * MINUTE + 1);
    assert_eq!(speeds(&track(2 * MINUTE + 1), &rules), [Some(mean), Some(kmh(70.0))]);
    let faulty = [reported(0, 0.0, 250.000_001), at(MINUTE, 0.01)];
    let mean = Speed::mean(way_mm(0.0, 0.01), MINUTE);
    assert_eq!(speeds(&faulty, &rules), [Some(mean); 2], "the last has that of the segment before");
    assert_eq!(speeds(&[at(0, 0.0)], &rules), [None]);
    // 0.1 degrees a minute are 668 km/h.
    assert_eq!(
        speeds(&[at(0, 0.0), at(MINUTE, 0.1), reported(2 * MINUTE, 0.1, 5.0)], &rules),
        [None, Some(kmh(0.0)), Some(kmh(5.0))]
    );
}

#[test]
fn a_mean_is_taken_over_ten_seconds_at_least() {
    let rules = plain();
    // 0.0001 degrees a second are 40 km/h.
    let track: Vec<PositionEvent> = (0..14).map(|i| at(i * SECOND, 0.0001 * i as f64)).collect();
    let found = speeds(&track, &rules);
    assert_eq!(found[..9], [None; 9], "none is old enough");
    assert_eq!(found[9], Some(Speed::mean(way_mm(0.0, 0.001), 10 * SECOND)));
    assert_eq!(found[12], Some(Speed::mean(way_mm(0.0003, 0.0013), 10 * SECOND)));
    assert_eq!(found[13], found[12]);
    let mut behind = track.clone();
    behind.iter_mut().for_each(|event| event.position.ts += HOUR);
    behind.insert(0, at(0, 1.0));
    assert_eq!(speeds(&behind, &rules)[1..10], [None; 9], "nor is what lies before an offline");
}

#[test]
fn no_speed_is_known_across_an_offline_and_none_is_had_in_a_stop() {
    let rules = plain();
    let silent = [reported(0, 0.0, 50.0), reported(31 * MINUTE, 0.1, 40.0)];
    assert_eq!(speeds(&silent, &rules), [None, Some(kmh(40.0))]);
    let parked = [reported(0, 0.0, 50.0), reported(6 * MINUTE, 0.0, 9.0), reported(60 * MINUTE, 0.0, 7.0)];
    assert_eq!(speeds(&parked, &rules), [Some(kmh(0.0)); 3]);
    let left = [&parked[..], &[reported(61 * MINUTE, 0.1, 8.0)]].concat();
    assert_eq!(speeds(&left, &rules)[2..], [Some(kmh(7.0)), Some(kmh(8.0))], "it drives off with what was reported");
}

#[test]
fn distance_is_between_counted_positions() {
    let rules = plain();
    let distance = |track: &[PositionEvent]| path(track, &rules).measures(BEGINNING, DAY).distance_mm;
    // 0.0001 degrees are 11 m: the third one is 33 m from the first.
    let creeping: Vec<PositionEvent> = (0..4).map(|i| at(i * MINUTE, 0.0001 * i as f64)).collect();
    assert_eq!(distance(&creeping), way_mm(0.0, 0.0003));
    assert_eq!(distance(&creeping[..3]), 0);
    let every = Rules { min_step_mm: 0, ..plain() };
    let steps: i64 = (0..3).map(|i| way_mm(0.0001 * f64::from(i), 0.0001 * f64::from(i + 1))).sum();
    assert_eq!(path(&creeping, &every).measures(BEGINNING, DAY).distance_mm, steps);
    // The first one of each hour is counted.
    let hour = [at(HOUR - MINUTE, 0.0), at(HOUR, 0.0001)];
    assert_eq!(distance(&hour), way_mm(0.0, 0.0001));
    // Of a stop, the anchor.
    let parked =
        [at(0, 0.0), at(MINUTE, 0.01), at(20 * MINUTE, 0.0103), at(21 * MINUTE, 0.0104), at(23 * MINUTE, 0.02)];
    assert_eq!(distance(&parked), way_mm(0.0, 0.01) + way_mm(0.01, 0.02));
    // What is too fast adds nothing, however short.
    assert_eq!(distance(&[at(0, 0.0), at(SECOND, 0.001)]), 0);
}

#[test]
fn a_gap_is_the_straight_way_across_an_offline() {
    let rules = plain();
    let measures = |track: &[PositionEvent], from, until| path(track, &rules).measures(from, until);
    let track = [at(0, 0.0), at(MINUTE, 0.01), at(41 * MINUTE, 0.3), at(42 * MINUTE, 0.31)];
    let all = measures(&track, 0, HOUR);
    assert_eq!(all.gap_mm, way_mm(0.01, 0.3));
    assert_eq!(all.distance_mm, way_mm(0.0, 0.01) + way_mm(0.3, 0.31));
    assert_eq!(measures(&track, 41 * MINUTE, HOUR).gap_mm, all.gap_mm, "it counts at its end, both ends included");
    assert_eq!(measures(&track, 0, 41 * MINUTE).gap_mm, all.gap_mm);
    assert_eq!(measures(&track, 0, 41 * MINUTE - 1).gap_mm, 0);
    assert_eq!(measures(&track, 41 * MINUTE + 1, HOUR).gap_mm, 0);
    let flown = [at(0, 0.0), at(31 * MINUTE, 5.0)];
    assert_eq!(measures(&flown, 0, HOUR).gap_mm, 0, "1 000 km/h");
    let parked = [at(0, 0.0), at(40 * MINUTE, 0.0003), at(41 * MINUTE, 0.0)];
    assert_eq!(measures(&parked, 0, HOUR).gap_mm, 0, "within a stop");
}

#[test]
fn measures_are_cut_at_the_ends_of_an_interval() {
    let rules = plain();
    let track = [
        reported(0, 0.0, 50.0),
        reported(2 * MINUTE, 0.01, 2.0),
        reported(4 * MINUTE, 0.03, 250.0),
        reported(60 * MINUTE, 0.05, 90.0),
        reported(62 * MINUTE, 0.06, 80.0),
    ];
    let path = path(&track, &rules);
    let of = |from, until| {
        let measures = path.measures(from, until);
        (measures.distance_mm, measures.moving_ms / MINUTE, measures.stopped_ms / MINUTE, measures.max_speed)
    };
    let steps = [way_mm(0.0, 0.01), way_mm(0.01, 0.03), way_mm(0.05, 0.06)];
    assert_eq!(of(0, 62 * MINUTE), (steps.iter().sum(), 4, 2, kmh(250.0)), "the offline is neither");
    assert_eq!(of(MINUTE, 2 * MINUTE), (steps[0], 1, 0, kmh(50.0)), "the leg into the end is in it");
    assert_eq!(of(2 * MINUTE, 4 * MINUTE), (steps[1], 0, 2, kmh(2.0)), "that into the start is not");
    assert_eq!(of(4 * MINUTE, 5 * MINUTE), (0, 0, 0, kmh(250.0)), "before an offline, at its position");
    assert_eq!(of(5 * MINUTE, 59 * MINUTE), (0, 0, 0, Speed::NONE));
    assert_eq!(of(61 * MINUTE, 99 * MINUTE), (steps[2], 1, 0, kmh(90.0)));
    assert_eq!(of(62 * MINUTE, 99 * MINUTE), (0, 0, 0, kmh(80.0)), "the last lasts no time");
}

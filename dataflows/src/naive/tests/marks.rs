//! Marked positions.

use super::*;

/// `(second, mark)` of each marked position.
fn marks(track: &[PositionEvent], rules: &Rules) -> Vec<(i64, Mark)> {
    let marks = recompute(track, &[], &[], BEGINNING, rules).marks;
    marks.iter().map(|row| (row.ts / SECOND, row.mark)).collect()
}

/// Which are outliers under the rules that are the default, by their seconds.
#[track_caller]
fn outliers<const N: usize>(track: &[PositionEvent], wanted: [i64; N], why: &str) {
    let found: Vec<i64> = marks(track, &Rules::default()).into_iter().map(|(second, _)| second).collect();
    assert_eq!(found, Vec::from(wanted), "{why}");
}

/// Positions ten seconds apart. 0.001 degrees are 111 m, 40 km/h in ten seconds; 0.1 are 11 km, 4 000 km/h.
fn tens(lons: &[f64]) -> Vec<PositionEvent> {
    (0..).zip(lons).map(|(i, &lon)| at(i * 10 * SECOND, lon)).collect()
}

#[test]
fn one_bad_fix_is_an_outlier_and_takes_part_in_nothing() {
    let clean = tens(&[0.0, 0.001, 0.002, 0.003, 0.004]);
    let mut spoilt = clean.clone();
    spoilt.insert(2, reported(15 * SECOND, 0.5, 33.0));
    assert_eq!(marks(&spoilt, &Rules::default()), [(15, Mark::Outlier)]);
    let geofences = [always(1, square(0.4))];
    let [with, without] =
        [&spoilt, &clean].map(|track| recompute(track, &geofences, &[], BEGINNING, &Rules::default()));
    let positions = |tables: &Tables| tables.motions.iter().map(|motion| motion.positions).sum::<i64>();
    assert_eq!(positions(&with), positions(&without) + 1, "it is counted");
    let motions =
        with.motions.iter().map(|motion| watchtower_model::facts::Motion { positions: 5, ..*motion }).collect();
    let vehicle_daily = without.vehicle_daily.clone();
    let rest = Tables { marks: without.marks.clone(), motions, vehicle_daily, ..with };
    assert_eq!(rest, without, "nothing else is different");
}

#[test]
fn it_is_used_where_outliers_are() {
    let track = tens(&[0.0, 0.001, 0.1, 0.002, 0.003]);
    outliers(&track, [20], "skipped");
    assert_eq!(marks(&track, &plain()), Vec::new());
}

#[test]
fn what_does_not_come_back_is_none() {
    outliers(&tens(&[0.0, 0.001, 0.1, 0.101, 0.102]), [], "it has gone there");
    outliers(&tens(&[0.0, 0.001, 0.1]), [], "nothing has come back yet");
}

#[test]
fn a_run_has_up_to_five_positions_and_ten_minutes() {
    // Seven before: fewer could be outliers themselves, at the beginning of a track.
    let before: Vec<f64> = (0..7).map(|i| 0.001 * f64::from(i)).collect();
    let run = |count: usize| [before.clone(), vec![0.1; count], vec![0.008, 0.009]].concat();
    outliers(&tens(&run(5)), [70, 80, 90, 100, 110], "five");
    outliers(&tens(&run(6)), [], "six");
    // 0.5 degrees in five minutes are 667 km/h.
    let minutes = |ends: i64| {
        let steps = [(0, 0.0), (1, 0.01), (5, 0.5), (5 + ends, 0.5), (10 + ends, 0.02)];
        steps.map(|(minute, lon)| at(minute * MINUTE, lon))
    };
    outliers(&minutes(10), [300, 900], "ten minutes");
    let longer: Vec<_> = minutes(10)
        .into_iter()
        .map(|mut event| {
            event.position.ts += i64::from(event.position.ts >= 15 * MINUTE);
            event
        })
        .collect();
    outliers(&longer, [], "and a millisecond");
}

#[test]
fn a_way_is_implausible_if_it_is_long_and_fast() {
    // 0.0009 degrees are 100.2 m; in a second 360 km/h.
    let hop = |lon: f64| [at(0, 0.0), at(SECOND, 0.0), at(2 * SECOND, lon), at(3 * SECOND, 0.0), at(4 * SECOND, 0.0)];
    outliers(&hop(0.000_9), [2], "100.2 m");
    outliers(&hop(0.000_89), [], "99 m are not far");
    let slow = [at(0, 0.0), at(SECOND, 0.0), at(3 * SECOND, 0.001), at(5 * SECOND, 0.0), at(6 * SECOND, 0.0)];
    outliers(&slow, [], "200 km/h");
}

#[test]
fn an_offline_leaves_a_run_implausibly_if_that_is_farther() {
    let track = |last: f64, next: f64| {
        let before = [at(0, 0.0), at(10 * SECOND, 0.001), at(20 * SECOND, last)];
        [before.to_vec(), vec![at(HOUR, next), at(HOUR + MINUTE, next)]].concat()
    };
    outliers(&track(0.5, 0.002), [20], "it is found again where it was");
    outliers(&track(0.5, 0.4), [], "it has gone on to there");
    outliers(&track(0.5, 9.0), [], "from neither it can have come there");
}

#[test]
fn at_the_beginning_what_follows_must_be_longer_and_good() {
    let good = |count: usize| (0..count).map(|i| 0.001 * i as f64).collect::<Vec<_>>();
    let track = |bad: usize, after: usize| tens(&[vec![9.0; bad], good(after)].concat());
    outliers(&track(1, 3), [0], "one bad fix, two good legs");
    outliers(&track(1, 2), [], "one leg says nothing");
    outliers(&track(5, 7), [0, 10, 20, 30, 40], "five bad fixes, six good legs");
    outliers(&track(5, 6), [], "five legs say nothing");
    // After an offline, the same.
    let mut night = track(1, 3);
    night.iter_mut().for_each(|event| event.position.ts += DAY);
    night.insert(0, at(0, 0.0));
    outliers(&night, [DAY / SECOND], "one bad fix in the morning");
    // The run of one that an offline follows is not left implausibly.
    let lone =
        [vec![at(0, 9.0)], good(4).iter().zip(0..).map(|(&lon, i)| at(HOUR + i * MINUTE, lon)).collect()].concat();
    outliers(&lone, [], "an offline follows");
}

#[test]
fn an_inaccurate_position_shows_that_the_vehicle_was_heard_of_and_its_ignition() {
    let rules = Rules::default();
    assert_eq!(rules.mark(None), Mark::None);
    assert_eq!([rules.mark(Some(1_000.0)), rules.mark(Some(1_000.5))], [Mark::None, Mark::Inaccurate]);
    assert_eq!(Rules { max_accuracy_m: 0.0, ..rules.clone() }.mark(Some(9_999.0)), Mark::None);
    let inaccurate = |event: PositionEvent| {
        let position = Position { mark: Mark::Inaccurate, ..event.position };
        PositionEvent { position, ..event }
    };
    let track = [running(0, 0.0), running(25 * MINUTE, 0.0), inaccurate(at(50 * MINUTE, 5.0)), at(75 * MINUTE, 0.5)];
    let tables = recompute(&track, &[], &[], BEGINNING, &rules);
    assert_eq!(marks(&track, &rules), [(50 * 60, Mark::Inaccurate)]);
    assert_eq!(tables.offlines.len(), 0, "it was heard of at 50 minutes");
    assert_eq!(tables.idlings.iter().map(|row| row.ended_at).collect::<Vec<_>>(), [None]);
    let mut off = track;
    off[2].position.ignition = Ignition::Off;
    let ended = recompute(&off, &[], &[], BEGINNING, &rules).idlings;
    assert_eq!(ended.iter().map(|row| row.ended_at).collect::<Vec<_>>(), [Some(50 * MINUTE)]);
    let alone = recompute(&track[2..3], &[], &[], 2 * HOUR, &rules);
    assert_eq!((alone.vehicle_state.len(), alone.offlines.len(), alone.vehicle_daily.len()), (0, 1, 1));
}

//! Motion by local day, and spells.

use std::sync::Arc;

use super::*;
use watchtower_model::facts::{Motion, SpellKind};
use watchtower_model::local_time::{Day, LocalTime};

fn motions(track: &[PositionEvent], now: Millis, local_time: LocalTime) -> Vec<Motion> {
    let rules = Rules { local_time: Arc::new(local_time), ..plain() };
    recompute(track, &[], &[], now, &rules).motions.into_iter().collect()
}

/// `(day, positions, moving, stopped, offline)` of each row, times in minutes.
fn times(motions: &[Motion]) -> Vec<(i32, i64, i64, i64, i64)> {
    let of = |m: &Motion| (m.day.0, m.positions, m.moving_ms / MINUTE, m.stopped_ms / MINUTE, m.offline_ms / MINUTE);
    motions.iter().map(of).collect()
}

#[test]
fn time_is_split_at_midnight_and_distance_is_where_it_leads() {
    let track = [
        reported(DAY - 10 * MINUTE, 0.0, 60.0),
        reported(DAY + 15 * MINUTE, 0.1, 0.0),
        reported(DAY + 20 * MINUTE, 0.2, 50.0),
    ];
    let found = motions(&track, BEGINNING, LocalTime::utc());
    assert_eq!(times(&found), [(0, 1, 10, 0, 0), (1, 2, 20, 0, 0)]);
    assert_eq!(found[0].distance_mm, 0);
    assert_eq!(found[1].distance_mm, way_mm(0.0, 0.1) + way_mm(0.1, 0.2));
    let [first, second] = [(0.0, 0.1, 25), (0.1, 0.2, 5)].map(|(a, b, n)| Speed::mean(way_mm(a, b), n * MINUTE));
    assert_eq!(found[0].max_speed, kmh(60.0), "as reported");
    assert_eq!(found[1].max_speed, first.max(second), "means, of segments of which each lasts too long");
    assert_eq!(found[0].moved, Some((DAY - 10 * MINUTE, DAY - 10 * MINUTE)));
    assert_eq!(found[1].moved, Some((DAY + 15 * MINUTE, DAY + 20 * MINUTE)), "positions of the day");
}

#[test]
fn a_day_may_have_time_and_no_position_or_the_other_way_about() {
    let track = [reported(DAY / 2, 0.0, 60.0), reported(3 * DAY, 0.1, 0.0)];
    let found = motions(&track, BEGINNING, LocalTime::utc());
    assert_eq!(times(&found), [(0, 1, 0, 0, 720), (1, 0, 0, 0, 1440), (2, 0, 0, 0, 1440), (3, 1, 0, 0, 0)]);
    let speeds: Vec<Speed> = found.iter().map(|motion| motion.max_speed).collect();
    assert_eq!(speeds, [kmh(60.0), Speed::NONE, Speed::NONE, kmh(0.0)], "in a gap no speed holds");
    assert_eq!((found[3].distance_mm, found[3].gap_mm), (0, way_mm(0.0, 0.1)));
    assert_eq!(found[3].moved, None);
}

#[test]
fn silence_is_told_by_full_hours_once_it_is_an_offline() {
    let track = [reported(DAY - 90 * MINUTE, 0.0, 0.0)];
    let at = |now| times(&motions(&track, now, LocalTime::utc()));
    let alone = [(0, 1, 0, 0, 0)];
    assert_eq!(at(BEGINNING), alone);
    assert_eq!(at(DAY - 60 * MINUTE), alone, "thirty minutes are none");
    assert_eq!(at(DAY - 60 * MINUTE + 1), [(0, 1, 0, 0, 30)], "the hour has just begun");
    assert_eq!(at(DAY - 1), [(0, 1, 0, 0, 30)]);
    assert_eq!(at(DAY), [(0, 1, 0, 0, 90)]);
    assert_eq!(at(DAY + 75 * MINUTE), [(0, 1, 0, 0, 90), (1, 0, 0, 0, 60)]);
    let within_the_hour = [reported(5 * MINUTE, 0.0, 0.0)];
    assert_eq!(times(&motions(&within_the_hour, 50 * MINUTE, LocalTime::utc())), alone);
    // Where it is half past, hours begin at half past.
    let kathmandu = LocalTime::new("Asia/Kathmandu", 5 * HOUR + 45 * MINUTE, []);
    assert_eq!(times(&motions(&within_the_hour, 50 * MINUTE, kathmandu)), [(0, 1, 0, 0, 10)]);
}

#[test]
fn days_are_local() {
    let lagos = LocalTime::new("Africa/Lagos", HOUR, []);
    let track = [reported(DAY - HOUR - MINUTE, 0.0, 9.0), reported(DAY - HOUR + MINUTE, 0.002, 9.0)];
    assert_eq!(times(&motions(&track, BEGINNING, lagos)), [(0, 1, 1, 0, 0), (1, 1, 1, 0, 0)]);
    // Clocks go back at one minute past midnight: day 1 begins, day 0 goes on for an hour, day 1 comes again.
    let st_johns = LocalTime::new("America/St_Johns", 0, [(DAY + MINUTE, -HOUR)]);
    let track = [reported(DAY - MINUTE, 0.0, 9.0), reported(DAY + 20 * MINUTE, 0.1, 9.0), at(DAY + 45 * MINUTE, 0.2)];
    assert_eq!(times(&motions(&track, BEGINNING, st_johns)), [(0, 3, 45, 0, 0), (1, 0, 1, 0, 0)]);
}

#[test]
fn of_a_long_offline_only_its_first_days_are_counted() {
    let track = [reported(DAY / 2, 0.0, 60.0), reported(99 * DAY, 0.1, 0.0)];
    let found = motions(&track, BEGINNING, LocalTime::utc());
    let offline: Vec<(i32, i64)> = found.iter().map(|m| (m.day.0, m.offline_ms / HOUR)).collect();
    assert_eq!(offline, [(0, 12), (1, 24), (2, 24), (3, 24), (4, 24), (5, 24), (6, 24), (7, 12), (99, 0)]);
    let lasts: i64 = motions(&track[..1], 500 * DAY, LocalTime::utc()).iter().map(|m| m.offline_ms).sum();
    assert_eq!(lasts, 7 * DAY, "of one that lasts, too");
    assert_eq!(found[8].day, Day(99));
}

#[test]
fn spells_last_up_to_the_newest_position() {
    let spells = |track: &[PositionEvent], now| {
        let spells = recompute(track, &[], &[], now, &plain()).spells;
        spells.iter().map(|s| (s.kind, s.from / MINUTE, s.until / MINUTE)).collect::<Vec<_>>()
    };
    let mut track = [running(0, 70.0), running(MINUTE, 0.0), running(22 * MINUTE, 0.0), running(25 * MINUTE, 0.0)];
    track[0].position.place = Place::from_degrees(0.51, 0.5);
    let (idling, overspeed) = (SpellKind::Idling, SpellKind::Overspeed);
    assert_eq!(spells(&track, 40 * MINUTE), [(idling, 1, 25), (overspeed, 0, 1)]);
    assert_eq!(spells(&track[..2], 30 * MINUTE), [(overspeed, 0, 1)]);
    assert_eq!(spells(&track[..1], BEGINNING), [], "one position lasts no time");
    assert_eq!(spells(&[running(0, 0.0), running(22 * MINUTE, 0.0)], 40 * MINUTE), [(idling, 0, 22)]);
}

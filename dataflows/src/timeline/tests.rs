//! Situations at the edges of a chunk, which random logs seldom have.

use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;

use super::chunk::CHUNK;
use super::*;
use watchtower_model::geometry::Shape;
use watchtower_model::{
    Geofence, GeofenceId, Heading, Ignition, Mark, Place, Position, Speed, Vehicle, ViewSet, Visit,
};

const MINUTE: Millis = 60_000;
const YARD: Place = Place { lon: 34_755_000, lat: 65_563_000 };
const AWAY: Place = Place { lon: 35_755_000, lat: 66_563_000 };

fn at(minute: usize, place: Place) -> PositionEvent {
    let ts = minute as Millis * MINUTE;
    let (speed, heading, ignition) = (Speed::NONE, Heading::NONE, Ignition::Unknown);
    let position = Position { ts, place, speed, heading, ignition, mark: Mark::None };
    PositionEvent { vehicle: VehicleId(0), seq: 0, position, withdrawn: false }
}

/// A circle around the yard that exists in `from..until`, in milliseconds.
fn yard(from: Millis, until: Option<Millis>) -> Vec<GeofenceEdit> {
    let shape = Shape::circle([YARD.lon_degrees(), YARD.lat_degrees()], 100.0).expect("a circle");
    let geofence = Geofence {
        id: "yard".into(),
        name: None,
        kind: None,
        anchor: None,
        tags: Vec::new(),
        min_dwell_ms: 0,
        exit_buffer_m: 0.0,
        speed_limit: Speed::NONE,
        shape: Arc::new(shape),
    };
    let edit = |valid_from, seq, definition| GeofenceEdit {
        key: GeofenceId(0),
        valid_from,
        effective_from: valid_from,
        seq,
        definition,
    };
    let created = edit(from, 0, Some(Arc::new(geofence)));
    [created].into_iter().chain(until.map(|until| edit(until, 1, None))).collect()
}

fn arrivals(positions: Vec<PositionEvent>, edits: Vec<GeofenceEdit>, now: Millis) -> Arrivals {
    Arrivals { positions, edits, vehicles: Vec::new(), restored: Vec::new(), now }
}

fn visit(entered_at: Millis, exited_at: Millis) -> (Visit, i64) {
    let (vehicle, geofence) = (VehicleId(0), GeofenceId(0));
    (Visit { vehicle, geofence, entered_at, exited_at: Some(exited_at), confirmed: true }, 1)
}

#[test]
fn a_version_in_the_gap_between_two_chunks_is_noticed_though_the_second_is_far_away() {
    let mut timelines = Timelines::new(Rules::default(), 0, 1);
    let mut track: Vec<_> = (0..CHUNK).map(|minute| at(minute, YARD)).collect();
    track.push(at(CHUNK, AWAY));
    let now = CHUNK as Millis * MINUTE;
    timelines.advance(arrivals(track, Vec::new(), now));
    let (from, until) = (now - 40_000, now - 20_000);
    let changes = timelines.advance(arrivals(Vec::new(), yard(from, Some(until)), now));
    assert_eq!(changes.facts.visits, [visit(from, until)]);
}

#[test]
fn a_position_exactly_as_old_as_may_be_can_still_be_corrected() {
    let last = CHUNK - 1;
    let retention_ms = 30 * MINUTE;
    let mut timelines = Timelines::new(Rules { retention_ms: Some(retention_ms), ..Rules::default() }, 0, 1);
    let track: Vec<_> = (0..CHUNK).map(|minute| at(minute, AWAY)).collect();
    timelines.advance(arrivals(track, yard(BEGINNING, None), last as Millis * MINUTE));
    let newest = last as Millis * MINUTE + retention_ms;
    timelines.advance(arrivals(vec![at(last + 30, AWAY)], Vec::new(), newest));
    let changes = timelines.advance(arrivals(vec![at(last, YARD)], Vec::new(), newest));
    assert_eq!(changes.facts.visits, [visit(last as Millis * MINUTE, newest)]);
}

#[test]
fn a_speed_limit_announced_ahead_counts_once_a_position_has_passed_it() {
    let mut timelines = Timelines::new(Rules::default(), 0, 1);
    // 80 km/h, 1 333 m a minute.
    let fast = |minute: usize| {
        let mut event = at(minute, Place { lon: AWAY.lon + 120_000 * minute as i32, lat: AWAY.lat });
        event.position.speed = Speed::from_kmh(80.0);
        event
    };
    let speed_limit = Speed::from_kmh(90.0);
    let limited = Vehicle { name: None, fleet: None, speed_limit, offline_after_ms: None, attributes: None };
    let announced = VehicleEdit {
        key: VehicleId(0),
        valid_from: 5 * MINUTE,
        effective_from: 5 * MINUTE,
        seq: 0,
        definition: Some(Arc::new(limited)),
    };
    let epoch = Arrivals { vehicles: vec![announced], ..arrivals(vec![fast(0), fast(1)], Vec::new(), MINUTE) };
    let ends = |changes: Changes| {
        let overspeeds = changes.facts.overspeeds;
        overspeeds.iter().map(|(over, diff)| (over.ended_at, *diff)).collect::<Vec<_>>()
    };
    assert_eq!(ends(timelines.advance(epoch)), [(None, 1)]);
    let later = timelines.advance(arrivals(Vec::new(), Vec::new(), 20 * MINUTE));
    assert_eq!(ends(later), [], "it is measured up to the last position");
    let passed = timelines.advance(arrivals(vec![fast(4), fast(6)], Vec::new(), 20 * MINUTE));
    assert_eq!(ends(passed), [(None, -1), (Some(5 * MINUTE), 1)]);
}

#[test]
fn what_no_accepted_event_can_change_leaves_memory() {
    let mut timelines = Timelines::new(Rules { retention_ms: Some(10 * MINUTE), ..Rules::default() }, 0, 1);
    for minute in 0..20 * CHUNK {
        timelines.advance(arrivals(vec![at(minute, AWAY)], Vec::new(), minute as Millis * MINUTE));
    }
    assert!(timelines.stats().retained_positions <= 3 * CHUNK as u64, "{:?}", timelines.stats());
}

#[test]
fn a_fold_run_again_turns_where_it_turned() {
    let is_in = |minute: usize| matches!(minute, 3..9 | 20..31 | 47..49 | 70..80 | 95..97 | 105..);
    let on_time: Vec<_> = (0..2 * CHUNK + 10).map(|m| at(m, if is_in(m) { YARD } else { AWAY })).collect();
    for views in [ViewSet::All, ViewSet::Membership] {
        let rules = Rules { views, ..Rules::default() };
        let mut timelines = Timelines::new(rules.clone(), 0, 1);
        let now = on_time.len() as Millis * MINUTE;
        let mut arrived = on_time.clone();
        let open = yard(BEGINNING, None);
        let mut said = timelines.advance(arrivals(arrived.clone(), open.clone(), now)).facts.visits;
        let mut expect = |arrived: &mut Vec<PositionEvent>, edits: &[GeofenceEdit], changes: Changes, what: &str| {
            arrived.sort_by_key(|event| event.position.ts);
            let mut in_order = Timelines::new(rules.clone(), 0, 1);
            let mut expected = in_order.advance(arrivals(arrived.clone(), edits.to_vec(), now)).facts.visits;
            said.extend(changes.facts.visits);
            consolidate(&mut said);
            consolidate(&mut expected);
            assert_eq!(said, expected, "{views:?}, {what}");
        };
        // Every other chunk has changed before, and some are rewritten more than once.
        for (number, minute) in (0..arrived.len()).rev().step_by(3).chain([4, 48, 60]).enumerate() {
            let mut late = at(minute, if number % 2 == 0 { YARD } else { AWAY });
            late.position.ts += MINUTE / 2 + number as Millis;
            arrived.push(late);
            let changes = timelines.advance(arrivals(vec![late], Vec::new(), now));
            expect(&mut arrived, &open, changes, &format!("after a position of minute {minute}"));
        }
        for _ in 0..20 {
            let last = PositionEvent { withdrawn: true, ..arrived.pop().expect("there are more") };
            let changes = timelines.advance(arrivals(vec![last], Vec::new(), now));
            expect(&mut arrived, &open, changes, "after the last was withdrawn");
        }
        // The yard is closed in the middle of a chunk, after some were there in it and before others were.
        let closed = yard(BEGINNING, Some(75 * MINUTE));
        let changes = timelines.advance(arrivals(Vec::new(), closed[1..].to_vec(), now));
        expect(&mut arrived, &closed, changes, "after an edit");
    }
}

#[test]
fn what_a_late_position_is_the_first_to_settle_counts_for_the_day() {
    let mut timelines = Timelines::new(Rules::default(), 0, 1);
    timelines.advance(arrivals(vec![at(1, YARD)], Vec::new(), MINUTE));
    let changes = timelines.advance(arrivals(vec![at(0, AWAY)], Vec::new(), MINUTE));
    let said = changes.facts.motions.iter().filter(|(_, diff)| *diff > 0);
    let said: Vec<_> = said.map(|(motion, _)| (motion.positions, motion.stopped_ms + motion.moving_ms)).collect();
    assert_eq!(said, [(2, MINUTE)]);
}

#[test]
fn marks_are_those_of_a_recomputation_though_the_past_changes() {
    let is_in = |minute: usize| matches!(minute, 3..9 | 20..31 | 47..49 | 70..80 | 95..97 | 105..);
    let mut log: Vec<_> = (0..2 * CHUNK + 10).map(|m| at(m, if is_in(m) { YARD } else { AWAY })).collect();
    let rules = Rules::default();
    let mut timelines = Timelines::new(rules.clone(), 0, 1);
    let now = log.len() as Millis * MINUTE;
    let mut said = timelines.advance(arrivals(log.clone(), Vec::new(), now)).facts.marks;
    let mut check = |log: &[PositionEvent], changes: Changes, what: &str| {
        said.extend(changes.facts.marks);
        consolidate(&mut said);
        let wanted = crate::naive::recompute(log, &[], &[], now, &rules).marks;
        assert_eq!(said, wanted.into_iter().map(|mark| (mark, 1)).collect::<Vec<_>>(), "after {what}");
    };
    for (number, minute) in (0..log.len()).rev().step_by(3).chain([4, 48, 60]).enumerate() {
        let mut late = at(minute, if number % 2 == 0 { YARD } else { AWAY });
        late.position.ts += MINUTE / 2 + number as Millis;
        log.push(late);
        let changes = timelines.advance(arrivals(vec![late], Vec::new(), now));
        check(&log, changes, &format!("a position of minute {minute}"));
    }
    // All of the last chunk, and more.
    let mut sorted = log.clone();
    sorted.sort_by_key(|event| event.position.ts);
    for last in sorted.into_iter().rev().take(20 + CHUNK) {
        let last = PositionEvent { withdrawn: true, ..last };
        log.push(last);
        let changes = timelines.advance(arrivals(vec![last], Vec::new(), now));
        check(&log, changes, &format!("the last, of {}, was withdrawn", last.position.ts));
    }
}

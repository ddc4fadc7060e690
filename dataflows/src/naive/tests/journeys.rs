//! Trips and turnarounds.

use super::*;

/// Square `number` is an anchor of this kind.
fn anchor(number: u32, kind: &str) -> Geofence {
    Geofence { kind: Some(kind.to_owned()), ..square(f64::from(number)) }
}

fn depot(number: u32) -> GeofenceEdit {
    always(number, anchor(number, "depot"))
}

fn terminal(number: u32) -> GeofenceEdit {
    always(number, anchor(number, "terminal"))
}

/// The vehicle is in square `number` from this hour on.
fn hours(places: &[(i64, f64)]) -> Vec<PositionEvent> {
    places.iter().map(|&(hour, square)| at(hour * HOUR, square + 0.5)).collect()
}

fn tables(track: &[PositionEvent], geofences: &[GeofenceEdit], now: Millis) -> Tables {
    let rules = Rules { offline_after_ms: DAY, max_plausible: kmh(1e9), ..plain() };
    recompute(track, geofences, &[], now, &rules)
}

/// Of a trip, in hours: `(origin, departed_at)`, and `(destination, arrived_at)`.
type Journey = (u32, i64, Option<(u32, i64)>);

fn trips(track: &[PositionEvent], geofences: &[GeofenceEdit], now: i64) -> Vec<Journey> {
    let mut trips: Vec<_> = tables(track, geofences, now * HOUR).trips.into_iter().collect();
    trips.sort_by_key(|trip| trip.departed_at);
    let trip = |trip: &watchtower_model::facts::Trip| {
        let arrival = trip.arrival.map(|arrival| (arrival.destination.0, arrival.arrived_at / HOUR));
        (trip.origin.0, trip.departed_at / HOUR, arrival)
    };
    trips.iter().map(trip).collect()
}

/// `(terminal_left, departed_at, terminal_reached, returned_at, clients)` of each turnaround, in hours.
fn turnarounds(track: &[PositionEvent], geofences: &[GeofenceEdit]) -> Vec<(u32, i64, u32, i64, Vec<u32>)> {
    let mut found: Vec<_> = tables(track, geofences, 9 * HOUR).turnarounds.into_iter().collect();
    found.sort_by_key(|turnaround| turnaround.departed_at);
    let row = |t: &watchtower_model::facts::Turnaround| {
        let clients = t.clients.iter().map(|geofence| geofence.0).collect();
        (t.terminal_left.0, t.departed_at / HOUR, t.terminal_reached.0, t.returned_at / HOUR, clients)
    };
    found.iter().map(row).collect()
}

#[test]
fn a_trip_goes_from_one_anchor_to_the_next() {
    let geofences = [depot(0), depot(2), always(1, square(1.0))];
    let track = hours(&[(0, 1.0), (1, 0.0), (2, 1.0), (3, 2.0), (4, 1.0), (5, 0.0), (6, 1.0)]);
    assert_eq!(
        trips(&track, &geofences, 9),
        [(0, 2, Some((2, 3))), (2, 4, Some((0, 5))), (0, 6, None)],
        "no origin, no trip; square 1 is no anchor; the last one is on its way"
    );
    let there_and_back = hours(&[(0, 0.0), (1, 1.0), (2, 0.0)]);
    assert_eq!(trips(&there_and_back, &geofences, 9), [(0, 1, Some((0, 2)))]);
}

#[test]
fn an_anchor_is_one_by_its_flag_or_by_its_kind_at_entry() {
    let of = |kind: &str, flag| {
        let origin = always(0, Geofence { anchor: flag, ..anchor(0, kind) });
        trips(&hours(&[(0, 0.0), (1, 1.0)]), &[origin], 9).len()
    };
    assert_eq!([of("terminal", None), of("client", None), of("depot", None), of("other", None)], [1, 1, 1, 0]);
    assert_eq!([of("depot", Some(false)), of("other", Some(true))], [0, 1]);
    let becomes_one = [always(0, square(0.0)), version(0, HOUR, anchor(0, "depot"))];
    assert_eq!(trips(&hours(&[(0, 0.0), (2, 1.0)]), &becomes_one, 9), []);
    let was_one = [depot(0), version(0, HOUR, square(0.0))];
    assert_eq!(trips(&hours(&[(0, 0.0), (2, 1.0)]), &was_one, 9), [(0, 2, None)]);
}

#[test]
fn an_anchor_that_is_confirmed_late_was_reached_when_it_was_entered() {
    let dwelling = always(2, Geofence { min_dwell_ms: 3 * HOUR, ..anchor(2, "depot") });
    let geofences = [depot(0), dwelling, depot(4)];
    let track = hours(&[(0, 0.0), (1, 1.0), (2, 2.0)]);
    assert_eq!(trips(&track, &geofences, 4), [(0, 1, None)]);
    assert_eq!(trips(&track, &geofences, 5), [(0, 1, Some((2, 2)))]);
    let passed_by = hours(&[(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]);
    assert_eq!(trips(&passed_by, &geofences, 9), [(0, 1, Some((4, 4)))]);
    // While it is inside the one that is not confirmed yet, it enters and leaves another.
    let inner = [depot(0), always(2, Geofence { min_dwell_ms: 3 * HOUR, ..anchor(2, "depot") }), {
        let within = Geofence { kind: Some("client".to_owned()), ..square(2.4) };
        always(5, within)
    }];
    let within = hours(&[(0, 0.0), (1, 1.0), (2, 1.6), (3, 2.1), (4, 1.6)]);
    assert_eq!(trips(&within, &inner, 4), [(0, 1, Some((5, 3))), (5, 4, None)]);
    assert_eq!(trips(&within, &inner, 5), [(0, 1, Some((2, 2)))], "it never left the outer one");
}

#[test]
fn leaving_one_for_another_at_once_is_no_trip() {
    let geofences = [depot(0), depot(1), depot(3)];
    assert_eq!(trips(&hours(&[(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0)]), &geofences, 9), [(1, 2, Some((3, 3)))]);
    // 0.5 of square 0 is on the border of one that begins there.
    let overlapping = [depot(0), always(5, Geofence { kind: Some("depot".to_owned()), ..square(0.5) })];
    let through = hours(&[(0, 0.0), (1, 0.5), (2, 0.8), (3, 1.0), (4, 2.0)]);
    assert_eq!(trips(&through, &overlapping, 9), [(5, 4, None)], "still in another");
}

#[test]
fn of_several_at_once_the_smallest_id() {
    let also = |number: u32, west: f64| always(number, Geofence { kind: Some("depot".to_owned()), ..square(west) });
    let geofences = [depot(0), also(7, 0.0), depot(2), also(8, 2.0), also(9, 2.0)];
    assert_eq!(trips(&hours(&[(0, 0.0), (1, 1.0), (2, 2.0)]), &geofences, 9), [(7, 1, Some((9, 2)))]);
}

#[test]
fn a_trip_is_measured() {
    let track = [
        reported(48 * MINUTE, 0.5, 0.0),
        reported(58 * MINUTE, 1.5, 70.0),
        reported(60 * MINUTE, 1.6, 80.0),
        reported(70 * MINUTE, 1.6, 0.0),
        reported(72 * MINUTE, 1.8, 60.0),
        reported(74 * MINUTE, 2.5, 99.0),
        reported(84 * MINUTE, 2.5, 0.0),
    ];
    let tables = tables(&track, &[depot(0), depot(2)], 2 * HOUR);
    let arrival = tables.trips.first().and_then(|trip| trip.arrival).expect("one that has arrived");
    let measures = arrival.measures;
    assert_eq!(arrival.arrived_at, 74 * MINUTE);
    assert_eq!(measures.distance_mm, way_mm(1.5, 1.6) + way_mm(1.6, 1.8) + way_mm(1.8, 2.5));
    assert_eq!((measures.moving_ms, measures.stopped_ms), (4 * MINUTE, 12 * MINUTE), "it drives off with 0 reported");
    assert_eq!(measures.stops, 1, "that at the destination is no part");
    assert_eq!(measures.max_speed, kmh(70.0), "80 is in a stop, 99 when it has arrived");
}

#[test]
fn a_turnaround_leads_by_clients_back_to_a_terminal() {
    let client = |number| always(number, anchor(number, "client"));
    let geofences = [terminal(0), client(2), depot(4), always(6, square(6.0)), terminal(8)];
    let round = hours(&[(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 2.0), (6, 6.0), (7, 0.0), (8, 1.0)]);
    assert_eq!(turnarounds(&round, &geofences), [(0, 1, 0, 7, vec![2, 4, 2])], "square 6 is no anchor");
    let elsewhere = hours(&[(0, 0.0), (1, 1.0), (2, 2.0), (3, 8.0)]);
    assert_eq!(turnarounds(&elsewhere, &geofences), [(0, 1, 8, 3, vec![2])]);
    let straight = hours(&[(0, 0.0), (1, 1.0), (2, 8.0), (3, 1.0), (4, 2.0), (5, 0.0)]);
    assert_eq!(turnarounds(&straight, &geofences), [(8, 3, 0, 5, vec![2])], "counted from the last one left");
    let on_its_way = hours(&[(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0)]);
    assert_eq!(turnarounds(&on_its_way, &geofences), []);
    let next_door = [terminal(0), client(1), terminal(2)];
    assert_eq!(turnarounds(&hours(&[(0, 0.0), (1, 1.0), (2, 2.0)]), &next_door), [(0, 1, 2, 2, vec![1])]);
    let no_anchor = [always(0, Geofence { anchor: Some(false), ..anchor(0, "terminal") }), client(2), terminal(8)];
    assert_eq!(turnarounds(&elsewhere, &no_anchor), []);
}

#[test]
fn a_turnaround_is_over_terminals_alone() {
    let within = |number, kind: &str, west| always(number, Geofence { kind: Some(kind.to_owned()), ..square(west) });
    // Leaving a terminal while in another one is no departure, while in a client it is.
    let terminals = [terminal(0), within(5, "terminal", 0.8), depot(3)];
    let track = hours(&[(0, 0.0), (1, 0.4), (2, 0.9), (3, 2.0), (4, 3.0), (5, 0.0)]);
    assert_eq!(turnarounds(&track, &terminals), [(5, 3, 0, 5, vec![3])]);
    let beside_a_client = [terminal(0), within(5, "client", 0.8), depot(3)];
    assert_eq!(turnarounds(&track, &beside_a_client), [(0, 2, 0, 5, vec![3])], "the client was entered before");
    // The client reaches into the terminal: it was entered in between all the same.
    let reaching = [terminal(0), within(5, "client", 2.0), terminal(3)];
    let track = hours(&[(0, 0.0), (1, 1.0), (2, 2.0), (3, 2.5), (4, 3.0)]);
    assert_eq!(turnarounds(&track, &reaching), [(0, 1, 3, 3, vec![5])]);
}

#[test]
fn clients_entered_at_once_are_in_the_order_of_their_ids() {
    let also = |number: u32, west: f64| always(number, Geofence { kind: Some("client".to_owned()), ..square(west) });
    let geofences = [terminal(0), also(3, 3.0), also(4, 3.0), also(5, 5.0), also(6, 6.4)];
    let track = hours(&[(0, 0.0), (1, 1.0), (2, 5.0), (3, 3.0), (4, 6.0), (5, 0.0)]);
    let found = turnarounds(&track, &geofences);
    assert_eq!(found, [(0, 1, 0, 5, vec![5, 4, 3, 6])], "999 - 4 is before 999 - 3");
    let distance_mm = tables(&track, &geofences, 9 * HOUR).turnarounds.first().map(|row| row.distance_mm);
    assert_eq!(distance_mm, Some(way_mm(1.5, 5.5) + way_mm(5.5, 3.5) + way_mm(3.5, 6.5) + way_mm(6.5, 0.5)));
}

//! Situations that fleets report, and what is right in them: values by hand, by pyproj (geodesic) and zoneinfo.

#![allow(clippy::unwrap_used)]

use super::*;
use watchtower_model::facts::{Idling, Overspeed};
use watchtower_testing::shapes::{features, folder};

/// The milliseconds of `2026-11-20T06:00:00Z`.
fn millis(text: &str) -> Millis {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days of the civil calendar from March on (Hinnant).
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1 - 719_468;
    days * DAY + number(11..13) * HOUR + number(14..16) * MINUTE + number(17..19) * SECOND
}

/// The tables of one vehicle of a file; zeros are refused before.
fn tables(file: &str, vehicle: &str, geofences: Option<&str>) -> Option<Tables> {
    let folder = folder()?.join("field");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut track = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |name: &str| columns.iter().position(|column| *column == name).map_or("", |at| cells[at]);
        let place = Place::from_degrees(cell("lon").parse().unwrap(), cell("lat").parse().unwrap());
        if cell("vehicle_id") == vehicle && (place.lon, place.lat) != (0, 0) {
            let mut event = at(millis(cell("ts")), 0.0);
            event.position.place = place;
            event.position.speed = cell("speed_kmh").parse().map_or(Speed::NONE, Speed::from_kmh);
            event.position.ignition = Ignition::from_report(cell("ignition").parse().ok());
            track.push(event);
        }
    }
    assert!(track.len() > 1, "{vehicle} in {file}");
    let mut edits = Vec::new();
    for (number, feature) in (0..).zip(geofences.map(|file| features(&folder, file)).unwrap_or_default()) {
        let center: [f64; 2] = serde_json::from_value(feature["geometry"]["coordinates"].clone()).unwrap();
        let radius_m = feature["properties"]["radius_m"].as_f64().unwrap();
        let kind = feature["properties"]["kind"].as_str().map(str::to_owned);
        let shape = Arc::new(Shape::circle(center, radius_m).unwrap());
        edits.push(always(number, Geofence { kind, shape, ..square(0.0) }));
    }
    let newest = track.iter().map(|event| event.position.ts).max().unwrap();
    Some(recompute(&track, &edits, &[], newest, &Rules::default()))
}

fn km(tables: &Tables) -> Vec<f64> {
    tables.vehicle_daily.iter().map(|row| (row.distance_mm as f64 / 1e5).round() / 10.0).collect()
}

fn moving_s(tables: &Tables) -> i64 {
    tables.vehicle_daily.iter().map(|row| row.moving_ms).sum::<i64>() / SECOND
}

/// `(started_at, ended_at)`, minutes of the day.
fn minutes(from: Millis, until: Option<Millis>) -> (i64, Option<i64>) {
    let minute = |t: Millis| t.rem_euclid(DAY) / MINUTE;
    (minute(from), until.map(minute))
}

fn overspeeds(tables: &Tables) -> Vec<(i64, Option<i64>)> {
    tables.overspeeds.iter().map(|row: &Overspeed| minutes(row.started_at, row.ended_at)).collect()
}

#[test]
fn zeros_add_nothing() {
    let Some(night) = tables("zero-coldstart.csv", "NIGHT0", None) else { return };
    assert_eq!(km(&night), [10.0, 10.0]);
    let drive = tables("zero-single.csv", "Z1", Some("zone.geojson")).unwrap();
    assert_eq!(km(&drive), [20.0]);
    let visits: Vec<_> = drive.visits.iter().map(|visit| minutes(visit.entered_at, visit.exited_at)).collect();
    assert_eq!(visits, [(6 * 60 + 15, Some(6 * 60 + 26))]);
    let trips: Vec<_> = drive.trips.iter().map(|trip| (minutes(trip.departed_at, None).0, trip.arrival)).collect();
    assert_eq!(trips, [(6 * 60 + 26, None)]);
}

#[test]
fn two_fixes_at_the_makers_place_are_outliers() {
    let Some(found) = tables("factory.csv", "NEWDEV", None) else { return };
    assert_eq!((km(&found), found.marks.len()), (vec![9.0], 2));
}

#[test]
fn what_is_parked_goes_nowhere() {
    let Some(jitter) = tables("parked-jitter.csv", "PARKED", Some("home.geojson")) else { return };
    assert_eq!((km(&jitter), jitter.stops.len()), (vec![0.0], 1));
    let canyon = tables("parked-canyon.csv", "CANYON", None).unwrap();
    assert_eq!((canyon.stops.len(), canyon.stops.first().unwrap().ended_at), (1, None));
    let pairs = tables("pairs-1s.csv", "PARK", None).unwrap();
    assert_eq!((overspeeds(&pairs), moving_s(&pairs)), (vec![], 0));
}

#[test]
fn a_speed_does_not_hold_for_half_an_hour() {
    let Some(van) = tables("heartbeat-25min.csv", "VAN", None) else { return };
    assert_eq!(overspeeds(&van), [(8 * 60, Some(8 * 60 + 10)), (13 * 60 + 10, None)]);
    assert_eq!(moving_s(&van), 1_200);
    let basement = tables("basement.csv", "G28", None).unwrap();
    assert!(basement.overspeeds.iter().all(|row| row.ended_at.unwrap() - row.started_at <= MINUTE), "{basement:?}");
    assert_eq!(moving_s(&basement), 1_200);
}

#[test]
fn an_engine_idles_though_it_is_told_now_and_then() {
    let idled = |file, vehicle| {
        let found = tables(file, vehicle, None)?;
        Some(found.idlings.iter().map(|row: &Idling| minutes(row.started_at, row.ended_at)).collect::<Vec<_>>())
    };
    let Some(noisy) = idled("idle-speed-noise.csv", "IDJ") else { return };
    assert_eq!(noisy, [(6 * 60, None)]);
    let found = tables("idle-speed-noise.csv", "IDJ", None).unwrap();
    assert_eq!(found.vehicle_daily.iter().map(|row| row.idling_ms / SECOND).sum::<i64>(), 7_200);
    let half = tables("ignition-half.csv", "HALF", None).unwrap();
    assert_eq!(half.vehicle_daily.iter().map(|row| row.idling_ms / SECOND).sum::<i64>(), 10_800);
}

#[test]
fn a_tunnel_is_a_gap() {
    let Some(tunnel) = tables("tunnel-45min.csv", "T45", Some("tunnel-ends.geojson")) else { return };
    let gaps: Vec<i64> = tunnel.vehicle_daily.iter().map(|row| (row.gap_mm as f64 / 1e6).round() as i64).collect();
    assert_eq!((km(&tunnel), gaps), (vec![20.0], vec![40]));
    let of_trips = tunnel.trips.iter().filter_map(|trip| Some(trip.arrival?.measures));
    let km = |mm: i64| (mm as f64 / 1e6).round() as i64;
    assert_eq!(of_trips.map(|of| (km(of.distance_mm), km(of.gap_mm))).collect::<Vec<_>>(), [(19, 40)]);
}

#[test]
fn a_stop_whose_first_fix_is_before_the_gate_is_in_the_depot() {
    let Some(gate) = tables("gate.csv", "GATE", Some("gate-depot.geojson")) else { return };
    assert_eq!(gate.stops.iter().map(|stop| stop.geofence).collect::<Vec<_>>(), [Some(GeofenceId(0))]);
}

#[test]
fn a_reported_speed_beyond_all_vehicles_is_unknown() {
    let Some(spike) = tables("spike.csv", "SPK", None) else { return };
    assert_eq!(spike.vehicle_daily.iter().map(|row| row.max_speed).collect::<Vec<_>>(), [kmh(240.0)]);
}

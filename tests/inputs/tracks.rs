//! Lines of GeoJSON with times, as positions.

use std::fmt::Write;

use serde_json::{Value, json};
use watchtower_core::events::Limits;
use watchtower_inputs::{FileFormat, FileReport, inspect, open_with};

use super::field::reading;
use super::forms::{file, read};

use FileFormat::{Csv, GeoJson, Ndjson};

const TIMES: [&str; 3] = ["2026-11-20T06:00:01Z", "2026-11-20T06:01:01Z", "2026-11-20T06:02:01Z"];
const LINE: [[f64; 3]; 3] = [[3.36, 6.5, 12.5], [3.361, 6.5, 13.0], [3.362, 6.5, 13.5]];
const FIRST: [&str; 3] =
    ["T1 261120 21601.000 3.36 6.5", "T1 261120 21661.000 3.361 6.5", "T1 261120 21721.000 3.362 6.5"];

fn feature(properties: Value, kind: &str, coordinates: Value) -> Value {
    json!({"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}})
}

fn track(properties: Value) -> Value {
    feature(properties, "LineString", json!(LINE))
}

#[test]
fn the_vertices_of_a_line_with_times_are_positions() {
    let seconds = [1_795_154_401_i64, 1_795_154_461, 1_795_154_521];
    let four = |time: &dyn Fn(usize) -> Value| -> Value {
        (0..3).map(|at| json!([LINE[at][0], LINE[at][1], LINE[at][2], time(at)])).collect()
    };
    for (how, track) in [
        // togeojson 0.16 of Mapbox, and the one that replaced it.
        ("coordTimes", track(json!({"name": "T1", "time": TIMES[0], "coordTimes": TIMES}))),
        ("within", track(json!({"name": "T1", "_gpxType": "trk", "coordinateProperties": {"times": TIMES}}))),
        ("times", track(json!({"vehicle_id": "T1", "times": seconds}))),
        ("points", feature(json!({"imei": "T1", "timestamps": TIMES}), "MultiPoint", json!(LINE))),
        // kepler.gl, in seconds, milliseconds and as text.
        ("s", feature(json!({"id": "T1"}), "LineString", four(&|at| json!(seconds[at])))),
        ("ms", feature(json!({"id": "T1"}), "LineString", four(&|at| json!(seconds[at] * 1000)))),
        ("text", feature(json!({"id": "T1"}), "LineString", four(&|at| json!(TIMES[at])))),
    ] {
        for (name, text) in [
            ("day.geojson", track.to_string()),
            ("day.json", serde_json::to_string_pretty(&track).unwrap()),
            ("days.geojson", json!({"type": "FeatureCollection", "features": [track]}).to_string()),
            ("days.json", format!("[\n{track}\n]")),
        ] {
            assert_eq!(read(name, Csv, "", &text), FIRST, "{how}: {text}");
            assert_eq!(read(name, Ndjson, "", &text), FIRST, "{how}: {text}");
        }
        let lines = format!("{track}\n{track}\n");
        assert_eq!(read("days.geojsonl", Csv, "", lines), [FIRST, FIRST].concat(), "{how}");
    }
}

#[test]
fn several_lines_have_a_list_of_times_each() {
    let lines = json!([LINE[..2], LINE[2..]]);
    let both = |times: Value| feature(json!({"name": "T1", "coordTimes": times}), "MultiLineString", lines.clone());
    for times in [json!([TIMES[..2], TIMES[2..]]), json!(TIMES)] {
        assert_eq!(read("day.geojson", Csv, "", both(times).to_string()), FIRST);
    }
    // A segment without times is known to have none.
    let found = read("day.geojson", Csv, "", both(json!([TIMES[..2], []])).to_string());
    assert_eq!((&found[..2], found[2].as_str()), (&FIRST.map(str::to_owned)[..2], "missing_field ts is missing"));
    for (times, fault) in [
        (json!([TIMES]), "malformed coordTimes: times of 1 lines, and 2 lines"),
        (json!([TIMES, []]), "malformed coordTimes: 3 times of the 2 vertices of line 1"),
        (json!(TIMES[..2]), "malformed coordTimes: 2 times of 3 vertices"),
    ] {
        assert_eq!(read("day.geojson", Csv, "", both(times).to_string()), [fault]);
    }
}

#[test]
fn a_vertex_that_cannot_be_read_costs_itself() {
    let broken = json!([[3.36, 6.5, null], [3.361, 96.5], "x", [], [3.362, 6.5]]);
    let times = [Some(TIMES[0]), Some(TIMES[1]), Some(TIMES[1]), Some(TIMES[1]), None];
    let track = feature(json!({"name": "T1", "coordTimes": times}), "LineString", broken);
    let (_folder, path) = file("day.geojson", track.to_string());
    let mut source = open_with(&path, Csv, &reading(""), &Limits::default()).unwrap();
    let mut found = Vec::new();
    while let Some(record) = source.next_record().unwrap() {
        let raw = String::from_utf8_lossy(record.raw.bytes).into_owned();
        found.push((record.position, raw, record.result.err().map(|rejection| rejection.reason.to_string())));
    }
    let expected = [
        (r#""2026-11-20T06:00:01Z" [3.36,6.5,null]"#, None),
        (r#""2026-11-20T06:01:01Z" [3.361,96.5]"#, Some("coordinates")),
        (r#""2026-11-20T06:01:01Z" "x""#, Some("missing_field")),
        (r#""2026-11-20T06:01:01Z" []"#, Some("missing_field")),
        ("null [3.362,6.5]", Some("missing_field")),
    ]
    .map(|(raw, reason)| (1, raw.to_owned(), reason.map(str::to_owned)));
    assert_eq!(found, expected);
}

#[test]
fn a_line_without_times_is_no_track_but_may_be_a_geofence() {
    let line = track(json!({"name": "T1", "time": TIMES[0], "buffer_m": 50}));
    let found = read("day.geojson", Csv, "", line.to_string());
    assert!(found.len() == 1 && found[0].starts_with("missing_field ts is missing") && found[0].contains("coordTimes"));
    assert!(read("day.geojson", GeoJson, "", line.to_string())[0].starts_with("T1: "));
    for (kind, coordinates) in [("LineString", json!([])), ("MultiLineString", json!([[], []]))] {
        let empty = feature(json!({"name": "T1", "coordTimes": []}), kind, coordinates);
        let found = read("day.geojson", Csv, "", empty.to_string());
        assert!(found.len() == 1 && found[0].starts_with("malformed coordinates: "), "{found:?}");
    }
    let flat = feature(json!({"name": "T1", "coordTimes": TIMES}), "LineString", json!("x"));
    assert!(read("day.geojson", Csv, "", flat.to_string())[0].starts_with("malformed coordinates: "));
}

#[test]
fn the_vehicle_is_a_property_or_given_and_the_rest_is_counted() {
    let named = track(json!({"name": "Monday", "desc": "x", "stroke": "#f00", "coordTimes": TIMES}));
    let found = read("day.geojson", Csv, "vehicle:T1", named.to_string());
    assert_eq!(found, FIRST, "a name is no vehicle where one is given");
    let found = read("day.geojson", Csv, "", named.to_string());
    assert!(found[0].starts_with("Monday 261120"), "{found:?}");
    let own = track(json!({"truck": "T1", "name": "Monday", "at": TIMES, "speed": [40, 41, 42]}));
    let found = read("day.geojson", Csv, "columns:ts=at vehicle:T9", own.to_string());
    assert_eq!(found, FIRST, "what names a vehicle does");
    let mapped = track(json!({"tour": "T1", "imei": "T9", "times": TIMES}));
    assert_eq!(read("day.geojson", Csv, "columns:vehicle_id=tour", mapped.to_string()), FIRST);
    let (_folder, path) = file("day.geojson", own.to_string());
    let how = reading("columns:ts=at");
    let mut source = open_with(&path, Csv, &how, &Limits::default()).unwrap();
    let mut report = FileReport::new(&path, Csv);
    while let Some(record) = source.next_record().unwrap() {
        report.count(&record);
    }
    report.finish(source.as_ref());
    let text = report.to_string();
    assert!(text.contains("3 positions"), "{text}");
    assert!(text.contains("only times and the vehicle are read: left out, once, at 1 (speed)"), "{text}");
    let found = inspect(&path, &how, &Limits::default()).unwrap();
    assert_eq!((found.vehicles, found.report.positions), (1, 3));
}

/// A track as long as a feature may be is read in little more memory than its text, and in time that grows with it.
#[test]
fn a_long_track_is_read_to_its_end() {
    let count = 200_000;
    let (mut coordinates, mut times) = (String::new(), String::new());
    for at in 0..count {
        write!(coordinates, "{}[3.36,6.5]", if at > 0 { "," } else { "" }).unwrap();
        write!(times, "{}{}", if at > 0 { "," } else { "" }, 1_795_154_401_000_i64 + at * 1000).unwrap();
    }
    let text = format!(
        r#"{{"type":"Feature","id":"T1","properties":{{"times":[{times}]}},"geometry":{{"type":"LineString","coordinates":[{coordinates}]}}}}"#
    );
    let (_folder, path) = file("long.geojson", text);
    let mut source = open_with(&path, Csv, &reading(""), &Limits::default()).unwrap();
    let mut read = 0;
    while let Some(record) = source.next_record().unwrap() {
        assert!(record.result.is_ok());
        read += 1;
    }
    assert_eq!(read, count);
}

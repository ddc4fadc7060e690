//! Sentences that pyais and pynmea2 have written, beside the values that they read in them: testdata/README.md.

use serde_json::Value;
use watchtower_core::events::{Event, Fix, Measured};
use watchtower_model::rfc3339;

use super::*;

/// 2026-11-23T12:00:05Z.
const ARRIVAL: i64 = 1_795_435_205_000;

const AIS: &str = include_str!("../../testdata/ais.ndjson");
const NMEA: &str = include_str!("../../testdata/nmea.ndjson");

/// Lines of a file of samples.
fn samples(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn events(format: Format, body: &str) -> Vec<Event<'static>> {
    let message = Message { query: Some("id=T1"), ..Message::from_body(body.as_bytes(), ARRIVAL) };
    let items = read(format, &message, &Options::default()).unwrap();
    items.into_iter().map(|item| item.result.unwrap()).collect()
}

/// Asserts that a measure is the one that the other program reads.
fn same(sample: &Value, name: &str, ours: Option<f64>, tolerance: f64) {
    let theirs = sample[name].as_f64();
    let close = ours.zip(theirs).is_some_and(|(ours, theirs)| (ours - theirs).abs() <= tolerance);
    assert!(close || (ours.is_none() && theirs.is_none()), "{name}: {ours:?} in {sample}");
}

fn same_place(sample: &Value, measured: &Measured<'_>) {
    same(sample, "lon", Some(measured.place.lon_degrees()), 1.1e-6);
    same(sample, "lat", Some(measured.place.lat_degrees()), 1.1e-6);
    same(sample, "speed", measured.speed.kmh().map(|kmh| kmh / 1.852), 1e-6);
    same(sample, "course", measured.heading.degrees(), 1e-6);
}

#[test]
fn what_pyais_writes_is_read_as_pyais_reads_it() {
    let samples = samples(AIS);
    assert_eq!(samples.len(), 270);
    for sample in &samples {
        let sentences: Vec<&str> = sample["sentences"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let (mut positions, mut names) = (0, 0);
        for event in events(Format::Ais, &sentences.join("\n")) {
            match event {
                Event::Position(report) => {
                    positions += 1;
                    assert_eq!(report.vehicle_id, sample["mmsi"].as_str().unwrap());
                    let Fix::At(measured) = &report.fix else { panic!("withdrawn: {sample}") };
                    same_place(sample, measured);
                    same(sample, "alt", measured.altitude_m, 0.0);
                    if let Some(second) = sample["second"].as_i64() {
                        assert_eq!(report.ts.rem_euclid(60_000), second * 1000, "{}", rfc3339::format(report.ts));
                        assert!((ARRIVAL - 54_999..=ARRIVAL + 5_000).contains(&report.ts));
                    }
                    let attributes: Value =
                        measured.attributes.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
                    assert_eq!(attributes["true_heading"], sample["heading"], "{sample}");
                }
                Event::Vehicle(change) => {
                    names += 1;
                    let vehicle = change.definition.unwrap();
                    assert_eq!(vehicle.name.as_deref(), sample["shipname"].as_str());
                    let attributes = vehicle.attributes.as_deref().unwrap_or("{}");
                    let attributes: Value = serde_json::from_str(attributes).unwrap();
                    assert_eq!(attributes["call_sign"], sample["callsign"], "{sample}");
                    assert_eq!(attributes["imo"], sample["imo"], "{sample}");
                    // pyais reads a type that is not known as 0.
                    let ship_type = if sample["ship_type"] == 0 { &Value::Null } else { &sample["ship_type"] };
                    assert_eq!(&attributes["ship_type"], ship_type, "{sample}");
                }
                Event::Geofence(_) | Event::Rule(_) | Event::Clock(_) => panic!("{sample}"),
            }
        }
        let expected = match sample["type"].as_u64().unwrap() {
            5 | 24 => (0, 1),
            19 => (1, 1),
            _ => (1, 0),
        };
        assert_eq!((positions, names), expected, "{sample}");
    }
}

#[test]
fn what_pynmea2_writes_is_read_as_pynmea2_reads_it() {
    let samples = samples(NMEA);
    assert_eq!(samples.len(), 100);
    for sample in &samples {
        let found = events(Format::Nmea, sample["sentence"].as_str().unwrap());
        let [Event::Position(report)] = found.as_slice() else { panic!("{found:?}") };
        let Fix::At(measured) = &report.fix else { panic!("withdrawn: {sample}") };
        same_place(sample, measured);
        assert_eq!(report.ts, sample["ts"].as_i64().unwrap(), "{sample}");
    }
}

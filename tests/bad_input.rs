//! Bad input is refused for the right reason and costs nothing but itself, in every shape.

mod geojson;

use std::path::{Path, PathBuf};

use serde_json::json;
use watchtower_core::events::binary::Batch;
use watchtower_core::events::{Event, Limits, Reason, Rejection, decode_entry};
use watchtower_inputs::{Csv, FileFormat, Ndjson, Source, SourceError, open};

use Reason::{Coordinates, InvalidUtf8, Malformed, MissingField, TimeRange, TooLarge, UnknownType};

/// What became of a record: its position, and why it was refused.
type Outcome = (u64, Option<Reason>);

const FINE: Option<Reason> = None;

/// The real data, unless it is missing: then says so.
fn real_data(file: &str) -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("WATCHTOWER_DATA").map_or(default, PathBuf::from).join(file);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is missing; WATCHTOWER_DATA names the folder", path.display());
    None
}

fn outcomes(source: &mut dyn Source) -> Vec<Outcome> {
    let mut all = Vec::new();
    while let Some(record) = source.next_record().unwrap() {
        all.push((record.position, record.result.err().map(|rejection| rejection.reason)));
    }
    all
}

fn reasons(source: &mut dyn Source) -> Vec<Option<Reason>> {
    outcomes(source).into_iter().map(|(_, reason)| reason).collect()
}

/// A file with this content, which lives as long as the folder.
fn file(folder: &tempfile::TempDir, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join("file");
    std::fs::write(&path, content).unwrap();
    path
}

fn read(format: FileFormat, content: impl AsRef<[u8]>) -> Vec<Outcome> {
    let folder = tempfile::tempdir().unwrap();
    outcomes(open(&file(&folder, content), format, &Limits::default()).unwrap().as_mut())
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for format in [FileFormat::GeoJson, FileFormat::Csv, FileFormat::Ndjson] {
        let fault = open(&folder.path().join("absent.file"), format, &Limits::default()).err().unwrap();
        assert!(matches!(fault, SourceError::Open { .. }) && fault.to_string().contains("absent.file"), "{fault}");
    }
    let broken = file(&folder, b"\x1f\x8b\x08 this is no gzip");
    for format in [FileFormat::GeoJson, FileFormat::Csv, FileFormat::Ndjson] {
        let fault = match open(&broken, format, &Limits::default()) {
            Err(fault) => fault,
            Ok(mut source) => source.next_record().map(|_| ()).unwrap_err(),
        };
        assert!(fault.to_string().contains(broken.to_str().unwrap()), "{fault}");
    }
}

#[test]
fn a_header_without_its_columns_is_an_error_that_names_them() {
    let folder = tempfile::tempdir().unwrap();
    for (header, named) in [
        ("v,ts,lat\n", ["vehicle_id", "lon", "v, ts, lat"]),
        ("vehicle_id,ts,lon,lat,heading,heading_deg\n", ["heading_deg", "twice", "file"]),
        ("", ["vehicle_id", "ts", "lon"]),
    ] {
        let fault = Csv::open(&file(&folder, header), &Limits::default()).err().unwrap().to_string();
        assert!(named.iter().all(|name| fault.contains(name)), "{fault}");
    }
}

#[test]
fn bad_rows_are_refused_by_line() {
    let rows = b"\xef\xbb\xbfvehicle_id,ts,lon,lat,speed_kmh,door\r\n\
        a,2026-11-23T06:00:00Z,3.4,6.5,,open\r\n\
        \r\n\
        a,2026-11-23T06:00:00Z,3.4,6.5,\r\n\
        a,2026-11-23T06:00:00Z,NaN,6.5,,\r\n\
        a,2026-11-23T06:00:00Z,3.4,-inf,,\r\n\
        a,2026-11-23T06:00:00Z,3.4,190,,\r\n\
        a,0001-01-01T00:00:00Z,3.4,6.5,,\r\n\
        a,9999-12-31T23:59:59Z,3.4,6.5,,\r\n\
        a,2026-11-23,3.4,6.5,,\r\n\
        ,2026-11-23T06:00:00Z,3.4,6.5,,\r\n\
        a,,3.4,6.5,,\r\n\
        a,2026-11-23T06:00:00Z,,6.5,,\r\n\
        a,2026-11-23T06:00:00Z,3.4,6.5,fast,\r\n\
        a\xff,2026-11-23T06:00:00Z,3.4,6.5,,\r\n\
        \"a\nb\",2026-11-23T06:00:00Z,3.4,6.5,,\r\n\
        a,2026-11-23T06:00:00Z,3.4,6.5,-1,\"he said \"\"no\"\", twice\"";
    let expected = [
        (2, FINE),
        (4, Some(Malformed)),
        (5, Some(Coordinates)),
        (6, Some(Coordinates)),
        (7, Some(Coordinates)),
        (8, Some(TimeRange)),
        (9, Some(TimeRange)),
        (10, Some(Malformed)),
        (11, Some(MissingField)),
        (12, Some(MissingField)),
        (13, Some(MissingField)),
        (14, FINE), // a speed that cannot be read is unknown
        (15, Some(InvalidUtf8)),
        (16, Some(Reason::VehicleId)),
        (18, FINE),
    ];
    assert_eq!(read(FileFormat::Csv, rows), expected);
}

#[test]
fn further_columns_are_attributes() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "vehicle_id,ts,lon,lat,the \"door\",n\na,1795413600000,3.4,6.5,\"a \"\"b\"\"\",1\n");
    let mut source = Csv::open(&path, &Limits::default()).unwrap();
    let record = source.next_record().unwrap().unwrap();
    let text = record.raw.bytes.escape_ascii().to_string();
    let Event::Position(report) = record.result.unwrap() else { panic!() };
    let watchtower_core::events::Fix::At(measured) = report.fix else { panic!() };
    assert_eq!(measured.attributes.as_deref(), Some(r#"{"the \"door\"":"a \"b\"","n":"1"}"#));
    assert_eq!(text, r#"a,1795413600000,3.4,6.5,\"a \"\"b\"\"\",1"#);
}

#[test]
fn an_open_quote_costs_little() {
    let row = "a,1795413600000,3.4,6.5\n";
    let rows = format!("vehicle_id,ts,lon,lat\n\"{}", row.repeat(10_000));
    let all = read(FileFormat::Csv, rows);
    let lost = watchtower_inputs::MAX_ROW_BYTES / row.len() + 1;
    assert_eq!(all[0], (2, Some(Malformed)));
    assert_eq!(all.len(), 10_000 - lost + 1);
    assert!(all[1..].iter().all(|(_, reason)| reason.is_none()));
}

type Fields = Vec<(&'static str, String)>;

/// Events that are wrong in one place only.
fn wrong_events() -> Vec<(&'static str, Fields, Reason)> {
    let fields = |changes: &[(&'static str, &str)]| {
        let mut all = vec![
            ("type", "position".to_owned()),
            ("vehicle_id", "a".to_owned()),
            ("ts", "1795413600000".to_owned()),
            ("lon", "3.4".to_owned()),
            ("lat", "6.5".to_owned()),
        ];
        for (name, value) in changes {
            all.retain(|(listed, _)| listed != name);
            if *value != "absent" {
                all.push((name, (*value).to_owned()));
            }
        }
        all
    };
    vec![
        ("latitude 190", fields(&[("lat", "190")]), Coordinates),
        ("longitude -180.1", fields(&[("lon", "-180.1")]), Coordinates),
        ("longitude 1e400", fields(&[("lon", "1e400")]), Coordinates),
        ("year 1", fields(&[("ts", "0001-01-01T00:00:00Z")]), TimeRange),
        ("year 9999", fields(&[("ts", "9999-12-31T23:59:59.999Z")]), TimeRange),
        ("seconds for milliseconds", fields(&[("ts", "1795413600")]), TimeRange),
        ("a number that no i64 holds", fields(&[("ts", "99999999999999999999999999")]), TimeRange),
        ("the first instant too late", fields(&[("ts", "2100-01-01T00:00:00Z")]), TimeRange),
        ("the last instant too early", fields(&[("ts", "1979-12-31T23:59:59.999Z")]), TimeRange),
        ("no time", fields(&[("ts", "yesterday")]), Malformed),
        ("unknown type", fields(&[("type", "teleport")]), UnknownType),
        ("missing type", fields(&[("type", "absent")]), MissingField),
        ("missing vehicle", fields(&[("vehicle_id", "absent")]), MissingField),
        ("missing ts", fields(&[("ts", "absent")]), MissingField),
        ("missing lat", fields(&[("lat", "absent")]), MissingField),
        ("129 characters", fields(&[("vehicle_id", &"é".repeat(129))]), Reason::VehicleId),
        ("a control character", fields(&[("vehicle_id", "a\u{1}")]), Reason::VehicleId),
        ("a flag that is none", fields(&[("deleted", "maybe")]), Malformed),
        ("an array for attributes", fields(&[("attributes", "[1]")]), Malformed),
        ("attributes that jsonb refuses", fields(&[("attributes", r#"{"a":"\u0000"}"#)]), Malformed),
        ("large attributes", fields(&[("attributes", &format!(r#"{{"a":"{}"}}"#, "x".repeat(70_000)))]), TooLarge),
    ]
}

/// What is wrong in an entry of a stream and read in a file, where people and not producers write: longitudes just
/// beyond 180 degrees, seconds by their size, positions that do not say that they are, attributes that are none.
const MENDED_IN_FILES: [&str; 6] = [
    "longitude -180.1",
    "seconds for milliseconds",
    "missing type",
    "unknown type",
    "an array for attributes",
    "attributes that jsonb refuses",
];

fn entry(fields: &[(&[u8], &[u8])]) -> Vec<Option<Reason>> {
    let mut all = Vec::new();
    decode_entry(fields, &Limits::default(), |decoded| {
        all.push(decoded.result.err().map(|Rejection { reason, .. }| reason));
    })
    .unwrap();
    all
}

/// The fields as JSON: numbers and JSON as they are, the rest as strings.
fn as_json(fields: &[(&str, String)]) -> String {
    let member = |(name, value): &(&str, String)| match *name {
        "lon" | "lat" | "attributes" => format!("{}:{value}", json!(name)),
        _ => format!("{}:{}", json!(name), json!(value)),
    };
    format!("{{{}}}", fields.iter().map(member).collect::<Vec<_>>().join(","))
}

#[test]
fn wrong_events_are_refused_in_every_text_shape() {
    for (what, fields, reason) in wrong_events() {
        let plain: Vec<_> = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        assert_eq!(entry(&plain), [Some(reason)], "plain: {what}");
        let json = as_json(&fields);
        assert_eq!(entry(&[(b"json", json.as_bytes())]), [Some(reason)], "json: {what}");
        let lines = format!("{json}\n\n{json}\n");
        let in_files = if MENDED_IN_FILES.contains(&what) { FINE } else { Some(reason) };
        assert_eq!(read(FileFormat::Ndjson, lines), [(1, in_files), (3, in_files)], "ndjson: {what}");
    }
}

#[test]
fn what_is_not_finite_is_refused_where_it_can_be_written() {
    for number in ["NaN", "inf", "-Infinity"] {
        let plain = [("type", "position"), ("vehicle_id", "a"), ("ts", "1795413600000"), ("lon", number), ("lat", "1")];
        let plain = plain.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        assert_eq!(entry(&plain), [Some(Coordinates)], "{number}");
        let json = format!(r#"{{"type":"position","vehicle_id":"a","ts":1795413600000,"lon":{number},"lat":1}}"#);
        assert_eq!(entry(&[(b"json", json.as_bytes())]), [Some(Malformed)], "JSON has no {number}");
    }
}

#[test]
fn types_are_strict_in_json() {
    for (member, reason) in [
        (r#""lon":"3.4""#, Malformed),
        (r#""ignition":1"#, Malformed),
        (r#""vehicle_id":true"#, Malformed),
        (r#""speed_kmh":"41""#, Malformed),
        (r#""ts":true"#, Malformed),
        (r#""ts":1e300"#, TimeRange),
        (r#""lat":null"#, MissingField),
        (r#""lat":6.5,"lat":6.5"#, Malformed),
    ] {
        let mut members = vec![r#""type":"position""#];
        let whole = [r#""vehicle_id":"a""#, r#""ts":1795413600000"#, r#""lon":3.4"#, r#""lat":6.5"#];
        let name = member.split(':').next().unwrap();
        members.extend(whole.iter().filter(|listed| !listed.starts_with(name)));
        members.push(member);
        let json = format!("{{{}}}", members.join(","));
        assert_eq!(entry(&[(b"json", json.as_bytes())]), [Some(reason)], "{json}");
    }
}

#[test]
fn ten_megabytes_are_too_large_and_cost_no_neighbour() {
    let good = r#"{"type":"clock","now":1795413600000}"#;
    let huge = format!(r#"{{"type":"clock","now":1795413600000,"x":"{}"}}"#, "x".repeat(10 << 20));
    assert_eq!(entry(&[(b"json", huge.as_bytes())]), [Some(TooLarge)]);
    assert_eq!(entry(&[(b"bin", huge.as_bytes())]), [Some(TooLarge)]);
    assert_eq!(entry(&[(b"type", b"clock"), (b"now", b"1795413600000"), (b"x", huge.as_bytes())]), [Some(TooLarge)]);

    let lines = format!("{good}\n{huge}\n{good}\n");
    assert_eq!(read(FileFormat::Ndjson, &lines), [(1, FINE), (2, Some(TooLarge)), (3, FINE)]);
    let folder = tempfile::tempdir().unwrap();
    let mut source = Ndjson::open(&file(&folder, &lines), &Limits::default()).unwrap();
    source.next_record().unwrap();
    let raw = source.next_record().unwrap().unwrap().raw;
    let whole = raw.whole();
    assert!(raw.bytes.len() < whole.size_bytes as usize);
    let row = watchtower_core::events::Raw::complete(huge.as_bytes()).whole();
    assert_eq!((whole.size_bytes, whole.sha256), (row.size_bytes, row.sha256));

    let rows = format!("vehicle_id,ts,lon,lat\n{huge}\na,1795413600000,1,2\n");
    assert_eq!(read(FileFormat::Csv, rows), [(2, Some(TooLarge)), (3, FINE)]);
    let feature = format!(
        r#"{{"type":"FeatureCollection","features":[{{"type":"Feature","id":"a","properties":{{"x":"{}"}},"geometry":null}}]}}"#,
        "x".repeat(10 << 20)
    );
    assert_eq!(read(FileFormat::GeoJson, feature), [(1, Some(TooLarge))]);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let good = r#"{"type":"clock","now":1795413600000}"#.as_bytes();
    let bad = b"{\"type\":\"clock\",\"now\":1795413600000,\"x\":\"\xc3\x28\"}".as_slice();
    assert_eq!(entry(&[(b"json", bad)]), [Some(InvalidUtf8)]);
    assert_eq!(entry(&[(b"type", b"clock"), (b"x", b"\xff"), (b"now", b"1795413600000")]), [Some(InvalidUtf8)]);
    let lines = [good, b"\n", bad, b"\r\n", good].concat();
    assert_eq!(read(FileFormat::Ndjson, lines), [(1, FINE), (2, Some(InvalidUtf8)), (3, FINE)]);
}

#[test]
fn wrong_values_are_refused_in_binary() {
    let event = |at: usize, bytes: &[u8]| {
        let good = r#"{"type":"position","vehicle_id":"a","ts":1795413600000,"lon":3.4,"lat":6.5}"#;
        let mut batch = Batch::default();
        batch.push(&watchtower_core::events::json::decode(good.as_bytes(), &Limits::default()).unwrap());
        let mut batch = batch.take();
        batch[8 + at..8 + at + bytes.len()].copy_from_slice(bytes);
        entry(&[(b"bin", &batch)])
    };
    let (id, ts, lon, lat) = (5, 6, 14, 22);
    assert_eq!(event(id, b"b"), [FINE]);
    assert_eq!(event(id, b"\n"), [Some(Reason::VehicleId)]);
    assert_eq!(event(id, b"\xff"), [Some(InvalidUtf8)]);
    for (ms, reason) in [(i64::MIN, TimeRange), (i64::MAX, TimeRange), (253_402_300_799_999, TimeRange)] {
        assert_eq!(event(ts, &ms.to_le_bytes()), [Some(reason)]);
    }
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 190.0] {
        assert_eq!(event(lat, &number.to_le_bytes()), [Some(Coordinates)], "{number}");
    }
    assert_eq!(event(lon, &181_f64.to_le_bytes()), [Some(Coordinates)]);
    assert_eq!(event(0, &[9]), [Some(Malformed)], "an unknown kind of event");
    assert_eq!(event(2, &[0x80]), [Some(Malformed)], "an unknown bit");
}

//! Whatever a file holds, reading it ends, panics nowhere and keeps to its bounds.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use watchtower_core::events::Limits;
use watchtower_inputs::{FileFormat, Reading, inspect, open_vehicles, open_with};

use super::field::{folder, reading};
use super::forms::{GPX, KML};

/// Pieces of which files are made that come close to being what they seem.
const PIECES: &[&str] = &[
    "vehicle_id,ts,lon,lat,speed\n",
    "imei;time;lat;lon\n",
    "id,wkt\n",
    "a,2026-11-20T06:00:01Z,3.36,6.5,41\n",
    "a;20.11.2026 06:00;6,5;3,36\n",
    "\"",
    "\"\"",
    ",",
    ";",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "NaN",
    "-",
    "1e400",
    "9999999999999999999999",
    "{\"type\":\"Feature\",\"properties\":{},\"geometry\":",
    "{\"type\":\"FeatureCollection\",\"features\":[",
    "[",
    "]",
    "{",
    "}",
    "{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[1,0],[1,1],[0,0]]]}}",
    "{\"type\":\"GeometryCollection\",\"geometries\":[",
    "{\"lat\":6.5,\"lon\":3.36,\"tst\":1795154584,\"tid\":\"T\"}\n",
    "null",
    "<gpx>",
    "<trkpt lat=\"6\" lon=\"3\">",
    "</trkpt>",
    "<time>2026-11-20T06:00:01Z</time>",
    "</gpx>",
    "<kml>",
    "<Placemark>",
    "</Placemark>",
    "<Polygon>",
    "<coordinates>",
    "0,0 1,0 1,1 0,0",
    "&amp;",
    "&#65;",
    "&",
    "<![CDATA[",
    "]]>",
    "$GPRMC,",
    "$GPGGA,060001,0630.0,N,00321.6,E,1,8,1,1",
    "A,",
    "*00",
    "POLYGON((0 0,1 0,1 1,0 0))",
    "CIRCLE (6.5 3.36, 200)",
    "POINT EMPTY",
    "MULTIPOLYGON(((",
    "SRID=4326;",
    "\u{feff}",
    "é",
    "\0",
    "PK\u{3}\u{4}",
    "sep=;\n",
    "-180",
    "180.5",
    "N",
    "E",
    "°",
    "11/12/2026",
    "24:00",
    "+99:99",
    "[Africa/Lagos]",
    "_type",
    "Report\n",
    "{\"generator\":\"Overpass\",\"elements\":[",
    "{\"type\":\"way\",\"id\":1,\"geometry\":[{\"lat\":6,\"lon\":3},null]}",
    "\"LineString\"",
    "\"coordTimes\":[",
];

fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn readings() -> impl Strategy<Value = Reading> {
    proptest::sample::select(
        &[
            "",
            "zone:UTC vehicle:V",
            "zone:Europe/Berlin order:dmy vehicle:{file}",
            "columns:vehicle_id=1,ts=2,lon=3,lat=4",
            "columns:ts=a+b,lon=x id:name",
        ][..],
    )
    .prop_map(reading)
}

/// Files of every format, small ones of the field among them where they are at hand.
fn samples() -> Vec<Vec<u8>> {
    let collection = r#"{"type":"FeatureCollection","features":[{"type":"Feature","id":"a","properties":{"buffer_m":20},
        "geometry":{"type":"LineString","coordinates":[[3.4,6.5],[3.41,6.5]]}},{"type":"Feature","id":"b","properties":
        {"kind":"Depot"},"geometry":{"type":"Polygon","coordinates":[[[3.4,6.5],[3.41,6.5],[3.41,6.51],[3.4,6.5]]]}}]}"#;
    let square = "0103000020E61000000100000004000000333333333333\
                  0B400000000000001A40333333333333134000000000000\
                  01A4033333333333313409A99999999991B40333333333333\
                  0B400000000000001A40";
    let table =
        format!("geofence_id,effective_from,effective_until,geometry\na,-infinity,2026-11-20 00:00:00+00,{square}\n");
    let array = r#"{"status":"ok","data":[{"imei":7,"time":"2026-11-20T06:00:01Z","lat":6.5,"lon":3.36},{"imei":8}]}"#;
    let traccar = r#"[{"id":1,"name":"C","area":"CIRCLE (6.5 3.4, 200)","attributes":{"speedLimit":16.2}}]"#;
    let csv = "id;DATE;TIME;lat;lon;Speed (mph)\nT1;20.11.2026;06:00:01;6,5;3,36;41\nT1;20.11.2026;06:01:01;6\u{b0}30'N;3,37;n/a\n";
    let titled = format!("Positions;;\n\n{csv}");
    let track = r#"{"type":"FeatureCollection","features":[{"type":"Feature","id":"T1","properties":{"coordTimes":
        [["2026-11-20T06:00:01Z",null],[1795154461]]},"geometry":{"type":"MultiLineString","coordinates":
        [[[3.36,6.5,1],[3.37,6.5]],[[3.38,6.5]]]}},{"type":"Feature","properties":{"imei":7},"geometry":{"type":
        "LineString","coordinates":[[3.4,6.5,0,1795154461],[3.41,6.5,0,1795154471]]}}]}"#;
    let overpass = r#"{"generator":"Overpass API","remark":"x","elements":[{"type":"relation","id":1,"tags":{"type":"multipolygon"},
        "members":[{"type":"way","ref":2,"role":"outer"},{"type":"way","ref":3,"role":"outer","geometry":[{"lat":6.51,"lon":3.41},
        {"lat":6.5,"lon":3.4}]},{"type":"way","ref":4,"role":"inner","geometry":[{"lat":6.503,"lon":3.406},{"lat":6.502,"lon":3.405},
        {"lat":6.502,"lon":3.406},{"lat":6.503,"lon":3.406}]}]},{"type":"way","id":2,"nodes":[5,6,7]},{"type":"way","id":8,
        "nodes":[5,6,7,5],"tags":{"name":"W"}},{"type":"node","id":5,"lat":6.5,"lon":3.4},{"type":"node","id":6,"lat":6.5,
        "lon":3.41},{"type":"node","id":7,"lat":6.51,"lon":3.41,"tags":{"barrier":"gate"}}]}"#;
    let texts = [collection, &table, array, traccar, csv, &titled, track, overpass, GPX, KML];
    let mut samples: Vec<Vec<u8>> = texts.map(|text| text.into()).into();
    for file in folder().into_iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        if content.len() < 8_000 {
            samples.push(content);
        }
    }
    samples
}

/// A change of some bytes: where, how many of them are taken out, and what is put there.
type Change = (proptest::sample::Index, usize, Vec<u8>);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let put = prop_oneof![
        3 => proptest::collection::vec(any::<u8>(), 0..4),
        2 => proptest::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
    ];
    proptest::collection::vec((any::<proptest::sample::Index>(), 0usize..40, put), 1..6)
}

fn changed(mut content: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for (place, taken, put) in changes {
        let at = place.index(content.len() + 1);
        let end = content.len().min(at + taken);
        content.splice(at..end, put.iter().copied());
    }
    content
}

proptest! {
    /// Samples with random mistakes in them.
    #[test]
    fn files_with_mistakes_are_read_to_their_end(
        sample in any::<proptest::sample::Index>(),
        changes in changes(),
        reading in readings(),
    ) {
        static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(samples);
        is_read_to_its_end(&changed(sample.get(&SAMPLES).clone(), &changes), &reading)?;
    }

    #[test]
    fn anything_is_read_to_its_end(content in content(), reading in readings()) {
        is_read_to_its_end(&content, &reading)?;
    }
}

/// Reads a file as all that it may be said to hold.
fn is_read_to_its_end(content: &[u8], reading: &Reading) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("any.file");
    std::fs::write(&path, content).unwrap();
    let limits = Limits::default();
    for format in [FileFormat::Csv, FileFormat::GeoJson, FileFormat::Ndjson] {
        let Ok(mut source) = open_with(&path, format, reading, &limits) else { continue };
        let mut records = 0;
        while let Some(record) = source.next_record().unwrap() {
            prop_assert!(record.position > 0);
            records += 1;
        }
        prop_assert!(records <= content.len() + 1, "{records} records of {} bytes", content.len());
        prop_assert!(source.notes().remarks.len() <= 64);
    }
    if let Ok(found) = inspect(&path, reading, &limits) {
        prop_assert!(found.places.len() <= 20_000);
        prop_assert!(!found.to_svg().contains("NaN"));
    }
    if let Ok(mut source) = open_vehicles(&path, reading, &limits) {
        while source.next_record().unwrap().is_some() {}
    }
    Ok(())
}

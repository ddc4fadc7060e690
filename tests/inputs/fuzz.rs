//! Whatever a file holds, reading it ends, panics nowhere and keeps to its bounds.

use proptest::prelude::*;
use watchtower_core::events::Limits;
use watchtower_inputs::{FileFormat, Reading, inspect, open_vehicles, open_with};

use super::field::reading;

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

proptest! {
    #[test]
    fn anything_is_read_to_its_end(content in content(), reading in readings()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("any.file");
        std::fs::write(&path, &content).unwrap();
        let limits = Limits::default();
        for format in [FileFormat::Csv, FileFormat::GeoJson, FileFormat::Ndjson] {
            let Ok(mut source) = open_with(&path, format, &reading, &limits) else { continue };
            let mut records = 0;
            while let Some(record) = source.next_record().unwrap() {
                prop_assert!(record.position > 0);
                records += 1;
            }
            prop_assert!(records <= content.len() + 1, "{records} records of {} bytes", content.len());
            prop_assert!(source.notes().remarks.len() <= 64);
        }
        if let Ok(found) = inspect(&path, &reading, &limits) {
            prop_assert!(found.places.len() <= 20_000);
            prop_assert!(!found.to_svg().contains("NaN"));
        }
        if let Ok(mut source) = open_vehicles(&path, &reading, &limits) {
            while source.next_record().unwrap().is_some() {}
        }
    }
}

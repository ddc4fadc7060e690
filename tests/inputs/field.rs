//! The small inputs of the field, by a table of outcomes.

use std::path::{Path, PathBuf};

use watchtower_core::events::{Event, Fix, Limits};
use watchtower_inputs::{ColumnMap, DateOrder, FileFormat, Reading, open_with, parse_time_zone};

use FileFormat::{Csv, GeoJson, Ndjson};

/// The folder of the inputs, unless it is missing: then says so.
pub fn folder() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("WATCHTOWER_DATA").map_or(default, PathBuf::from).join("field");
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {} is missing; WATCHTOWER_DATA names the folder", path.display());
    None
}

/// What was given on the command line, in its words.
pub fn reading(words: &str) -> Reading {
    let mut reading = Reading { now: Some(1_795_500_000_000), ..Reading::default() };
    for word in words.split_whitespace() {
        let (name, value) = word.split_once(':').unwrap();
        match name {
            "zone" => reading.time_zone = Some(parse_time_zone(value).unwrap()),
            "order" => reading.date_order = Some(DateOrder::parse(value).unwrap()),
            "vehicle" => reading.vehicle_id = Some(value.to_owned()),
            "columns" => reading.columns = ColumnMap::parse(value).unwrap(),
            "id" => reading.id_from = Some(value.to_owned()),
            _ => unreachable!("{name}"),
        }
    }
    reading
}

/// One line a record: what it became, or why it was refused.
pub fn outcomes(path: &Path, format: FileFormat, reading: &Reading) -> Vec<String> {
    let mut source = match open_with(path, format, reading, &Limits::default()) {
        Ok(source) => source,
        Err(fault) => return vec![format!("error: {fault}")],
    };
    let mut lines = Vec::new();
    while let Some(record) = source.next_record().unwrap() {
        lines.push(match record.result {
            Ok(event) => brief(&event),
            Err(rejection) => format!("{} {}", rejection.reason, rejection.detail),
        });
    }
    lines
}

/// What an event says, in few words.
fn brief(event: &Event<'_>) -> String {
    match event {
        Event::Position(report) => {
            let ts = report.ts.rem_euclid(86_400_000);
            let day = jiff::Timestamp::from_millisecond(report.ts).unwrap().strftime("%y%m%d").to_string();
            let Fix::At(at) = &report.fix else { return format!("{} withdrawn", report.vehicle_id) };
            let mut brief = format!(
                "{} {day} {}.{:03} {} {}",
                report.vehicle_id,
                ts / 1000,
                ts % 1000,
                at.place.lon_degrees(),
                at.place.lat_degrees()
            );
            let numbers = [("v", at.speed.kmh()), ("h", at.heading.degrees()), ("acc", at.accuracy_m)];
            for (name, number) in numbers {
                if let Some(number) = number {
                    brief.push_str(format!(" {name}{number:.4}").trim_end_matches('0').trim_end_matches('.'));
                }
            }
            if let Some(on) = at.ignition {
                brief.push_str(if on { " on" } else { " off" });
            }
            if let Some(attributes) = &at.attributes {
                brief.push_str(&format!(" {attributes}"));
            }
            brief
        }
        Event::Geofence(change) => {
            let Some(definition) = &change.definition else { return format!("{} deleted", change.geofence_id) };
            let fence = &definition.geofence;
            let shape = fence.shape.radius_m().map_or_else(
                || format!("{} vertices", fence.shape.vertex_count()),
                |radius| format!("circle {radius}"),
            );
            let kind = fence.kind.as_deref().map_or(String::new(), |kind| format!(" {kind}"));
            format!("{}{kind}: {shape}", change.geofence_id)
        }
        Event::Vehicle(change) => format!("vehicle {}", change.vehicle_id),
        Event::Rule(change) => format!("rule {}", change.rule_id),
        Event::Clock(_) => "clock".to_owned(),
    }
}

/// File, how it is given, what is said about it, and the beginning of each outcome.
type Case = (&'static str, FileFormat, &'static str, &'static [&'static str]);

const T1: &str = "T1 261120 21601.000 3.36 6.5 v41";

const CASES: &[Case] = &[
    ("columns-case.csv", Csv, "", &[T1]),
    (
        "columns-columbus.csv",
        Csv,
        "zone:UTC vehicle:C",
        &["C 261120 21601.000 3.360012 6.501231 v4 h90", "C 261120 21661.000 3.361512 6.501239 v41 h91"],
    ),
    ("columns-columbus.csv", Csv, "zone:UTC", &["error: "]),
    ("columns-cr.csv", Csv, "", &["T1 261120 21601.000 3.36 6.5"]),
    (
        "columns-danish.csv",
        Csv,
        "zone:UTC",
        &["219000001 261120 21601.000 11.360012 55.601231 v15.0012 h90", "coordinates"],
    ),
    (
        "columns-gpsserver.csv",
        Csv,
        "zone:UTC vehicle:{file}",
        &[
            "columns-gpsserver 261120 21601.000 3.360012 6.501231 v41 h90 {\"params\":",
            "columns-gpsserver 261120 21661.000 3.361512 6.501239 v43 h90",
        ],
    ),
    (
        "columns-headerless.csv",
        Csv,
        "zone:UTC columns:vehicle_id=1,ts=2,lon=3,lat=4",
        &["1 261120 56168.000 3.36 6.5", "1 261120 56768.000 3.361 6.5"],
    ),
    ("columns-headerless.csv", Csv, "", &["error: "]),
    ("columns-latlng.csv", Csv, "", &["356000000000011 261120 21601.000 3.36 6.5 v41 h90"]),
    ("columns-trailing.csv", Csv, "", &[T1, "T1 261120 21661.000 3.361 6.5 v41"]),
    ("columns-utf16.csv", Csv, "", &[T1]),
    ("demo.ndjson", Csv, "zone:UTC", &["356000000000011 261120 21604.000 3.36 6.5 v43 off"]),
    ("demo.ndjson", Ndjson, "zone:Africa/Lagos", &["356000000000011 261120 18004.000 3.36 6.5 v43 off"]),
    ("demo.ndjson", Ndjson, "", &["malformed ts: no zone: give --time-zone"]),
    ("owntracks.ndjson", Ndjson, "", &["T1 261120 21784.000 3.36 6.5 v43 h90 acc9"]),
    ("traccar.json", Csv, "", &["7 261120 21604.000 3.36 6.5 v40.9292 on"]),
    ("traccar.json", Ndjson, "", &["7 261120 21604.000 3.36 6.5 v40.9292 on"]),
    (
        "excel-semicolon.csv",
        Csv,
        "zone:Europe/Berlin",
        &["B-AB 123 261120 21601.000 13.360012 52.501231 v41.5", "B-AB 123 261120 21661.000 13.361512 52.501239 v43"],
    ),
    ("naive-times.csv", Csv, "zone:UTC", &["T1 261120 21601.000 3.360012 6.501231 v41 h90", "T1 261120 21661.000"]),
    ("naive-times.csv", Csv, "", &["malformed ts: no zone", "malformed ts: no zone"]),
    (
        "time-forms.csv",
        Csv,
        "zone:UTC",
        &[
            "java 261120 21601.000",
            "psql 261120 21601.000",
            "pandas 261120 21601.000",
            "bigquery 261120 21601.000",
            "excelmin 261120 21600.000",
            "nominute 261120 21600.000",
            "naive 261120 21601.000",
            "basic 261120 21601.000",
            "comma 261120 21601.500",
            "zoned 261120 21601.000",
            "us 261120 21601.000",
        ],
    ),
    ("epoch-seconds.csv", Csv, "", &["T1 251120 21601.000", "T1 251120 21661.000", "T1 251120 21721.500"]),
    ("psql-copy.csv", Csv, "", &["T1 261120 21601.500 3.36 6.5 v41 on", "T1 261120 21661.000 3.361 6.5 acc5 off"]),
    (
        "optional-cells.csv",
        Csv,
        "",
        &[
            "u1 261120 21601.000 3.36 6.5 v41 h90 acc5 on",
            "u2 261120 21601.000 3.36 6.5 v41 h90 acc5 on",
            "u3 261120 21601.000 3.36 6.5 v41 h90 acc5 on",
            "u4 261120 21601.000 3.36 6.5 v41 h90 acc5 on",
            "u5 261120 21601.000 3.36 6.5 v41 h90 acc5 on",
            "u6 261120 21601.000 3.36 6.5 v41 h90 acc5 on",
            "u7 261120 21601.000 3.36 6.5 v41 h90 acc5 on",
            "u8 261120 21601.000 3.36 6.5 on",
            "u9 261120 21601.000 3.36 6.5 on",
            "u10 261120 21601.000 3.36 6.5",
            "u11 261120 21601.000 3.36 6.5",
            "u12 261120 21601.000 3.36 6.5",
            "u13 261120 21601.000 3.36 6.5 v41 acc5 on",
            "u14 261120 21601.000 3.36 6.5 v41 h90 acc5 on",
            "u15 261120 21601.000 3.36 6.5 v41 h90 acc5 on",
            "missing_field lon is missing",
            "coordinates",
        ],
    ),
    ("latin1-attribute.csv", Csv, "", &["T1 261120 21601.000 3.36 6.5 v41 {\"driver\":\"Jürgen\"}"]),
    (
        "members.ndjson",
        Ndjson,
        "",
        &[
            "356000000000011 261120 21604.000 3.36 6.5 v43 on",
            "356000000000011 261120 21664.000 3.36 6.5 v43 on",
            "356000000000011 261120 21724.000 3.36 6.5 v43 on",
            "356000000000011 261120 21784.000 3.36 6.5 v43",
            "356000000000011 261120 21784.250 3.36 6.5 v43",
            "356000000000011 261120 21904.000 3.36 6.5 v43 off {\"fuel\":{\"level\":47.6},\"io\":[1,2]}",
        ],
    ),
    (
        "antimeridian-lon360.csv",
        Csv,
        "",
        &[
            "LON360 261120 21600.000 -179.995 -16.85 v6",
            "LON360 261120 21660.000 -179.994",
            "LON360 261120 21720.000 -179.993",
        ],
    ),
    ("fences-traccar.json", GeoJson, "", &["1: circle 200"]),
    (
        "fences-mymaps.geojson",
        GeoJson,
        "",
        &[
            "NORTH 1: 5 vertices",
            "NORTH 2: 5 vertices",
            "geometry geometry: a Point needs radius_m",
            "geometry geometry: a line is no area: close it, or give it buffer_m",
        ],
    ),
    (
        "fences-qgis.geojson",
        GeoJson,
        "",
        &["Depot: 5 vertices", "fences-qgis-2: 5 vertices", "Depot 8: 5 vertices", "12: 5 vertices"],
    ),
    (
        "fences-overpass.geojson",
        GeoJson,
        "",
        &[
            "way/27000001: 5 vertices",
            "relation/11000001: 10 vertices",
            "way/27000002: 5 vertices",
            "geometry geometry: a Point needs radius_m",
        ],
    ),
    ("fences-osmtogeojson.geojson", GeoJson, "", &["way/27000001: 5 vertices"]),
    ("fences-collection.geojson", GeoJson, "", &["gc: 5 vertices"]),
    (
        "fences-circles.geojson",
        GeoJson,
        "",
        &["leaflet: circle 200", "inav: circle 160", "text: circle 200", "unit: circle 200", "geometry"],
    ),
    (
        "fences-rings.geojson",
        GeoJson,
        "",
        &[
            "geometry",
            "clockwise: 5 vertices",
            "geometry",
            "geometry",
            "latlon: 5 vertices",
            "geometry",
            "geometry",
            "missing_field geometry is missing",
            "limit depot: 5 vertices",
            "texts depot: 5 vertices",
        ],
    ),
    ("kind-case.geojson", GeoJson, "", &["terminal terminal: circle 2000", "depotD depot: circle 1000"]),
];

#[test]
fn each_input_is_read_or_refused_as_it_should_be() {
    let Some(folder) = folder() else { return };
    for (name, format, words, expected) in CASES {
        let found = outcomes(&folder.join(name), *format, &reading(words));
        let fits =
            found.len() == expected.len() && found.iter().zip(*expected).all(|(found, start)| found.starts_with(start));
        assert!(fits, "{name} with {words:?}:\n{}\nexpected\n{}", found.join("\n"), expected.join("\n"));
    }
}

/// Files that are read to their last row, whatever the rules make of them.
#[test]
fn all_other_inputs_are_read_whole() {
    let Some(folder) = folder() else { return };
    for name in [
        "future-row.csv",
        "future-nextday.csv",
        "zero-coldstart.csv",
        "zero-single.csv",
        "factory.csv",
        "parked-jitter.csv",
        "parked-canyon.csv",
        "pairs-1s.csv",
        "heartbeat-25min.csv",
        "basement.csv",
        "idle-speed-noise.csv",
        "ignition-half.csv",
        "tunnel-45min.csv",
        "gate.csv",
        "rollover.csv",
        "rollover-depot.csv",
        "antimeridian.csv",
        "antimeridian-far.csv",
        "spike.csv",
        "column-speed.csv",
        "kind-case.csv",
        "pos.csv",
    ] {
        let found = outcomes(&folder.join(name), Csv, &reading(""));
        let rows = std::fs::read_to_string(folder.join(name)).unwrap().lines().count() - 1;
        let read = found.iter().filter(|outcome| outcome.contains(" 261")).count()
            + found.iter().filter(|outcome| outcome.contains(" 070406") || outcome.contains(" 31")).count();
        assert!(found.len() == rows && read > 0, "{name}: {} of {rows}, {}", found.len(), found[0]);
        let refused: Vec<_> = found.iter().filter(|outcome| outcome.contains(": expected")).collect();
        assert!(refused.is_empty(), "{name}: {refused:?}");
    }
    let speeds = outcomes(&folder.join("column-speed.csv"), Csv, &reading(""));
    assert!(speeds.iter().all(|outcome| outcome.ends_with(" v41")), "{speeds:?}");
}

//! What the tables hold of geofences and vehicles, as commands show it; and that an export comes back.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const GEOFENCES: &str = r#"{"type":"FeatureCollection","features":[
    {"type":"Feature","id":"yard","properties":{"name":"Yard 7","kind":"depot","tags":["a","b \"c\""],"min_dwell_s":300,
        "exit_buffer_m":25.5},"geometry":{"type":"Polygon","coordinates":[[[3.4,6.5],[3.4100000000000001,6.5],[3.41,6.51],[3.4,6.5]]]}},
    {"type":"Feature","id":"yard","properties":{"kind":"depot","valid_from":"2026-11-20T05:00:00Z","speed_limit_kmh":20},
        "geometry":{"type":"MultiPolygon","coordinates":[[[[3.4,6.5],[3.42,6.5],[3.42,6.52],[3.4,6.5]]],
        [[[3.5,6.5],[3.52,6.5],[3.52,6.52],[3.5,6.5]]]]}},
    {"type":"Feature","id":"pump","properties":{"anchor":true,"radius_m":150,"valid_from":"2026-11-01T00:00:00Z"},
        "geometry":{"type":"Point","coordinates":[3.36,6.5]}},
    {"type":"Feature","id":"pump","properties":{"deleted":true,"valid_from":"2026-11-20T06:00:30Z"},"geometry":null}]}"#;
const EVENTS: &str = r#"{"type":"vehicle","vehicle_id":"T1","name":"Mack","fleet":"VPC","speed_limit_kmh":60}
{"type":"position","vehicle_id":"T1","ts":"2026-11-20T06:00:00Z","lon":3.36,"lat":6.5,"speed_kmh":41}
{"type":"position","vehicle_id":"T2","ts":"2026-11-20T06:01:00Z","lon":3.36,"lat":6.5,"speed_kmh":0}
{"type":"position","vehicle_id":"T1","ts":"2026-11-20T06:01:00Z","lon":3.37,"lat":6.5,"speed_kmh":41}
"#;

/// Exit code and what was printed, output before errors.
fn run(folder: &Path, arguments: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
    let output = command.args(arguments.split_whitespace()).current_dir(folder).output().unwrap();
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), printed.concat())
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &str) -> String {
    let (code, printed) = run(folder, arguments);
    assert_eq!(code, Some(0), "{arguments}: {printed}");
    printed
}

/// A folder with a file that holds [`GEOFENCES`] and [`EVENTS`], and their tables.
fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("g.geojson"), GEOFENCES).unwrap();
    std::fs::write(folder.path().join("e.ndjson"), EVENTS).unwrap();
    succeeds(
        folder.path(),
        "replay --geofences g.geojson --events e.ndjson --now 2026-11-21T00:00:00Z --embedded f.gpkg",
    );
    folder
}

#[test]
fn geofences_and_vehicles_are_listed() {
    let folder = filled();
    let list = succeeds(folder.path(), "geofences list --embedded f.gpkg");
    let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 3, "{list}");
    assert_eq!(rows[0], ["ID", "NAME", "KIND", "SHAPE", "SINCE", "UNTIL", "VERSIONS"]);
    assert!(rows[1].starts_with(&["pump", "circle,", "150", "m"]) && rows[1].ends_with(&["1"]), "{list}");
    assert!(rows[2].starts_with(&["yard", "depot", "8", "vertices"]) && rows[2].ends_with(&["2"]), "{list}");
    let json: Value =
        serde_json::from_str(&succeeds(folder.path(), "geofences list --json --embedded f.gpkg")).unwrap();
    assert_eq!((json[0]["geofence_id"].as_str(), json[0]["radius_m"].as_f64()), (Some("pump"), Some(150.0)));
    assert_eq!((json[1]["speed_limit_kmh"].as_f64(), &json[1]["effective_until"]), (Some(20.0), &Value::Null));

    let show = succeeds(folder.path(), "geofences show yard --embedded f.gpkg");
    for line in [
        "yard: 2 versions",
        " until 2026-11-20T05:00:00Z: 4 vertices",
        "Yard 7",
        "exit_buffer_m    25.5",
        "MultiPolygon",
    ] {
        assert!(show.contains(line), "{line:?} in\n{show}");
    }
    let (code, printed) = run(folder.path(), "geofences show yrad --embedded f.gpkg");
    assert_eq!(code, Some(1));
    assert!(printed.contains("there is no geofence \"yrad\"; the nearest is \"yard\""), "{printed}");

    let list = succeeds(folder.path(), "vehicles list --embedded f.gpkg");
    let rows: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[1][..6], ["T1", "Mack", "VPC", "60", "km/h", "2026-11-20T06:01:00Z"], "{list}");
    assert_eq!(rows[2][..2], ["T2", "2026-11-20T06:01:00Z"], "{list}");
    let json: Value = serde_json::from_str(&succeeds(folder.path(), "vehicles list --json --embedded f.gpkg")).unwrap();
    assert_eq!((json[0]["fleet"].as_str(), &json[1]["fleet"]), (Some("VPC"), &Value::Null));
}

#[test]
fn an_export_comes_back_as_the_same_versions() {
    let folder = filled();
    let said = succeeds(folder.path(), "geofences export --embedded f.gpkg --out back.geojson");
    assert!(said.contains("4 features of 2 geofences: back.geojson"), "{said}");
    let printed = succeeds(folder.path(), "geofences export --embedded f.gpkg");
    assert_eq!(printed, std::fs::read_to_string(folder.path().join("back.geojson")).unwrap());
    for (geofences, out) in [("g.geojson", "first"), ("back.geojson", "second"), ("f.gpkg", "third")] {
        succeeds(
            folder.path(),
            &format!("replay --geofences {geofences} --events e.ndjson --now 2026-11-21T00:00:00Z --out {out}"),
        );
    }
    let table = |out: &str, name: &str| std::fs::read_to_string(folder.path().join(out).join(name)).unwrap();
    for name in ["geofences.csv", "visits.csv"] {
        assert!(table("first", name).lines().count() > 1, "worth it");
        assert_eq!(table("first", name), table("second", name), "{name}");
        assert_eq!(table("first", name), table("third", name), "{name} of the file itself");
    }
    let last = succeeds(folder.path(), "geofences export --last --embedded f.gpkg");
    assert!(last.contains("MultiPolygon") && !last.contains("pump") && !last.contains("valid_from"), "{last}");
}

#[test]
fn deleting_what_is_not_there_is_an_error() {
    let folder = filled();
    let (code, printed) = run(folder.path(), "geofences delete yrad --embedded f.gpkg");
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("the nearest is \"yard\": nothing was deleted"), "{printed}");
    // It has ended already; its end may still be moved.
    let (code, printed) = run(folder.path(), "geofences delete pump --embedded f.gpkg");
    assert_eq!(code, Some(1), "{printed}");
    succeeds(folder.path(), "geofences delete pump --valid-from 2026-11-20T00:00:00Z --embedded f.gpkg");
    // What the log has and the tables do not contain yet counts.
    succeeds(folder.path(), "geofences delete yard --embedded f.gpkg");
    let (code, printed) = run(folder.path(), "geofences delete yard --embedded f.gpkg");
    assert_eq!(code, Some(1), "{printed}");
    let (code, printed) = run(folder.path(), "geofences delete yard --embedded new.gpkg");
    assert_eq!(code, Some(1), "{printed}");
    assert!(!folder.path().join("new.gpkg").exists(), "{printed}");
}

#[test]
fn a_dry_run_needs_no_pipeline() {
    let folder = filled();
    let bad = r#"{"type":"Feature","id":"x","properties":{},"geometry":{"type":"Point","coordinates":[3.4,6.5]}}"#;
    std::fs::write(folder.path().join("bad.geojson"), bad).unwrap();
    std::fs::write(folder.path().join("v.csv"), "Plate,Name,Colour\nT1,Mack,red\n").unwrap();
    std::fs::write(
        folder.path().join("p.csv"),
        "id,ts,lat,lon\na,2026-11-20T06:00:00Z,0,0\na,2026-11-20T06:01:00Z,6,3\n",
    )
    .unwrap();
    let (code, printed) = run(folder.path(), "geofences import g.geojson --dry-run");
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("g.geojson: 4 geofences (GeoJSON)") && printed.contains("nothing was appended"),
        "{printed}"
    );
    let (code, printed) = run(folder.path(), "geofences import g.geojson bad.geojson --dry-run");
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("feature 1: geometry: a Point needs radius_m"), "{printed}");
    assert_eq!(run(folder.path(), "geofences import bad.geojson --dry-run").0, Some(2));
    let (code, printed) = run(folder.path(), "vehicles import v.csv --dry-run");
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.contains("Plate = vehicle_id, Name = name, Colour = an attribute"), "{printed}");
    let (code, printed) = run(folder.path(), "publish --positions p.csv --dry-run");
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("1 refused as null_island:\n    line 2:"), "{printed}");
    for command in ["geofences import g.geojson", "vehicles import v.csv", "publish --positions p.csv"] {
        let (code, printed) = run(folder.path(), command);
        assert_eq!(code, Some(2), "{command}: {printed}");
        assert!(printed.contains("--redis URL --pipeline NAME, or --embedded FILE"), "{command}: {printed}");
    }
}

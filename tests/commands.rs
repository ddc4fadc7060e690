//! The program as a user runs it: exit codes, what it prints, what it writes.

use std::path::Path;
use std::process::{Command, Output};

fn watchtower(args: &[&str], dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchtower")).args(args).current_dir(dir).output().unwrap()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn wrong_use_is_2_and_says_what_is_expected() {
    let dir = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (&["replay"][..], "--out <DIR>"),
        (&["replay", "--out", "x"], "--positions"),
        (&["replay", "--positions", "x", "--out", "y", "--lateness", "six hours"], "as in 90s, 6h or 1h30m"),
        (&["replay", "--positions", "x", "--out", "y", "--workers", "0"], "1..=256"),
        (&["relpay"], "replay"),
    ] {
        let output = watchtower(args, dir.path());
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(printed(&output).contains(expected), "{args:?}: {}", printed(&output));
    }
}

#[test]
fn an_unreadable_file_is_1_and_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("columns.csv"), "vehicle_id,ts,easting,lat\n").unwrap();
    for (file, expected) in [("nothing.csv", "nothing.csv"), ("columns.csv", "lon")] {
        let output = watchtower(&["replay", "--positions", file, "--out", "out"], dir.path());
        assert_eq!(output.status.code(), Some(1), "{file}");
        assert!(printed(&output).contains(expected), "{file}: {}", printed(&output));
    }
}

#[test]
fn a_replay_writes_every_table_and_keeps_what_it_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let positions = "vehicle_id,ts,lon,lat,speed_kmh,fuel\n\
                     T1,2026-11-23T06:00:00Z,3.4755,6.5563,0,62\n\
                     T1,2026-11-23T06:10:00Z,3.5,6.6,41,61\n\
                     T1,2026-11-23T06:20:00Z,3.5,96.6,41,61\n";
    let geofence = r#"{"type":"Feature","id":"yard","properties":{"radius_m":150,"min_dwell_s":300},
        "geometry":{"type":"Point","coordinates":[3.4755,6.5563]}}"#;
    std::fs::write(dir.path().join("p.csv"), positions).unwrap();
    std::fs::write(dir.path().join("g.geojson"), geofence).unwrap();
    let output =
        watchtower(&["replay", "--positions", "p.csv", "--geofences", "g.geojson", "--out", "out"], dir.path());
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    let read = |table: &str| std::fs::read_to_string(dir.path().join("out").join(table)).unwrap();
    assert_eq!(
        read("visits.csv"),
        "vehicle_id,geofence_id,entered_at,exited_at,confirmed\n\
         T1,yard,2026-11-23T06:00:00.000Z,2026-11-23T06:10:00.000Z,true\n"
    );
    assert_eq!(read("geofence_membership.csv"), "vehicle_id,geofence_id,entered_at\n");
    assert_eq!(read("geofence_occupancy.csv"), "geofence_id,vehicles\nyard,0\n");
    assert_eq!(read("offlines.csv"), "vehicle_id,started_at,ended_at\n");
    assert!(read("vehicle_state.csv").contains("T1,2026-11-23T06:10:00.000Z,3.5,6.6,41,,moving,[]"));
    assert!(
        read("positions.csv").contains("T1,2026-11-23T06:00:00.000Z,3.4755,6.5563,0,,,,,\"{\"\"fuel\"\":\"\"62\"\"}\"")
    );
    assert!(read("geofences.csv").contains("yard,-infinity,,-infinity,,,false,[],300,0,,150,POINT"));
    let rejected = read("rejected_events.csv");
    assert!(rejected.starts_with("stream,position,reason,event"), "{rejected}");
    assert!(rejected.contains("p.csv,4,coordinates"), "{rejected}");
    assert!(printed(&output).contains("1 coordinates"), "{}", printed(&output));
}

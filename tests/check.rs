//! `watchtower check` and `resume` over the one file.

use std::process::Output;

use crate::support::file::OneFile;

const EVENTS: &str = r#"{"type":"geofence","geofence_id":"yard","valid_from":"2026-11-01T00:00:00Z","radius_m":150,"geometry":{"type":"Point","coordinates":[3.36,6.44]}}
{"type":"geofence","geofence_id":"gone","valid_from":"2026-11-01T00:00:00Z","radius_m":150,"geometry":{"type":"Point","coordinates":[3.4,6.44]}}
{"type":"geofence","geofence_id":"gone","valid_from":"2026-11-02T00:00:00Z","deleted":true}
{"type":"position","vehicle_id":"T1","ts":"2026-11-23T06:00:00Z","lon":3.36,"lat":6.44,"speed_kmh":0}
"#;

/// The exit code and all that was printed.
fn run(one: &OneFile, command: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = one.run(command, arguments);
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

#[track_caller]
fn has(printed: &str, lines: &[&str]) {
    for line in lines {
        assert!(printed.contains(line), "{line:?} in\n{printed}");
    }
}

/// The findings that are no good ones, but for the address of a gateway, which may be taken on this machine.
fn faults(printed: &str) -> Vec<&str> {
    let is_fault = |line: &&str| line.starts_with("WRONG") || line.starts_with("warning");
    printed.lines().filter(is_fault).filter(|line| !line.contains("[gateway]")).collect()
}

/// A file with the log and the tables of [`EVENTS`].
fn filled() -> OneFile {
    let one = OneFile::new(1, "");
    let lines = one.beside("events.ndjson");
    std::fs::write(&lines, EVENTS).unwrap();
    let (code, printed) = run(&one, "replay", &["--events", lines.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{printed}");
    one
}

#[test]
fn a_file_that_will_be_created_is_checked() {
    let one = OneFile::new(1, "");
    let (code, printed) = run(&one, "check", &[]);
    assert_eq!(code, Some(0), "{printed}");
    has(&printed, &["fleet.gpkg does not exist yet: the first `run` creates it", " are free on the disk of "]);
    assert_eq!(faults(&printed), [""; 0]);
    assert!(!one.path().exists(), "it changes nothing");
}

#[test]
fn a_file_at_rest_is_described() {
    let one = filled();
    let before = std::fs::read(one.path()).unwrap();
    let (code, printed) = run(&one, "check", &[]);
    assert_eq!(code, Some(0), "{printed}");
    has(
        &printed,
        &[
            "ok      stream events:0: 1 entries ever added",
            "fleet.gpkg is a GeoPackage of this program, ",
            "ok      no process writes the file: its write-ahead log was moved into it",
            "no daemon writes them",
            "ok      the tables were computed under the configured limits and rules",
            "ok      1 geofence is in force",
            "ok      0 valid tokens of the gateway",
        ],
    );
    assert_eq!(faults(&printed), [""; 0]);
    assert_eq!(std::fs::read(one.path()).unwrap(), before, "it changes nothing");
}

#[test]
fn what_keeps_a_daemon_from_a_file_is_wrong() {
    let one = filled();
    one.configure("[rules]\nspeed_limit_kmh = 30");
    let (code, printed) = run(&one, "check", &[]);
    assert_eq!(code, Some(1), "{printed}");
    has(&printed, &["were computed under: rules.default_speed_limit_kmh was ", "`watchtower rebuild --embedded "]);
    assert_eq!(faults(&printed).len(), 1, "{printed}");

    std::fs::write(one.config(), "[embedded]\nstreams = 3\n").unwrap();
    let (code, printed) = run(&one, "check", &[]);
    assert_eq!(code, Some(1), "{printed}");
    has(&printed, &["WRONG   ", " has 1 event stream, not 3"]);

    one.configure("");
    std::fs::write(one.path(), "vehicle_id,ts,lon,lat\n").unwrap();
    let (code, printed) = run(&one, "check", &[]);
    assert_eq!(code, Some(1), "{printed}");
    has(&printed, &["WRONG   ", "is not an SQLite database, not a file that watchtower made"]);
}

#[test]
fn the_daemon_that_holds_a_file_is_named() {
    let one = filled();
    let daemon = one.spawn(&[], &[]);
    daemon.wait_until_ready();
    let (code, printed) = run(&one, "check", &[]);
    assert_eq!(code, Some(0), "{printed}");
    let writer = format!("warning the file is being written by process {} on ", daemon.pid());
    has(&printed, &[&writer, "it is in use if the daemon runs", "ok      the write-ahead log has "]);
    assert!(daemon.stop().success());
    let (_, printed) = run(&one, "check", &[]);
    assert_eq!(faults(&printed), [""; 0]);
}

#[test]
fn nothing_can_be_resumed_over_a_file() {
    let one = filled();
    let before = std::fs::read(one.path()).unwrap();
    let (code, printed) = run(&one, "resume", &["--accept-gap"]);
    assert_eq!(code, Some(2), "{printed}");
    has(&printed, &["there is nothing to resume", "`watchtower check --embedded ", "`watchtower rebuild --embedded "]);
    assert_eq!(std::fs::read(one.path()).unwrap(), before);
}

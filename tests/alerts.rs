//! Alert rules as users write them: `alerts test`, `replay --config`, and the rules of a configuration in a running pipeline.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::daemon::wait_until;
use crate::support::file::OneFile;

/// A square around 3.36, 6.44.
const GEOFENCES: &str = r#"{"type":"FeatureCollection","features":[{"type":"Feature","id":"yard",
    "properties":{"kind":"depot","tags":["port"]},"geometry":{"type":"Polygon","coordinates":[[[3.35,6.43],[3.37,6.43],
    [3.37,6.45],[3.35,6.45],[3.35,6.43]]]}}]}"#;
const POSITIONS: &str = "vehicle_id,ts,lon,lat,speed_kmh
T1,2026-11-23T06:00:00Z,3.34,6.44,80
T1,2026-11-23T06:01:00Z,3.36,6.44,0
T1,2026-11-23T06:10:00Z,3.36,6.44,0
T1,2026-11-23T06:12:00Z,3.38,6.44,30
T1,2026-11-23T06:20:00Z,3.36,6.44,0
";
const RULES: &str = r#"
[[rule]]
id = "in"
on = "enter"
to = ["log"]

[[rule]]
id = "long"
on = "dwell"
after = "5m"
where = { tags = "port" }
severity = "critical"
to = ["discard"]
"#;

/// Exit code, output, errors.
fn run(folder: &Path, arguments: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
    let output = command.args(arguments.split_whitespace()).current_dir(folder).output().unwrap();
    let [printed, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), printed, errors)
}

fn folder(rules: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("g.geojson", GEOFENCES), ("p.csv", POSITIONS), ("fleet.toml", rules)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const FILES: &str = "--config fleet.toml --positions p.csv --geofences g.geojson";

#[test]
fn a_rule_is_tried_on_recorded_positions() {
    let folder = folder(RULES);
    let (code, printed, errors) = run(folder.path(), &format!("alerts test in {FILES} --json"));
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let alerts: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found: Vec<_> = alerts.iter().map(|alert| [&alert["at"], &alert["vehicle_id"], &alert["subject"]]).collect();
    assert_eq!(
        found,
        [
            ["2026-11-23T06:01:00.000Z", "T1", "in/enter/T1/yard/2026-11-23T06:01:00.000Z"],
            ["2026-11-23T06:20:00.000Z", "T1", "in/enter/T1/yard/2026-11-23T06:20:00.000Z"],
        ]
    );
    let (_, printed, _) = run(folder.path(), &format!("alerts test long {FILES}"));
    assert_eq!(printed.lines().count(), 2, "{printed}");
    assert!(printed.starts_with("2026-11-23T06:06:00.000Z  critical  dwell  T1  yard  "), "{printed}");
    assert!(printed.ends_with("rule long: 1 alert in 6 events\n"), "{printed}");
    let (code, _, errors) = run(folder.path(), &format!("alerts test out {FILES}"));
    assert_eq!(code, Some(1));
    assert!(errors.contains("there is no rule \"out\": the configuration has in, long"), "{errors}");
}

#[test]
fn rule_events_of_files_do_not_count_in_a_test_but_in_a_replay() {
    let folder = folder(RULES);
    let event = r#"{"type":"rule","rule_id":"in","deleted":true}"#;
    std::fs::write(folder.path().join("e.ndjson"), format!("{event}\n")).unwrap();
    let (_, printed, _) = run(folder.path(), &format!("alerts test in {FILES} --events e.ndjson"));
    assert!(printed.ends_with("rule in: 2 alerts in 6 events\n"), "{printed}");
    let (code, printed, errors) = run(folder.path(), &format!("replay {FILES} --events e.ndjson --out tables"));
    assert_eq!(code, Some(0), "{printed}{errors}");
    let table = |name: &str| std::fs::read_to_string(folder.path().join("tables").join(name)).unwrap();
    let alerts = table("alerts.csv");
    let ids: Vec<&str> = alerts.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(ids, ["long"], "{alerts}");
    assert_eq!(table("rules.csv").lines().count(), 2, "{}", table("rules.csv"));
}

#[test]
fn what_is_wrong_with_a_rule_is_named_with_its_place() {
    for (rule, wrong) in [
        ("id = \"a\"", "on is missing"),
        ("on = \"enter\"", "id: missing"),
        ("id = \"a\"\non = \"entre\"", "fleet.toml:3:6: [[rule]] on: expected enter, exit, dwell,"),
        ("id = \"a\"\non = \"dwell\"", "a dwell needs it, such as after = \"15m\""),
        ("id = \"a\"\non = \"exit\"\nafter = \"1m\"", "only what lasts can be waited for"),
        ("id = \"a\"\non = \"stop\"\nafter = \"1 parsec\"", "[[rule]] after: expected a duration"),
        ("id = \"a\"\non = \"occupancy\"", "an occupancy needs it, or fewer_than"),
        ("id = \"a\"\non = \"idling\"\nwhere = { geofence = \"yard\" }", "it is about no geofence"),
        ("id = \"a\"\non = \"enter\"\nhours = { from = \"8\" }", "expected a time of day from 00:00 to 24:00"),
        ("id = \"a\"\non = \"enter\"\nhours = { zone = \"Lagos\" }", "expected a time zone such as Africa/Lagos"),
        ("id = \"a\"\non = \"enter\"\nhours = { days = \"monday\" }", "expected mon, tue, wed, thu, fri, sat, sun"),
        ("id = \"a\"\non = \"enter\"\nwhere = { vessel = \"T1\" }", "unknown field `vessel`"),
        ("id = \"a\"\non = \"enter\"\ncoldown = \"1h\"", "did you mean `cooldown`?"),
    ] {
        let folder = folder(&format!("[[rule]]\n{rule}\n"));
        let (code, _, errors) = run(folder.path(), &format!("alerts test a {FILES}"));
        assert_eq!(code, Some(2), "{rule}: {errors}");
        assert!(errors.contains(wrong), "{rule}: {errors}");
    }
}

/// Rules are versions of the log: one that is changed in the configuration is another version, one that is left out is
/// deleted, and one that came by an event stays.
#[test]
fn rules_of_the_configuration_follow_it() {
    let pipeline = OneFile::new(1, RULES);
    let in_force = |where_: &str| {
        let sql = format!("SELECT count(*) FROM rules WHERE effective_until IS NULL AND {where_}");
        pipeline.path().exists().then(|| pipeline.number(&sql)).flatten().unwrap_or(0)
    };
    let daemon = pipeline.spawn(&[], &[]);
    wait_until("both rules are in force", || in_force("true") == 2);
    daemon.stop();

    let event = pipeline.beside("rules.ndjson");
    std::fs::write(&event, r#"{"type":"rule","rule_id":"mine","on":"exit"}"#).unwrap();
    assert!(pipeline.run("publish", &["--events", event.to_str().unwrap()]).status.success());
    pipeline.configure("[[rule]]\nid = \"in\"\non = \"enter\"\ncooldown = \"1h\"\nto = [\"log\"]\n");
    let daemon = pipeline.spawn(&[], &[]);
    wait_until("the changed rule is in force", || in_force("rule_id = 'in' AND definition LIKE '%cooldown%'") == 1);
    wait_until("the other one is gone", || in_force("rule_id = 'long'") == 0);
    assert_eq!(in_force("rule_id = 'mine'"), 1);
    daemon.stop();

    let versions = || pipeline.number("SELECT count(*) FROM rules");
    let before = versions();
    let daemon = pipeline.spawn(&[], &[]);
    daemon.wait_until_ready();
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(versions(), before, "what has not changed is not appended again");
    daemon.stop();
}

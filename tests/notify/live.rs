//! From positions to webhooks: the daemon in one file, with a rule of the configuration.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use watchtower_core::tables::rules;
use watchtower_geopackage::GeoPackage;
use watchtower_store::query::Query;
use watchtower_store::{Options, Store};

use super::receiver::{Receiver, status};
use super::support::RUNTIME;
use crate::support::servers::free_port;

const PATIENCE: Duration = Duration::from_secs(120);

/// Ends the daemon with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn watchtower() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Appends events to the log in the file.
fn publish(file: &Path, events: &[Value]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.ndjson");
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    let status = watchtower().arg("publish").arg("--embedded").arg(file).arg("--events").arg(&path).status().unwrap();
    assert!(status.success());
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Number of rows of the table of rules.
fn known_rules(file: &Path) -> usize {
    let store = Store::new(&Options::File(GeoPackage::at(file))).unwrap();
    let rows = RUNTIME.block_on(async {
        let mut reader = store.reader().await.ok()?;
        let [answer] = reader.read([&Query::all(&rules::TABLE)]).await.ok()?;
        Some(answer.rows.len())
    });
    rows.unwrap_or_default()
}

#[test]
fn an_entry_is_raised_corrected_by_a_late_position_and_retracted_when_it_did_not_happen() {
    let receiver = Receiver::start(|_, _| status(200));
    let folder = tempfile::tempdir().unwrap();
    let (file, config) = (folder.path().join("lagos.gpkg"), folder.path().join("watchtower.toml"));
    let text = format!(
        "[http]\nlisten = \"127.0.0.1:{}\"\n[[rule]]\nid = \"in\"\non = \"enter\"\nto = [\"ops\", \"log\"]\n\
         message = \"{{{{ vehicle_id }}}} is here\"\n\
         [[channel]]\nid = \"ops\"\nkind = \"webhook\"\nurl = \"{}\"\nallow = [\"127.0.0.1\"]\n",
        free_port(),
        receiver.url()
    );
    std::fs::write(&config, text).unwrap();
    let run = watchtower().arg("run").arg("--embedded").arg(&file).arg("--config").arg(&config).spawn().unwrap();
    let _daemon = Daemon(run);
    wait_for("the rule is in force", || known_rules(&file) == 1);
    let yard = json!({
        "type": "geofence", "geofence_id": "yard", "geometry": {"type": "Point", "coordinates": [3.36, 6.44]}, "radius_m": 150,
    });
    let begin = jiff::Timestamp::now().as_millisecond() + 1_000;
    let at = |seconds: i64, lon: f64| json!({"type": "position", "vehicle_id": "T1", "ts": begin + seconds * 1_000, "lon": lon, "lat": 6.44});
    let withdrawn =
        |seconds: i64| json!({"type": "position", "vehicle_id": "T1", "ts": begin + seconds * 1_000, "deleted": true});
    publish(&file, &[yard, at(0, 3.35), at(30, 3.36)]);
    wait_for("it is raised", || receiver.seen().len() == 1);
    publish(&file, &[at(20, 3.36)]);
    wait_for("it is corrected", || receiver.seen().len() == 2);
    publish(&file, &[withdrawn(20), withdrawn(30)]);
    wait_for("it is retracted", || receiver.seen().len() == 3);
    let bodies: Vec<Value> = receiver.seen().iter().map(super::receiver::Request::json).collect();
    let types: Vec<&str> = bodies.iter().map(|body| body["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["alert.raised", "alert.corrected", "alert.retracted"]);
    assert_eq!(bodies[0]["data"]["message"], "T1 is here");
    assert_eq!(bodies[1]["data"]["old_subject"], bodies[0]["data"]["subject"]);
    assert_eq!(bodies[2]["data"]["subject"], bodies[1]["data"]["subject"]);
    assert_eq!(bodies[2]["data"]["alert"], Value::Null);
    let listed = Command::new(env!("CARGO_BIN_EXE_watchtower"))
        .args(["deliveries", "list", "--json", "--channel", "ops", "--embedded"])
        .arg(&file)
        .output()
        .unwrap();
    let line: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&line["state"], &line["event"]), (&json!("delivered"), &json!("retracted")));
}

#[test]
fn what_is_wrong_with_channels_and_messages_is_said_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("watchtower.toml");
    let text = "pipeline = \"lagos\"\n[[channel]]\nid = \"ops\"\nkind = \"webhook\"\nurl = \"ftp://x/secret\"\nkey = \"k\"\n\
                allow = [\"10.0.0.0/40\"]\n[[rule]]\nid = \"in\"\non = \"enter\"\nto = [\"opps\"]\nmessage = \"{{ vehicle_id\"\n";
    std::fs::write(&config, text).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_watchtower")).arg("notify").arg("--config").arg(&config).output().unwrap();
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{printed}");
    for part in [
        "[[channel]] url: expected a URL of https or http",
        "[[channel]] key: this is a key of channels of kind \"redis\"",
        "[[channel]] allow: expected a network",
        "[[rule]] to: no [[channel]] has the id \"opps\"; did you mean `ops`?",
        "[[rule]] message: the template cannot be used",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert!(!printed.contains("secret"), "{printed}");
}

//! Feeds with servers: leases in Redis, and OwnTracks from a broker.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use watchtower_testing::servers::Mosquitto;

use super::server::{FeedServer, Journal, TOKEN};
use super::support::{Feeds, journal};
use crate::gateway::support::{YARD, now_s, try_request};
use crate::support::daemon::{Daemon, wait_until};
use crate::support::python;
use crate::support::servers::free_port;
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// A Redis, a journal as a source, and gateways beside them.
struct BesideRedis {
    redis: RedisServer,
    feed: Journal,
    folder: tempfile::TempDir,
}

impl BesideRedis {
    fn new() -> Self {
        let (redis, feed) = (RedisServer::start(RedisOptions::default()), Journal::new(1));
        let shared = feed.clone();
        let server = FeedServer::start(move |request| shared.reply(request));
        let folder = tempfile::tempdir().unwrap();
        let text = format!("pipeline = \"lagos\"\n[redis]\nurl = \"{}\"\n{}", redis.url(), journal(server.port));
        std::fs::write(folder.path().join("watchtower.toml"), text).unwrap();
        Self { redis, feed, folder }
    }

    fn start(&self, variables: &[(&str, &str)]) -> Daemon {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
        command.arg("gateway").arg("--config").arg(self.folder.path().join("watchtower.toml"));
        command.env("JOURNAL_TOKEN", TOKEN).env("WATCHTOWER_GATEWAY_LISTEN", format!("127.0.0.1:{port}"));
        command.envs(variables.iter().copied());
        Daemon::spawn(command, port, self.folder.path())
    }

    /// A field of the lease.
    fn field(&self, name: &str) -> String {
        let answer = self.redis.command(&["HGET", "wt:lagos:source:journal", name]);
        answer.split("\r\n").nth(1).unwrap_or_default().to_owned()
    }

    /// Entries of the log.
    fn entries(&self) -> String {
        self.redis.command(&["XLEN", "wt:lagos:events:0"])
    }
}

#[test]
fn one_process_fetches_beside_a_redis_and_another_takes_over() {
    let beside = BesideRedis::new();
    (0..3).for_each(|second| beside.feed.add("T1", now_s() + second, 3.36));
    let mut killed = beside.start(&[("WATCHTOWER_CRASH_AT", "before-cursor:2")]);
    killed.wait();
    let found = (beside.field("cursor"), beside.field("term"), beside.entries());
    assert_eq!(found, ("v1".to_owned(), "1".to_owned(), ":2\r\n".to_owned()));
    let second = beside.start(&[]);
    wait_until("the second has taken over", || beside.field("cursor") == "v3");
    assert_eq!((beside.field("term").as_str(), beside.entries().as_str()), ("2", ":4\r\n"), "one is appended again");
    let third = beside.start(&[]);
    wait_until("the third waits", || third.log().contains("another process fetches the source"));
    assert_eq!(second.stop().code(), Some(0));
    beside.feed.add("T1", now_s() + 3, 3.36);
    wait_until("the third has taken over", || beside.field("cursor") == "v4");
    assert_eq!(beside.field("term"), "3");
}

#[test]
fn a_paused_process_neither_appends_nor_moves_the_cursor() {
    let beside = BesideRedis::new();
    beside.feed.add("T1", now_s(), 3.36);
    let paused = beside.start(&[("WATCHTOWER_FREEZE_AT", "before-cursor:1")]);
    wait_until("the first is paused", || paused.log().contains("crash point before-cursor"));
    assert_eq!((beside.field("cursor").as_str(), beside.entries().as_str()), ("", ":1\r\n"));
    beside.feed.add("T1", now_s() + 1, 3.36);
    let _second = beside.start(&[]);
    wait_until("the second has taken over", || beside.field("cursor") == "v2");
    let entries = beside.entries();
    paused.signal("CONT");
    wait_until("the first has noticed", || {
        let log = paused.log();
        log.contains("another process has taken over") || log.contains("another process fetches the source")
    });
    assert_eq!((beside.field("cursor"), beside.entries()), ("v2".to_owned(), entries));
}

/// Positions of a phone as OwnTracks publishes them.
fn location(ts_s: i64, lon: f64) -> String {
    format!(r#"{{"_type":"location","tid":"ad","lat":6.44,"lon":{lon},"tst":{ts_s},"vel":36,"acc":14}}"#)
}

#[test]
fn messages_of_a_broker_are_acknowledged_once_the_log_has_them() {
    let mut broker = Mosquitto::start().unwrap_or_else(|error| panic!("{error} (scripts/test installs it)"));
    let source = format!(
        "[[source]]\nname = \"phones\"\nformat = \"owntracks\"\nmqtt = \"mqtt://127.0.0.1:{}\"\n\
         topics = [\"owntracks/+/+\"]\n",
        broker.port()
    );
    let feeds = Feeds::new(&source);
    let start = now_s() - 600;
    let publish = |broker: &Mosquitto, minute: i64| {
        let body = location(start + 60 * minute, 3.30 + minute as f64 / 100.0);
        broker.publish("owntracks/ade/phone", &body).unwrap();
    };
    let subscriptions = |gateway: &Daemon| gateway.log().matches("subscribed to the topics").count();
    // The first message is in the log and not acknowledged; others are sent while no process runs.
    let (mut killed, _) = feeds.spawn(&[("WATCHTOWER_CRASH_AT", "before-broker-ack:1")]);
    wait_until("it has subscribed", || subscriptions(&killed) == 1);
    publish(&broker, 0);
    killed.wait();
    assert_eq!(feeds.entries(), 1);
    publish(&broker, 1);
    publish(&broker, 2);
    let daemon = feeds.daemon();
    let rows = || feeds.one.number("SELECT count(*) FROM positions").unwrap_or(0);
    wait_until("the first is a row", || rows() == 1);
    let gateway = feeds.start();
    wait_until("what was sent meanwhile is in the tables", || rows() == 3);
    // What is no JSON is kept as refused and acknowledged: it does not come again.
    broker.publish("owntracks/ade/phone", "offline").unwrap();
    let refused = || feeds.one.number("SELECT count(*) FROM rejected_events WHERE reason = 'malformed'").unwrap_or(0);
    wait_until("it is refused", || refused() == 1);
    // The broker goes away and comes back with its sessions.
    broker.restart().unwrap();
    publish(&broker, 3);
    wait_until("it has subscribed again", || subscriptions(&gateway) == 2);
    publish(&broker, 4);
    wait_until("all messages are rows", || rows() == 5);
    assert_eq!(gateway.stop().code(), Some(0));
    let of_phone = "SELECT count(DISTINCT ts) FROM positions WHERE vehicle_id = 'ade/phone' AND speed_kmh = 36";
    assert_eq!((feeds.one.number(of_phone), refused()), (Some(5), 1));
    assert_eq!(daemon.stop().code(), Some(0));
}

/// The client library of many trackers and scripts.
const PAHO: &str = "paho-mqtt==2.2.0";

/// Publishes messages by paho, which speaks this version of MQTT.
fn publish_by_paho(broker: &Mosquitto, version: u8, messages: &[Value]) -> bool {
    let Some(python) = python::program(PAHO, "python") else { return false };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateway/peers/publish.py");
    let mut command = Command::new(python);
    command.arg(script).args([broker.port().to_string(), version.to_string()]);
    let mut process = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(Value::from(messages).to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    true
}

/// A message that the broker keeps for new subscribers, as the app publishes its locations.
fn retained(topic: &str, payload: &str) -> Value {
    json!({"topic": topic, "payload": payload, "retain": true})
}

/// What the app publishes on a way into the yard and out of it, beside what is no position, and the last location of
/// another phone, whose will the broker publishes.
fn way_of_a_phone(start_s: i64) -> Vec<Value> {
    let topic = "owntracks/ade/phone";
    let lons = [3.30, 3.36, 3.361, 3.362, 3.40];
    let locations = (0..).zip(lons).map(|(minute, lon)| retained(topic, &location(start_s + 60 * minute, lon)));
    let event = format!(
        r#"{{"_type":"transition","event":"enter","desc":"Yard","lat":6.44,"lon":3.3595,"acc":10,"tst":{},"wtst":{start_s}}}"#,
        start_s + 90
    );
    let waypoint = format!(r#"{{"_type":"waypoint","desc":"Yard","lat":6.44,"lon":3.36,"rad":150,"tst":{start_s}}}"#);
    let will = format!(r#"{{"_type":"lwt","tst":{start_s}}}"#);
    let last = retained("owntracks/ben/phone", &location(start_s, 3.30));
    let lost = json!({"topic": "owntracks/ben/phone", "payload": will, "retain": false, "last": last});
    let others = [
        json!({"topic": "owntracks/ade/phone/event", "payload": event, "retain": false}),
        retained("owntracks/ade/phone/waypoint", &waypoint),
        retained("owntracks/ade/phone/status", r#"{"_type":"status","android":{"wifi":1}}"#),
        lost,
    ];
    locations.chain(others).collect()
}

#[test]
fn what_paho_publishes_as_owntracks_ends_as_rows() {
    let broker = Mosquitto::start().unwrap_or_else(|error| panic!("{error} (scripts/test installs it)"));
    let feeds = Feeds::new(&format!(
        "[[source]]\nname = \"phones\"\nformat = \"owntracks\"\nmqtt = \"mqtt://127.0.0.1:{}\"\n\
         topics = [\"owntracks/#\"]\n",
        broker.port()
    ));
    let start = now_s() - 900;
    let (gateway, port) = feeds.spawn(&[]);
    wait_until("it has subscribed", || gateway.log().contains("subscribed to the topics"));
    let answer = try_request(port, "POST", "/v1/geofences", &[], YARD.as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let daemon = feeds.daemon();
    if !publish_by_paho(&broker, 4, &way_of_a_phone(start)) {
        return;
    }
    let rows = |sql: &str| feeds.one.number(&format!("SELECT count(*) FROM {sql}")).unwrap_or(0);
    wait_until("all positions are rows", || rows("positions") == 7);
    let of_phone = "positions WHERE vehicle_id = 'ade/phone' AND speed_kmh = 36 AND accuracy_m = 14";
    assert_eq!((rows(of_phone), rows("positions WHERE vehicle_id = 'ben/phone'")), (5, 1));
    let visit = "visits WHERE vehicle_id = 'ade/phone' AND geofence_id = 'yard' AND exited_at IS NOT NULL";
    wait_until("the visit is there", || rows(visit) == 1);
    // A new subscription delivers what the broker has retained once more; and version 5 is as good.
    assert_eq!(gateway.stop().code(), Some(0));
    let (gateway, _) = feeds.spawn(&[]);
    wait_until("it has subscribed again", || gateway.log().contains("subscribed to the topics"));
    assert!(publish_by_paho(&broker, 5, &[retained("owntracks/ade/phone", &location(start + 600, 3.41))]));
    wait_until("the next position is a row", || rows("positions") == 8);
    assert_eq!((rows(visit), rows("visits"), rows("rejected_events")), (1, 1, 0));
    assert_eq!(gateway.stop().code(), Some(0));
    assert_eq!(daemon.stop().code(), Some(0));
}

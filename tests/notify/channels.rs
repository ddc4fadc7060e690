//! The channels that are no webhooks, with the real servers behind them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use watchtower_notify::{Channel, ChannelKind, Email, Postgres, Redis};
use watchtower_store::postgres;

use super::support::{Desk, alert, deliver, entered, subject};
use crate::support::python;
use crate::support::servers::free_port;
use crate::support::servers::postgres::PostgresServer;
use crate::support::servers::redis::{RedisOptions, RedisServer};

const AIOSMTPD: &str = "aiosmtpd==1.4.6";

fn lagos(url: &str) -> watchtower_store::Options {
    let postgres =
        postgres::Options { url: url.to_owned().into(), schema: "lagos".to_owned(), ..postgres::Options::default() };
    watchtower_store::Options::Postgres { pipeline: "lagos".to_owned(), postgres, streams: 1 }
}

#[test]
fn redis_gets_an_entry_of_a_capped_stream_and_a_message() {
    let server = RedisServer::start(RedisOptions::default());
    let port = server.url().rsplit(':').next().unwrap().trim_end_matches('/').to_owned();
    let mut subscriber = Command::new("redis-cli")
        .args(["-p", &port, "SUBSCRIBE", "wt:lagos:alerts"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(subscriber.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.by_ref().take(3).last().as_deref(), Some("1"), "it has subscribed");
    let mut desk = Desk::new();
    desk.raise(&["t1"], &["bus", "discard", "log"]);
    let options = Redis { url: server.url().into(), ca_file: None, key: None, max_entries: 1 };
    let (_, rows) = deliver(desk.notifier(vec![Channel::new("bus", ChannelKind::Redis(options))]));
    assert_eq!(rows, 3);
    let message: Value = serde_json::from_str(&lines.nth(2).unwrap()).unwrap();
    subscriber.kill().unwrap();
    subscriber.wait().unwrap();
    assert_eq!((&message["type"], &message["data"]["subject"]), (&json!("alert.raised"), &json!(subject("t1"))));
    let entry = server.command(&["XRANGE", "wt:lagos:alerts", "-", "+"]);
    assert!(entry.contains(message["webhook_id"].as_str().unwrap()) && entry.contains("alert.raised"), "{entry}");
    let delivered = |channel: &str| format!("{channel} {} raised delivered", subject("t1"));
    assert_eq!(desk.listed(), ["bus", "discard", "log"].map(delivered));
}

#[test]
fn a_redis_that_is_away_is_retried() {
    let mut server = RedisServer::start(RedisOptions::default());
    let mut desk = Desk::new();
    let options = Redis { url: server.url().into(), ca_file: None, key: None, max_entries: 1 };
    let channel = Channel::new("bus", ChannelKind::Redis(options));
    desk.raise(&["t1"], &["bus"]);
    let (notifier, _) = deliver(desk.notifier(vec![channel]));
    server.kill();
    desk.raise(&["t2"], &["bus"]);
    let (notifier, _) = deliver(notifier);
    assert!(desk.listed()[0].contains("t2/yard") && desk.listed()[0].contains("pending"), "{:?}", desk.listed());
    server.restart();
    desk.pass(3_600_000);
    deliver(notifier);
    assert_eq!(desk.listed().len(), 2);
    assert!(desk.listed().iter().all(|line| line.ends_with("delivered")), "{:?}", desk.listed());
}

#[test]
fn listeners_of_postgresql_are_notified() {
    let url = PostgresServer::shared().database();
    let mut desk = Desk::over(lagos(&url));
    desk.commit(&[(alert("t1", "warning", &json!({"on": "enter", "to": "pg", "message": "x".repeat(7_000)})), 1)]);
    // psql prints what was notified after the next statement that it runs.
    let mut psql = Command::new("psql")
        .arg(&url)
        .args(["-X", "-q", "-A", "-t"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = psql.stdin.take().unwrap();
    let mut lines = BufReader::new(psql.stdout.take().unwrap()).lines().map(Result::unwrap);
    use std::io::Write as _;
    writeln!(stdin, "LISTEN fleet; SELECT 'listening';").unwrap();
    assert_eq!(lines.next().as_deref(), Some("listening"));
    let channel = Channel::new("pg", ChannelKind::Postgres(Postgres { channel: "fleet".to_owned() }));
    let (_, rows) = deliver(desk.notifier(vec![channel]));
    assert_eq!(rows, 1);
    writeln!(stdin, "SELECT 'done';").unwrap();
    let printed: Vec<String> = lines.by_ref().take(2).collect();
    drop(stdin);
    psql.wait().unwrap();
    let notified = printed.iter().find(|line| line.contains("\"fleet\"")).unwrap_or_else(|| panic!("{printed:?}"));
    assert!(notified.contains("alert.raised") && notified.contains(&subject("t1")), "{notified}");
    assert_eq!(desk.listed(), [format!("pg {} raised delivered", subject("t1"))]);
}

#[test]
fn a_mail_server_gets_one_mail_per_event_in_one_conversation() {
    let Some(python) = python::program(AIOSMTPD, "python") else { return };
    let port = free_port().to_string();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/notify/peers/mail.py");
    let mut server =
        Command::new(python).args([script, &port]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert_eq!(lines.next().as_deref(), Some("ready"));
    let mut desk = Desk::new();
    let message = "<b>{{ vehicle_id }}</b> & co: {{ text }}";
    let rule = json!({"on": "enter", "to": "mail", "message": message});
    desk.commit(&[(alert("t<1>", "warning", &rule), 1)]);
    desk.commit(&[(alert("t<1>", "warning", &rule), -1), (alert("t<1>", "critical", &rule), 1)]);
    let options = Email {
        url: format!("smtp://127.0.0.1:{port}").into(),
        from: "Watch Tower <alerts@example.org>".to_owned(),
        to: vec!["ops@example.org".to_owned(), "Boss <boss@example.org>".to_owned()],
        ca_file: None,
    };
    let mail = Channel { timeout: Duration::from_secs(30), ..Channel::new("mail", ChannelKind::Email(options)) };
    deliver(desk.notifier(vec![mail]));
    assert_eq!(desk.listed(), [format!("mail {} corrected delivered", subject("t<1>"))]);
    let mails: Vec<Value> = lines.take(2).map(|line| serde_json::from_str(&line).unwrap()).collect();
    drop(server.stdin.take());
    server.wait().unwrap();
    assert_eq!(mails[0]["to"], json!(["ops@example.org", "boss@example.org"]));
    assert!(mails[0]["subject"].as_str().unwrap().starts_with("[WARNING] <b>t<1></b>"), "{}", mails[0]["subject"]);
    assert!(
        mails[0]["plain"].as_str().unwrap().contains("<b>t<1></b> & co: t<1> entered yard"),
        "{}",
        mails[0]["plain"]
    );
    assert!(mails[0]["html"].as_str().unwrap().contains("<b>t&lt;1&gt;</b>"), "{}", mails[0]["html"]);
    assert_eq!(mails[1]["references"], mails[0]["message_id"]);
    assert_ne!(mails[1]["message_id"], mails[0]["message_id"]);
}

#[test]
fn deliveries_from_postgresql_are_those_from_a_file() {
    let url = PostgresServer::shared().database();
    let mut desk = Desk::over(lagos(&url));
    desk.raise(&["t1"], &["log", "discard"]);
    desk.commit(&[(entered("t1", "warning", &["log"]), -1), (entered("t1", "critical", &["log"]), 1)]);
    let (_, rows) = deliver(desk.notifier(Vec::new()));
    assert_eq!(rows, 3);
    let subject = subject("t1");
    assert_eq!(
        desk.listed(),
        [format!("discard {subject} raised delivered"), format!("log {subject} corrected delivered")]
    );
}

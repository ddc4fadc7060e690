//! Webhooks against receivers that fail in every way.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;
use watchtower_auth::guard::AddressGuard;
use watchtower_auth::signature::{self, Scheme};
use watchtower_model::Millis;
use watchtower_notify::{Channel, Keys, Notifier};

use super::receiver::{Receiver, Reply, Request, status};
use super::support::{Desk, RUNTIME, SECRETS, T0, alert, deliver, entered, spawned, subject, webhook, webhook_with};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;

fn keys() -> Keys {
    Keys(SECRETS.iter().map(|secret| signature::key(secret).unwrap()).collect())
}

#[test]
fn a_message_is_signed_by_the_old_secret_and_the_new_one() {
    let receiver = Receiver::willing();
    let mut desk = Desk::new();
    desk.raise(&["t1"], &["ops"]);
    let (_, rows) = deliver(desk.notifier(vec![webhook_with("ops", &receiver.url(), |options| options.keys = keys())]));
    assert_eq!(rows, 1);
    let seen = receiver.seen();
    let request = &seen[0];
    assert_eq!(request.header("content-type"), Some("application/json"));
    let parts: Vec<&str> = request.header("webhook-signature").unwrap().split(' ').collect();
    assert!(parts.len() == 2 && parts.iter().all(|part| part.starts_with("v1,")), "{parts:?}");
    let now_s = jiff::Timestamp::now().as_second();
    for secret in SECRETS {
        let keys = [signature::key(secret).unwrap()];
        let id = signature::verify(&Scheme::StandardWebhooks, &keys, |name| request.header(name), &request.body, now_s);
        assert_eq!(id.unwrap().as_deref(), request.header("webhook-id"));
    }
    let body = request.json();
    assert_eq!(request.event(), ("alert.raised".to_owned(), subject("t1"), 1));
    assert_eq!(body["data"]["message"], "t1 entered yard at 2026-11-23 06:00 UTC");
    assert_eq!((&body["data"]["alert"]["vehicle_id"], &body["data"]["before"]), (&json!("t1"), &json!(null)));
    assert_eq!((&body["pipeline"], &body["timestamp"]), (&json!("lagos"), &json!("2026-11-23T06:00:00.000Z")));
    assert_eq!(desk.listed(), [format!("ops {} raised delivered", subject("t1"))]);
}

#[test]
fn what_happens_to_an_alert_arrives_in_order_where_the_alert_went() {
    let (ops, boss) = (Receiver::willing(), Receiver::willing());
    let mut desk = Desk::new();
    desk.raise(&["t1"], &["ops"]);
    // The rule gets another channel: the alert did not go there, so neither does what follows.
    desk.commit(&[(entered("t1", "warning", &["ops"]), -1), (entered("t1", "critical", &["ops", "boss"]), 1)]);
    desk.commit(&[(entered("t1", "critical", &["ops", "boss"]), -1)]);
    desk.commit(&[(entered("t1", "info", &["ops", "boss"]), 1)]);
    let channels = vec![webhook("ops", &ops.url()), webhook("boss", &boss.url())];
    deliver(desk.notifier(channels));
    let events: Vec<(String, i64)> = ops.events().into_iter().map(|(event, _, revision)| (event, revision)).collect();
    let expected = [("alert.raised", 1), ("alert.corrected", 2), ("alert.retracted", 3), ("alert.raised", 4)];
    assert_eq!(events, expected.map(|(event, revision)| (event.to_owned(), revision)));
    assert_eq!(boss.events(), [("alert.raised".to_owned(), subject("t1"), 4)]);
    assert_eq!(ops.seen()[2].json()["data"]["alert"], json!(null));
    assert_eq!(ops.seen()[2].json()["data"]["before"]["severity"], "critical");
}

#[test]
fn an_alert_that_is_too_old_is_not_sent_and_not_corrected() {
    let receiver = Receiver::willing();
    let mut desk = Desk::new();
    let definition = json!({"on": "enter", "to": "ops", "max_age": "1m"});
    let old = |vehicle: &str, severity: &str| {
        let mut version = alert(vehicle, severity, &definition);
        version.row[2] = watchtower_core::tables::Cell::Time(T0 - 2 * MINUTE);
        version
    };
    desk.commit(&[(old("t1", "warning"), 1)]);
    desk.commit(&[(old("t1", "warning"), -1), (old("t1", "critical"), 1)]);
    desk.commit(&[(old("t1", "critical"), -1)]);
    let (_, rows) = deliver(desk.notifier(vec![webhook("ops", &receiver.url())]));
    assert_eq!((rows, receiver.seen().len()), (0, 0));
}

#[test]
fn a_lost_reply_is_a_second_attempt_with_the_same_key_and_bytes() {
    let receiver = Receiver::start(|n, _| if n < 2 { Reply::Lost } else { status(204) });
    let mut desk = Desk::new();
    desk.raise(&["t1"], &["ops"]);
    let mut notifier = desk.notifier(vec![webhook("ops", &receiver.url())]);
    for _ in 0..3 {
        (notifier, _) = deliver(notifier);
        desk.pass(MINUTE);
    }
    let seen = receiver.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(distinct(&seen), 1, "the same key and bytes");
    assert_eq!(desk.listed(), [format!("ops {} raised delivered", subject("t1"))]);
}

/// Number of different keys and bodies.
fn distinct(requests: &[Request]) -> usize {
    let seen: BTreeSet<(Option<&str>, &[u8])> =
        requests.iter().map(|request| (request.header("webhook-id"), request.body.as_slice())).collect();
    seen.len()
}

#[test]
fn a_receiver_that_asks_for_a_pause_gets_one() {
    let date = "Mon, 23 Nov 2099 06:00:00 GMT".to_owned();
    for (value, least, most) in [("90".to_owned(), 90_000, 90_000), (date, DAY, DAY)] {
        let header = value.clone();
        let receiver = Receiver::start(move |n, _| match n {
            0 => Reply::Status(429, vec![("retry-after", header.clone())], "slow down"),
            _ => status(200),
        });
        let mut desk = Desk::new();
        desk.raise(&["t1", "t2"], &["ops"]);
        let channel = Channel { concurrency: 1, ..webhook("ops", &receiver.url()) };
        let (notifier, _) = deliver(desk.notifier(vec![channel]));
        assert_eq!(receiver.seen().len(), 1, "the pause is for all of its messages");
        desk.pass(least - 1);
        let (notifier, rows) = deliver(notifier);
        assert_eq!(rows, 0, "{value}");
        desk.pass(most - least + 1);
        deliver(notifier);
        assert_eq!(receiver.seen().len(), 3, "{value}");
    }
}

/// Delivers at each instant at which something is due, for `span`. Returns the instants of the attempts.
fn over(desk: &Desk, mut notifier: Notifier, receiver: &Receiver, span: Millis) -> (Notifier, Vec<Millis>) {
    let (end, mut attempts) = (desk.now() + span, Vec::new());
    while desk.now() < end {
        let before = receiver.seen().len();
        (notifier, _) = deliver(notifier);
        attempts.extend((before..receiver.seen().len()).map(|_| desk.now()));
        desk.pass(MINUTE);
    }
    (notifier, attempts)
}

#[test]
fn a_receiver_that_fails_for_days_is_tried_for_72_hours_and_disabled_after_5_days() {
    let receiver = Receiver::start(|_, _| Reply::Status(503, Vec::new(), "maintenance"));
    let operators = Receiver::willing();
    let mut desk = Desk::new();
    desk.raise(&["t1"], &["ops"]);
    let channels = vec![webhook("ops", &receiver.url()), webhook("admins", &operators.url())];
    let notifier = Notifier::new(&desk.context(channels, &["admins", "ops"])).unwrap();
    let (notifier, attempts) = over(&desk, notifier, &receiver, 74 * HOUR);
    let span = attempts.last().unwrap() - attempts[0];
    assert!((72 * HOUR..=73 * HOUR + MINUTE).contains(&span), "{} h", span / HOUR);
    let longest = attempts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= HOUR + MINUTE && attempts.len() > 90, "{} attempts, {longest} ms apart", attempts.len());
    assert_eq!(distinct(&receiver.seen()), 1, "the same key and bytes in every attempt");
    let failed = "(answered 503 Service Unavailable: maintenance)";
    assert_eq!(desk.listed(), [format!("ops {} raised dead {failed}", subject("t1"))]);
    desk.raise(&["t2"], &["ops"]);
    let (notifier, _) = over(&desk, notifier, &receiver, 48 * HOUR);
    let told = operators.events();
    assert_eq!((told.len(), told[0].1.as_str()), (1, "endpoint_disabled/ops"));
    assert!(operators.seen()[0].json()["data"]["message"].as_str().unwrap().starts_with("channel ops is disabled"));
    let attempts = receiver.seen().len();
    over(&desk, notifier, &receiver, 5 * HOUR);
    assert_eq!(receiver.seen().len(), attempts, "nothing is sent to a disabled endpoint");
    assert!(desk.listed()[0].contains(" dead "), "{:?}", desk.listed());
}

#[test]
fn gone_disables_at_once_and_retry_enables_again() {
    let receiver = Receiver::start(|n, _| if n == 0 { status(410) } else { status(200) });
    let mut desk = Desk::new();
    desk.raise(&["t1"], &["ops"]);
    let (notifier, _) = deliver(desk.notifier(vec![webhook("ops", &receiver.url())]));
    desk.raise(&["t2"], &["ops"]);
    desk.pass(DAY);
    let (notifier, rows) = deliver(notifier);
    assert_eq!((rows, receiver.seen().len()), (0, 1));
    let outbox = desk.outbox();
    spawned(async move { outbox.retry(&Default::default()).await.unwrap() });
    deliver(notifier);
    let delivered = |vehicle| format!("ops {} raised delivered", subject(vehicle));
    assert_eq!(desk.listed(), [delivered("t1"), delivered("t2")]);
}

#[test]
fn a_redirect_is_not_followed() {
    let inside = Receiver::willing();
    let target = inside.url();
    let receiver = Receiver::start(move |n, _| match n {
        0..5 => Reply::Status([301, 302, 303, 307, 308][n], vec![("location", target.clone())], ""),
        _ => status(200),
    });
    let mut desk = Desk::new();
    desk.raise(&["t1"], &["ops"]);
    let mut notifier = desk.notifier(vec![webhook("ops", &receiver.url())]);
    for _ in 0..6 {
        (notifier, _) = deliver(notifier);
        desk.pass(HOUR);
    }
    assert_eq!((receiver.seen().len(), inside.seen().len()), (6, 0));
}

#[test]
fn private_addresses_are_refused_in_every_form() {
    let receiver = Receiver::willing();
    let mut desk = Desk::new();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "[64:ff9b::7f00:1]",
    ];
    let ids: Vec<String> = (0..hosts.len()).map(|i| format!("c{i}")).collect();
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    desk.raise(&["t1"], &names);
    let guarded = |(id, host): (&String, &&str)| {
        webhook_with(id, &receiver.url_at(host), |options| options.guard = AddressGuard::default())
    };
    deliver(desk.notifier(ids.iter().zip(&hosts).map(guarded).collect()));
    assert!(receiver.seen().is_empty());
    let listed = desk.listed();
    assert_eq!(listed.len(), hosts.len());
    for line in &listed {
        assert!(line.contains("pending") && line.contains("is not on the public internet"), "{line}");
        assert!(!line.contains("/alerts"), "an error names no URL: {line}");
    }
}

#[test]
fn endless_and_silent_receivers_cost_their_time_limit_and_no_more() {
    for reply in [Reply::Hang, Reply::Drip, Reply::EndlessHeader, Reply::EndlessBody(200), Reply::EndlessBody(500)] {
        let expected = if matches!(reply, Reply::EndlessBody(200)) { "delivered" } else { "pending" };
        let shown = format!("{reply:?}");
        let receiver = Receiver::start(move |_, _| reply.clone());
        let mut desk = Desk::new();
        desk.raise(&["t1"], &["ops"]);
        let begun = Instant::now();
        deliver(desk.notifier(vec![webhook("ops", &receiver.url())]));
        assert!(begun.elapsed() < Duration::from_secs(10), "{shown}: {:?}", begun.elapsed());
        let listed = desk.listed();
        assert!(listed[0].contains(expected), "{shown}: {listed:?}");
    }
}

#[test]
fn a_stuck_endpoint_holds_up_no_other() {
    let (stuck, healthy) = (Receiver::start(|_, _| Reply::Hang), Receiver::willing());
    let mut desk = Desk::new();
    let vehicles: Vec<String> = (0..100).map(|i| format!("t{i:03}")).collect();
    let names: Vec<&str> = vehicles.iter().map(String::as_str).collect();
    desk.raise(&names, &["stuck"]);
    let mut patient = webhook("stuck", &stuck.url());
    patient.timeout = Duration::from_secs(20);
    let mut context = desk.context(vec![patient, webhook("healthy", &healthy.url())], &[]);
    context.clock = watchtower_notify::Clock::machine();
    let notifier = Notifier::new(&context).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let task = RUNTIME.spawn(notifier.run(async { drop(stopped.await) }));
    wait_for("the stuck one has some", || !stuck.seen().is_empty());
    desk.raise(&["h1", "h2", "h3"], &["healthy"]);
    let begun = Instant::now();
    wait_for("the healthy one has all", || healthy.seen().len() == 3);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(stop);
    task.abort();
}

fn wait_for(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! The program `watchtower notify` is killed at every point of a delivery: nothing is lost, and what is sent again has the
//! same key and the same bytes.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use watchtower_core::crash::{NOTIFY_POINTS, VARIABLE};

use super::receiver::{Receiver, status};
use super::support::{Desk, RUNTIME};
use watchtower_store::outbox::Filter;

/// Vehicles with an alert each.
const VEHICLES: usize = 40;

fn notify(file: &std::path::Path, config: &std::path::Path, point: Option<&str>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
    command.arg("notify").arg("--embedded").arg(file).arg("--config").arg(config);
    if let Some(point) = point {
        command.env(VARIABLE, point);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_killed_notifier_loses_nothing_and_repeats_the_same_bytes() {
    // Each waits for claims to expire: at the same time.
    std::thread::scope(|scope| {
        for (hit, point) in NOTIFY_POINTS.iter().enumerate() {
            scope.spawn(move || kill_at(point, 1 + hit % 2));
        }
    });
}

/// Kills a notifier when it reaches a point for the `hit`th time, and lets another one go on.
fn kill_at(point: &str, hit: usize) {
    let receiver = Receiver::start(|_, _| status(200));
    let mut desk = Desk::new();
    let watchtower_store::Options::File(file) = desk.tables.clone() else { unreachable!() };
    let vehicles: Vec<String> = (0..VEHICLES).map(|i| format!("t{i:02}")).collect();
    let names: Vec<&str> = vehicles.iter().map(String::as_str).collect();
    desk.raise(&names, &["ops"]);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("watchtower.toml");
    let text = format!(
        "pipeline = \"lagos\"\n[[channel]]\nid = \"ops\"\nkind = \"webhook\"\nurl = \"{}\"\nallow = [\"127.0.0.0/8\"]\n\
         concurrency = 8\ntimeout = \"1s\"\n",
        receiver.url()
    );
    std::fs::write(&config, text).unwrap();
    let mut killed = notify(file.path(), &config, Some(&format!("{point}:{hit}")));
    wait_until(point, || killed.try_wait().unwrap().is_some());
    assert!(!killed.wait().unwrap().success(), "{point} was reached");
    let mut successor = notify(file.path(), &config, None);
    let outbox = desk.outbox();
    let filter = Filter { endpoint: Some("ops".to_owned()), ..Filter::default() };
    // The claims of the killed one expire first.
    wait_until(point, || {
        let rows = RUNTIME.block_on(outbox.list(&filter, 1_000)).unwrap();
        rows.len() == VEHICLES && rows.iter().all(|row| row.state.name() == "delivered")
    });
    successor.kill().unwrap();
    successor.wait().unwrap();
    let mut by_key: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for request in receiver.seen() {
        by_key.entry(request.header("webhook-id").unwrap().to_owned()).or_default().push(request.body);
    }
    assert_eq!(by_key.len(), VEHICLES, "{point}: each is there");
    assert!(by_key.values().all(|bodies| bodies.iter().all(|body| *body == bodies[0])), "{point}");
    let repeated: usize = by_key.values().map(|bodies| bodies.len() - 1).sum();
    assert!(repeated <= 8, "{point}: {repeated} of one round at most are sent twice");
    assert_eq!(repeated > 0, matches!(point, "notify-sent" | "notify-before-mark"), "{point}: {repeated}");
}

fn wait_until(point: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{point}: waited in vain");
        std::thread::sleep(Duration::from_millis(50));
    }
}

//! The library of Standard Webhooks, with which other people's receivers verify, accepts what is sent.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use watchtower_auth::signature;
use watchtower_notify::Keys;

use super::receiver::Receiver;
use super::support::{Desk, SECRETS, deliver, webhook_with};
use crate::support::python;

const PYTHON: &str = "standardwebhooks==1.1.0";

#[test]
fn the_library_verifies_with_the_old_secret_and_with_the_new_one() {
    let Some(python) = python::program(PYTHON, "python") else { return };
    let receiver = Receiver::willing();
    let mut desk = Desk::new();
    desk.raise(&["t1", "Ärger & Söhne"], &["ops"]);
    let keys = Keys(SECRETS.iter().map(|secret| signature::key(secret).unwrap()).collect());
    deliver(desk.notifier(vec![webhook_with("ops", &receiver.url(), |options| options.keys = keys)]));
    let message = |request: &super::receiver::Request, secret: &str| {
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers: Value = names.iter().map(|name| ((*name).to_owned(), json!(request.header(name)))).collect();
        json!({"secret": secret, "headers": headers, "body": String::from_utf8(request.body.clone()).unwrap()})
    };
    let other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    let seen = receiver.seen();
    assert_eq!(seen.len(), 2);
    let messages: Vec<Value> = seen
        .iter()
        .flat_map(|request| [SECRETS[0], SECRETS[1], other].map(|secret| message(request, secret)))
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateway/peers/sign.py");
    let mut process = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(Value::from(messages).to_string().as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let answers: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();
    for (i, answer) in answers.iter().enumerate() {
        assert_eq!(answer == "valid", i % 3 < 2, "{i}: {answer}");
    }
}

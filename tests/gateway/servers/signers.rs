//! The libraries of Standard Webhooks, which other people's servers sign with, against the gateway.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use watchtower_auth::signature;

use crate::gateway::support::{Answer, FileGateway, now_s, position, try_request};
use crate::support::{node, python};

const PYTHON: &str = "standardwebhooks==1.1.0";
const NODE: &str = "standardwebhooks@1.1.1";

/// The example of the specification, and the one that replaces it.
const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
/// A signature of Ed25519, as the standard has for public keys.
const ASYMMETRIC: &str = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

/// A library, as a program that signs.
struct Signer {
    /// The interpreter and its script.
    command: Box<dyn Fn() -> Command>,
    name: &'static str,
}

impl Signer {
    /// Those that can be installed here.
    fn all() -> Vec<Self> {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gateway/peers");
        let mut signers = Vec::new();
        if let Some(python) = python::program(PYTHON, "python") {
            let script = scripts.join("sign.py");
            let command = Box::new(move || {
                let mut command = Command::new(&python);
                command.arg(&script);
                command
            });
            signers.push(Self { command, name: PYTHON });
        }
        if let Some(modules) = node::modules(NODE) {
            let script = scripts.join("sign.cjs");
            let command = Box::new(move || {
                let mut command = Command::new("node");
                command.arg(&script).env("NODE_PATH", &modules);
                command
            });
            signers.push(Self { command, name: NODE });
        }
        signers
    }

    /// What the library answers to each message.
    fn answers(&self, messages: &[Value]) -> Vec<String> {
        let mut command = (self.command)();
        // A sender in Lagos, for the times that name no zone.
        command.env("TZ", "Africa/Lagos").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(Value::from(messages).to_string().as_bytes()).unwrap();
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The signature of a message under a secret.
    fn sign(&self, secret: &str, message: &Message) -> String {
        let Message { id, at, body } = message;
        self.answers(&[json!({"secret": secret, "id": id, "at": at, "body": body})]).remove(0)
    }
}

/// A message that is signed.
struct Message {
    id: String,
    at: i64,
    body: String,
}

impl Message {
    /// Of another identifier each.
    fn new(id: &str, at: i64, body: String) -> Self {
        Self { id: format!("msg_{id}"), at, body }
    }

    /// Sends it to a source with this signature.
    fn send(&self, gateway: &FileGateway, source: &str, signatures: &str) -> Answer {
        self.send_body(gateway, source, signatures, &self.body)
    }

    /// The same with another body than the signed one.
    fn send_body(&self, gateway: &FileGateway, source: &str, signatures: &str, body: &str) -> Answer {
        let at = self.at.to_string();
        let headers = [("webhook-id", self.id.as_str()), ("webhook-timestamp", &at), ("webhook-signature", signatures)];
        try_request(gateway.port, "POST", &format!("/in/{source}"), &headers, body.as_bytes()).unwrap()
    }
}

/// A source `hook` that knows the old and the new secret, and one `bare` whose secret has no `whsec_`.
fn gateway() -> FileGateway {
    let source = |name: &str, secrets: &[&str]| {
        format!(
            "[[source]]\nname = \"{name}\"\nformat = \"native\"\ntrust = \"standard-webhooks\"\nsecrets = {secrets:?}\n"
        )
    };
    FileGateway::start("", &[source("hook", &[OLD, NEW]), source("bare", &[&OLD["whsec_".len()..]])].concat())
}

#[test]
fn what_the_libraries_sign_is_accepted_and_what_is_changed_or_old_is_not() {
    let gateway = gateway();
    let mut accepted = 0;
    for signer in Signer::all() {
        let message = |id: &str, at: i64| Message::new(&format!("{}_{id}", signer.name), at, position("T1"));
        let named = position("T1").replace("\"lon\"", "\"attributes\":{\"driver\":\"Adébáyọ̀ 🚚\"},\"lon\"");
        for (source, secret, sent) in [
            ("hook", OLD, message("old", now_s())),
            ("hook", NEW, message("new", now_s())),
            ("bare", OLD, message("bare", now_s())),
            ("bare", &OLD["whsec_".len()..], message("without_prefix", now_s())),
            ("hook", OLD, message("late", now_s() - 290)),
            ("hook", OLD, message("early", now_s() + 290)),
            ("hook", NEW, Message { body: named, ..message("named", now_s()) }),
        ] {
            let answer = sent.send(&gateway, source, &signer.sign(secret, &sent));
            assert_eq!(answer.status, 200, "{}: {answer:?}", sent.id);
            assert_eq!(answer.json()["accepted"], 1, "{}: {answer:?}", sent.id);
            accepted += 1;
        }
        let sent = message("changed", now_s());
        let signature = signer.sign(OLD, &sent);
        for changed in [position("T2"), sent.body.replace(':', ": "), sent.body.clone() + "\n", String::new()] {
            let answer = sent.send_body(&gateway, "hook", &signature, &changed);
            assert_eq!(answer.status, 401, "{changed}: {answer:?}");
        }
        let renamed = Message { id: "msg_other".to_owned(), ..message("changed", sent.at) };
        assert_eq!(renamed.send(&gateway, "hook", &signature).status, 401, "{}", signer.name);
        assert_eq!(sent.send(&gateway, "hook", &signer.sign(OTHER, &sent)).status, 401, "{}", signer.name);
        for (at, text) in [(now_s() - 301, " s behind"), (now_s() + 330, " s ahead")] {
            let old = message("old", at);
            let answer = old.send(&gateway, "hook", &signer.sign(OLD, &old));
            assert_eq!(answer.status, 401, "{}: {answer:?}", signer.name);
            assert!(answer.body.contains(text) && answer.body.contains("300 s are accepted"), "{answer:?}");
        }
    }
    assert_eq!(gateway.entries(), accepted, "nothing else is in the log");
    assert!(!gateway.log_text().contains("T2"));
}

#[test]
fn a_secret_is_rotated_however_the_signatures_are_separated() {
    let gateway = gateway();
    let mut accepted = 0;
    for signer in Signer::all() {
        let message = Message::new(&format!("{}_rotated", signer.name), now_s(), position("T1"));
        let [old, new, other] = [OLD, NEW, OTHER].map(|secret| signer.sign(secret, &message));
        for (number, header) in [
            format!("{old} {new}"),
            format!("{other} {new}"),
            format!("{ASYMMETRIC} {other} {old}"),
            format!("{other}   {old}"),
            format!("{ASYMMETRIC}, {other}, {new}"),
            format!(" {new} "),
        ]
        .iter()
        .enumerate()
        {
            // Each under an identifier of its own would be signed anew: one identifier, and only the first is an event.
            let answer = message.send(&gateway, "hook", header);
            assert_eq!(answer.status, 200, "{header}: {answer:?}");
            assert_eq!(answer.body.contains("repeated"), number > 0, "{header}: {answer:?}");
        }
        for header in [other.clone(), ASYMMETRIC.to_owned(), format!("{ASYMMETRIC} {other}"), old.replace("v1,", "v2,")]
        {
            let answer = message.send(&gateway, "hook", &header);
            assert_eq!(answer.status, 401, "{header}: {answer:?}");
        }
        accepted += 1;
    }
    assert_eq!(gateway.entries(), accepted);
}

#[test]
fn a_local_time_that_python_signs_as_utc_is_refused_with_the_offset() {
    let Some(signer) = Signer::all().into_iter().find(|signer| signer.name == PYTHON) else { return };
    let gateway = gateway();
    for (time, offset) in [
        (json!({"zone_s": 3600}), "3600 s ahead"),
        (json!({"naive": true}), "3600 s ahead"),
        (json!({"zone_s": 19_800}), "19800 s ahead"),
        (json!({"zone_s": -12_600}), "12600 s behind"),
    ] {
        let message = Message::new("zone", now_s(), position("T1"));
        let mut signed = json!({"secret": OLD, "id": message.id, "at": message.at, "body": message.body});
        signed.as_object_mut().unwrap().extend(time.as_object().unwrap().clone());
        let signature = signer.answers(&[signed]).remove(0);
        // The header has the instant, as `int(now.timestamp())` gives it, or the one that is signed.
        let answer = message.send(&gateway, "hook", &signature);
        assert_eq!(answer.status, 401, "{time}: {answer:?}");
        assert!(answer.body.contains(offset) && answer.body.contains("local time signed as UTC"), "{time}: {answer:?}");
        let zone_s = if offset.ends_with("behind") { -12_600 } else { offset[..offset.len() - 8].parse().unwrap() };
        let moved = Message { at: message.at + zone_s, ..message };
        let answer = moved.send(&gateway, "hook", &signature);
        assert_eq!(answer.status, 401, "{time}: {answer:?}");
        // Compared with our clock, which has gone on: its seconds are not known here.
        assert!(answer.body.contains("is the sender's local time sent as UTC?"), "{time}: {answer:?}");
    }
    assert_eq!(gateway.entries(), 0);
}

#[test]
fn the_libraries_accept_what_we_sign() {
    for signer in Signer::all() {
        let (id, at, body) = ("msg_ours", now_s(), position("T1"));
        let keys = [OTHER, NEW, OLD].map(|secret| signature::key(secret).unwrap());
        let signatures = signature::sign_standard(&keys, id, at, body.as_bytes());
        let headers = json!({"webhook-id": id, "webhook-timestamp": at.to_string(), "webhook-signature": signatures});
        let message = |secret: &str, body: &str| json!({"secret": secret, "headers": headers, "body": body});
        let answers = signer.answers(&[message(OLD, &body), message(NEW, &body), message(OLD, &position("T2"))]);
        assert_eq!(answers[..2], ["valid", "valid"], "{}", signer.name);
        assert!(answers[2].contains("No matching signature found"), "{}: {answers:?}", signer.name);
    }
}

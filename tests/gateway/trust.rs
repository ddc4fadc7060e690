//! Who is believed: each trust accepts its own and refuses every other.

use watchtower_auth::signature;

use super::support::{FileGateway, now_s, osmand, position};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn source(name: &str, trust: &str, more: &str) -> String {
    format!("[[source]]\nname = \"{name}\"\nformat = \"native\"\ntrust = \"{trust}\"\n{more}\n")
}

fn basic(password: &str) -> String {
    // Base64 of "user:<password>" by the rules of RFC 4648, for a client that has no library.
    let bytes = format!("user:{password}").into_bytes();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("Basic ");
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, at| word << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = alphabet[(word >> (18 - 6 * at) & 63) as usize] as char;
            text.push(if at <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

#[test]
fn a_token_is_accepted_where_its_trust_expects_it() {
    let sources = [source("b", "bearer", ""), source("c", "basic", ""), source("p", "path", "")].concat();
    let gateway = FileGateway::start("require_tokens = true", &sources);
    let token = gateway.token(&["--role", "ingest"]);
    let (bearer, basic) = (format!("Bearer {token}"), basic(&token));
    let event = position("T1");
    let status = |path: &str, headers: &[(&str, &str)]| gateway.post(path, headers, &event).status;
    let path = |source: &str, token: &str| format!("/in/{source}/{token}");
    assert_eq!(status("/in/b", &[("Authorization", &bearer)]), 200);
    assert_eq!(status("/in/c", &[("Authorization", &basic)]), 200);
    assert_eq!(status(&path("p", &token), &[]), 200);
    for (place, headers, expected) in [
        ("/in/b".to_owned(), vec![], 401),
        ("/in/b".to_owned(), vec![("Authorization", basic.as_str())], 401),
        ("/in/b".to_owned(), vec![("Authorization", "Bearer wt_0")], 401),
        (path("b", &token), vec![], 404),
        ("/in/c".to_owned(), vec![("Authorization", bearer.as_str())], 401),
        ("/in/p".to_owned(), vec![("Authorization", bearer.as_str())], 401),
        (path("p", "wt_0"), vec![], 401),
        ("/v1/events".to_owned(), vec![], 401),
    ] {
        assert_eq!(status(&place, &headers), expected, "{place} {headers:?}");
    }
    assert_eq!(gateway.entries(), 3, "what is not believed is not kept");
    // A format without configuration takes a token anywhere.
    assert_eq!(gateway.request("GET", &osmand(&format!("/in/osmand/{token}"), "T1"), &[], "").status, 200);
    assert_eq!(gateway.request("GET", &osmand("/in/osmand", "T1"), &[("Authorization", &basic)], "").status, 200);
    assert_eq!(gateway.request("GET", &osmand("/in/osmand", "T1"), &[], "").status, 401);
    let log = gateway.log();
    assert!(!log.contains(&token) && !log.contains(&basic[6..]), "the log shows a secret:\n{log}");
}

#[test]
fn a_token_of_a_device_is_for_that_device_until_another_has_it() {
    let gateway = FileGateway::start("require_tokens = true", &source("p", "path", ""));
    let token = gateway.token(&["--role", "ingest", "--device", "T1", "--source", "p"]);
    let status = |token: &str, id: &str| gateway.post(&format!("/in/p/{token}"), &[], &position(id)).status;
    assert_eq!((status(&token, "T1"), status(&token, "T2")), (200, 403));
    let mixed = format!("[{},{}]", position("T1"), position("T2"));
    let answer = gateway.post(&format!("/in/p/{token}"), &[], &mixed);
    assert_eq!((answer.status, &answer.json()["events"]), (403, &serde_json::json!([1])), "{answer:?}");
    assert_eq!(gateway.entries(), 1, "nothing of a request with a foreign vehicle");
    let other = gateway.request("GET", &osmand(&format!("/in/osmand/{token}"), "T1"), &[], "");
    assert_eq!(other.status, 403, "the token is for another source");
    let successor = gateway.token(&["--role", "ingest", "--device", "T1"]);
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!((status(&token, "T1"), status(&successor, "T1")), (401, 200));
}

#[test]
fn a_revoked_or_expired_token_is_refused_and_none_is_listed() {
    let gateway = FileGateway::start("require_tokens = true", "");
    let (token, short) = (gateway.token(&["--role", "ingest"]), gateway.token(&["--role", "read", "--expires", "1s"]));
    let bearer = format!("Bearer {token}");
    let status = || gateway.post("/v1/events", &[("Authorization", &bearer)], &position("T1")).status;
    assert_eq!(status(), 200);
    let list = String::from_utf8(gateway.token_command(&["list"]).stdout).unwrap();
    let row = list.lines().find(|line| line.contains("ingest")).unwrap();
    assert!(row.contains("valid") && !list.contains(&token) && !list.contains(&short), "{list}");
    let id = row.split(' ').next().unwrap();
    assert!(gateway.token_command(&["revoke", id]).status.success());
    assert!(!gateway.token_command(&["revoke", id]).status.success(), "it is revoked already");
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert_eq!(status(), 401);
    let expired = gateway.post("/v1/events", &[("Authorization", &format!("Bearer {short}"))], "");
    assert_eq!(expired.status, 401, "{expired:?}");
    let list = String::from_utf8(gateway.token_command(&["list"]).stdout).unwrap();
    assert!(list.contains("revoked") && list.contains("expired"), "{list}");
}

#[test]
fn signatures_of_each_scheme_are_verified_over_the_raw_body() {
    let hmac = "secrets = [\"old\", \"new\"]\n";
    let sources = [
        source("standard", "standard-webhooks", &format!("secrets = [\"{SECRET}\"]")),
        source("github", "github", hmac),
        source("slack", "slack", hmac),
        source("plain", "hmac", &format!("{hmac}signature_header = \"X-Sig\"\nsignature_prefix = \"sha256=\"\n")),
    ];
    let gateway = FileGateway::start("", &sources.concat());
    let body = position("T1");
    let changed = position("T2");
    let hex = format!("sha256={}", signature::sign_hex(b"new", body.as_bytes()));
    let now = now_s();
    let slack = |time: i64| {
        let text = format!("v0:{time}:{body}");
        (time.to_string(), format!("v0={}", signature::sign_hex(b"old", text.as_bytes())))
    };
    let keys = [signature::key(SECRET).unwrap()];
    let standard = |time: i64| (time.to_string(), signature::sign_standard(&keys, "msg_1", time, body.as_bytes()));
    for (time, expected) in [(now, 200), (now - 3600, 401), (now + 3600, 401)] {
        let (stamp, signed) = slack(time);
        let headers = [("X-Slack-Signature", signed.as_str()), ("X-Slack-Request-Timestamp", stamp.as_str())];
        assert_eq!(gateway.post("/in/slack", &headers, &body).status, expected);
        let (stamp, signed) = standard(time);
        let headers = [("webhook-id", "msg_1"), ("webhook-timestamp", &stamp), ("webhook-signature", &signed)];
        let answer = gateway.post("/in/standard", &headers, &body);
        assert_eq!(answer.status, expected);
        assert_eq!(answer.body.contains("is the sender's local time sent as UTC?"), expected == 401, "{answer:?}");
        assert_eq!(gateway.post("/in/standard", &headers, &changed).status, 401);
    }
    for (path, header) in [("/in/github", "X-Hub-Signature-256"), ("/in/plain", "X-Sig")] {
        assert_eq!(gateway.post(path, &[(header, &hex)], &body).status, 200, "{path}");
        assert_eq!(gateway.post(path, &[(header, &hex)], &changed).status, 401, "{path}");
        assert_eq!(gateway.post(path, &[], &body).status, 401, "{path}");
    }
    assert_eq!(gateway.entries(), 4);
    assert!(!gateway.log().contains(&hex));
}

#[test]
fn without_a_token_only_programs_of_this_machine_are_served() {
    let gateway = FileGateway::start("", "");
    let event = position("T1");
    let status = |headers: &[(&str, &str)]| gateway.post("/v1/events", headers, &event).status;
    assert_eq!(status(&[("Host", "localhost:8420")]), 200);
    for header in [
        ("Origin", "http://127.0.0.1"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Host", "rebound.example"),
        ("Authorization", "Bearer wt_0"),
    ] {
        assert_eq!(status(&[header]), 401, "{header:?}");
    }
    assert_eq!(gateway.entries(), 1);
}

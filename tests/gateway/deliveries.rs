//! A delivery that is repeated adds nothing, whichever process receives it; one that failed is not remembered.

use watchtower_auth::signature;

use super::support::{FileGateway, now_s, position, try_request};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SOURCE: &str = "[[source]]\nname = \"hook\"\nformat = \"native\"\ntrust = \"standard-webhooks\"\n\
                      secrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n";

/// Delivers a body under an identifier; the status, and whether it was known.
fn deliver(port: u16, id: &str, body: &str) -> (u16, bool) {
    let (keys, now) = ([signature::key(SECRET).unwrap()], now_s());
    let signed = signature::sign_standard(&keys, id, now, body.as_bytes());
    let now = now.to_string();
    let headers = [("webhook-id", id), ("webhook-timestamp", &now), ("webhook-signature", &signed)];
    let answer = try_request(port, "POST", "/in/hook", &headers, body.as_bytes()).unwrap();
    (answer.status, answer.body.contains("repeated"))
}

#[test]
fn an_identifier_is_remembered_with_its_events_in_a_file() {
    let mut gateway = FileGateway::start("", SOURCE);
    let body = position("T1");
    assert_eq!(deliver(gateway.port, "msg_1", &body), (200, false));
    assert_eq!(deliver(gateway.port, "msg_1", &body), (200, true));
    assert_eq!(gateway.entries(), 1);
    gateway.restart();
    assert_eq!(deliver(gateway.port, "msg_1", &body), (200, true));
    assert_eq!(deliver(gateway.port, "msg_2", &body), (200, false));
    assert_eq!(gateway.entries(), 2);
    let headers = [("Idempotency-Key", "msg_1")];
    let native = || gateway.post("/v1/events", &headers, &body);
    assert!(!native().body.contains("repeated"), "another sender's identifier");
    assert!(native().body.contains("repeated"));
    assert_eq!(gateway.entries(), 3);
}

mod servers {
    use std::process::Command;

    use super::{SOURCE, deliver, position};
    use crate::support::daemon::{Daemon, wait_until};
    use crate::support::servers::free_port;
    use crate::support::servers::redis::{RedisOptions, RedisServer};

    #[test]
    fn an_identifier_is_remembered_by_all_processes_of_a_redis_once_its_events_are_in() {
        let redis = RedisServer::start(RedisOptions::default());
        let folder = tempfile::tempdir().unwrap();
        let start = |name: &str| {
            let port = free_port();
            let config = folder.path().join(name);
            let text = format!(
                "pipeline = \"lagos\"\n[redis]\nurl = \"{}\"\n[gateway]\nlisten = \"127.0.0.1:{port}\"\n{SOURCE}",
                redis.url()
            );
            std::fs::write(&config, text).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
            command.arg("gateway").arg("--config").arg(config);
            let daemon = Daemon::spawn(command, port, folder.path());
            daemon.wait_until_ready();
            (daemon, port)
        };
        let (one, other) = (start("one.toml"), start("other.toml"));
        let body = position("T1");
        let length = || redis.command(&["XLEN", "wt:lagos:events:0"]);
        // While the memory is full nothing is accepted, and no identifier stays behind.
        redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
        assert_eq!(deliver(one.1, "msg_1", &body).0, 503);
        assert_eq!((length(), redis.command(&["DBSIZE"])), (":0\r\n".to_owned(), ":0\r\n".to_owned()));
        redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
        assert_eq!(deliver(one.1, "msg_1", &body), (200, false));
        assert_eq!(deliver(other.1, "msg_1", &body), (200, true));
        assert_eq!(length(), ":1\r\n");
        wait_until("the identifier expires some day", || {
            let keys = redis.command(&["KEYS", "wt:lagos:delivery:*"]);
            let key = keys.lines().find(|line| line.starts_with("wt:")).unwrap().to_owned();
            let left: i64 = redis.command(&["TTL", &key]).trim()[1..].parse().unwrap();
            (5 * 86_400 - 60..=5 * 86_400).contains(&left)
        });
    }
}

//! `watchtower check` on the configuration of a gateway.

use std::process::Output;

use crate::support::daemon::{Pipeline, Setup};
use crate::support::servers::free_port;
use crate::support::servers::postgres::PostgresServer;
use crate::support::servers::redis::{RedisOptions, RedisServer};

const SOURCES: &str = "[[source]]\nname = \"hook\"\nformat = \"native\"\ntrust = \"standard-webhooks\"\n\
    secrets = [\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]\n\
    [[source]]\nname = \"buses\"\nformat = \"gtfs-realtime\"\nurl = \"http://127.0.0.1:1/feed?key=secret-8\"\n";

fn pipeline(redis: &RedisServer, gateway: &str) -> Pipeline {
    Pipeline::new(Setup {
        redis: redis.url(),
        postgres: PostgresServer::shared().database(),
        streams: 2,
        workers: 1,
        clock: "wall",
        more: format!("[gateway]\n{gateway}\n{SOURCES}"),
    })
}

/// The exit code and all that was printed.
fn check(pipeline: &Pipeline) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = pipeline.run("check", &[]);
    (status.code(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

fn assert_lines(printed: &str, expected: &[&str]) {
    for line in expected {
        assert!(printed.contains(line), "{line} in\n{printed}");
    }
}

#[test]
fn what_a_gateway_needs_is_checked_before_and_while_it_runs() {
    let redis = RedisServer::start(RedisOptions { appendonly: true, ..RedisOptions::default() });
    let (port, metrics) = (free_port(), free_port());
    let keys = format!("listen = \"127.0.0.1:{port}\"\nmetrics = \"127.0.0.1:{metrics}\"\nrequire_tokens = true");
    let pipeline = pipeline(&redis, &keys);
    let (code, printed) = check(&pipeline);
    assert_eq!(code, Some(0), "{printed}");
    assert_lines(
        &printed,
        &[
            &format!("ok      127.0.0.1:{port} is free for the gateway"),
            "ok      source hook: native at /in/hook, secrets: 1",
            "ok      source buses: gtfs-realtime from http://127.0.0.1:1",
            "may do what a gateway needs",
            "ok      the clock of this machine agrees with that of Redis",
            "warning the table of the gateway's tokens does not exist yet",
        ],
    );
    for secret in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret-8"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert_eq!(redis.command(&["DBSIZE"]), ":0\r\n", "nothing was changed");

    let migrated = pipeline.run("migrate", &[]);
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    assert_lines(&check(&pipeline).1, &["warning the gateway demands tokens, and there is none"]);
    let gateway = super::gateway(&pipeline, port);
    let (code, printed) = check(&pipeline);
    assert_eq!(code, Some(0), "{printed}");
    let holder = format!("(process {}) has it", gateway.pid());
    assert_lines(
        &printed,
        &[
            &format!("warning [gateway] listen: cannot listen on 127.0.0.1:{port}: watchtower {holder}"),
            &format!("warning [gateway] metrics: cannot listen on 127.0.0.1:{metrics}: watchtower {holder}"),
        ],
    );
}

#[test]
fn what_would_keep_a_gateway_from_its_work_is_wrong() {
    let redis = RedisServer::start(RedisOptions { appendonly: true, ..RedisOptions::default() });
    redis.command(&["ACL", "SETUSER", "clerk", "on", "nopass", "~*", "+@all", "-set", "-eval"]);
    let mut pipeline = pipeline(&redis, "listen = \"192.0.2.1:8420\"\nmetrics = \"\"");
    pipeline.setup.redis = redis.url().replace("redis://", "redis://clerk:any@");
    pipeline.configure();
    let (code, printed) = check(&pipeline);
    assert_eq!(code, Some(1), "{printed}");
    assert_lines(
        &printed,
        &[
            "WRONG   [gateway] listen: cannot listen on 192.0.2.1:8420",
            "warning [gateway] listen is no loopback address",
            "WRONG   Redis user clerk may not, for the gateway: SET wt:lagos:delivery:0, EVAL wt:lagos:source:buses",
        ],
    );

    pipeline.setup.more = "[gateway]\ntls_certificate = \"none.pem\"\ntls_key = \"none.key\"".to_owned();
    pipeline.configure();
    assert_lines(&check(&pipeline).1, &["WRONG   cannot use none.pem for TLS of the gateway"]);

    // What the configuration itself shows is reported by its line, without servers.
    for (more, fault) in [
        ("url = \"feed.pb\"", "expected http://host/path"),
        ("url = \"http://a/feed\"\nheaders = { Authorization = \"Bearer ${NOWHERE_SET}\" }", "NOWHERE_SET"),
    ] {
        pipeline.setup.more = format!("[[source]]\nname = \"buses\"\nformat = \"gtfs-realtime\"\n{more}");
        pipeline.configure();
        let (code, printed) = check(&pipeline);
        assert_eq!(code, Some(2), "{printed}");
        assert_lines(&printed, &[fault]);
    }
}

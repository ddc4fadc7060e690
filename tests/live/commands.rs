//! What an operator runs beside a daemon, and how a daemon refuses what would do harm.

use super::pipeline;
use crate::support::daemon::Pipeline;
use crate::support::servers::postgres::psql;
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// Exit code and what was printed.
fn run(pipeline: &Pipeline, command: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = pipeline.run(command, arguments);
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code(), printed.concat())
}

#[track_caller]
fn says(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
}

/// An entry with a position, and with something that is no event.
fn publish_one(pipeline: &Pipeline, redis: &RedisServer) {
    // Its positions belong in the first stream of one and of two.
    let position = r#"{"type":"position","vehicle_id":"T2","ts":"2026-11-23T06:00:00Z","lon":3.47,"lat":6.55}"#;
    let arrived = "2026-11-23T06:00:00Z";
    redis.command(&["XADD", &pipeline.keys()[0], "*", "json", &format!("[{position},7]"), "received_at", arrived]);
}

#[test]
fn a_schema_that_may_not_be_migrated_is_refused_with_the_command_to_run() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut pipeline = pipeline(&redis, 1, 1, "");
    pipeline.environment = vec![("WATCHTOWER_STORE_MIGRATE", "false")];
    let log = pipeline.spawn(&[], &[]).ends_with(1);
    says(&log, &["schema lagos has version 0, this program needs", "run `watchtower migrate --config"]);
    assert_eq!(pipeline.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'lagos'"), "0", "nothing was made");

    let (code, printed) = run(&pipeline, "migrate", &[]);
    assert_eq!(code, Some(0), "{printed}");
    says(&printed, &["applied ", "schema lagos has version"]);
    let (code, printed) = run(&pipeline, "migrate", &[]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(!printed.contains("applied"), "{printed}");
    assert!(pipeline.start().stop().success());

    let later = "UPDATE refinery_schema_history SET version = version + 100";
    pipeline.sql(later);
    let log = pipeline.spawn(&[], &[]).ends_with(1);
    says(&log, &["made by a later watchtower", "upgrade it"]);
}

#[test]
fn check_finds_everything_that_is_wrong_at_once() {
    let evicting = &["maxmemory 100mb", "maxmemory-policy allkeys-lru"];
    let redis = RedisServer::start(RedisOptions { config: evicting, ..RedisOptions::default() });
    let mut pipeline = pipeline(&redis, 4, 1, "");
    redis.command(&["HSET", "wt:lagos:pipeline", "streams", "2", "clock", "wall"]);
    let url = pipeline.setup.postgres.clone();
    psql(
        &url,
        "CREATE ROLE clerk LOGIN; DO $$ BEGIN EXECUTE 'REVOKE ALL ON DATABASE ' || current_database() || ' FROM PUBLIC'; END $$;
         DO $$ BEGIN EXECUTE 'GRANT CONNECT ON DATABASE ' || current_database() || ' TO clerk'; END $$;",
    );
    pipeline.setup.postgres = url.replace("postgres@", "clerk@");
    pipeline.setup.more = "[store.nothing]".to_owned();
    pipeline.configure();
    let (code, printed) = run(&pipeline, "check", &[]);
    assert_eq!(code, Some(2), "{printed}");
    says(&printed, &["nothing"]);

    pipeline.setup.more = String::new();
    pipeline.configure();
    pipeline.environment = vec![("WATCHTOWER_STORE_READER_ROLE", "nobody_has_it")];
    let (code, printed) = run(&pipeline, "check", &[]);
    assert_eq!(code, Some(1), "{printed}");
    says(
        &printed,
        &[
            "WRONG   Redis: it may throw away streams when its memory is full (maxmemory-policy allkeys-lru)",
            "warning Redis has no append-only file",
            "WRONG   [redis] streams is 4, but pipeline lagos was announced to producers with 2",
            "warning [clock] source is log; producers were told wall until now",
            "WRONG   role clerk may not create schema lagos",
            "WRONG   role clerk may not create temporary tables",
            "WRONG   the reader role nobody_has_it is missing and clerk may not create it",
            "ok      schema lagos has version 0; the daemon will bring it to",
        ],
    );

    // Neither server.
    pipeline.setup.postgres = "postgres://postgres@127.0.0.1:1/nothing".to_owned();
    drop(redis);
    pipeline.configure();
    let (code, printed) = run(&pipeline, "check", &[]);
    assert_eq!(code, Some(1), "{printed}");
    says(&printed, &["WRONG   Redis at 127.0.0.1:", "WRONG   cannot connect to PostgreSQL at"]);
}

#[test]
fn check_and_status_tell_how_a_pipeline_is() {
    let redis = RedisServer::start(RedisOptions { appendonly: true, ..RedisOptions::default() });
    let pipeline = pipeline(&redis, 2, 1, "");
    let (code, printed) = run(&pipeline, "status", &[]);
    assert_eq!(code, Some(1), "{printed}");
    says(&printed, &["there is no pipeline lagos in schema lagos of 127.0.0.1:", "no daemon has run yet"]);
    let (code, printed) = run(&pipeline, "check", &[]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(!printed.contains("WRONG"), "{printed}");
    says(&printed, &["ok      the table of the gateway's tokens is made by the first `run`"]);

    let daemon = pipeline.start();
    publish_one(&pipeline, &redis);
    pipeline.wait_for_entries(1);
    let (code, printed) = run(&pipeline, "status", &[]);
    assert_eq!(code, Some(0), "{printed}");
    let pid = format!("process {} on ", daemon.pid());
    says(
        &printed,
        &["tables    pipeline lagos in 127.0.0.1:", "commit    1 at ", &pid, "term 1", "daemon    ready on 127.0.0.1:"],
    );
    says(&printed, &["rejected events", "        1 malformed, the last in the hour from ", "wt:lagos:events:0 "]);
    assert!(!printed.contains("wrong_stream"), "{printed}");
    let row = |name: &str| -> Vec<String> {
        let line = printed.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}:\n{printed}"));
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("wt:lagos:events:0")[2..], ["1", "0"]);
    assert_eq!(row("wt:lagos:events:1")[1..], ["0-0", "0", "0"]);
    assert_eq!(row("wt:lagos:control")[1..], ["0-0", "0", "0"]);
    for table in ["vehicle_state", "visits", "rejected_events"] {
        assert_eq!(row(table)[1], "1", "{table} equals commit 1");
    }
    assert!(!printed.contains("refinery"), "{printed}");
    let (code, printed) = run(&pipeline, "check", &[]);
    assert_eq!(code, Some(0), "{printed}");
    says(&printed, &[&format!("warning pipeline lagos is being written by {pid}"), "it is in use if the daemon runs"]);
    says(
        &printed,
        &["ok      the tables were computed under the configured limits and rules", "ok      no geofence is in force"],
    );

    assert!(daemon.stop().success());
    publish_one(&pipeline, &redis);
    let (code, printed) = run(&pipeline, "status", &[]);
    assert_eq!(code, Some(0), "{printed}");
    says(&printed, &["daemon    does not answer on 127.0.0.1:"]);
    let line = printed.lines().find(|line| line.starts_with("wt:lagos:events:0")).unwrap();
    assert!(line.ends_with(" 1"), "one behind: {printed}");
    drop(redis);
    let (code, printed) = run(&pipeline, "status", &[]);
    assert_eq!(code, Some(0), "{printed}");
    says(&printed, &["log       Redis at 127.0.0.1:", "?"]);
}

#[test]
fn what_would_harm_the_tables_is_refused() {
    let redis = RedisServer::start(RedisOptions::default());
    let mut pipeline = pipeline(&redis, 2, 1, "");
    let daemon = pipeline.start();
    publish_one(&pipeline, &redis);
    pipeline.wait_for_entries(1);

    let twin = pipeline.twin();
    let log = twin.spawn(&[], &[]).ends_with(1);
    let owner = format!("pipeline lagos is being written by process {} on ", daemon.pid());
    says(&log, &[&owner, "stop that daemon first", "--takeover"]);
    assert!(daemon.stop().success());

    pipeline.setup.streams = 4;
    pipeline.configure();
    let log = pipeline.spawn(&[], &[]).ends_with(1);
    says(&log, &["pipeline lagos has 2 event streams, the configuration says 4", "fixed"]);
    assert_eq!(redis.command(&["HGET", "wt:lagos:pipeline", "streams"]), "$1\r\n2\r\n", "producers are told nothing");

    pipeline.setup.streams = 2;
    pipeline.setup.more = "lateness = \"1h\"".to_owned();
    pipeline.configure();
    let log = pipeline.spawn(&[], &[]).ends_with(1);
    says(&log, &["what the tables of pipeline lagos mean has changed: limits.lateness_ms was 21600000 and is 3600000"]);

    pipeline.setup.more = String::new();
    pipeline.configure();
    let daemon = pipeline.start();
    assert_eq!(pipeline.sql("SELECT term FROM pipeline"), "2", "who was refused took nothing over");
    let other = std::fs::read_to_string(twin.config()).unwrap().replace("\"lagos\"", "\"abuja\"");
    std::fs::write(twin.config(), other.replace("[store]", "[store]\nschema = \"lagos\"")).unwrap();
    let log = twin.spawn(&[], &[]).ends_with(1);
    says(&log, &["schema lagos holds pipeline lagos, not abuja: each pipeline needs a schema of its own"]);
    assert!(daemon.stop().success());
}

#[test]
fn a_daemon_that_takes_over_fences_the_other() {
    let redis = RedisServer::start(RedisOptions::default());
    let pipeline = pipeline(&redis, 1, 1, "");
    let first = pipeline.start();
    publish_one(&pipeline, &redis);
    pipeline.wait_for_entries(1);
    let twin = pipeline.twin();
    let second = twin.spawn(&["--takeover"], &[]);
    second.wait_until_ready();
    publish_one(&pipeline, &redis);
    let log = first.ends_with(3);
    says(&log, &["fenced: process ", "took over pipeline lagos (term 2, ours was 1); nothing was written since"]);
    pipeline.wait_for_entries(2);
    pipeline.assert_commits_are_dense();
    assert!(second.stop().success());
}

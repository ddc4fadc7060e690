//! Who is granted the reader role reads everything, and changes nothing.

use super::pipeline;
use crate::support::entries::Log;
use crate::support::published::Published;
use crate::support::rng::Rng;
use crate::support::servers::postgres::{psql, try_psql};
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// Every table and view of the schema.
const RELATIONS: &str = "SELECT relname FROM pg_class WHERE relnamespace = 'lagos'::regnamespace \
                         AND relkind IN ('r', 'p', 'v') ORDER BY relname";

/// Whoever reads the tables need not know who else has access, nor what was sent to whom.
const PRIVATE: [&str; 5] = ["tokens", "outbox", "deliveries", "endpoints", "outbox_base"];

#[test]
fn readers_read_everything_and_change_nothing() {
    let redis = RedisServer::start(RedisOptions::default());
    let published = Published::random_many(0..3);
    let log: Log = published.log(&mut Rng::new(0), 20);
    let pipeline = pipeline(&redis, published.streams, 1, &published.configuration());
    let daemon = pipeline.start();
    log.append(&redis.url());
    pipeline.wait_for_entries(log.len());

    let url = &pipeline.setup.postgres;
    psql(url, "CREATE ROLE analyst LOGIN IN ROLE watchtower_reader");
    let theirs = url.replace("postgres@", "analyst@");
    let relations = psql(url, RELATIONS);
    assert!(relations.lines().count() >= 16, "{relations}");
    for name in relations.lines() {
        let rows = |url: &str| psql(url, &format!("SELECT count(*), count(t::text) FROM lagos.{name} AS t"));
        if PRIVATE.contains(&name) {
            refused(&theirs, &format!("SELECT count(*) FROM lagos.{name}"));
        } else {
            // The clock of this log stands still, and so do the tables.
            assert_eq!(rows(&theirs), rows(url), "{name}");
        }
        for change in [
            format!("INSERT INTO lagos.{name} DEFAULT VALUES"),
            format!("DELETE FROM lagos.{name}"),
            format!("TRUNCATE lagos.{name}"),
            format!("SELECT 1 FROM lagos.{name} FOR SHARE"),
            format!("BEGIN; LOCK TABLE lagos.{name} IN ROW EXCLUSIVE MODE"),
            format!("COMMENT ON TABLE lagos.{name} IS ''"),
            format!("ALTER TABLE lagos.{name} RENAME TO x"),
            format!("DROP TABLE lagos.{name}"),
        ] {
            refused(&theirs, &change);
        }
        let column = "SELECT attname FROM pg_attribute WHERE attnum = 1 AND attrelid =";
        let column = psql(url, &format!("{column} 'lagos.{name}'::regclass"));
        refused(&theirs, &format!("UPDATE lagos.{name} SET {column} = {column}"));
    }
    for change in [
        "CREATE TABLE lagos.t ()",
        "CREATE VIEW lagos.v AS SELECT 1",
        "CREATE FUNCTION lagos.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA theirs",
        "DROP SCHEMA lagos CASCADE",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'watchtower%'",
    ] {
        refused(&theirs, change);
    }
    let functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'lagos'::regnamespace";
    assert_eq!(psql(url, functions), "0", "there is nothing to call");
    // A partition that is made after they were let in.
    let day = "SELECT relname FROM pg_class WHERE relname LIKE 'positions_log_%' AND relkind = 'r' LIMIT 1";
    let day = psql(url, day);
    assert!(relations.contains(&day), "{day}");
    assert!(daemon.stop().success());
    // Somebody else is not let in.
    psql(url, "CREATE ROLE stranger LOGIN");
    refused(&url.replace("postgres@", "stranger@"), "SELECT 1 FROM lagos.visits");
}

fn refused(url: &str, sql: &str) {
    let error = try_psql(url, sql).expect_err(sql);
    let views = ["cannot insert into view", "cannot delete from view", "cannot update view", "is not a table"];
    let words =
        [&views[..], &["permission denied", "must be owner", "must be a superuser", "must be a member"]].concat();
    assert!(words.iter().any(|word| error.contains(word)), "{sql}: {error}");
}

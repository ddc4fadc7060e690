//! The schema that the migrations make is the one that the descriptors of the tables describe.

use std::collections::BTreeMap;

use serde_json::Value;
use watchtower_core::tables::{Kind, TABLES};

use super::pipeline;
use crate::support::servers::redis::{RedisOptions, RedisServer};

/// Tables that no descriptor has: how far the others are, and what they are views of.
const INTERNAL: [&str; 12] = [
    "commit_log",
    "cursors",
    "deliveries",
    "edits_log",
    "endpoints",
    "outbox",
    "outbox_base",
    "pipeline",
    "positions_log",
    "refinery_schema_history",
    "table_progress",
    "tokens",
];

/// Columns that are computed from others, for maps.
const GENERATED: (&str, &str) = ("geog", "geography(Point,4326)");

/// Every table and view with its columns: name, type, comment of each.
const SCHEMA: &str = "
    SELECT json_object_agg(c.relname, json_build_object(
        'comment', obj_description(c.oid, 'pg_class'),
        'key', (SELECT json_agg(a.attname ORDER BY n) FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (number, n),
                       pg_attribute a WHERE i.indrelid = c.oid AND indisprimary AND a.attrelid = c.oid AND attnum = number),
        'columns', (SELECT json_agg(json_build_array(attname, format_type(atttypid, atttypmod),
                                                     col_description(c.oid, attnum), attgenerated) ORDER BY attnum)
                    FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)))
    FROM pg_class c WHERE relnamespace = 'lagos'::regnamespace AND relkind NOT IN ('i', 'I', 'c')";

fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Texts => "text[]",
        Kind::Time => "timestamp with time zone",
        Kind::Date => "date",
        Kind::Boolean => "boolean",
        Kind::Integer => "bigint",
        Kind::Real => "double precision",
        Kind::Json => "json",
        Kind::Geometry => "geometry(Geometry,4326)",
        Kind::Bytes => "bytea",
    }
}

#[test]
fn the_schema_is_what_the_descriptors_say_and_all_of_it_is_explained() {
    let redis = RedisServer::start(RedisOptions::default());
    let pipeline = pipeline(&redis, 1, 1, "");
    let output = pipeline.run("migrate", &[]);
    assert!(output.status.success(), "{output:?}");
    let schema = pipeline.sql(SCHEMA);
    let mut schema: BTreeMap<String, Value> = serde_json::from_str(&schema).unwrap();
    for (name, table) in &schema {
        assert!(table["comment"].is_string(), "{name} has a comment");
        for column in table["columns"].as_array().unwrap() {
            assert!(column[2].is_string(), "column {} of {name} has a comment", column[0]);
        }
    }
    for table in TABLES {
        let found = schema.remove(table.name).unwrap_or_else(|| panic!("there is no table {}", table.name));
        let mut columns = found["columns"].as_array().unwrap().clone();
        columns.retain(|column| column[0] != GENERATED.0 || column[1] != GENERATED.1);
        let described: Vec<Value> = table
            .columns
            .iter()
            .map(|column| serde_json::json!([column.name, type_of(column.kind), column.comment, ""]))
            .collect();
        assert_eq!(columns, described, "{}", table.name);
        assert_eq!(found["comment"], table.comment, "{}", table.name);
        if table.name != "positions" {
            let key: Vec<&str> = table.columns[..table.key].iter().map(|column| column.name).collect();
            assert_eq!(found["key"], serde_json::json!(key), "{}", table.name);
        }
    }
    assert_eq!(schema.into_keys().collect::<Vec<_>>(), INTERNAL);
}

/// Partitions are tables, too, that somebody finds in a BI tool.
#[test]
fn a_partition_explains_itself() {
    let redis = RedisServer::start(RedisOptions::default());
    let pipeline = pipeline(&redis, 1, 1, "");
    let _daemon = pipeline.start();
    let key = &pipeline.keys()[0];
    let position = r#"{"type":"position","vehicle_id":"T1","ts":"2026-11-23T06:00:00Z","lon":3.47,"lat":6.55}"#;
    redis.command(&["XADD", key, "*", "json", position, "received_at", "2026-11-23T06:00:00Z"]);
    pipeline.wait_for_entries(1);
    let described = "SELECT obj_description(p, 'pg_class') || ' ' || (SELECT count(*) FROM pg_attribute \
                     WHERE attrelid = p AND attnum > 0 AND col_description(p, attnum) IS NULL) \
                     FROM (SELECT 'positions_log_20261123'::regclass) AS t (p)";
    assert_eq!(pipeline.sql(described), "The positions of 2026-11-23, a part of positions_log. 0");
}

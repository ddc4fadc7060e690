//! Identifiers of deliveries that were acknowledged: the table `delivery_ids`.

use std::collections::HashSet;
use std::time::Duration;

use rusqlite::OptionalExtension;
use watchtower_geopackage::Connection;
use watchtower_geopackage::layer::Layer;
use watchtower_model::Millis;

const TABLE: &str = "CREATE TABLE delivery_ids (fid INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, expires_ms INTEGER NOT NULL); \
                     CREATE INDEX delivery_ids_expires_ms ON delivery_ids (expires_ms);";

const LAYER: Layer<'_> = Layer {
    table: "delivery_ids",
    description: "Identifiers of messages that were acknowledged: the same message sent again adds nothing.",
    geometry: None,
    columns: &[
        ("key", "Digest (SHA-256) of the source and of the identifier that the sender gave."),
        ("expires_ms", "When the row may be deleted, milliseconds since 1970."),
    ],
};

/// Adds keys, each for so long from `now` on, and removes those that have expired.
pub(super) fn remember(
    connection: &Connection,
    deliveries: &[(String, Duration)],
    now: Millis,
) -> rusqlite::Result<()> {
    if deliveries.is_empty() {
        return Ok(());
    }
    if !exists(connection)? {
        connection.execute_batch(TABLE)?;
        LAYER.register(connection)?;
    }
    connection.prepare_cached("DELETE FROM delivery_ids WHERE expires_ms <= ?1")?.execute([now])?;
    let mut insert =
        connection.prepare_cached("INSERT OR REPLACE INTO delivery_ids (key, expires_ms) VALUES (?1, ?2)")?;
    for (key, keep) in deliveries {
        let keep_ms = Millis::try_from(keep.as_millis()).unwrap_or(Millis::MAX);
        insert.execute((key, now.saturating_add(keep_ms)))?;
    }
    Ok(())
}

/// Those of the keys that have not expired.
pub(super) fn remembered(connection: &Connection, keys: &[&str], now: Millis) -> rusqlite::Result<HashSet<String>> {
    let mut found = HashSet::new();
    if keys.is_empty() || !exists(connection)? {
        return Ok(found);
    }
    let mut select = connection.prepare_cached("SELECT 1 FROM delivery_ids WHERE key = ?1 AND expires_ms > ?2")?;
    for key in keys {
        if select.exists((key, now))? {
            found.insert((*key).to_owned());
        }
    }
    Ok(found)
}

fn exists(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'delivery_ids'";
    Ok(connection.prepare_cached(sql)?.query_row((), |_| Ok(())).optional()?.is_some())
}

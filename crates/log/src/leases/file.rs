//! Leases in a file: the table `source_leases`, which is created when the first lease is taken.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension, TransactionBehavior};
use watchtower_geopackage::layer::Layer;
use watchtower_geopackage::{Connection, FileError, GeoPackage};
use watchtower_model::Millis;

use super::TTL;

const TABLE: &str = "CREATE TABLE source_leases (
    fid        INTEGER PRIMARY KEY,
    source     TEXT NOT NULL UNIQUE,
    owner      TEXT NOT NULL,
    term       INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    cursor     TEXT NOT NULL
)";

const LAYER: Layer<'_> = Layer {
    table: "source_leases",
    description: "Sources that are fetched or subscribed to: the process that does it, and how far it is.",
    geometry: None,
    columns: &[
        ("source", "Name of the source."),
        ("owner", "The process that fetches the source; empty if it has stopped."),
        ("term", "Number of the tenure: greater with each process that took over."),
        ("expires_ms", "When another process may take over, milliseconds since 1970."),
        ("cursor", "Where the next fetch begins, as the server of the source gave it; empty at the beginning."),
    ],
};

/// Term and cursor of a lease that is taken now; None while another owner's holds.
pub(super) fn take(file: &GeoPackage, source: &str, owner: &str) -> Result<Option<(i64, String)>, FileError> {
    let mut connection = file.connect_or_create()?;
    taken(&mut connection, source, owner).map_err(file.failed(format!("take the lease of source {source}")))
}

fn taken(connection: &mut Connection, source: &str, owner: &str) -> rusqlite::Result<Option<(i64, String)>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let there = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'source_leases'";
    if transaction.query_row(there, (), |_| Ok(())).optional()?.is_none() {
        transaction.execute_batch(TABLE)?;
        LAYER.register(&transaction)?;
    }
    let now = now_ms();
    let sql = "INSERT INTO source_leases (source, owner, term, expires_ms, cursor) VALUES (?1, ?2, 1, ?3, '') \
               ON CONFLICT (source) DO UPDATE SET owner = excluded.owner, term = term + 1, \
               expires_ms = excluded.expires_ms \
               WHERE owner = '' OR owner = excluded.owner OR expires_ms <= ?4 RETURNING term, cursor";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let taken = transaction.query_row(sql, (source, owner, now + ttl_ms(), now), row).optional()?;
    transaction.commit()?;
    Ok(taken)
}

/// Whether the lease was renewed.
pub(super) fn renew(file: &GeoPackage, source: &str, owner: &str, term: i64) -> Result<bool, FileError> {
    let sql = "UPDATE source_leases SET expires_ms = ?4 WHERE source = ?1 AND owner = ?2 AND term = ?3";
    change(file, "renew the lease", sql, (source, owner, term, now_ms() + ttl_ms()))
}

/// Whether the cursor was written.
pub(super) fn advance(
    file: &GeoPackage,
    source: &str,
    owner: &str,
    term: i64,
    cursor: &str,
) -> Result<bool, FileError> {
    let sql = "UPDATE source_leases SET cursor = ?4 WHERE source = ?1 AND owner = ?2 AND term = ?3";
    change(file, "advance the cursor", sql, (source, owner, term, cursor))
}

/// Whether the lease was still held.
pub(super) fn release(file: &GeoPackage, source: &str, owner: &str, term: i64) -> Result<bool, FileError> {
    let sql = "UPDATE source_leases SET owner = '' WHERE source = ?1 AND owner = ?2 AND term = ?3";
    change(file, "release the lease", sql, (source, owner, term))
}

fn change(file: &GeoPackage, doing: &str, sql: &str, values: impl rusqlite::Params) -> Result<bool, FileError> {
    let connection = file.connect()?;
    let changed = connection.execute(sql, values).map_err(file.failed(format!("{doing} of a source")))?;
    Ok(changed > 0)
}

fn ttl_ms() -> Millis {
    TTL.as_millis() as Millis
}

fn now_ms() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_has_one_holder_and_each_holder_a_greater_term() {
        let folder = tempfile::tempdir().unwrap();
        let file = GeoPackage::at(folder.path().join("fleet.gpkg"));
        assert_eq!(take(&file, "buses", "a").unwrap(), Some((1, String::new())));
        assert_eq!(take(&file, "buses", "b").unwrap(), None, "a holds it");
        assert!(take(&file, "trams", "b").unwrap().is_some(), "another source");
        assert!(advance(&file, "buses", "a", 1, "v7").unwrap() && renew(&file, "buses", "a", 1).unwrap());
        let expire = "UPDATE source_leases SET expires_ms = 0";
        file.connect().unwrap().execute(expire, ()).unwrap();
        assert_eq!(take(&file, "buses", "b").unwrap(), Some((2, "v7".to_owned())), "a did not renew it");
        assert!(!renew(&file, "buses", "a", 1).unwrap() && !advance(&file, "buses", "a", 1, "v8").unwrap());
        assert!(!release(&file, "buses", "a", 1).unwrap(), "it is b's now");
        assert!(release(&file, "buses", "b", 2).unwrap());
        assert_eq!(take(&file, "buses", "c").unwrap(), Some((3, "v7".to_owned())));
    }
}

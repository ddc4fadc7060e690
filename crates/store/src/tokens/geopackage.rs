//! Tokens in a GeoPackage.

use std::collections::HashMap;
use std::hash::Hasher;

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, TransactionBehavior};
use rustc_hash::FxHasher;
use watchtower_geopackage::layer::Layer;
use watchtower_geopackage::{Connection, GeoPackage, time};
use watchtower_model::Millis;

use super::{RawToken, StoredToken, Subject, TokenError};
use crate::geopackage::EmbeddedError;

const TABLE: &str = "CREATE TABLE tokens (
    fid        INTEGER PRIMARY KEY,
    token_id   TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    fleet      TEXT,
    vehicle_id TEXT,
    source     TEXT,
    sha256     TEXT NOT NULL UNIQUE,
    created_at DATETIME NOT NULL,
    expires_at DATETIME,
    revoked_at DATETIME
)";

const LAYER: Layer<'_> = Layer {
    table: "tokens",
    description: "Tokens of clients of the HTTP interfaces: what each may do.",
    geometry: None,
    columns: &[
        ("token_id", "Identifier of the token, by which it is revoked; no secret."),
        ("name", "What the token is for, in the words of its author."),
        ("role", "ingest (sends events), read (reads tables), or admin (edits; also sends and reads)."),
        ("fleet", "The only fleet that the token is for; empty if it is for all vehicles."),
        ("vehicle_id", "The only vehicle that the token is for: the token of a device; empty if there is none."),
        ("source", "The only source that the token is for; empty if it is for all of them."),
        ("sha256", "Digest of the token, hexadecimal; the token itself is not stored."),
        ("created_at", "Instant at which the token was created."),
        ("expires_at", "Instant from which the token is no longer accepted; empty if it does not expire."),
        ("revoked_at", "Instant at which the token was revoked; empty while it is valid."),
    ],
};

/// The tables that other functions read.
const SQL_TABLE: &str = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1";

pub(super) fn list(file: &GeoPackage) -> Result<Vec<StoredToken>, TokenError> {
    let Some(connection) = open(file, "tokens")? else { return Ok(Vec::new()) };
    let doing = || file.failed("read the tokens");
    let sql = "SELECT token_id, name, role, fleet, vehicle_id, source, sha256, created_at, expires_at, revoked_at \
               FROM tokens ORDER BY created_at, token_id";
    let mut statement = connection.prepare(sql).map_err(doing()).map_err(EmbeddedError::from)?;
    let raw = |row: &rusqlite::Row<'_>| {
        let mut texts: [Option<String>; 10] = Default::default();
        for (column, text) in texts.iter_mut().enumerate() {
            *text = row.get(column)?;
        }
        let [a, b, c, d, e, f, g, created_at, expires_at, revoked_at] = texts;
        let times = [created_at, expires_at, revoked_at].map(|text| text.as_deref().and_then(time::parse));
        Ok(RawToken { texts: [a, b, c, d, e, f, g], times })
    };
    let rows: Result<Vec<RawToken>, _> = statement.query_map((), raw).and_then(Iterator::collect);
    rows.map_err(doing()).map_err(EmbeddedError::from)?.into_iter().map(RawToken::parse).collect()
}

pub(super) fn create(file: &GeoPackage, token: &StoredToken) -> Result<(), TokenError> {
    let mut connection = file.connect_or_create().map_err(EmbeddedError::from)?;
    Ok(insert(&mut connection, token).map_err(file.failed("create a token")).map_err(EmbeddedError::from)?)
}

fn insert(connection: &mut Connection, token: &StoredToken) -> rusqlite::Result<()> {
    let StoredToken { token_id, name, grant, hash, created_at, expires_at, revoked_at: _ } = token;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !exists(&transaction, "tokens")? {
        transaction.execute_batch(TABLE)?;
        LAYER.register(&transaction)?;
    }
    let created_at = time::format(*created_at);
    let supersede = "UPDATE tokens SET revoked_at = ?2 WHERE vehicle_id = ?1 AND revoked_at IS NULL";
    transaction.execute(supersede, (&grant.vehicle_id, &created_at))?;
    let insert = "INSERT INTO tokens (token_id, name, role, fleet, vehicle_id, source, sha256, created_at, expires_at) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let role = grant.role.name();
    let (fleet, vehicle_id, source) = (&grant.fleet, &grant.vehicle_id, &grant.source);
    let expires_at = expires_at.map(time::format);
    let values = (token_id, name, role, fleet, vehicle_id, source, hash.to_hex(), created_at, expires_at);
    transaction.execute(insert, values)?;
    transaction.commit()
}

pub(super) fn revoke(file: &GeoPackage, token_id: &str, now: Millis) -> Result<bool, TokenError> {
    if open(file, "tokens")?.is_none() {
        return Ok(false);
    }
    let connection = file.connect().map_err(EmbeddedError::from)?;
    let sql = "UPDATE tokens SET revoked_at = ?2 WHERE token_id = ?1 AND revoked_at IS NULL";
    let changed = connection.execute(sql, (token_id, time::format(now))).map_err(file.failed("revoke a token"));
    Ok(changed.map_err(EmbeddedError::from)? > 0)
}

pub(super) fn fleets(file: &GeoPackage) -> Result<HashMap<String, String>, TokenError> {
    let Some(connection) = open(file, "vehicles")? else { return Ok(HashMap::new()) };
    let doing = || file.failed("read the fleets of vehicles");
    let sql = "SELECT vehicle_id, fleet FROM vehicles WHERE effective_until IS NULL AND fleet IS NOT NULL";
    let mut statement = connection.prepare(sql).map_err(doing()).map_err(EmbeddedError::from)?;
    let rows: Result<_, _> = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).and_then(Iterator::collect);
    Ok(rows.map_err(doing()).map_err(EmbeddedError::from)?)
}

pub(super) fn version(file: &GeoPackage, subject: Subject<'_>) -> Result<Option<String>, TokenError> {
    let (table, key, id) = match subject {
        Subject::Geofence(id) => ("geofences", "geofence_id", id),
        Subject::Vehicle(id) => ("vehicles", "vehicle_id", id),
    };
    let Some(connection) = open(file, table)? else { return Ok(None) };
    let digest = digest(&connection, &format!("SELECT * FROM {table} WHERE {key} = ?1 ORDER BY effective_from"), id);
    Ok(digest.map_err(file.failed(format!("read the version of a row of {table}"))).map_err(EmbeddedError::from)?)
}

/// A digest of all rows of a query; None if there are none.
fn digest(connection: &Connection, sql: &str, id: &str) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare(sql)?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let (mut hasher, mut found) = (FxHasher::default(), false);
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        found = true;
        // The number of the row is no part of what it holds.
        for column in (0..names.len()).filter(|column| names[*column] != "fid") {
            match row.get_ref(column)? {
                ValueRef::Null => hasher.write_u8(0),
                ValueRef::Integer(number) => hasher.write_i64(number),
                ValueRef::Real(number) => hasher.write_u64(number.to_bits()),
                ValueRef::Text(bytes) | ValueRef::Blob(bytes) => hasher.write(bytes),
            }
            hasher.write_u8(1);
        }
    }
    Ok(found.then(|| format!("{:016x}", hasher.finish())))
}

/// A connection to read with, if the file has this table.
fn open(file: &GeoPackage, table: &str) -> Result<Option<Connection>, EmbeddedError> {
    if !file.path().exists() {
        return Ok(None);
    }
    let connection = file.connect_to_read()?;
    let there = exists(&connection, table).map_err(file.failed(format!("look for the table {table}")))?;
    Ok(there.then_some(connection))
}

fn exists(connection: &Connection, table: &str) -> rusqlite::Result<bool> {
    Ok(connection.query_row(SQL_TABLE, [table], |_| Ok(())).optional()?.is_some())
}

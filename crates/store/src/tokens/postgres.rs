//! Tokens in the schema of a pipeline.

use std::collections::HashMap;

use watchtower_model::Millis;

use super::{RawToken, StoredToken, Subject, TokenError};
use crate::postgres::{Database, StoreError};

const LIST: &str = "SELECT token_id, name, role, fleet, vehicle_id, source, sha256, \
                    (extract(epoch FROM created_at) * 1000)::bigint, (extract(epoch FROM expires_at) * 1000)::bigint, \
                    (extract(epoch FROM revoked_at) * 1000)::bigint FROM tokens ORDER BY created_at, token_id";
const CREATE: &str = "INSERT INTO tokens VALUES ($1, $2, $3, $4, $5, $6, $7, to_timestamp($8::bigint / 1000.0), \
                      to_timestamp($9::bigint / 1000.0))";
const SUPERSEDE: &str = "UPDATE tokens SET revoked_at = to_timestamp($2::bigint / 1000.0) \
                         WHERE vehicle_id = $1 AND revoked_at IS NULL";
const REVOKE: &str = "UPDATE tokens SET revoked_at = to_timestamp($2::bigint / 1000.0) \
                      WHERE token_id = $1 AND revoked_at IS NULL";
const FLEETS: &str = "SELECT vehicle_id, fleet FROM vehicles WHERE effective_until IS NULL AND fleet IS NOT NULL";

pub(super) async fn are_created(database: &Database) -> Result<bool, TokenError> {
    let client = database.connect().await?;
    let table = format!("{}.tokens", database.schema);
    let row = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await;
    Ok(row.map_err(StoreError::statement("check for the tokens"))?.get(0))
}

pub(super) async fn list(database: &Database) -> Result<Vec<StoredToken>, TokenError> {
    let client = database.connect().await?;
    let rows = client.query(LIST, &[]).await.map_err(StoreError::statement("read the tokens"))?;
    let raw = |row: &tokio_postgres::Row| RawToken {
        texts: std::array::from_fn(|column| row.get(column)),
        times: std::array::from_fn(|column| row.get(7 + column)),
    };
    rows.iter().map(|row| raw(row).parse()).collect()
}

pub(super) async fn create(database: &Database, token: &StoredToken) -> Result<(), TokenError> {
    let doing = || StoreError::statement("create a token");
    let StoredToken { token_id, name, grant, hash, created_at, expires_at, revoked_at: _ } = token;
    let mut client = database.connect().await?;
    let transaction = client.transaction().await.map_err(doing())?;
    if let Some(vehicle_id) = &grant.vehicle_id {
        transaction.execute(SUPERSEDE, &[vehicle_id, created_at]).await.map_err(doing())?;
    }
    let (role, hash) = (grant.role.name(), hash.to_hex());
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] =
        [token_id, name, &role, &grant.fleet, &grant.vehicle_id, &grant.source, &hash, created_at, expires_at];
    transaction.execute(CREATE, &values).await.map_err(doing())?;
    Ok(transaction.commit().await.map_err(doing())?)
}

pub(super) async fn revoke(database: &Database, token_id: &str, now: Millis) -> Result<bool, TokenError> {
    let client = database.connect().await?;
    let changed = client.execute(REVOKE, &[&token_id, &now]).await;
    Ok(changed.map_err(StoreError::statement("revoke a token"))? > 0)
}

pub(super) async fn fleets(database: &Database) -> Result<HashMap<String, String>, TokenError> {
    let client = database.connect().await?;
    let rows = client.query(FLEETS, &[]).await.map_err(StoreError::statement("read the fleets of vehicles"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

pub(super) async fn version(database: &Database, subject: Subject<'_>) -> Result<Option<String>, TokenError> {
    let (table, key, id) = match subject {
        Subject::Geofence(id) => ("geofences", "geofence_id", id),
        Subject::Vehicle(id) => ("vehicles", "vehicle_id", id),
    };
    let sql =
        format!("SELECT md5(string_agg(md5(t::text), '' ORDER BY effective_from)) FROM {table} AS t WHERE {key} = $1");
    let client = database.connect().await?;
    let row = client.query_one(&sql, &[&id]).await;
    Ok(row.map_err(StoreError::statement(format!("read the version of a row of {table}")))?.get(0))
}

//! What a PostgreSQL has of what a daemon needs.

use tokio_postgres::Client;
use watchtower_core::Findings;

use super::durability::{self, setting};
use super::schema::{self, Standing};
use super::{Database, Options, StoreError, claim};
use crate::Stored;

/// The oldest PostgreSQL that is still maintained, as `server_version_num`.
const OLDEST: i32 = 140_000;

/// Checks the server, the rights of the role, and the schema. Returns the tables of the pipeline, if there are some that
/// can be read.
pub(crate) async fn check(
    database: &Database,
    options: &Options,
    findings: &mut Findings,
) -> Result<Option<Stored>, StoreError> {
    let client = database.connect().await?;
    database.refuse_transaction_pooling(&client).await?;
    let number: i32 = setting(&client, "server_version_num").await?.parse().unwrap_or(0);
    let version = setting(&client, "server_version").await?;
    if number < OLDEST {
        findings.wrong(format!("PostgreSQL at {} is {version}; 14 or later is needed", database.server()));
    } else {
        findings.good(format!("PostgreSQL {version} at {}", database.server()));
    }
    if database.is_unencrypted_over_the_network() {
        findings.warning("the connection to PostgreSQL is not encrypted; add ?sslmode=verify-full to [store] url");
    }
    if setting(&client, "server_encoding").await? != "UTF8" {
        findings.wrong("the database's encoding is not UTF8: names would be lost; create it with ENCODING 'UTF8'");
    }
    for fault in durability::faults(&client).await? {
        match options.allow_unsafe {
            true => findings.warning(format!("{fault} ([store] allow_unsafe is true: the daemon runs all the same)")),
            false => findings.wrong(fault),
        }
    }
    if setting(&client, "transaction_read_only").await? == "on" {
        findings.wrong("this PostgreSQL takes no writes (a standby, or default_transaction_read_only)");
    }
    extension(&client, findings).await?;
    rights(options, &client, database, findings).await?;
    standing(options, &client, database, findings).await
}

async fn extension(client: &Client, findings: &mut Findings) -> Result<(), StoreError> {
    let sql = "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'postgis'";
    let row = client.query_opt(sql, &[]).await.map_err(StoreError::statement("check for PostGIS"))?;
    let versions = row.map(|row| (row.get::<_, Option<String>>(0), row.get::<_, Option<String>>(1)));
    match versions {
        Some((_, Some(installed))) => findings.good(format!("PostGIS {installed}")),
        Some((available, None)) => findings.warning(format!(
            "PostGIS {} is there but not in this database; `watchtower migrate` adds it if it may, else run CREATE \
             EXTENSION postgis",
            available.unwrap_or_default()
        )),
        None => findings.wrong("PostGIS is not installed on the server: install postgresql-<version>-postgis-3"),
    }
    Ok(())
}

async fn rights(
    options: &Options,
    client: &Client,
    database: &Database,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let sql = "SELECT current_user::text, to_regnamespace($1) IS NOT NULL,
                      CASE WHEN to_regnamespace($1) IS NULL THEN has_database_privilege(current_database(), 'CREATE')
                           ELSE has_schema_privilege($1, 'CREATE') END,
                      has_database_privilege(current_database(), 'TEMPORARY'),
                      (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user),
                      EXISTS (SELECT FROM pg_roles WHERE rolname = $2)";
    let role = options.reader_role.clone().unwrap_or_default();
    let row = client
        .query_one(sql, &[&database.schema, &role])
        .await
        .map_err(StoreError::statement("read the role's privileges"))?;
    let (user, exists, create): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
    let (temporary, may_create_role, role_exists): (bool, bool, bool) = (row.get(3), row.get(4), row.get(5));
    let before = findings.0.len();
    if !create {
        let what = if exists { "create tables in schema" } else { "create schema" };
        findings.wrong(format!("role {user} may not {what} {}; GRANT CREATE to it", database.schema));
    }
    if !temporary {
        findings
            .wrong(format!("role {user} may not create temporary tables; GRANT TEMPORARY ON DATABASE .. TO {user}"));
    }
    if !role.is_empty() && !role_exists && !may_create_role {
        findings.wrong(format!(
            "the reader role {role} is missing and {user} may not create it: let an administrator run CREATE ROLE \
             {role} NOLOGIN, or set [store] reader_role = \"\""
        ));
    }
    if findings.0.len() == before {
        findings.good(format!("role {user} may do what is needed"));
    }
    Ok(())
}

async fn standing(
    options: &Options,
    client: &Client,
    database: &Database,
    findings: &mut Findings,
) -> Result<Option<Stored>, StoreError> {
    let Database { pipeline, schema, .. } = database;
    match schema::standing(client, database).await? {
        Standing::Current => findings.good(format!("schema {schema} has version {}", schema::newest())),
        Standing::Ahead { have, want } => {
            findings.wrong(schema::too_new(database, have, want).to_string());
            return Ok(None);
        }
        Standing::Behind { have, want } => {
            match options.migrate {
                true => {
                    findings.good(format!("schema {schema} has version {have}; the daemon will bring it to {want}"))
                }
                false => findings
                    .wrong(format!("schema {schema} has version {have}, {want} is needed: run `watchtower migrate`")),
            }
            return Ok(None);
        }
    }
    let Some(owner) = claim::owner(client, database).await? else {
        findings.good(format!("pipeline {pipeline} is created at the first start"));
        return Ok(None);
    };
    match claim::try_lock(client, database).await? {
        true => findings.good(format!("pipeline {pipeline} is at commit {}; no daemon writes it", owner.commit_seq)),
        false => findings.warning(format!("pipeline {pipeline} is being written by {}", owner.name)),
    }
    claim::stored(client, database).await
}

//! The schema of a pipeline: created, migrated, commented, and granted to readers.

use std::fmt::Write;

use tokio_postgres::Client;

use super::connection::Database;
use super::error::StoreError;
use watchtower_core::BoxFuture;
use watchtower_core::tables::{TABLES, Table};

/// The migrations, oldest first: name and SQL. A test compares them with the folder.
const MIGRATIONS: &[(&str, &str)] = &[
    ("V1__tables", include_str!("../../../../migrations/V1__tables.sql")),
    ("V2__rules", include_str!("../../../../migrations/V2__rules.sql")),
    ("V3__cut_off", include_str!("../../../../migrations/V3__cut_off.sql")),
    ("V4__tokens", include_str!("../../../../migrations/V4__tokens.sql")),
    ("V5__alerts", include_str!("../../../../migrations/V5__alerts.sql")),
    ("V6__outbox", include_str!("../../../../migrations/V6__outbox.sql")),
];

/// Runs the migrations that a schema lacks. The macros of `refinery` expand to `refinery_core`; with the macros, the
/// crates for regular expressions, times and TOML would be compiled twice.
fn runner() -> refinery_core::Runner {
    let migration = |(name, sql): &(&str, &str)| {
        refinery_core::Migration::unapplied(name, sql).expect("the name of a migration is V<number>__<words>")
    };
    refinery_core::Runner::new(&MIGRATIONS.iter().map(migration).collect::<Vec<_>>())
}

/// Result of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The migrations that were run, in order.
    pub applied: Vec<String>,
    /// Version of the schema afterwards.
    pub version: i32,
}

/// Version of the schema compared with the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The schema has the program's version.
    Current,
    /// Migrations are missing.
    Behind {
        /// Version in the database; 0 if there is no schema.
        have: i32,
        /// Version of the program.
        want: i32,
    },
    /// A later version of this program made the schema.
    Ahead {
        /// Version in the database.
        have: i32,
        /// Version of the program.
        want: i32,
    },
}

/// The schema version of this program: the number of its last migration.
pub fn newest() -> i32 {
    runner().get_migrations().iter().map(|migration| migration.version()).max().unwrap_or(0)
}

/// Compares the schema with this program.
///
/// # Errors
/// If the database does not answer.
pub async fn standing(client: &Client, database: &Database) -> Result<Standing, StoreError> {
    let doing = || StoreError::statement(format!("read the version of schema {}", database.schema));
    let table = format!("{}.{HISTORY}", database.schema);
    let exists: bool = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await.map_err(doing())?.get(0);
    let have: i32 = if exists {
        let version = format!("SELECT coalesce(max(version), 0) FROM {table}");
        client.query_one(&version, &[]).await.map_err(doing())?.get(0)
    } else {
        0
    };
    let want = newest();
    Ok(match have.cmp(&want) {
        std::cmp::Ordering::Equal => Standing::Current,
        std::cmp::Ordering::Less => Standing::Behind { have, want },
        std::cmp::Ordering::Greater => Standing::Ahead { have, want },
    })
}

/// Creates or migrates the schema, then sets the comments of all tables and columns and the grants of the reader role.
/// Concurrent migrations wait for each other.
///
/// # Errors
/// If a right or PostGIS is missing, or a migration fails and is rolled back.
pub fn migrate<'a>(
    client: &'a mut Client,
    database: &'a Database,
    reader_role: Option<&'a str>,
) -> BoxFuture<'a, Result<Migrated, StoreError>> {
    Box::pin(bring_up_to_date(client, database, reader_role))
}

async fn bring_up_to_date(
    client: &mut Client,
    database: &Database,
    reader_role: Option<&str>,
) -> Result<Migrated, StoreError> {
    let doing = |what: &str| StoreError::statement(format!("{what} schema {}", database.schema));
    if let Standing::Ahead { have, want } = standing(client, database).await? {
        return Err(too_new(database, have, want));
    }
    let lock = format!("SELECT pg_advisory_lock(hashtextextended('watchtower migrate {}', 0))", database.schema);
    client.batch_execute(&format!("SET lock_timeout = '60s'; {lock}")).await.map_err(doing("lock"))?;
    ensure_postgis(client).await?;
    client
        .batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS \"{}\"", database.schema))
        .await
        .map_err(doing("create"))?;
    let report = runner()
        .run_async(client)
        .await
        .map_err(|error| StoreError::Setup(format!("cannot migrate schema {}: {error}", database.schema)))?;
    client.batch_execute(&comments()).await.map_err(doing("comment the tables of"))?;
    if let Some(role) = reader_role {
        grant(client, database, role).await?;
    }
    let unlock = lock.replace("pg_advisory_lock", "pg_advisory_unlock");
    client.batch_execute(&format!("SET lock_timeout = '10s'; {unlock}")).await.map_err(doing("unlock"))?;
    let applied = report.applied_migrations().iter().map(|migration| migration.to_string()).collect();
    Ok(Migrated { applied, version: newest() })
}

/// The error for a schema that a later version of this program made.
pub fn too_new(database: &Database, have: i32, want: i32) -> StoreError {
    StoreError::Setup(format!(
        "schema {} has version {have}, made by a later watchtower; this one knows version {want}: upgrade it",
        database.schema
    ))
}

async fn ensure_postgis(client: &Client) -> Result<(), StoreError> {
    let has = "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'postgis')";
    let has: bool = client.query_one(has, &[]).await.map_err(StoreError::statement("check for PostGIS"))?.get(0);
    if has {
        return Ok(());
    }
    let create = client.batch_execute("CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public").await;
    create.map_err(|error| {
        let said = error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
        StoreError::Setup(format!(
            "the database has no PostGIS, and we cannot add it ({said}): let an administrator install the package \
             (postgresql-<version>-postgis-3) and run CREATE EXTENSION postgis in this database"
        ))
    })
}

/// The table in which refinery records migrations; refinery creates it.
const HISTORY: &str = "refinery_schema_history";
const HISTORY_COMMENT: &str = "Migrations that were run on this schema.";
const HISTORY_COLUMNS: [(&str, &str); 4] = [
    ("version", "Number of the migration."),
    ("name", "Name of the migration."),
    ("applied_on", "Instant at which the migration was run."),
    ("checksum", "Checksum of the migration's text, which must not change after it was run."),
];

/// `COMMENT ON` statements for all tables with a descriptor, and for refinery's table.
fn comments() -> String {
    let mut sql = String::new();
    put_comment(&mut sql, &format!("TABLE {HISTORY}"), HISTORY_COMMENT);
    for (column, comment) in HISTORY_COLUMNS {
        put_comment(&mut sql, &format!("COLUMN {HISTORY}.{column}"), comment);
    }
    for Table { name, comment, class: _, key: _, columns } in TABLES {
        let kind = if *name == "positions" { "VIEW" } else { "TABLE" };
        put_comment(&mut sql, &format!("{kind} {name}"), comment);
        for column in *columns {
            put_comment(&mut sql, &format!("COLUMN {name}.{}", column.name), column.comment);
        }
    }
    sql
}

fn put_comment(sql: &mut String, of: &str, comment: &str) {
    writeln!(sql, "COMMENT ON {of} IS '{}';", comment.replace('\'', "''")).expect("a string takes any text");
}

async fn grant(client: &Client, database: &Database, role: &str) -> Result<(), StoreError> {
    if !role_exists(client, role).await?
        && let Err(error) = client.batch_execute(&format!("CREATE ROLE \"{role}\" NOLOGIN")).await
        // Roles are shared by all databases of a server: another daemon may have created it in the meantime.
        && !role_exists(client, role).await?
    {
        let said = error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned());
        return Err(StoreError::Setup(format!(
            "cannot create the reader role {role} ({said}): let an administrator run CREATE ROLE \"{role}\" \
             NOLOGIN, or set [store] reader_role = \"\" to do without"
        )));
    }
    let schema = &database.schema;
    let grants = format!(
        "GRANT USAGE ON SCHEMA \"{schema}\" TO \"{role}\";
         GRANT SELECT ON ALL TABLES IN SCHEMA \"{schema}\" TO \"{role}\";
         REVOKE ALL ON \"{schema}\".tokens, \"{schema}\".outbox, \"{schema}\".deliveries, \"{schema}\".endpoints,
                       \"{schema}\".outbox_base FROM \"{role}\";
         ALTER DEFAULT PRIVILEGES IN SCHEMA \"{schema}\" GRANT SELECT ON TABLES TO \"{role}\";"
    );
    client.batch_execute(&grants).await.map_err(StoreError::statement(format!("grant reading to role {role}")))
}

async fn role_exists(client: &Client, role: &str) -> Result<bool, StoreError> {
    let exists = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";
    let row = client.query_one(exists, &[&role]).await;
    Ok(row.map_err(StoreError::statement(format!("check for role {role}")))?.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort_by_key(|name| name[1..].split("__").next().unwrap().parse::<u32>().unwrap());
        let embedded: Vec<&str> = MIGRATIONS.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, embedded);
        assert_eq!(runner().get_migrations().len(), files.len());
    }
}

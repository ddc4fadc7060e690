//! Claims in PostgreSQL: the term and the owner that every commit compares.

use tokio_postgres::{Client, GenericClient};
use watchtower_core::{Cursor, StreamPosition};
use watchtower_model::{BEGINNING, Millis};

use super::connection::Database;
use super::error::StoreError;
use crate::{Claim, Owner, Stored, UnreadableCursor, host, random_name};

/// Takes the advisory lock of the pipeline. Returns false if another session holds it. The session keeps the lock as
/// long as it lives. The lock serves to refuse a second daemon early and by name; the term protects the tables.
///
/// # Errors
/// If the database does not answer.
pub async fn try_lock(client: &Client, database: &Database) -> Result<bool, StoreError> {
    let lock = format!("SELECT pg_try_advisory_lock(hashtextextended('watchtower run {}', 0))", database.schema);
    let row = client.query_one(&lock, &[]).await.map_err(StoreError::statement("lock the pipeline"))?;
    Ok(row.get(0))
}

/// Whether the schema holds the tables of a pipeline.
///
/// # Errors
/// If the database does not answer.
pub async fn exists(client: &Client, database: &Database) -> Result<bool, StoreError> {
    let table = format!("{}.pipeline", database.schema);
    let row = client.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table]).await;
    Ok(row.map_err(StoreError::statement("check for the pipeline"))?.get(0))
}

/// The error of what needs the tables of a pipeline that has none.
pub fn missing(database: &Database) -> StoreError {
    let Database { pipeline, schema, .. } = database;
    let server = database.server();
    StoreError::Setup(format!("there is no pipeline {pipeline} in schema {schema} of {server}: no daemon has run yet"))
}

/// The daemon that holds the pipeline, if the pipeline exists.
///
/// # Errors
/// If the database does not answer.
pub async fn owner(client: &Client, database: &Database) -> Result<Option<Owner>, StoreError> {
    let sql = "SELECT term, owner_pid, owner_host, claimed_at::text, commit_seq, owner FROM pipeline WHERE id = $1";
    let row = client.query_opt(sql, &[&database.pipeline]).await;
    let row = row.map_err(StoreError::statement("read the pipeline's owner"))?;
    Ok(row.map(|row| Owner { term: row.get(0), name: describe(&row, 1), commit_seq: row.get(4), owner: row.get(5) }))
}

/// Plan and cursors of the stored tables, if the pipeline exists.
///
/// # Errors
/// If the database does not answer, or has no such schema.
pub async fn stored(client: &Client, database: &Database) -> Result<Option<Stored>, StoreError> {
    let doing = || StoreError::statement(format!("read pipeline {}", database.pipeline));
    let sql = "SELECT plan, archived FROM pipeline WHERE id = $1";
    let row = client.query_opt(sql, &[&database.pipeline]).await;
    let Some(row) = row.map_err(doing())? else { return Ok(None) };
    let rows = client.query(CURSORS, &[]).await.map_err(doing())?;
    Ok(Some(Stored { plan: row.get(0), archived: row.get(1), cursors: cursors(&rows, database)? }))
}

const CURSORS: &str = "SELECT stream, last_id, entries, skipped, rebased, rebased_after, \
                       CASE WHEN isfinite(now) THEN (extract(epoch FROM now) * 1000)::bigint END FROM cursors";

fn cursor(row: &tokio_postgres::Row) -> Result<Cursor, UnreadableCursor> {
    let stream: String = row.get(0);
    let position = StreamPosition {
        last: UnreadableCursor::read(&stream, "last_id", row.get(1))?,
        entries: row.get::<_, i64>(2) as u64,
        skipped: row.get::<_, i64>(3) as u64,
        rebased: row.get::<_, i64>(4) as u64,
    };
    let rebased_after = UnreadableCursor::read(&stream, "rebased_after", row.get(5))?;
    Ok(Cursor { stream, position, rebased_after, now: row.get::<_, Option<i64>>(6).unwrap_or(BEGINNING) })
}

fn cursors(rows: &[tokio_postgres::Row], database: &Database) -> Result<Vec<Cursor>, StoreError> {
    let unreadable = |fault| StoreError::Cursor { schema: database.schema.clone(), fault };
    rows.iter().map(cursor).collect::<Result<_, _>>().map_err(unreadable)
}

/// Log time of the last commit; `None` before the first.
///
/// # Errors
/// If the database does not answer.
pub async fn now(client: &Client, database: &Database) -> Result<Option<Millis>, StoreError> {
    let sql =
        "SELECT CASE WHEN isfinite(now) THEN (extract(epoch FROM now) * 1000)::bigint END FROM pipeline WHERE id = $1";
    let row = client.query_one(sql, &[&database.pipeline]).await;
    Ok(row.map_err(StoreError::statement("read the log's time"))?.get(0))
}

/// Describes process, machine and time, from three columns.
fn describe(row: &tokio_postgres::Row, from: usize) -> String {
    let (pid, host, since): (i64, String, Option<String>) = (row.get(from), row.get(from + 1), row.get(from + 2));
    format!("process {pid} on {host} (since {})", since.as_deref().unwrap_or("never"))
}

/// Refuses a schema that holds another pipeline.
///
/// # Errors
/// If it does, or the database does not answer.
pub async fn refuse_another_pipeline(client: &impl GenericClient, database: &Database) -> Result<(), StoreError> {
    let other = "SELECT id FROM pipeline WHERE id <> $1";
    let row = client.query_opt(other, &[&database.pipeline]).await;
    let Some(row) = row.map_err(StoreError::statement("read which pipeline the schema holds"))? else { return Ok(()) };
    let other: String = row.get(0);
    Err(StoreError::Setup(format!(
        "schema {} holds pipeline {other}, not {}: each pipeline needs a schema of its own",
        database.schema, database.pipeline
    )))
}

/// Claims the pipeline: from here on no earlier writer can change anything.
///
/// # Errors
/// If the schema holds another pipeline, one with another number of streams, or tables of another plan.
pub async fn claim(
    client: &mut Client,
    database: &Database,
    streams: u16,
    plan: &str,
    archive: bool,
) -> Result<Claim, StoreError> {
    let doing = || StoreError::statement(format!("claim pipeline {}", database.pipeline));
    let transaction = client.transaction().await.map_err(doing())?;
    refuse_another_pipeline(&transaction, database).await?;
    let insert = "INSERT INTO pipeline (id, streams, plan, archived) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    transaction.execute(insert, &[&database.pipeline, &i32::from(streams), &plan, &archive]).await.map_err(doing())?;
    let owner = random_name();
    let take = "UPDATE pipeline SET term = term + 1, owner = $2, owner_host = $3, owner_pid = $4, \
                claimed_at = clock_timestamp(), archived = archived AND $5 WHERE id = $1 RETURNING term, commit_seq, streams, plan, lineage";
    let pid = i64::from(std::process::id());
    let row =
        transaction.query_one(take, &[&database.pipeline, &owner, &host(), &pid, &archive]).await.map_err(doing())?;
    let (term, commit_seq, stored): (i64, i64, i32) = (row.get(0), row.get(1), row.get(2));
    if stored != i32::from(streams) {
        return Err(StoreError::Setup(format!(
            "pipeline {} has {stored} event streams, the configuration says {streams}: the number is fixed when a \
             pipeline begins, for it decides which vehicle is in which stream",
            database.pipeline
        )));
    }
    let stored_plan: String = row.get(3);
    if stored_plan != plan {
        return Err(StoreError::Plan {
            pipeline: database.pipeline.clone(),
            stored: stored_plan,
            ours: plan.to_owned(),
        });
    }
    let progress = "INSERT INTO table_progress (table_name, term, commit_seq) VALUES ('vehicle_state', $1, 0) \
                    ON CONFLICT (table_name) DO UPDATE SET term = excluded.term";
    transaction.execute(progress, &[&term]).await.map_err(doing())?;
    let rows = transaction.query(CURSORS, &[]).await.map_err(doing())?;
    let cursors = cursors(&rows, database)?;
    transaction.commit().await.map_err(doing())?;
    Ok(Claim { term, owner, lineage: row.get(4), commit_seq, cursors })
}

/// The error of a writer that was fenced; asks the database for its successor.
pub async fn fenced(client: &Client, database: &Database, ours: i64) -> StoreError {
    match owner(client, database).await {
        Ok(Some(owner)) => {
            StoreError::Fenced { pipeline: database.pipeline.clone(), by: owner.name, term: owner.term, ours }
        }
        Ok(None) => StoreError::Setup(format!("pipeline {} is gone from the database", database.pipeline)),
        Err(error) => error,
    }
}

/// Rolls back the transaction of a writer that was fenced, and returns its error.
pub async fn roll_back_fenced(client: &Client, database: &Database, ours: i64) -> StoreError {
    match client.batch_execute("ROLLBACK").await {
        Ok(()) => fenced(client, database, ours).await,
        Err(source) => StoreError::statement("roll back")(source),
    }
}

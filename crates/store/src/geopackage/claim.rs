//! Claims in the file: the term and the owner that every commit compares.

use rusqlite::{OptionalExtension, TransactionBehavior, params};
use watchtower_core::{Cursor, EntryId, StreamPosition};
use watchtower_model::{BEGINNING, Millis};

use super::error::EmbeddedError;
use super::schema;
use crate::{Claim, Owner, Stored, UnreadableCursor, host, random_name};
use watchtower_geopackage::{Connection, GeoPackage, time};

/// Claims the pipeline: from here on no earlier writer can change anything. Creates missing tables.
///
/// # Errors
/// If the tables were computed under another plan, or the file cannot be written.
pub fn claim(file: &GeoPackage, connection: &mut Connection, plan: &str) -> Result<Claim, EmbeddedError> {
    schema::create(file, connection)?;
    let doing = || file.failed("claim the pipeline");
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(doing())?;
    let insert = "INSERT INTO pipeline VALUES (1, ?1, ?2, ?3, 0, '', '', 0, NULL, 0, ?4, NULL) ON CONFLICT DO NOTHING";
    let new = params![random_name(), plan, schema::fingerprint(), time::format(BEGINNING)];
    transaction.execute(insert, new).map_err(doing())?;
    let (owner, pid) = (random_name(), std::process::id());
    let take = "UPDATE pipeline SET term = term + 1, owner = ?1, owner_host = ?2, owner_pid = ?3, \
                claimed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), halted = NULL \
                RETURNING term, commit_seq, lineage, plan, tables";
    let taken = transaction.query_row(take, params![owner, host(), pid], |row| {
        Ok(((row.get(0)?, row.get(1)?), row.get(2)?, row.get::<_, String>(3)?, row.get::<_, String>(4)?))
    });
    let ((term, commit_seq), lineage, stored, tables) = taken.map_err(doing())?;
    if tables != schema::fingerprint() {
        return Err(EmbeddedError::Tables { path: file.path().to_owned() });
    }
    if stored != plan {
        return Err(EmbeddedError::Plan { path: file.path().to_owned(), stored, ours: plan.to_owned() });
    }
    let progress = "INSERT INTO table_progress (table_name, term, commit_seq) VALUES ('vehicle_state', ?1, 0) \
                    ON CONFLICT (table_name) DO UPDATE SET term = excluded.term";
    transaction.execute(progress, [term]).map_err(doing())?;
    let cursors = cursors(file, &transaction)?;
    transaction.commit().map_err(doing())?;
    Ok(Claim { term, owner, lineage, commit_seq, cursors })
}

/// The daemon that holds the pipeline; `None` if no daemon ever claimed it.
///
/// # Errors
/// If the file cannot be read.
pub fn owner(file: &GeoPackage, connection: &Connection) -> Result<Option<Owner>, EmbeddedError> {
    if !schema::exists(file, connection)? {
        return Ok(None);
    }
    let sql = "SELECT term, owner_pid, owner_host, claimed_at, commit_seq, owner FROM pipeline";
    let row = connection.query_row(sql, (), |row| {
        let (pid, host, since): (i64, String, Option<String>) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let name = format!("process {pid} on {host} (since {})", since.as_deref().unwrap_or("never"));
        Ok(Owner { term: row.get(0)?, name, commit_seq: row.get(4)?, owner: row.get(5)? })
    });
    Ok(row.optional().map_err(file.failed("read the pipeline's owner"))?)
}

/// Plan and cursors of the stored tables; `None` without tables.
///
/// # Errors
/// If the file cannot be read.
pub fn stored(file: &GeoPackage, connection: &Connection) -> Result<Option<Stored>, EmbeddedError> {
    if !schema::exists(file, connection)? {
        return Ok(None);
    }
    let plan = connection.query_row("SELECT plan FROM pipeline", (), |row| row.get(0)).optional();
    let Some(plan) = plan.map_err(file.failed("read the plan"))? else { return Ok(None) };
    Ok(Some(Stored { plan, archived: false, cursors: cursors(file, connection)? }))
}

/// Log time of the last commit.
///
/// # Errors
/// If the file cannot be read.
pub fn now(file: &GeoPackage, connection: &Connection) -> Result<Millis, EmbeddedError> {
    let text = connection.query_row("SELECT now FROM pipeline", (), |row| row.get::<_, String>(0)).optional();
    let text = text.map_err(file.failed("read the log's time"))?;
    Ok(text.and_then(|text| time::parse(&text)).unwrap_or(BEGINNING))
}

fn cursors(file: &GeoPackage, connection: &Connection) -> Result<Vec<Cursor>, EmbeddedError> {
    let doing = || file.failed("read the cursors");
    let sql = "SELECT stream, last_id, entries, skipped, now FROM cursors ORDER BY stream";
    let mut statement = connection.prepare(sql).map_err(doing())?;
    let mut rows = statement.query(()).map_err(doing())?;
    let mut cursors = Vec::new();
    while let Some(row) = rows.next().map_err(doing())? {
        cursors.push(
            cursor(row)
                .map_err(doing())?
                .map_err(|fault| EmbeddedError::Cursor { path: file.path().to_owned(), fault })?,
        );
    }
    Ok(cursors)
}

fn cursor(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Cursor, UnreadableCursor>> {
    let stream: String = row.get(0)?;
    let last = match UnreadableCursor::read(&stream, "last_id", row.get(1)?) {
        Ok(last) => last,
        Err(fault) => return Ok(Err(fault)),
    };
    let (entries, skipped) = (row.get::<_, i64>(2)? as u64, row.get::<_, i64>(3)? as u64);
    // A file never replaces a stream: nothing in it is rebased.
    let position = StreamPosition { last, entries, skipped, rebased: 0 };
    let now = time::parse(&row.get::<_, String>(4)?).unwrap_or(BEGINNING);
    Ok(Ok(Cursor { stream, position, rebased_after: EntryId::ZERO, now }))
}

/// The error of a writer that was fenced, or of the query for its successor.
pub(super) fn fenced(file: &GeoPackage, connection: &Connection, ours: i64) -> EmbeddedError {
    match owner(file, connection) {
        Ok(Some(Owner { term, name, .. })) => {
            EmbeddedError::Fenced { path: file.path().to_owned(), by: name, term, ours }
        }
        Ok(None) => EmbeddedError::Tables { path: file.path().to_owned() },
        Err(error) => error,
    }
}

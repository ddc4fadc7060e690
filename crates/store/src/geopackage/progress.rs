//! How far the tables in the file are.

use rusqlite::{Row, TransactionBehavior};
use watchtower_core::tables::TABLES;
use watchtower_geopackage::{Connection, GeoPackage, Lease, time};
use watchtower_model::{BEGINNING, Millis};

use super::claim;
use super::error::EmbeddedError;
use crate::progress::{LAST_REJECTED, Progress, RejectedCount, RejectedEvent, TableProgress};

/// The state of the file's tables.
///
/// # Errors
/// If the file does not exist, cannot be read, or has no tables.
pub fn progress(file: &GeoPackage) -> Result<Progress, EmbeddedError> {
    let mut connection = file.connect_to_read()?;
    let read_only = connection.transaction_with_behavior(TransactionBehavior::Deferred);
    let read_only = read_only.map_err(file.failed("begin to read the progress"))?;
    let missing = || EmbeddedError::NoTables { path: file.path().to_owned() };
    let owner = claim::owner(file, &read_only)?.ok_or_else(missing)?;
    let stored = claim::stored(file, &read_only)?.ok_or_else(missing)?;
    let sql = "SELECT now, (SELECT max(committed_at) FROM commit_log), halted FROM pipeline";
    let row = read_only.query_row(sql, (), |row| Ok((instant(row, 0)?, row.get(1)?, row.get(2)?)));
    let (now, committed_at, halted): (_, Option<String>, _) = row.map_err(file.failed("read the pipeline"))?;
    let megabytes = std::fs::metadata(file.path()).map_or(0, |file| file.len() >> 20);
    Ok(Progress {
        place: format!("{}, {megabytes} MB", file.path().display()),
        is_running: Some(Lease::take(file)?.is_none()),
        tables: tables(file, &read_only, owner.commit_seq)?,
        owner,
        committed_at: committed_at.and_then(|text| time::parse(&text)),
        now,
        halted,
        cursors: stored.cursors,
        rejected: file.rows(
            &read_only,
            "SELECT reason, sum(events), max(hour) FROM rejected_counts GROUP BY reason ORDER BY 2 DESC, 1",
            |row| Ok(RejectedCount { reason: row.get(0)?, events: row.get(1)?, last_hour: instant(row, 2)? }),
        )?,
        last_rejected: file.rows(
            &read_only,
            &format!(
                "SELECT arrived_at, stream, position, detail FROM rejected_events ORDER BY arrived_at DESC \
                 LIMIT {LAST_REJECTED}"
            ),
            |row| {
                let (stream, position, detail) = (row.get(1)?, row.get(2)?, row.get(3)?);
                Ok(RejectedEvent { arrived_at: instant(row, 0)?, stream, position, detail })
            },
        )?,
    })
}

fn tables(file: &GeoPackage, connection: &Connection, newest: i64) -> Result<Vec<TableProgress>, EmbeddedError> {
    let table = |name: &str| {
        let sql =
            format!("SELECT count(*), (SELECT commit_seq FROM table_progress WHERE table_name = '{name}') FROM {name}");
        let row = connection.query_row(&sql, (), |row| Ok((row.get(0)?, row.get(1)?)));
        let (rows, lagging): (i64, Option<i64>) = row.map_err(file.failed(format!("count the rows of {name}")))?;
        Ok(TableProgress { name: name.to_owned(), commit_seq: lagging.unwrap_or(newest), rows, bytes: None })
    };
    TABLES.iter().map(|descriptor| table(descriptor.name)).collect()
}

fn instant(row: &Row<'_>, column: usize) -> rusqlite::Result<Millis> {
    Ok(time::parse(&row.get::<_, String>(column)?).unwrap_or(BEGINNING))
}

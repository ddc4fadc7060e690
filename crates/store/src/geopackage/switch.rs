//! Replaces the tables by tables that were computed anew.

use rusqlite::{TransactionBehavior, params};

use super::error::EmbeddedError;
use super::schema::{self, PROGRESS_TABLES, column_names};
use crate::outbox;
use watchtower_core::tables::TABLES;
use watchtower_geopackage::layer::Layer;
use watchtower_geopackage::{Connection, GeoPackage};

/// Whether the tables of the file have the columns that this program writes.
///
/// # Errors
/// If the file cannot be read.
pub fn are_ours(file: &GeoPackage, connection: &Connection) -> Result<bool, EmbeddedError> {
    let tables = connection.query_row("SELECT tables FROM pipeline", (), |row| row.get::<_, String>(0));
    Ok(tables.map_err(file.failed("read the fingerprint of the tables"))? == schema::fingerprint())
}

/// Replaces the tables of `file` by those of the file `beside`, with their progress and checkpoints, in one
/// transaction. A paused writer of the old tables is fenced: the term is higher afterwards.
///
/// # Errors
/// If a file cannot be read or written. The old tables are then unchanged.
pub fn put_in_place(file: &GeoPackage, mut connection: Connection, beside: &GeoPackage) -> Result<(), EmbeddedError> {
    let doing = || file.failed("put the new tables in place");
    connection.execute("ATTACH DATABASE ?1 AS beside", [beside.path().display().to_string()]).map_err(doing())?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(doing())?;
    let copy = || -> rusqlite::Result<()> {
        outbox::geopackage::keep_counting(&transaction)?;
        let term: i64 = transaction.query_row("SELECT term FROM pipeline", (), |row| row.get(0))?;
        for table in TABLES.iter().map(|table| table.name).chain(PROGRESS_TABLES) {
            Layer::drop(&transaction, table)?;
        }
        schema::create_all(&transaction)?;
        for table in TABLES {
            let columns = column_names(table).join(", ");
            let sql =
                format!("INSERT INTO main.{0} (fid, {columns}) SELECT fid, {columns} FROM beside.{0}", table.name);
            transaction.execute(&sql, ())?;
        }
        for table in PROGRESS_TABLES {
            transaction.execute(&format!("INSERT INTO main.{table} SELECT * FROM beside.{table}"), ())?;
        }
        transaction.execute("UPDATE pipeline SET term = term + ?1, owner = ''", params![term])?;
        // Checkpoints belong to the tables they were made with.
        transaction.execute("DELETE FROM main.checkpoints", ())?;
        let checkpoints = "INSERT INTO main.checkpoints (name, kind, part, bytes) \
                           SELECT name, kind, part, bytes FROM beside.checkpoints";
        transaction.execute(checkpoints, ()).map(drop)
    };
    copy().map_err(doing())?;
    transaction.commit().map_err(doing())?;
    Ok(())
}

//! Lagging tables in the file: each flush is one transaction, on its own connection.
//!
//! As in PostgreSQL, a flush makes the table equal to its contents at some commit. It begins by comparing the term in
//! `table_progress`, which every claim raises, so that a fenced daemon writes nothing.

use rusqlite::{TransactionBehavior, params};

use super::claim::fenced;
use super::error::EmbeddedError;
use super::rows;
use crate::Claim;
use watchtower_core::Flush;
use watchtower_core::tables::vehicle_state;
use watchtower_geopackage::{Connection, GeoPackage};

/// The writer of lagging tables.
#[derive(Debug)]
pub struct LaggingWriter {
    file: GeoPackage,
    connection: Connection,
    term: i64,
}

impl LaggingWriter {
    /// A writer with the rights of a claim.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn new(file: &GeoPackage, claim: &Claim) -> Result<Self, EmbeddedError> {
        Ok(Self { file: file.clone(), connection: file.connect()?, term: claim.term })
    }

    /// Writes a flush in one transaction.
    ///
    /// # Errors
    /// [`EmbeddedError::Fenced`] if another daemon has taken over. After any other error the same flush may be
    /// retried.
    pub fn flush(&mut self, flush: &Flush) -> Result<(), EmbeddedError> {
        let Flush { rows, complete, commit_seq } = flush;
        let doing = |what: &str| self.file.failed(format!("{what} vehicle_state"));
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(doing("begin to write"))?;
        let mine = "UPDATE table_progress SET commit_seq = ?2 WHERE table_name = 'vehicle_state' AND term = ?1";
        if transaction.execute(mine, params![self.term, commit_seq]).map_err(doing("claim"))? == 0 {
            return Err(fenced(&self.file, &transaction, self.term));
        }
        if *complete {
            // Readers do not see the empty table: the transaction ends after the new rows.
            transaction.execute("DELETE FROM vehicle_state", ()).map_err(doing("delete old rows of"))?;
        }
        for changes in vehicle_state::changes(rows).tables() {
            rows::write(&transaction, changes).map_err(doing("write rows of"))?;
        }
        transaction.commit().map_err(doing("commit"))?;
        Ok(())
    }
}

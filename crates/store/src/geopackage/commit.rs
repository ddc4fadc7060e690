//! Commits to the file: one transaction each.

use std::time::{Duration, Instant};

use rusqlite::{TransactionBehavior, params};

use super::claim::fenced;
use super::error::EmbeddedError;
use super::rows;
use crate::{Claim, outbox};
use watchtower_core::crash;
use watchtower_core::tables::position_marks;
use watchtower_core::{Commit, Cursor, ExpiredRejected, StreamPosition};
use watchtower_geopackage::{Connection, GeoPackage, time};

/// Pause after a long commit. A producer that appends to the log waits while a commit writes and polls SQLite's lock
/// every 0.5 ms; commits without a pause between them would block it as long as there is a backlog.
const PAUSE: Duration = Duration::from_millis(1);
/// Duration above which a commit is followed by [`PAUSE`].
const LONG: Duration = Duration::from_millis(20);

/// Rows kept in `commit_log`: more than a day at one commit per second.
const COMMIT_LOG_ROWS: i64 = 100_000;
/// Commits between two removals of the oldest rows.
const COMMIT_LOG_EVERY: i64 = 1_000;

/// The writer of transactional tables.
#[derive(Debug)]
pub struct Writer {
    file: GeoPackage,
    connection: Connection,
    term: i64,
    owner: String,
    commit_seq: i64,
}

impl Writer {
    /// A writer with the rights of a claim; `connection` is the one that made the claim.
    pub fn new(file: GeoPackage, connection: Connection, claim: &Claim) -> Self {
        let Claim { term, owner, lineage: _, commit_seq, cursors: _ } = claim;
        Self { file, connection, term: *term, owner: owner.clone(), commit_seq: *commit_seq }
    }

    /// Number of the last commit.
    pub fn commit_seq(&self) -> i64 {
        self.commit_seq
    }

    /// Writes one commit; afterwards [`Self::commit_seq`] is its number. Blocks the calling thread until the disk has
    /// written.
    ///
    /// # Errors
    /// [`EmbeddedError::Fenced`] if another writer has taken over. After any other error nothing has been written, and
    /// the same commit may be retried.
    pub fn commit(&mut self, commit: &Commit) -> Result<(), EmbeddedError> {
        // The log in the same file is also the archive of edits.
        let Commit { changes, alerts, archive, edits: _, cursors, now, events, expired, note } = commit;
        let next = self.commit_seq + 1;
        let file = &self.file;
        let doing = |what: &str| file.failed(format!("{what} commit {next}"));
        crash::point("before-begin");
        let begun = Instant::now();
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(doing("begin"))?;
        let compare_and_set = "UPDATE pipeline SET commit_seq = ?4, now = ?5 \
                               WHERE term = ?1 AND owner = ?2 AND commit_seq = ?3";
        let owned = params![self.term, self.owner, self.commit_seq, next, time::format(*now)];
        if transaction.execute(compare_and_set, owned).map_err(doing("claim"))? == 0 {
            return Err(fenced(file, &transaction, self.term));
        }
        crash::point("after-compare-and-set");
        for changes in changes.tables() {
            rows::write(&transaction, changes).map_err(doing(&format!("write rows of {} in", changes.table.name)))?;
            crash::point("mid-upserts");
        }
        rows::write_positions(&transaction, archive).map_err(doing("write positions in"))?;
        for changes in changes.tables().iter().filter(|changes| changes.table.name == position_marks::TABLE.name) {
            rows::write_marks(&transaction, changes).map_err(doing("mark positions in"))?;
        }
        outbox::geopackage::append(&transaction, &alerts.rows(*now), next).map_err(doing("write the outbox in"))?;
        for ExpiredRejected { stream, until } in expired {
            let drop = "DELETE FROM rejected_events WHERE stream = ?1 AND arrived_at <= ?2";
            transaction
                .execute(drop, params![stream, time::format(*until)])
                .map_err(doing("delete old rejected events in"))?;
        }
        move_cursors(&transaction, cursors).map_err(doing("move the cursors in"))?;
        let log = "INSERT INTO commit_log (commit_seq, term, events, rows_changed, note) VALUES (?1, ?2, ?3, ?4, ?5)";
        let row = params![next, self.term, *events as i64, changes.len() as i64, note];
        transaction.execute(log, row).map_err(doing("log"))?;
        if next % COMMIT_LOG_EVERY == 0 {
            let drop = "DELETE FROM commit_log WHERE commit_seq <= ?1";
            transaction.execute(drop, [next - COMMIT_LOG_ROWS]).map_err(doing("delete old log rows in"))?;
        }
        crash::point("before-commit");
        if crash::is_due("commit-sent") {
            // Ends the process somewhere within the statements that follow.
            std::thread::spawn(|| crash::now("commit-sent"));
        }
        transaction.commit().map_err(doing("complete"))?;
        crash::point("after-commit");
        self.commit_seq = next;
        if begun.elapsed() > LONG {
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Records in the pipeline's row why writing has stopped; `None` clears the record.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set_halted(&self, why: Option<&str>) -> Result<(), EmbeddedError> {
        let sql = "UPDATE pipeline SET halted = ?3 WHERE term = ?1 AND owner = ?2";
        let written = self.connection.execute(sql, params![self.term, self.owner, why]);
        written.map_err(self.file.failed("record that the pipeline has halted"))?;
        Ok(())
    }
}

fn move_cursors(connection: &Connection, cursors: &[Cursor]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO cursors (stream, last_id, entries, skipped, now) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (stream) DO UPDATE SET last_id = excluded.last_id, entries = excluded.entries,
                                                  skipped = excluded.skipped, now = excluded.now";
    let mut statement = connection.prepare_cached(sql)?;
    for cursor in cursors {
        let Cursor { stream, position, rebased_after: _, now } = cursor;
        let StreamPosition { last, entries, skipped, rebased: _ } = *position;
        statement.execute(params![stream, last.to_string(), entries as i64, skipped as i64, time::format(*now)])?;
    }
    Ok(())
}

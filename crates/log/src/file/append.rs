//! Writing the log.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::TransactionBehavior;
use watchtower_model::Millis;

use super::batch::Batch;
use super::deliveries;
use super::error::LogError;
use super::schema::{self, Layout};
use crate::ClockSource;
use watchtower_core::EntryId;
use watchtower_geopackage::{Connection, GeoPackage};

/// Entries that are removed in one transaction.
const TRIMMED_AT_ONCE: usize = 4_096;

/// A writer of the log of a file; several processes may have one each.
#[derive(Debug)]
pub struct Appender {
    file: GeoPackage,
    connection: Connection,
    layout: Layout,
}

/// The end of a stream.
#[derive(Clone, Copy, Debug)]
struct End {
    entries: i64,
    last: EntryId,
    moved: bool,
}

impl Appender {
    /// Appends to the log of a file, which is created if missing, with this number of event streams, or one by
    /// default.
    ///
    /// # Errors
    /// If the file is not ours or cannot be written, or has another number of streams.
    pub fn open(file: &GeoPackage, streams: Option<u16>) -> Result<Self, LogError> {
        let mut connection = file.connect_or_create()?;
        let layout = schema::create(file, &mut connection, streams)?;
        Ok(Self { file: file.clone(), connection, layout })
    }

    /// Number of streams, and source of clock events, when the log was opened.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The file that holds the log.
    pub fn file(&self) -> &GeoPackage {
        &self.file
    }

    /// Stores the source of clock events, for all producers.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set_clock(&mut self, clock: ClockSource) -> Result<(), LogError> {
        schema::set_clock(&self.file, &self.connection, clock)?;
        self.layout.clock = Some(clock);
        Ok(())
    }

    /// Appends all entries of a batch, or none: they are on disk when this returns. Their contents are not checked: the
    /// daemon does that, as with Redis.
    ///
    /// # Errors
    /// If the file cannot be written, or an id is not greater than the one before in its stream.
    ///
    /// # Panics
    /// If a stream has no such number.
    pub fn append(&mut self, batch: &Batch) -> Result<(), LogError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.append_remembering(batch, &[])
    }

    /// As [`Self::append`]; in the same transaction the keys of deliveries are remembered, each for so long, and those
    /// that have expired are forgotten.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_remembering(&mut self, batch: &Batch, deliveries: &[(String, Duration)]) -> Result<(), LogError> {
        let file = &self.file;
        let doing = || file.failed("append to the log");
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(doing())?;
        deliveries::remember(&transaction, deliveries, now_ms()).map_err(doing())?;
        let mut ends = ends(file, &transaction)?;
        let mut position: i64 = ends.iter().map(|end| end.entries).sum();
        let now = EntryId { ms: now_ms().unsigned_abs(), seq: 0 };
        {
            let insert = "INSERT INTO log (position, stream, ms, seq, fields) VALUES (?1, ?2, ?3, ?4, ?5)";
            let mut insert = transaction.prepare_cached(insert).map_err(doing())?;
            for (stream, id, fields) in batch.packed() {
                let end = &mut ends[stream];
                let next = EntryId { seq: end.last.seq + 1, ..end.last };
                let id = id.unwrap_or(now.max(next));
                if id < next {
                    let stream = schema::stream_names(self.layout.streams).swap_remove(stream);
                    return Err(LogError::Order { stream, id, last: end.last });
                }
                position += 1;
                *end = End { entries: end.entries + 1, last: id, moved: true };
                let row = (position, stream as i64, id.ms as i64, id.seq as i64, fields);
                insert.execute(row).map_err(doing())?;
            }
            let update = "UPDATE streams SET entries = ?2, last_ms = ?3, last_seq = ?4 WHERE stream = ?1";
            let mut update = transaction.prepare_cached(update).map_err(doing())?;
            for (stream, End { entries, last, .. }) in ends.iter().enumerate().filter(|(_, end)| end.moved) {
                update.execute((stream as i64, entries, last.ms as i64, last.seq as i64)).map_err(doing())?;
            }
        }
        transaction.commit().map_err(doing())?;
        Ok(())
    }

    /// Those of the keys of deliveries that are remembered.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn remembered(&self, keys: &[&str]) -> Result<HashSet<String>, LogError> {
        let failed = self.file.failed("look for deliveries");
        Ok(deliveries::remembered(&self.connection, keys, now_ms()).map_err(failed)?)
    }

    /// Appends the machine's time to every stream.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn tick(&mut self) -> Result<Millis, LogError> {
        let now = now_ms();
        let text = now.to_string();
        let mut batch = Batch::default();
        for stream in 0..=usize::from(self.layout.streams) {
            batch.push(stream, None, &[(b"type", b"clock"), (b"now", text.as_bytes())]);
        }
        self.append(&batch)?;
        Ok(now)
    }

    /// Removes some of the first entries, up to number `until`, that arrived before `before`, in a short transaction.
    /// Returns the number of removed entries: zero if there is nothing more to remove.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn trim_some(&mut self, until: u64, before: Millis) -> Result<usize, LogError> {
        let doing = || self.file.failed("trim the log");
        let sql = "SELECT max(position) FROM (SELECT position, ms, max(ms) OVER (ORDER BY position) AS newest FROM \
                   (SELECT position, ms FROM log WHERE position <= ?1 ORDER BY position LIMIT ?3)) WHERE newest < ?2";
        let last: Option<i64> = self
            .connection
            .query_row(sql, (until as i64, before, TRIMMED_AT_ONCE as i64), |row| row.get(0))
            .map_err(doing())?;
        let Some(last) = last else { return Ok(0) };
        Ok(self.connection.execute("DELETE FROM log WHERE position <= ?1", [last]).map_err(doing())?)
    }
}

fn ends(file: &GeoPackage, connection: &Connection) -> Result<Vec<End>, LogError> {
    let doing = || file.failed("look at the streams of the log");
    let sql = "SELECT entries, last_ms, last_seq FROM streams ORDER BY stream";
    let mut statement = connection.prepare_cached(sql).map_err(doing())?;
    let end = |row: &rusqlite::Row<'_>| {
        let last = EntryId { ms: row.get::<_, i64>(1)? as u64, seq: row.get::<_, i64>(2)? as u64 };
        Ok(End { entries: row.get(0)?, last, moved: false })
    };
    let ends = statement.query_map((), end).map_err(doing())?.collect::<Result<_, _>>().map_err(doing())?;
    Ok(ends)
}

/// The time of this machine.
fn now_ms() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

//! Reading the log.

use rusqlite::Connection;

use super::batch::Entries;
use super::error::LogError;
use super::schema::{self, Layout};
use watchtower_core::EntryId;
use watchtower_geopackage::GeoPackage;

/// Bytes per read: large enough that the cost of a query is small, small enough to hold several.
const WANTED_BYTES: usize = 2 << 20;

/// A reader of the log of a file.
#[derive(Debug)]
pub struct Reader {
    file: GeoPackage,
    connection: Connection,
    layout: Layout,
}

/// A stream as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// Name of the stream.
    pub name: String,
    /// Entries ever appended.
    pub entries: u64,
    /// The id of the last one.
    pub last: EntryId,
}

impl Reader {
    /// Reads the log of a file.
    ///
    /// # Errors
    /// If there is none, or the file is not ours or cannot be read.
    pub fn open(file: &GeoPackage) -> Result<Self, LogError> {
        let connection = file.connect()?;
        let layout = schema::layout(file, &connection)?;
        Ok(Self { file: file.clone(), connection, layout })
    }

    /// The same, changing nothing of the file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_to_read(file: &GeoPackage) -> Result<Self, LogError> {
        let connection = file.connect_to_read()?;
        let layout = schema::layout(file, &connection)?;
        Ok(Self { file: file.clone(), connection, layout })
    }

    /// Number of streams, and source of clock events, when the log was opened.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The ends of the streams, in order. Their entries add up to the number of the last entry.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn ends(&self) -> Result<Vec<StreamEnd>, LogError> {
        let doing = || self.file.failed("look at the streams of the log");
        let sql = "SELECT name, entries, last_ms, last_seq FROM streams ORDER BY stream";
        let mut statement = self.connection.prepare_cached(sql).map_err(doing())?;
        let end = |row: &rusqlite::Row<'_>| {
            let last = EntryId { ms: row.get::<_, i64>(2)? as u64, seq: row.get::<_, i64>(3)? as u64 };
            Ok(StreamEnd { name: row.get(0)?, entries: row.get::<_, i64>(1)? as u64, last })
        };
        let ends = statement.query_map((), end).map_err(doing())?.collect::<Result<_, _>>().map_err(doing())?;
        Ok(ends)
    }

    /// The number of the first entry that was not trimmed; nothing if there is no entry.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn first(&self) -> Result<Option<u64>, LogError> {
        let first = self.connection.query_row("SELECT min(position) FROM log", (), |row| row.get::<_, Option<i64>>(0));
        Ok(first.map_err(self.file.failed("look for the first entry"))?.map(|first| first as u64))
    }

    /// The entries with numbers in `(after, until]`, the first some of them; none if there is nothing more yet.
    ///
    /// # Errors
    /// If the file cannot be read, the first of them is gone, or one of them is broken.
    pub fn read(&self, after: u64, until: u64) -> Result<Entries, LogError> {
        let doing = || self.file.failed("read the log");
        let sql = "SELECT position, stream, ms, seq, fields FROM log WHERE position > ?1 AND position <= ?2 \
                   ORDER BY position";
        let mut statement = self.connection.prepare_cached(sql).map_err(doing())?;
        let bounds = (after as i64, i64::try_from(until).unwrap_or(i64::MAX));
        let mut rows = statement.query(bounds).map_err(doing())?;
        let mut entries = Entries::after(after);
        while entries.size_bytes() < WANTED_BYTES
            && let Some(row) = rows.next().map_err(doing())?
        {
            let number = |index| row.get::<_, i64>(index).map_err(doing());
            let (position, stream) = (number(0)? as u64, number(1)? as usize);
            let id = EntryId { ms: number(2)? as u64, seq: number(3)? as u64 };
            let path = || self.file.path().to_owned();
            if position != entries.last() + 1 {
                let (wanted, first) = (entries.last() + 1, Some(position));
                return Err(LogError::Missing { path: path(), wanted, first });
            }
            let fields = row.get_ref(4).map_err(doing())?.as_blob().unwrap_or_default();
            if stream > usize::from(self.layout.streams) || !entries.push(stream, id, fields) {
                return Err(LogError::Broken { path: path(), position });
            }
        }
        Ok(entries)
    }
}

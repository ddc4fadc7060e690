//! Reading the log of a file to its end, and on as it grows.
//!
//! Entries and tables are in the same file: no entry can be missing except those that were trimmed on purpose, behind
//! the checkpoints.

use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::sleep;

use super::{LogError, Reader};
use crate::{Entries, Step};
use watchtower_core::{Cursor, StreamPosition};
use watchtower_geopackage::GeoPackage;

/// Interval between two looks at a quiet log: the longest wait of an event. A look costs some microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The reader of a file's log, with its position. Blocks a thread of the runtime while the file is read.
#[derive(Debug)]
pub struct Tail {
    file: GeoPackage,
    reader: Option<Reader>,
    /// Number of the last entry that was returned. A prefix of the log is one of each stream: as many entries as they
    /// have together.
    at: u64,
    /// Number of the last entry that the tables contain.
    stored: u64,
    is_caught_up: bool,
    is_following: bool,
}

impl Tail {
    /// Continues after what memory contains; the tables contain entries up to `stored`.
    pub fn new(file: GeoPackage, known: &[StreamPosition], stored: &[Cursor]) -> Self {
        Self {
            file,
            reader: None,
            at: known.iter().map(|read| read.contained()).sum(),
            stored: stored.iter().map(|cursor| cursor.position.entries).sum(),
            is_caught_up: false,
            is_following: false,
        }
    }

    /// Number of entries that the tables contain and that are still to be returned.
    pub fn behind(&self) -> u64 {
        self.stored.saturating_sub(self.at)
    }

    /// See [`crate::Tail::next`].
    ///
    /// # Errors
    /// If the file cannot be read, or no longer holds what is needed to continue from the tables.
    pub async fn next(&mut self) -> Result<Step, LogError> {
        match block_in_place(|| self.step())? {
            Step::Nothing => {
                sleep(LOOK_EVERY).await;
                Ok(Step::Nothing)
            }
            step => Ok(step),
        }
    }

    fn step(&mut self) -> Result<Step, LogError> {
        if self.at >= self.stored {
            if !self.is_caught_up {
                self.is_caught_up = true;
                return Ok(Step::CaughtUp);
            }
            if !self.is_following {
                self.is_following = true;
                return Ok(Step::Following);
            }
        }
        let until = if self.at < self.stored { self.stored } else { u64::MAX };
        let reader = match &self.reader {
            Some(reader) => reader,
            None => self.reader.insert(Reader::open(&self.file)?),
        };
        let entries = reader.read(self.at, until)?;
        if !entries.is_empty() {
            self.at = entries.last();
            return Ok(Step::Entries(Entries::File(entries)));
        }
        if self.at < self.stored {
            return Err(LogError::Missing { path: self.file.path().to_owned(), wanted: self.at + 1, first: None });
        }
        Ok(Step::Nothing)
    }
}

//! The task that reads the log of the one file: what the tables contain and memory does not, then whatever
//! comes.
//!
//! Entries and tables are in the same file: nothing can be missing that was not trimmed on purpose, behind the
//! checkpoints.

use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::time::sleep;
use tracing::info;

use super::DaemonError;
use super::budget::Budget;
use super::intake::{Arrived, Input};
use crate::telemetry::health::Health;
use watchtower_core::Cursor;
use watchtower_core::StreamPosition;
use watchtower_geopackage::GeoPackage;
use watchtower_log::file::{Entries, LogError, Reader};

/// A log that is quiet is looked at this often: an event waits no longer, and a look costs some microseconds.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often the progress of a long replay is said. Entries.
const SAY_EVERY: u64 = 500_000;

/// How the reader is connected.
#[derive(Debug)]
pub struct FileReader {
    /// Where the log is.
    pub log: GeoPackage,
    /// What memory contains of each stream.
    pub known: Vec<StreamPosition>,
    /// What the tables contain of each.
    pub stored: Vec<Cursor>,
    /// Channel to the intake.
    pub input: Sender<Input>,
    /// How much may be on its way.
    pub budget: Budget,
    /// Where it says what it does.
    pub health: Health,
}

impl FileReader {
    /// Reads for ever, or until nobody takes it any more.
    ///
    /// # Errors
    /// If the file cannot be read, or no longer holds what is needed to go on from the tables.
    pub async fn run(self) -> Result<(), DaemonError> {
        let log = Reader::open(&self.log)?;
        // A prefix of the log is one of each stream: as many entries as they have together.
        let known: u64 = self.known.iter().map(|read| read.contained()).sum();
        let stored: u64 = self.stored.iter().map(|cursor| cursor.position.entries).sum();
        let Some((log, mut at)) = self.replay(log, known, stored).await? else { return Ok(()) };
        if self.input.send(Input::CaughtUp(self.stored.clone())).is_err() {
            return Ok(());
        }
        self.health.set_ready();
        loop {
            let entries = tokio::task::block_in_place(|| log.read(at, u64::MAX))?;
            if entries.is_empty() {
                sleep(LOOK_EVERY).await;
                continue;
            }
            at = entries.last();
            if !self.send(entries).await {
                return Ok(());
            }
        }
    }

    /// Reads what the tables contain and memory does not. Returns where that ends; nothing if nobody listens.
    async fn replay(&self, log: Reader, known: u64, stored: u64) -> Result<Option<(Reader, u64)>, DaemonError> {
        let (mut at, total, mut said) = (known, stored - known, 0);
        if total > 0 {
            info!(entries = total, "reading again what the tables contain");
        }
        while at < stored {
            let left = stored - at;
            self.health.set_starting(format!("reading again what the tables contain: {left} of {total} entries left"));
            let entries = tokio::task::block_in_place(|| log.read(at, stored))?;
            if entries.is_empty() {
                let path = self.log.path().to_owned();
                return Err(LogError::Missing { path, wanted: at + 1, first: None }.into());
            }
            at = entries.last();
            if !self.send(entries).await {
                return Ok(None);
            }
            if total - left >= said + SAY_EVERY {
                said = total - left;
                info!(entries = left, of = total, "still to be read again");
            }
        }
        if total > 0 {
            info!(entries = total, "caught up with the tables");
        }
        Ok(Some((log, at)))
    }

    /// Waits until there is room. False if nobody takes it any more.
    async fn send(&self, entries: Entries) -> bool {
        let (held, ahead) = self.budget.take(entries.size_bytes()).await;
        self.input.send(Input::Entries(Arrived::Embedded(entries), held, ahead)).is_ok()
    }
}

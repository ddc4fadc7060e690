//! How far a stream of the log is read.

use serde::{Deserialize, Serialize};
use watchtower_model::{BEGINNING, Millis};

use crate::EntryId;

/// Where a stream has been read up to.
///
/// Entries are counted from the first that the stream ever had. `skipped` of them were never read, and `rebased` of
/// them were in streams that the present one replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPosition {
    /// Id of the last entry that was read; [`EntryId::ZERO`] before the first.
    pub last: EntryId,
    /// Entries up to there, those in `skipped` included.
    pub entries: u64,
    /// Entries that were not read: gone when the pipeline began, or given up since.
    pub skipped: u64,
    /// Entries that the present stream does not count: they were in streams that it replaced.
    pub rebased: u64,
}

impl StreamPosition {
    /// Before the first entry of a stream whose first `skipped` entries are gone.
    pub fn start(skipped: u64) -> Self {
        Self { entries: skipped, skipped, ..Self::default() }
    }

    /// Entries that were read, and that the tables contain once they are committed.
    pub fn contained(&self) -> u64 {
        self.entries - self.skipped
    }

    /// Entries that had been appended to the present stream by then, by its own count.
    pub fn counted(&self) -> u64 {
        self.entries.saturating_sub(self.rebased)
    }

    /// The same after one more entry was read.
    pub fn after(self, entry: EntryId) -> Self {
        Self { last: entry, entries: self.entries + 1, ..self }
    }
}

/// A stream and how far it is read: what a commit stores, and a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Name of the stream: its Redis key, or its name in the file.
    pub stream: String,
    /// The last entry that the tables contain.
    pub position: StreamPosition,
    /// Id after which reading the present stream began.
    pub rebased_after: EntryId,
    /// The newest clock event up to there; [`BEGINNING`] if there was none.
    pub now: Millis,
}

impl Cursor {
    /// A stream of which nothing was read; its first `skipped` entries are gone.
    pub fn start(stream: impl Into<String>, skipped: u64) -> Self {
        Self {
            stream: stream.into(),
            position: StreamPosition::start(skipped),
            rebased_after: EntryId::ZERO,
            now: BEGINNING,
        }
    }
}

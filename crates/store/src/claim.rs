//! The claim of a writer on a pipeline, and the state of stored tables.

use watchtower_core::{Cursor, EntryId};

/// The right to write a pipeline's tables, and the progress of the tables when it was taken.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Raised by one with each claim; the tables accept only the writer with the newest term.
    pub term: i64,
    /// Random name of this process.
    pub owner: String,
    /// Random name of the pipeline's row, fixed when the row was created.
    pub lineage: String,
    /// Number of the last commit.
    pub commit_seq: i64,
    /// Position in each stream at that commit.
    pub cursors: Vec<Cursor>,
}

/// The daemon that holds a pipeline, for messages.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Term of its claim.
    pub term: i64,
    /// Its process and machine, as text.
    pub name: String,
    /// Number of the last commit.
    pub commit_seq: i64,
    /// Random name of its process.
    pub owner: String,
}

/// The tables found in a store.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The plan they were computed under, as JSON.
    pub plan: String,
    /// Whether the archive holds every accepted event of the log.
    pub archived: bool,
    /// Position in each stream at the last commit.
    pub cursors: Vec<Cursor>,
}

/// Host name of this machine; `unknown` if the system reports none.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "unknown".to_owned() } else { name.trim().to_owned() }
}

/// A cell of the table `cursors` that holds no entry id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the row of stream {stream} in table cursors has {found:?} in column {column}, which is no id of a stream entry"
)]
pub struct UnreadableCursor {
    stream: String,
    column: &'static str,
    found: String,
}

impl UnreadableCursor {
    /// Parses the id in a column of a stream's row.
    pub(crate) fn read(stream: &str, column: &'static str, found: String) -> Result<EntryId, Self> {
        found.parse().map_err(|_| Self { stream: stream.to_owned(), column, found })
    }
}

/// A name unique to this process: from the system's random numbers, through the seeds of hash maps.
pub fn random_name() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(std::process::id()), RandomState::new().hash_one("owner"))
}

//! Who writes, and how far the tables are.

use watchtower_core::{Cursor, EntryId};

/// The right to write, and where the tables stand.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Ours is the newest term while nobody takes over.
    pub term: i64,
    /// A random name of this process.
    pub owner: String,
    /// The random name the pipeline's row was created with.
    pub lineage: String,
    /// The last commit.
    pub commit_seq: i64,
    /// How far each stream is read there.
    pub cursors: Vec<Cursor>,
}

/// Who holds a pipeline, for people.
#[derive(Clone, Debug)]
pub struct Owner {
    /// Its term.
    pub term: i64,
    /// Its process and machine.
    pub name: String,
    /// The last commit.
    pub commit_seq: i64,
    /// The random name of its process.
    pub owner: String,
}

/// What tables there are.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What they mean.
    pub plan: String,
    /// Whether their archive is all of the log.
    pub archived: bool,
    /// How far each stream is read.
    pub cursors: Vec<Cursor>,
}

/// This machine's name, as far as it says.
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
    /// Reads the id in a column of a stream's row.
    pub(crate) fn read(stream: &str, column: &'static str, found: String) -> Result<EntryId, Self> {
        found.parse().map_err(|_| Self { stream: stream.to_owned(), column, found })
    }
}

/// A name no other process has: from the system's random numbers, through the seeds of hash maps.
pub fn random_name() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(std::process::id()), RandomState::new().hash_one("owner"))
}

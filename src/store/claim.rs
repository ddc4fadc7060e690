//! Who writes, and how far the tables are.

use watchtower_dataflows::model::Millis;

/// A stream and how far it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCursor {
    /// The Redis key.
    pub stream: String,
    /// The id of the last entry the tables contain.
    pub last_id: String,
    /// Entries up to there, those in `skipped` included.
    pub entries: u64,
    /// Entries that the tables do not contain: gone when the pipeline began, or given up since.
    pub skipped: u64,
    /// Entries that Redis does not count: they were in streams that the present one took the place of.
    pub rebased: u64,
    /// The id after which reading the present one began.
    pub rebased_after: String,
    /// The newest clock event up to there; [`BEGINNING`] if there was none.
    pub now: Millis,
}

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
    pub cursors: Vec<StoredCursor>,
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
    pub cursors: Vec<StoredCursor>,
}

/// This machine's name, as far as it says.
pub fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "unknown".to_owned() } else { name.trim().to_owned() }
}

/// A name no other process has: from the system's random numbers, through the seeds of hash maps.
pub fn random_name() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(std::process::id()), RandomState::new().hash_one("owner"))
}

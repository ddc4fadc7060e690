//! How far the tables of a pipeline are, for people who look after it.

use watchtower_core::Cursor;
use watchtower_model::Millis;

use crate::Owner;

/// Number of rejected events that [`Progress::last_rejected`] holds at most.
pub(crate) const LAST_REJECTED: i64 = 5;

/// The state of the tables at one instant.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Where they are, without secrets.
    pub place: String,
    /// The daemon that claimed them last.
    pub owner: Owner,
    /// Whether that daemon runs; `None` if only itself can tell.
    pub is_running: Option<bool>,
    /// Instant of the last commit; `None` before the first.
    pub committed_at: Option<Millis>,
    /// The log's time at the last commit.
    pub now: Millis,
    /// Why writing has stopped, if it has.
    pub halted: Option<String>,
    /// Position in each stream at the last commit.
    pub cursors: Vec<Cursor>,
    /// The tables, in the order in which people look for them.
    pub tables: Vec<TableProgress>,
    /// Counts of rejected events by reason, the greatest first.
    pub rejected: Vec<RejectedCount>,
    /// The newest of those that were kept, the last one first.
    pub last_rejected: Vec<RejectedEvent>,
}

/// The state of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableProgress {
    /// Name of the table.
    pub name: String,
    /// Number of the commit that it equals.
    pub commit_seq: i64,
    /// Number of rows; an estimate in PostgreSQL.
    pub rows: i64,
    /// Bytes on disk, with indexes; `None` in a file, where tables share pages.
    pub bytes: Option<i64>,
}

/// How many events were rejected for a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedCount {
    /// The reason, a word.
    pub reason: String,
    /// Number of events.
    pub events: i64,
    /// Beginning of the last hour in which there was one.
    pub last_hour: Millis,
}

/// An event that was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedEvent {
    /// Instant of its arrival.
    pub arrived_at: Millis,
    /// Key or name of its stream.
    pub stream: String,
    /// Its entry, and its place there.
    pub position: String,
    /// Why, in a sentence.
    pub detail: String,
}

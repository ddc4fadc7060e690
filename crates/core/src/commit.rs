//! What is written together.

use watchtower_model::Millis;

use super::archived::{ArchivedEdit, ArchivedPosition};
use super::cursor::Cursor;
use crate::tables::{ChangeSet, vehicle_state};

/// What one transaction writes.
#[derive(Debug, Default)]
pub struct Commit {
    /// Rows of transactional tables.
    pub changes: ChangeSet,
    /// Accepted positions, if they are archived.
    pub archive: Vec<ArchivedPosition>,
    /// Accepted edits; these are archived in any case.
    pub edits: Vec<ArchivedEdit>,
    /// How far the streams are read: those that moved.
    pub cursors: Vec<Cursor>,
    /// The log's time after it.
    pub now: Millis,
    /// Events read, refused ones included.
    pub events: u64,
    /// Refused events that have been kept long enough and are dropped.
    pub expired: Vec<ExpiredRejected>,
    /// What an operator decided with it.
    pub note: Option<String>,
}

/// The refused events of a stream whose entries arrived at `until` or before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredRejected {
    /// Name of the stream.
    pub stream: String,
    /// The time in the ids of the last entries that are dropped.
    pub until: Millis,
}

/// What a flush writes.
#[derive(Debug)]
pub struct Flush {
    /// Rows of `vehicle_state`, each vehicle's once.
    pub rows: Vec<vehicle_state::Named>,
    /// The rows are all there are: what else the table has goes.
    pub complete: bool,
    /// The commit the table equals then; it has happened.
    pub commit_seq: i64,
}

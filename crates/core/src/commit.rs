//! The units of writing: a commit of transactional tables, a flush of lagging ones.

use watchtower_model::Millis;

use super::archived::{ArchivedEdit, ArchivedPosition};
use super::cursor::Cursor;
use super::outbox::AlertChanges;
use crate::tables::{ChangeSet, vehicle_state};

/// The contents of one transaction.
#[derive(Debug, Default)]
pub struct Commit {
    /// Rows of transactional tables.
    pub changes: ChangeSet,
    /// Changes of `alerts` with the rows before, from which the outbox is written.
    pub alerts: AlertChanges,
    /// Accepted positions; empty if positions are not archived.
    pub archive: Vec<ArchivedPosition>,
    /// Accepted edits, always archived.
    pub edits: Vec<ArchivedEdit>,
    /// New positions of the streams that moved.
    pub cursors: Vec<Cursor>,
    /// Log time after the commit.
    pub now: Millis,
    /// Events read, rejected ones included.
    pub events: u64,
    /// Rejected events that have been kept long enough and are deleted.
    pub expired: Vec<ExpiredRejected>,
    /// Decision of an operator, recorded with the commit.
    pub note: Option<String>,
}

/// The rejected events of a stream whose entries arrived at `until` or before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredRejected {
    /// Name of the stream.
    pub stream: String,
    /// The time in the ids of the last entries that are deleted.
    pub until: Millis,
}

/// The contents of one flush of `vehicle_state`.
#[derive(Debug)]
pub struct Flush {
    /// Rows of `vehicle_state`, at most one per vehicle.
    pub rows: Vec<vehicle_state::Named>,
    /// Whether these are all rows: rows of other vehicles are then deleted.
    pub complete: bool,
    /// The commit that the table equals afterwards; it is already written.
    pub commit_seq: i64,
}

//! The units of writing: a commit of transactional tables, a flush of lagging ones.

use watchtower_model::Millis;

use super::archived::{ArchivedEdit, ArchivedPosition};
use super::cursor::Cursor;
use crate::tables::{ChangeSet, vehicle_state};

/// The contents of one transaction.
#[derive(Debug, Default)]
pub struct Commit {
    /// Rows of transactional tables.
    pub changes: ChangeSet,
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
    /// Rejected events that arrived before this instant are deleted.
    pub forget_rejected_before: Option<Millis>,
    /// Decision of an operator, recorded with the commit.
    pub note: Option<String>,
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

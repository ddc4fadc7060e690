//! One stream on its way in, and the epoch that its entries go to.

use std::collections::BTreeMap;

use watchtower_core::admission::Admission;
use watchtower_core::events::Reason;
use watchtower_core::tables::Refused;
use watchtower_core::{Commit, Cursor, EntryId, ExpiredRejected, StreamPosition};
use watchtower_model::Millis;

use crate::checkpoint::FlowState;

/// What came in an epoch.
#[derive(Debug, Default)]
pub struct Counts {
    /// Events by stream, in the order of the keys.
    pub events: Vec<u64>,
    /// Number of refused events, by reason.
    pub refused: BTreeMap<Reason, u64>,
}

/// One stream on its way in.
#[derive(Debug)]
pub(super) struct Inlet {
    pub(super) stream: String,
    pub(super) admission: Admission,
    pub(super) position: StreamPosition,
    pub(super) rebased_after: EntryId,
    pub(super) refused: Refused,
}

impl Inlet {
    /// How far it is read.
    pub(super) fn cursor(&self) -> Cursor {
        let Self { stream, admission, position, rebased_after, refused: _ } = self;
        Cursor { stream: stream.clone(), position: *position, rebased_after: *rebased_after, now: admission.now() }
    }

    /// Which of its refused events have been kept long enough.
    pub(super) fn expired(&mut self, keep_ms: Millis) -> Option<ExpiredRejected> {
        let until = self.refused.expired(self.position.last.instant(), keep_ms)?;
        Some(ExpiredRejected { stream: self.stream.clone(), until })
    }

    /// Continues from where the tables are.
    pub(super) fn set_cursor(&mut self, cursor: &Cursor) {
        (self.position, self.rebased_after) = (cursor.position, cursor.rebased_after);
    }
}

/// What an epoch brings besides what the engine gets.
#[derive(Debug)]
pub(super) struct OpenEpoch<H> {
    pub(super) commit: Commit,
    pub(super) oldest_entry: Option<Millis>,
    pub(super) counts: Counts,
    pub(super) checkpoint: Option<FlowState>,
    pub(super) held: Option<H>,
}

impl<H> OpenEpoch<H> {
    pub(super) fn new() -> Self {
        Self { commit: Commit::default(), oldest_entry: None, counts: Counts::default(), checkpoint: None, held: None }
    }
}

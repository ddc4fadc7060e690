//! Keeps the tables of a log that is read from files, epoch by epoch.
//!
//! A thin caller of [`Flow`], which cuts epochs and runs the engine as it does for streams. Two steps of the flow are left
//! out because a replay has no use for them and they cost as much as the engine: entries are not encoded and decoded
//! again, and changes go to the tables as the engine reports them, without the rows of each epoch in between.

use watchtower_model::Rules;

use crate::Flow;
use crate::replay::Item;
use watchtower_core::tables::Materialized;

/// A flow without streams, and the tables of the completed epochs.
#[derive(Debug)]
pub struct Driver {
    flow: Flow<()>,
    tables: Materialized,
}

impl Driver {
    /// Starts an engine with this number of worker threads, at least 1.
    pub fn start(workers: usize, rules: Rules) -> Self {
        Self { flow: Flow::without_streams(workers, rules), tables: Materialized::default() }
    }

    /// Adds the next event of the log.
    pub fn push(&mut self, item: Item) {
        if self.flow.push(item) {
            self.close_epoch();
        }
    }

    /// Waits for all epochs and returns the tables.
    pub fn finish(mut self) -> Materialized {
        self.close_epoch();
        while let Some(deltas) = self.flow.next_deltas(true) {
            self.tables.apply(deltas);
        }
        self.flow.end();
        self.tables
    }

    fn close_epoch(&mut self) {
        self.flow.close_pushed();
        while let Some(deltas) = self.flow.next_deltas(self.flow.is_full()) {
            self.tables.apply(deltas);
        }
    }
}

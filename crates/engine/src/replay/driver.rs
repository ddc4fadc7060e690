//! Cuts a log into epochs, runs them through the engine, and keeps the tables.

use watchtower_dataflows::control::Control;
use watchtower_model::{BEGINNING, Millis, Rules};

use crate::engine::{Batch, Engine, MAX_IN_FLIGHT};
use crate::replay::{Item, instant_of};
use watchtower_core::tables::Materialized;

/// An engine, the epoch being filled, and the tables of the completed epochs.
#[derive(Debug)]
pub struct Driver {
    engine: Engine,
    batch: Batch,
    now: Millis,
    tables: Materialized,
}

impl Driver {
    /// Starts an engine.
    pub fn start(workers: usize, rules: Rules) -> Self {
        let engine = Engine::start(workers, rules);
        Self { engine, batch: Batch::default(), now: BEGINNING, tables: Materialized::default() }
    }

    /// Adds the next event of the log.
    pub fn push(&mut self, item: Item) {
        self.now = self.now.max(instant_of(&item).unwrap_or(BEGINNING));
        match item {
            Item::Position(mut event) => {
                event.seq = self.batch.positions.len() as u32;
                self.batch.positions.push(event);
            }
            Item::Control(control) => self.batch.control.push(control),
            Item::Clock(_) => {}
        }
        if self.batch.is_full() {
            self.close_epoch();
        }
    }

    /// Waits for all epochs and returns the tables.
    pub fn finish(mut self) -> Materialized {
        self.close_epoch();
        while let Some((_, completed)) = self.engine.next() {
            self.tables.apply(completed.deltas);
        }
        self.engine.finish();
        self.tables
    }

    fn close_epoch(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        batch.control.push(Control::Now(self.now));
        self.engine.submit(batch);
        while let Some((_, completed)) = self.engine.try_next() {
            self.tables.apply(completed.deltas);
        }
        while self.engine.in_flight() > MAX_IN_FLIGHT
            && let Some((_, completed)) = self.engine.next()
        {
            self.tables.apply(completed.deltas);
        }
    }
}

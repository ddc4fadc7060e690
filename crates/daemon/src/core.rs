//! The parts that every daemon has: the intake, the committer, the tasks that write lagging tables and checkpoints, and
//! the channels between them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crossbeam_channel::Sender;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use super::budget::Budget;
use super::committer::{Committed, Committer};
use super::intake::{Input, Intake};
use super::resume::{self, Resumed};
use super::saving::Saving;
use super::{DaemonError, Running, side};
use crate::Options;
use crate::checkpoint::{Saver, Shelf, load_newest};
use crate::telemetry::health::Health;
use watchtower_core::Cursor;
use watchtower_core::StreamPosition;
use watchtower_core::events::Limits;
use watchtower_engine::flow::Settings;
use watchtower_log::{ClockSource, Trimmer};
use watchtower_store::{Claim, LaggingWriter, Writer};

/// Capacity of the channel of closed epochs from the intake to the committer.
const MAX_CLOSED: usize = 8;

/// The opened log and store of a daemon.
#[derive(Debug)]
pub(super) struct Ends {
    /// Keys of the streams.
    pub(super) keys: Vec<String>,
    /// Committed position of each stream.
    pub(super) stored: Vec<Cursor>,
    /// Source of the clock events of the log.
    pub(super) clock: ClockSource,
    /// The plan of the tables.
    pub(super) plan: String,
    /// The right to write the tables.
    pub(super) claim: Claim,
    /// Writes the transactional tables.
    pub(super) writer: Writer,
    /// Writes the lagging tables.
    pub(super) lagging: LaggingWriter,
    /// Storage of the checkpoints.
    pub(super) shelf: Shelf,
    /// Removes entries of the log that no checkpoint needs.
    pub(super) trimmer: Trimmer,
}

/// A started daemon without its reader.
#[derive(Debug)]
pub(super) struct Core {
    /// Tasks that end when their input ends; an error of one ends the daemon.
    pub(super) parts: JoinSet<Result<(), DaemonError>>,
    /// Tasks that never end by themselves; aborted at the end.
    pub(super) side: Vec<JoinHandle<()>>,
    /// Holds the lock that keeps other daemons out; aborted last.
    pub(super) guard: Option<JoinHandle<()>>,
    /// Channel to the intake.
    pub(super) input: Sender<Input>,
    /// The budget that the reader acquires from.
    pub(super) budget: Budget,
    /// Position in each stream that the restored state contains.
    pub(super) known: Vec<StreamPosition>,
    /// Position in each stream that the tables contain.
    pub(super) stored: Vec<Cursor>,
    /// The reader sends the reason here when it stops because of lost entries.
    pub(super) halt: watch::Sender<Option<String>>,
    /// Committed positions of the streams.
    pub(super) committed: watch::Receiver<Committed>,
    saving: JoinHandle<()>,
}

impl Core {
    /// Restores the newest checkpoint that matches the tables, and starts all tasks but the reader.
    pub(super) async fn start(options: &Options, ends: Ends, health: &Health) -> Result<Self, DaemonError> {
        let Ends { keys, stored, clock, plan, claim, writer, lagging, shelf, trimmer } = ends;
        let settings = Settings {
            keys: keys.clone(),
            limits: Limits { wall_clock: clock == ClockSource::Wall, ..options.limits.clone() },
            rules: options.rules.clone(),
            workers: options.engine.workers.into(),
            archive: options.store.archive,
            rejected_keep_ms: options.store.rejected_keep.as_millis() as i64,
        };
        health.set_starting("loading the checkpoint");
        let mut saver = Saver::new(shelf.clone(), &claim.lineage, &plan)?;
        let tables = resume::expected_tables(&claim, plan);
        let loading = tokio::task::spawn_blocking(move || load_newest(shelf, &tables));
        let loaded = loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        let Resumed { flow, known, kept } = resume::resume(loaded, settings, &stored, &claim, &mut saver);

        let (input, inputs) = crossbeam_channel::unbounded(); // bounded by the budget's permits
        let (closed_sender, closed) = mpsc::channel(MAX_CLOSED);
        let (flushes, flush_receiver) = mpsc::channel(1);
        let (saves, save_receiver) = mpsc::channel(1);
        let (committed, watch_committed) = watch::channel(claim.cursors);
        let (halt, halted) = watch::channel(None);
        let (state_idle, checkpoint_idle) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
        let intake = Intake {
            flow,
            keys: keys.clone(),
            input: inputs,
            closed: closed_sender,
            state: (Arc::clone(&state_idle), options.store.state_every),
            checkpoint: (Arc::clone(&checkpoint_idle), options.checkpoints.every),
        };
        let budget = Budget::new(options.engine.in_flight_bytes);
        let committer = Committer {
            writer,
            closed,
            budget: budget.clone(),
            flushes,
            saves,
            committed,
            keys,
            health: health.clone(),
            halted,
        };
        let saving = Saving { saver, saves: save_receiver, idle: checkpoint_idle, trimmer, kept };
        let mut parts = JoinSet::new();
        parts.spawn_blocking(|| intake.run());
        parts.spawn(async { committer.run().await.map_err(Into::into) });
        parts.spawn(async { side::write_lagging(lagging, flush_receiver, state_idle).await.map_err(Into::into) });
        let saving = tokio::spawn(saving.run());
        let (side, guard) = (Vec::new(), None);
        Ok(Self { parts, side, guard, input, budget, known, stored, halt, committed: watch_committed, saving })
    }

    /// The running daemon. `reader` feeds the intake, which ends when the reader is aborted.
    pub(super) fn running(self, reader: AbortHandle) -> Running {
        let Self { parts, side, guard, saving, halt, .. } = self;
        Running { parts, reader, saving, halted: halt.subscribe(), side, guard }
    }
}

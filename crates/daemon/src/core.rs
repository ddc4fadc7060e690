//! What every daemon is made of, whatever it reads and writes: the intake, the committer, the writers of lagging
//! tables and of checkpoints, and the channels between them.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crossbeam_channel::Sender;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};

use super::budget::Budget;
use super::committer::{Committed, Committer};
use super::intake::{Input, Intake};
use super::resume::{self, Resumed};
use super::saving::{Saving, Trimmer};
use super::{DaemonError, Running, side};
use crate::Options;
use crate::checkpoint::{Saver, Shelf, load_newest};
use crate::telemetry::health::Health;
use watchtower_core::Cursor;
use watchtower_core::StreamPosition;
use watchtower_core::events::Limits;
use watchtower_engine::flow::Settings;
use watchtower_log::ClockSource;
use watchtower_store::{Claim, LaggingWriter, Writer};

/// Epochs between the intake and the committer.
const MAX_CLOSED: usize = 8;

/// What a daemon stands between.
#[derive(Debug)]
pub(super) struct Ends {
    /// What the streams are called.
    pub(super) keys: Vec<String>,
    /// How far the tables contain each.
    pub(super) stored: Vec<Cursor>,
    /// Where the clock events of the log come from.
    pub(super) clock: ClockSource,
    /// What the tables mean.
    pub(super) plan: String,
    /// The right to write them.
    pub(super) claim: Claim,
    /// What writes them.
    pub(super) writer: Writer,
    /// What writes the lagging ones.
    pub(super) lagging: LaggingWriter,
    /// Where checkpoints are.
    pub(super) shelf: Shelf,
    /// What removes what is no longer needed of the log.
    pub(super) trimmer: Trimmer,
}

/// The parts of a daemon that runs but does not read yet.
#[derive(Debug)]
pub(super) struct Core {
    /// Those that end when there is nothing more to do, and whose faults end the daemon.
    pub(super) parts: JoinSet<Result<(), DaemonError>>,
    /// Those that never end.
    pub(super) side: Vec<JoinHandle<()>>,
    /// What keeps others away until everything else has ended.
    pub(super) guard: Option<JoinHandle<()>>,
    /// To the intake.
    pub(super) input: Sender<Input>,
    /// What may be on its way.
    pub(super) budget: Budget,
    /// What memory contains of each stream.
    pub(super) known: Vec<StreamPosition>,
    /// What the tables contain of each.
    pub(super) stored: Vec<Cursor>,
    /// Where a reader says that nothing more is read.
    pub(super) halt: watch::Sender<Option<String>>,
    /// How far the streams are committed.
    pub(super) committed: watch::Receiver<Committed>,
    saving: JoinHandle<()>,
}

impl Core {
    /// Goes on from the newest checkpoint that fits, and starts everything but the reader.
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

        let (input, inputs) = crossbeam_channel::unbounded(); // the permits bound it
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

    /// The daemon, once its reader runs; the intake ends with that.
    pub(super) fn running(self, reader: AbortHandle) -> Running {
        let Self { parts, side, guard, saving, halt, .. } = self;
        Running { parts, reader, saving, halted: halt.subscribe(), side, guard }
    }
}

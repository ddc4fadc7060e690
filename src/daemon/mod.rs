//! The long-running program: from Redis Streams to tables in PostgreSQL.
//!
//! ```text
//! log_reader ──replies──> intake ──closed epochs──> committer ──> lagging tables, checkpoints
//!   (task)     at most 2  (thread)    at most 8      (task)  └──> consumer groups
//! ```
//!
//! Every arrow is bounded, and so are the bytes on all of them together ([`budget`]): when PostgreSQL is slow,
//! Redis is read no faster. A fault that passes is
//! waited out where it happens. Entries that were lost halt the daemon: it writes nothing more and says
//! so until it is stopped. Any other fault ends it, and nothing that is durable depends on how it ended.

mod archive_reader;
mod backoff;
mod budget;
mod committer;
pub mod flow;
mod gap;
mod intake;
mod log_reader;
mod resume;
mod saving;
mod side;
mod store;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinHandle, JoinSet};
use tracing::{error, info, warn};

use crate::checkpoint::{SaveError, Saver, load_newest};
use crate::config::{Clock, Config};
use crate::plan;
use crate::sources::redis::{ProtocolError, RedisError, Server, stream_keys};
use crate::store::StoredCursor;
use crate::store::postgres::lagging::LaggingWriter;
use crate::store::postgres::{Database, StoreError};
use crate::telemetry::health::Health;
use crate::telemetry::http::HttpError;
use crate::telemetry::{http, metrics};
use archive_reader::ArchiveReader;
use budget::Budget;
use committer::Committer;
use flow::{Settings, Unreadable};
pub use gap::{Gap, Look, Proof, Read, judge};
use intake::Intake;
use log_reader::{LogReader, refuse_eviction, wait_for_redis};
pub use log_reader::{from_where, unreplayable};
use resume::Resumed;
pub use resume::{folder, known, tables};
use saving::Saving;

/// Epochs between the intake and the committer.
const MAX_CLOSED: usize = 8;
/// How long the last commits may take once the end is asked for.
const END_WITHIN: Duration = Duration::from_secs(8);
/// How long the last checkpoint may take after that: it is no loss.
const LAST_CHECKPOINT_WITHIN: Duration = Duration::from_millis(1500);

/// Why a daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// What it sent is no reply.
    #[error("Redis: {0}")]
    Protocol(#[from] ProtocolError),
    /// PostgreSQL cannot be used, or another daemon has taken over.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An entry of a later program.
    #[error("{0}; it is not skipped, for it may hold anything: upgrade this daemon")]
    Unreadable(Unreadable),
    /// Entries of the log are lost.
    #[error("{0}; the tables stay as they are")]
    Gap(Gap),
    /// Nothing can be written into the folder of checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] SaveError),
    /// The address of `[http]` cannot be had.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Metrics cannot be collected.
    #[error("cannot collect metrics: {0}")]
    Metrics(String),
    /// Another daemon is at work.
    #[error(
        "pipeline {pipeline} is being written by {owner}: stop that daemon first (or start this one with --takeover, \
         which fences it)"
    )]
    Occupied {
        /// Which pipeline.
        pipeline: String,
        /// Its owner's process and machine.
        owner: String,
    },
    /// The last commits took too long.
    #[error("the last epochs could not be committed within {} s; they will be after the next start", END_WITHIN.as_secs())]
    Unfinished,
}

// They say all they have to say in the text of the error itself: as its source they would say it twice.
impl From<Unreadable> for DaemonError {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl From<Gap> for DaemonError {
    fn from(gap: Gap) -> Self {
        Self::Gap(gap)
    }
}

impl DaemonError {
    /// Whether another daemon has taken over.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Store(StoreError::Fenced { .. }))
    }
}

/// Runs until `shutdown` completes, then commits what was read and returns.
///
/// # Errors
/// If something is wrong that will not pass by itself.
pub async fn run(config: Config, takeover: bool, shutdown: impl Future<Output = ()> + Send) -> Result<(), DaemonError> {
    run_for(config, Purpose::Serve { takeover }, shutdown).await
}

/// The same for tables beside those that producers and operators know of: nobody is told. From an archive
/// it ends when that is read.
///
/// # Errors
/// If something is wrong that will not pass by itself.
pub async fn rebuild(
    config: Config,
    from: RebuildFrom,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), DaemonError> {
    run_for(config, Purpose::Rebuild(from), shutdown).await
}

/// What tables are computed anew from.
#[derive(Clone, Debug)]
pub enum RebuildFrom {
    /// The log in Redis.
    Log,
    /// The archive of the tables as they are, which is all of the log up to these cursors.
    Archive(Box<Database>, Vec<StoredCursor>),
}

/// What a daemon runs for.
#[derive(Clone, Debug)]
enum Purpose {
    /// To keep the tables of the pipeline up to date.
    Serve {
        /// Whether a daemon that still runs is to be fenced.
        takeover: bool,
    },
    /// To compute tables anew, beside.
    Rebuild(RebuildFrom),
}

impl Purpose {
    /// Whether producers and operators are to hear of it.
    fn is_public(&self) -> bool {
        matches!(self, Self::Serve { .. })
    }
}

async fn run_for(
    config: Config,
    purpose: Purpose,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), DaemonError> {
    tokio::pin!(shutdown);
    let health = Health::starting("connecting");
    let metrics = metrics::install().map_err(|error| DaemonError::Metrics(error.to_string()))?;
    let pages = http::Server::bind(config.http.listen).await?;
    info!(address = %pages.address(), "answers /healthz, /readyz and /metrics");
    let pages = tokio::spawn(pages.run(health.clone(), metrics, std::future::pending()));
    let ended = tokio::select! {
        started = start(&config, purpose, &health) => match started {
            Ok(running) => running.until(shutdown, &health).await,
            Err(error) => Err(error),
        },
        () = &mut shutdown => Ok(()),
    };
    pages.abort();
    ended
}

/// The parts of a running daemon.
struct Running {
    /// Those that end when there is nothing more to do, and whose faults end the daemon.
    parts: JoinSet<Result<(), DaemonError>>,
    reader: AbortHandle,
    saving: JoinHandle<()>,
    /// Why nothing more is read, once that is so.
    halted: watch::Receiver<Option<String>>,
    /// Those that never end.
    side: Vec<JoinHandle<()>>,
}

async fn start(config: &Config, purpose: Purpose, health: &Health) -> Result<Running, DaemonError> {
    let database = Database::new(&config.pipeline, &config.store)?;
    let server = Server::new(&config.redis)?;
    let keys = stream_keys(&config.pipeline, config.redis.streams);
    let plan = plan::of(&config.limits, &config.rules);

    let (writer, claim) =
        store::open(config, &database, &plan, matches!(purpose, Purpose::Serve { takeover: true }), health).await?;
    let mut admin = wait_for_redis(&server, health).await?;
    refuse_eviction(&config.redis, &server, &mut admin).await?;
    if purpose.is_public() {
        admin.announce(&config.pipeline, config.redis.streams, config.clock).await?;
        admin.ensure_groups(&keys).await?;
    }
    info!(server = server.name(), streams = config.redis.streams, "connected to Redis");

    let settings = Settings {
        keys: keys.clone(),
        limits: config.limits.clone(),
        rules: config.rules.clone(),
        workers: config.engine.workers.into(),
        archive: config.store.archive,
        rejected_keep_ms: config.store.rejected_keep_ms,
    };
    let mut stored: Vec<StoredCursor> = Vec::new();
    for key in &keys {
        stored.push(match claim.cursors.iter().find(|cursor| cursor.stream == *key) {
            Some(cursor) => cursor.clone(),
            None => resume::begin(key, &mut admin).await?,
        });
    }
    health.set_starting("loading the checkpoint");
    let folder = folder(config, &claim);
    let mut saver = Saver::new(&folder, &claim.lineage, &plan)?;
    let tables = resume::tables(&claim, plan);
    let loading = tokio::task::spawn_blocking(move || load_newest(&folder, &tables));
    let loaded = loading.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
    let Resumed { flow, known, kept } = resume::resume(loaded, settings, &stored, &claim, &mut saver);

    let (input, inputs) = crossbeam_channel::unbounded(); // the permits bound it
    let (closed_sender, closed) = mpsc::channel(MAX_CLOSED);
    let (flushes, flush_receiver) = mpsc::channel(1);
    let (saves, save_receiver) = mpsc::channel(1);
    let (committed, watch_committed) = watch::channel(claim.cursors.clone());
    let (halt, halted) = watch::channel(None);
    let (state_idle, checkpoint_idle) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let intake = Intake {
        flow,
        keys: keys.clone(),
        input: inputs,
        closed: closed_sender,
        state: (Arc::clone(&state_idle), millis(config.store.state_every_ms)),
        checkpoint: (Arc::clone(&checkpoint_idle), millis(config.checkpoints.every_ms)),
    };
    let budget = Budget::new(config.engine.in_flight_bytes);
    let mut parts = JoinSet::new();
    let reader = match purpose {
        Purpose::Serve { .. } | Purpose::Rebuild(RebuildFrom::Log) => {
            let (server, keys, health) = (server.clone(), keys.clone(), health.clone());
            parts.spawn(
                LogReader { server, keys, known, stored, input, budget: budget.clone(), health, halted: halt }.run(),
            )
        }
        Purpose::Rebuild(RebuildFrom::Archive(ref database, ref cursors)) => {
            let (database, cursors) = (Database::clone(database), cursors.clone());
            parts.spawn(ArchiveReader { database, cursors, input, budget: budget.clone() }.run())
        }
    };
    let committer = Committer {
        writer,
        closed,
        budget,
        flushes,
        saves,
        committed,
        keys: keys.clone(),
        health: health.clone(),
        halted: halted.clone(),
    };
    let lagging = LaggingWriter::new(database, &claim);
    let saving = Saving {
        saver,
        saves: save_receiver,
        idle: checkpoint_idle,
        server: server.clone(),
        log_keep: millis(config.redis.log_keep_ms),
        kept,
    };
    let mut side = vec![tokio::spawn(side::tell_the_lag(server.clone(), keys.clone(), watch_committed.clone()))];
    if purpose.is_public() {
        side.push(tokio::spawn(side::move_groups(server.clone(), watch_committed)));
    }
    if config.clock == Clock::Wall {
        side.push(tokio::spawn(side::tell_the_time(server, keys)));
    }
    parts.spawn_blocking(|| intake.run());
    parts.spawn(async { committer.run().await.map_err(Into::into) });
    parts.spawn(async { side::write_lagging(lagging, flush_receiver, state_idle).await.map_err(Into::into) });
    // Where there is no service manager, nobody is told.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    Ok(Running { parts, reader, saving: tokio::spawn(saving.run()), halted, side })
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}

impl Running {
    async fn until(mut self, shutdown: impl Future<Output = ()>, health: &Health) -> Result<(), DaemonError> {
        tokio::pin!(shutdown);
        let fault = tokio::select! {
            () = &mut shutdown => {
                info!("stopping: committing what was read");
                Ok(())
            }
            ended = self.parts.join_next() => ended.map_or(Ok(()), over),
        };
        let why = self.halted.borrow().clone();
        match (&fault, &why) {
            (Err(fault), _) => error!(error = %fault, "stopping"),
            (Ok(()), Some(why)) => error!(reason = %why, "halted: nothing more is committed"),
            (Ok(()), None) => {}
        }
        for task in &self.side {
            task.abort();
        }
        // Without a reader the intake ends, then the committer, then the writer of lagging tables.
        self.reader.abort();
        let rest = async {
            let mut outcome = Ok(());
            while let Some(ended) = self.parts.join_next().await {
                outcome = outcome.and(over(ended));
            }
            outcome
        };
        let rest = tokio::time::timeout(END_WITHIN, rest).await.unwrap_or(Err(DaemonError::Unfinished));
        if tokio::time::timeout(LAST_CHECKPOINT_WITHIN, self.saving).await.is_err() {
            warn!("the last checkpoint takes too long and is given up: the next start reads more of the log");
        }
        if let Some(why) = why
            && fault.is_ok()
            && rest.is_ok()
        {
            health.set_halted(format!(
                "{why}. Nothing is written any more; `watchtower resume --accept-gap` goes on without those entries"
            ));
            shutdown.await;
        }
        fault.and(rest)
    }
}

/// The outcome of a part that has ended; a panic goes on.
fn over(ended: Result<Result<(), DaemonError>, JoinError>) -> Result<(), DaemonError> {
    match ended {
        Ok(outcome) => outcome,
        Err(error) if error.is_cancelled() => Ok(()),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

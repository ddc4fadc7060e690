//! The long-running program: from Redis Streams to tables in PostgreSQL, or from the log in a file to the tables
//! in it.
//!
//! ```text
//! log_reader ──replies──> intake ──closed epochs──> committer ──> lagging tables, checkpoints
//!   (task)     at most 2  (thread)    at most 8      (task)  └──> consumer groups
//! ```
//!
//! What is in the middle is the same for all ([`core`]); [`servers`] and [`embedded`] open what is at the ends.
//! Every arrow is bounded, and so are the bytes on all of them together ([`budget`]): when PostgreSQL is slow,
//! Redis is read no faster. A fault that passes is waited out where it happens. Entries that were lost halt the daemon: it writes nothing more and says
//! so until it is stopped. Any other fault ends it, and nothing that is durable depends on how it ended.

mod archive_reader;
mod backoff;
mod budget;
pub mod checkpoint;
mod committer;
mod core;
mod embedded;
mod file_reader;
mod intake;
mod log_reader;
mod log_start;
mod options;
mod resume;
mod saving;
mod servers;
mod side;
mod tables;
pub mod telemetry;

use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinHandle, JoinSet};
use tracing::{error, info, warn};

use crate::checkpoint::SaveError;
use crate::telemetry::health::Health;
use crate::telemetry::http::HttpError;
use crate::telemetry::{http, metrics};
pub use log_reader::{from_where, unreplayable};
use watchtower_core::Cursor;
use watchtower_engine::flow::Unreadable;
use watchtower_geopackage::GeoPackage;
use watchtower_log::Gap;
use watchtower_log::file::LogError;
use watchtower_log::redis::{ProtocolError, RedisError};
use watchtower_store::WriterError;
use watchtower_store::geopackage::EmbeddedError;
use watchtower_store::postgres::{Database, StoreError};

pub use options::{Embedded, Engine, Options};
pub use resume::{expected_tables, folder, known};

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
    /// The file cannot be used, or another daemon has it or has taken it over.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The log in the file cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An entry of a later program.
    #[error("{0}; it is not skipped, for it may hold anything: upgrade this daemon")]
    Unreadable(Unreadable),
    /// Entries of the log are lost.
    #[error("{0}; the tables stay as they are")]
    Gap(Gap),
    /// Nothing can be written into the folder of checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] SaveError),
    /// The address of `[http]` can never be had.
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

impl From<WriterError> for DaemonError {
    fn from(error: WriterError) -> Self {
        match error {
            WriterError::Postgres(error) => Self::Store(error),
            WriterError::Embedded(error) => Self::Embedded(error),
        }
    }
}

impl DaemonError {
    /// Whether another daemon has taken over.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Store(StoreError::Fenced { .. }) | Self::Embedded(EmbeddedError::Fenced { .. }))
    }
}

/// Runs until `shutdown` completes, then commits what was read and returns.
///
/// # Errors
/// If something is wrong that will not pass by itself.
pub async fn run(
    options: Options,
    takeover: bool,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), DaemonError> {
    run_for(options, Wiring::Servers(Purpose::Serve { takeover }), shutdown).await
}

/// The same with the log and the tables in one file, which is made if it is missing. To be called in a runtime of
/// several threads: what writes the file waits for the disk.
///
/// # Errors
/// If something is wrong that will not pass by itself.
pub async fn run_embedded(
    file: &GeoPackage,
    options: Options,
    takeover: bool,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), DaemonError> {
    let job = embedded::Job { tables: file.clone(), log: file.clone(), takeover };
    embedded::refuse_occupied(&job)?;
    let ended = run_for(options, Wiring::Embedded(job), shutdown).await;
    file.settle();
    ended
}

/// Computes the tables of a file's log anew, into another file, until `shutdown` completes.
///
/// # Errors
/// If something is wrong that will not pass by itself.
pub async fn rebuild_embedded(
    log: &GeoPackage,
    tables: &GeoPackage,
    options: Options,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), DaemonError> {
    let job = embedded::Job { tables: tables.clone(), log: log.clone(), takeover: false };
    run_for(options, Wiring::Embedded(job), shutdown).await
}

/// The same for tables beside those that producers and operators know of: nobody is told. From an archive
/// it ends when that is read.
///
/// # Errors
/// If something is wrong that will not pass by itself.
pub async fn rebuild(
    options: Options,
    from: RebuildFrom,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), DaemonError> {
    run_for(options, Wiring::Servers(Purpose::Rebuild(from)), shutdown).await
}

/// What tables are computed anew from.
#[derive(Clone, Debug)]
pub enum RebuildFrom {
    /// The log in Redis.
    Log,
    /// The archive of the tables as they are, which is all of the log up to these cursors.
    Archive(Box<Database>, Vec<Cursor>),
}

/// What a daemon stands between.
#[derive(Clone, Debug)]
enum Wiring {
    /// Redis and PostgreSQL.
    Servers(Purpose),
    /// The log and the tables of a file.
    Embedded(embedded::Job),
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
    options: Options,
    wiring: Wiring,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), DaemonError> {
    tokio::pin!(shutdown);
    let health = Health::starting("connecting");
    let metrics = metrics::install().map_err(|error| DaemonError::Metrics(error.to_string()))?;
    let pages = match (http::Server::bind(options.http.listen).await, &wiring) {
        (Ok(server), _) => Some(tokio::spawn(serve(server, health.clone(), metrics))),
        (Err(error), _) if error.is_in_use() => {
            let (listen, health) = (options.http.listen, health.clone());
            Some(tokio::spawn(async move { serve(http::Server::bind_when_free(listen).await, health, metrics).await }))
        }
        // There may be a file, and a daemon, for every fleet of a machine.
        (Err(error), Wiring::Embedded(_)) => {
            warn!(%error, "nobody answers /healthz, /readyz and /metrics");
            None
        }
        (Err(error), Wiring::Servers(_)) => return Err(error.into()),
    };
    let ended = tokio::select! {
        started = start(&options, wiring, &health) => match started {
            Ok(running) => running.until(shutdown, &health).await,
            Err(error) => Err(error),
        },
        () = &mut shutdown => Ok(()),
    };
    if let Some(pages) = pages {
        pages.abort();
    }
    ended
}

/// Answers until the task is aborted.
async fn serve(server: http::Server, health: Health, metrics: PrometheusHandle) {
    info!(address = %server.address(), "answers /healthz, /readyz and /metrics");
    if let Err(error) = server.run(health, metrics, std::future::pending()).await {
        warn!(%error, "/healthz, /readyz and /metrics are served no more");
    }
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
    /// What keeps others away until everything else has ended.
    guard: Option<JoinHandle<()>>,
}

async fn start(options: &Options, wiring: Wiring, health: &Health) -> Result<Running, DaemonError> {
    let running = match wiring {
        Wiring::Servers(purpose) => servers::start(options, purpose, health).await?,
        Wiring::Embedded(job) => embedded::start(options, job, health).await?,
    };
    // Where there is no service manager, nobody is told.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    Ok(running)
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
        if let Some(guard) = self.guard {
            guard.abort();
            let _ = guard.await; // it was cancelled
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

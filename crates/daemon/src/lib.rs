//! The daemon: from Redis Streams to tables in PostgreSQL, or from the log in a GeoPackage to the tables in it.
//!
//! ```text
//! reader ──entries──> intake ──closed epochs──> committer ──> lagging tables, checkpoints
//! (task)   at most 2  (thread)    at most 8      (task)  └──> consumer groups
//! ```
//!
//! The backends of log and tables are chosen in their crates ([`watchtower_log::Log`], [`watchtower_store::Store`]); no task
//! here knows which they are. Every channel is bounded, and so are the bytes in all of them together ([`budget`]): when
//! PostgreSQL is slow, Redis is read no faster. Transient errors are retried by the task that meets them. Lost entries
//! halt the daemon: it writes nothing more and reports the reason until it is stopped. Any other error ends the
//! process; durable data does not depend on how it ends.

mod archive_reader;
mod backoff;
mod budget;
pub mod checkpoint;
mod committer;
mod core;
mod intake;
mod log_start;
mod options;
mod reader;
mod resume;
mod saving;
mod side;
mod start;
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
use watchtower_core::{BoxFuture, Cursor};
use watchtower_engine::flow::Unreadable;
use watchtower_log::file::LogError;
use watchtower_log::redis::{ProtocolError, RedisError};
use watchtower_log::{BackendError, Gap, ReadError};
use watchtower_store::geopackage::EmbeddedError;
use watchtower_store::postgres::{Database, StoreError};
use watchtower_store::{ClaimError, Store, WriterError};

pub use options::{Embedded, Engine, Options, Places};
pub use resume::{checkpoints, expected_tables, folder, known};

/// Time limit for the last commits after a stop was requested.
const END_WITHIN: Duration = Duration::from_secs(8);
/// Further time limit for the last checkpoint, which may be lost.
const LAST_CHECKPOINT_WITHIN: Duration = Duration::from_millis(1500);

/// The error that ended a daemon.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Redis sent a malformed reply.
    #[error("Redis: {0}")]
    Protocol(#[from] ProtocolError),
    /// PostgreSQL cannot be used, or another daemon has taken over.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The GeoPackage cannot be used, or another daemon holds it or has taken over.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The log in the GeoPackage cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An entry was written by a later version of this program.
    #[error("{0}; it is not skipped, because its meaning is unknown: upgrade this daemon")]
    Unreadable(Unreadable),
    /// Entries of the log are lost.
    #[error("{0}; the tables are left unchanged")]
    Gap(Gap),
    /// The folder of checkpoints cannot be written.
    #[error(transparent)]
    Checkpoint(#[from] SaveError),
    /// The address in `[http]` can never be bound.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The metrics recorder cannot be installed.
    #[error("cannot collect metrics: {0}")]
    Metrics(String),
    /// Another daemon writes the pipeline.
    #[error(transparent)]
    Occupied(ClaimError),
    /// The last commits exceeded their time limit.
    #[error("the last epochs could not be committed within {} s; they will be after the next start", END_WITHIN.as_secs())]
    Unfinished,
}

// Their text becomes the text of this error; as its source it would be printed twice.
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

impl From<ClaimError> for DaemonError {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Writer(error) => error.into(),
            ClaimError::Occupied { .. } | ClaimError::Held { .. } => Self::Occupied(error),
        }
    }
}

impl From<BackendError> for DaemonError {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Redis(error) => Self::Redis(error),
            BackendError::File(error) => Self::Log(error),
        }
    }
}

impl From<ReadError> for DaemonError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Redis(error) => Self::Redis(error),
            ReadError::Protocol(error) => Self::Protocol(error),
            ReadError::Gap(gap) => Self::Gap(gap),
            ReadError::File(error) => Self::Log(error),
        }
    }
}

impl DaemonError {
    /// Whether another daemon has taken over.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Store(StoreError::Fenced { .. }) | Self::Embedded(EmbeddedError::Fenced { .. }))
    }
}

/// Runs until `shutdown` completes, then commits what was read and returns. A missing file is created. Needs a
/// multi-threaded runtime: writing a file blocks a thread.
///
/// # Errors
/// If an error does not pass by itself: see [`DaemonError`].
pub async fn run(
    options: Options,
    places: &Places,
    takeover: bool,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), DaemonError> {
    let store = Store::new(&places.store)?;
    if !takeover {
        store.refuse_occupied()?;
    }
    let ended = run_for(options, places, Purpose::Serve { takeover }, Box::pin(shutdown)).await;
    store.settle();
    ended
}

/// Computes tables anew beside the existing ones. It neither announces the pipeline to producers nor moves consumer
/// groups nor trims, which the pipeline's own daemon does. From an archive, it ends when the archive is read; otherwise
/// when `shutdown` completes.
///
/// # Errors
/// If an error does not pass by itself: see [`DaemonError`].
pub async fn rebuild(
    options: Options,
    places: &Places,
    from: RebuildFrom,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), DaemonError> {
    run_for(options, places, Purpose::Rebuild(from), Box::pin(shutdown)).await
}

/// Source of a rebuild.
#[derive(Clone, Debug)]
pub enum RebuildFrom {
    /// The log in Redis.
    Log,
    /// The archive of the existing tables, which contains the log up to these cursors.
    Archive(Box<Database>, Vec<Cursor>),
}

/// Purpose of a daemon.
#[derive(Clone, Debug)]
enum Purpose {
    /// Keeps the tables of the pipeline up to date: it announces the pipeline to producers and moves their consumer
    /// groups.
    Serve {
        /// Whether to fence a daemon that still runs.
        takeover: bool,
    },
    /// Computes tables anew beside the existing ones.
    Rebuild(RebuildFrom),
}

fn run_for<'a>(
    options: Options,
    places: &'a Places,
    purpose: Purpose,
    shutdown: BoxFuture<'a, ()>,
) -> BoxFuture<'a, Result<(), DaemonError>> {
    Box::pin(serve_purpose(options, places, purpose, shutdown))
}

async fn serve_purpose(
    options: Options,
    places: &Places,
    purpose: Purpose,
    mut shutdown: BoxFuture<'_, ()>,
) -> Result<(), DaemonError> {
    let store = Store::new(&places.store)?;
    let health = Health::starting("connecting");
    let metrics = metrics::install().map_err(|error| DaemonError::Metrics(error.to_string()))?;
    metrics::describe();
    let pages = match http::Server::bind(options.http.listen).await {
        Ok(server) => Some(tokio::spawn(serve(server, health.clone(), metrics))),
        Err(error) if error.is_in_use() => {
            let (listen, health) = (options.http.listen, health.clone());
            Some(tokio::spawn(async move { serve(http::Server::bind_when_free(listen).await, health, metrics).await }))
        }
        // One machine may have many files, each with a daemon, and only one of them can have the address.
        Err(error) if store.file().is_some() => {
            warn!(%error, "not serving /healthz, /readyz and /metrics");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let ended = tokio::select! {
        started = start::start(&options, store, &places.log, purpose, &health) => match started {
            Ok(running) => {
                // Without a service manager this does nothing.
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
                running.until(&mut shutdown, &health).await
            }
            Err(error) => Err(error),
        },
        () = &mut shutdown => Ok(()),
    };
    if let Some(pages) = pages {
        pages.abort();
    }
    ended
}

/// Serves until the task is aborted.
async fn serve(server: http::Server, health: Health, metrics: PrometheusHandle) {
    info!(address = %server.address(), "serving /healthz, /readyz and /metrics");
    if let Err(error) = server.run(health, metrics, std::future::pending()).await {
        warn!(%error, "stopped serving /healthz, /readyz and /metrics");
    }
}

/// A running daemon.
struct Running {
    /// Tasks that end when their input ends; an error of one ends the daemon.
    parts: JoinSet<Result<(), DaemonError>>,
    reader: AbortHandle,
    saving: JoinHandle<()>,
    /// The reason why reading has halted, if it has.
    halted: watch::Receiver<Option<String>>,
    /// Tasks that never end by themselves; aborted at the end.
    side: Vec<JoinHandle<()>>,
    /// Holds the lock that keeps other daemons out; aborted last.
    guard: Option<JoinHandle<()>>,
}

impl Running {
    async fn until(mut self, shutdown: impl Future<Output = ()>, health: &Health) -> Result<(), DaemonError> {
        tokio::pin!(shutdown);
        let fault = tokio::select! {
            () = &mut shutdown => {
                info!("stopping: committing what was read");
                Ok(())
            }
            ended = self.parts.join_next() => ended.map_or(Ok(()), result_of),
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
        // Without the reader the intake ends, then the committer, then the task that writes lagging tables.
        self.reader.abort();
        let rest = async {
            let mut outcome = Ok(());
            while let Some(ended) = self.parts.join_next().await {
                outcome = outcome.and(result_of(ended));
            }
            outcome
        };
        let rest = tokio::time::timeout(END_WITHIN, rest).await.unwrap_or(Err(DaemonError::Unfinished));
        if tokio::time::timeout(LAST_CHECKPOINT_WITHIN, self.saving).await.is_err() {
            warn!("the last checkpoint exceeds its time limit and is dropped: the next start reads more of the log");
        }
        if let Some(guard) = self.guard {
            guard.abort();
            let _ = guard.await; // returns the cancellation
        }
        if let Some(why) = why
            && fault.is_ok()
            && rest.is_ok()
        {
            health.set_halted(format!(
                "{why}. Nothing is written any more; `watchtower resume --accept-gap` continues without those entries"
            ));
            shutdown.await;
        }
        fault.and(rest)
    }
}

/// Result of an ended task; propagates its panic.
fn result_of(ended: Result<Result<(), DaemonError>, JoinError>) -> Result<(), DaemonError> {
    match ended {
        Ok(outcome) => outcome,
        Err(error) if error.is_cancelled() => Ok(()),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

//! The long-running program: from Redis Streams to tables in PostgreSQL.
//!
//! ```text
//! log_reader ──replies──> intake ──closed epochs──> committer ──> lagging tables
//!   (task)     at most 2  (thread)    at most 8      (task)  └──> consumer groups
//! ```
//!
//! Every arrow is bounded: when PostgreSQL is slow, Redis is read no faster. A fault that passes is
//! waited out where it happens; any other ends the daemon, and nothing that is durable depends on how it
//! ended.

mod backoff;
mod committer;
pub mod flow;
mod intake;
mod log_reader;
mod refused;
mod side;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinHandle, JoinSet};
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::config::{Clock, Config};
use crate::sources::redis::{EntryId, ProtocolError, RedisError, Server, stream_keys};
use crate::store::postgres::claim::{self, Claim};
use crate::store::postgres::commit::Writer;
use crate::store::postgres::lagging::LaggingWriter;
use crate::store::postgres::schema::{self, Standing};
use crate::store::postgres::{Database, Remedy, StoreError};
use backoff::Backoff;
use committer::{Committed, Committer};
use flow::{Flow, Settings, Unreadable};
use intake::Intake;
use log_reader::{LogReader, MAX_REPLIES_AHEAD, Read, wait_for_redis};

/// Epochs between the intake and the committer.
const MAX_CLOSED: usize = 8;
/// How long the last commits may take once the end is asked for.
const END_WITHIN: Duration = Duration::from_secs(8);
/// How long a predecessor's session may take to end.
const PREDECESSOR_ENDS_WITHIN: Duration = Duration::from_secs(5);

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
    Unreadable(#[from] Unreadable),
    /// Redis no longer holds what is needed.
    #[error(
        "{stream}: the tables contain {needed} entries up to {last}, Redis holds {held} of them: {} are lost. Redis was \
         flushed, trimmed or restored from an older state; the tables stay as they are",
        needed - held.min(needed)
    )]
    LogLost {
        /// Which stream.
        stream: String,
        /// Entries the tables contain.
        needed: u64,
        /// The id of the last.
        last: String,
        /// Entries of those that are there.
        held: u64,
    },
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
    tokio::pin!(shutdown);
    let running = tokio::select! {
        started = start(&config, takeover) => started?,
        () = &mut shutdown => return Ok(()),
    };
    running.until(shutdown).await
}

/// The parts of a running daemon.
struct Running {
    /// Those that end when there is nothing more to do, and whose faults end the daemon.
    parts: JoinSet<Result<(), DaemonError>>,
    reader: AbortHandle,
    /// Those that never end.
    side: Vec<JoinHandle<()>>,
}

async fn start(config: &Config, takeover: bool) -> Result<Running, DaemonError> {
    let database = Database::new(&config.pipeline, &config.store)?;
    let server = Server::new(&config.redis)?;
    let keys = stream_keys(&config.pipeline, config.redis.streams);

    let (writer, claim) = open_store(config, &database, takeover).await?;
    let mut admin = wait_for_redis(&server).await?;
    admin.announce(&config.pipeline, config.redis.streams, config.clock).await?;
    admin.ensure_groups(&keys).await?;
    info!(server = server.name(), streams = config.redis.streams, "connected to Redis");

    let stored: Vec<Read> = keys.iter().map(|key| stored(&claim, key)).collect();
    let settings = Settings {
        keys: keys.clone(),
        limits: config.limits.clone(),
        rules: config.rules.clone(),
        workers: config.engine.workers.into(),
        archive: config.store.archive,
        rejected_keep_ms: config.store.rejected_keep_ms,
    };
    let muted = stored.iter().any(|read| read.entries > 0);
    let (input, inputs) = crossbeam_channel::unbounded(); // the permits bound it
    let (closed_sender, closed) = mpsc::channel(MAX_CLOSED);
    let (flushes, flush_receiver) = mpsc::channel(1);
    let (committed, watch_committed) = watch::channel(Committed::default());
    let state_writer_idle = Arc::new(AtomicBool::new(true));
    let intake = Intake {
        flow: Flow::start(settings, muted),
        keys: keys.clone(),
        input: inputs,
        closed: closed_sender,
        state_writer_idle: Arc::clone(&state_writer_idle),
        state_every: Duration::from_millis(config.store.state_every_ms.unsigned_abs()),
    };
    let lagging = LaggingWriter::new(database, &claim);
    let reader = LogReader {
        server: server.clone(),
        keys: keys.clone(),
        stored,
        input,
        ahead: Arc::new(Semaphore::new(MAX_REPLIES_AHEAD)),
    };
    let committer = Committer { writer, closed, flushes, committed };
    let mut side = vec![tokio::spawn(side::move_groups(server.clone(), watch_committed))];
    if config.clock == Clock::Wall {
        side.push(tokio::spawn(side::tell_the_time(server, keys)));
    }
    let mut parts = JoinSet::new();
    let reader = parts.spawn(reader.run());
    parts.spawn_blocking(|| intake.run());
    parts.spawn(async { committer.run().await.map_err(Into::into) });
    parts.spawn(async { side::write_lagging(lagging, flush_receiver, state_writer_idle).await.map_err(Into::into) });
    Ok(Running { parts, reader, side })
}

impl Running {
    async fn until(mut self, shutdown: impl Future<Output = ()>) -> Result<(), DaemonError> {
        let fault = tokio::select! {
            () = shutdown => {
                info!("stopping: committing what was read");
                Ok(())
            }
            ended = self.parts.join_next() => ended.map_or(Ok(()), over),
        };
        if let Err(fault) = &fault {
            error!(error = %fault, "stopping");
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

fn stored(claim: &Claim, key: &str) -> Read {
    let cursor = claim.cursors.iter().find(|cursor| cursor.stream == key);
    cursor.map_or(Read::default(), |cursor| Read {
        last: cursor.last_id.parse().unwrap_or(EntryId::ZERO),
        entries: cursor.entries,
    })
}

/// Connects to PostgreSQL, however long it takes for it to be there; makes sure of the schema; takes over.
async fn open_store(config: &Config, database: &Database, takeover: bool) -> Result<(Writer, Claim), DaemonError> {
    let mut client = wait_for_postgres(database).await?;
    if database.is_unencrypted_over_the_network() {
        warn!("the connection to PostgreSQL is not encrypted; add ?sslmode=verify-full to [store] url");
    }
    database.refuse_transaction_pooling(&client).await?;
    match schema::standing(&client, database).await? {
        Standing::Current => {}
        Standing::Ahead { have, want } => return Err(schema::too_new(database, have, want).into()),
        Standing::Behind { have, want } if !config.store.migrate => {
            return Err(StoreError::Setup(format!(
                "schema {} has version {have}, this program needs {want}, and [store] migrate is false: run \
                 `watchtower migrate --config <file>` first",
                database.schema
            ))
            .into());
        }
        Standing::Behind { .. } => {
            let migrated = schema::migrate(&mut client, database, config.store.reader_role.as_deref()).await?;
            info!(schema = database.schema, version = migrated.version, "schema brought up to date");
        }
    }
    if !takeover {
        wait_for_predecessor(&client, database).await?;
    }
    let claim = claim::claim(&mut client, database, config.redis.streams).await?;
    info!(
        server = database.server(),
        schema = database.schema,
        term = claim.term,
        commit_seq = claim.commit_seq,
        "connected to PostgreSQL"
    );
    Ok((Writer::new(database.clone(), client, &claim), claim))
}

async fn wait_for_postgres(database: &Database) -> Result<tokio_postgres::Client, StoreError> {
    let mut backoff = Backoff::default();
    let mut said = false;
    loop {
        match database.connect().await {
            Ok(client) => return Ok(client),
            Err(error) if error.remedy() == Remedy::None => return Err(error),
            Err(error) => {
                if !said {
                    warn!(%error, "waiting for PostgreSQL");
                    said = true;
                }
                sleep(backoff.next()).await;
            }
        }
    }
}

async fn wait_for_predecessor(client: &tokio_postgres::Client, database: &Database) -> Result<(), DaemonError> {
    let until = tokio::time::Instant::now() + PREDECESSOR_ENDS_WITHIN;
    while !claim::try_lock(client, database).await? {
        if tokio::time::Instant::now() > until {
            let owner = claim::owner(client, database).await?;
            return Err(DaemonError::Occupied {
                pipeline: database.pipeline.clone(),
                owner: owner.map_or_else(|| "another process".to_owned(), |owner| owner.name),
            });
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

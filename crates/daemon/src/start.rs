//! The start of a daemon: the tables are claimed, the log is prepared, and every task is started.

use tokio::time::sleep;
use tracing::warn;

use super::archive_reader::ArchiveReader;
use super::backoff::Backoff;
use super::core::{Core, Ends};
use super::reader::LogReader;
use super::{DaemonError, Purpose, RebuildFrom, Running, log_start, resume, side};
use crate::Options;
use crate::checkpoint::Shelf;
use crate::telemetry::health::Health;
use watchtower_core::{Remedy, plan};
use watchtower_log::{ClockSource, Log};
use watchtower_store::{Opened, Session, Store, WriterError};

/// Opens both ends, however long their servers are away, and starts everything.
pub(super) async fn start(
    options: &Options,
    store: Store,
    log: &watchtower_log::Options,
    purpose: Purpose,
    health: &Health,
) -> Result<Running, DaemonError> {
    let (is_public, takeover) = match &purpose {
        Purpose::Serve { takeover } => (true, *takeover),
        Purpose::Rebuild(_) => (false, false),
    };
    let plan = plan::of(&options.limits, &options.rules);
    let mut log = tokio::task::block_in_place(|| Log::open(log))?;

    let session = connect(&store, health).await?;
    let opened = store.claim(session, &plan, takeover, &mut log_start::report).await?;
    let Opened { claim, writer, lagging, hold } = opened;
    let stored = log_start::begin(&mut log, &claim.cursors, is_public, health).await?;
    let shelf = match store.file() {
        Some(file) => Shelf::Inside(file.clone()),
        None => Shelf::from(&*resume::folder(options, &claim)),
    };
    let (keys, clock, trimmer) = (log.keys().to_vec(), log.clock(), log.trimmer(is_public));
    let ends = Ends { keys: keys.clone(), stored, clock, plan, shelf, writer, lagging, trimmer, claim };
    let mut core = Core::start(options, ends, health).await?;

    let (input, budget) = (core.input.clone(), core.budget.clone());
    let reader = match purpose {
        Purpose::Serve { .. } | Purpose::Rebuild(RebuildFrom::Log) => {
            let (stored, halted) = (core.stored.clone(), core.halt.clone());
            let tail = log.tail(core.known.clone(), &stored);
            core.parts.spawn(LogReader { tail, keys, stored, input, budget, health: health.clone(), halted }.run())
        }
        Purpose::Rebuild(RebuildFrom::Archive(database, cursors)) => {
            core.parts.spawn(ArchiveReader { database: *database, cursors, input, budget }.run())
        }
    };
    core.guard = hold.map(|hold| tokio::spawn(hold.run()));
    core.side.push(tokio::spawn(side::measure_lag(log.lag_meter(), core.committed.clone())));
    if let Some(groups) = log.groups().filter(|_| is_public) {
        core.side.push(tokio::spawn(side::move_groups(groups, core.committed.clone())));
    }
    if is_public && clock == ClockSource::Wall {
        core.side.push(tokio::spawn(side::append_clock_events(log.into_ticker())));
    }
    Ok(core.running(reader))
}

/// Connects to the store, however long it is away.
async fn connect(store: &Store, health: &Health) -> Result<Session, WriterError> {
    let mut backoff = Backoff::default();
    let mut is_reported = false;
    let backend = store.backend();
    loop {
        match store.connect().await {
            Ok(session) => return Ok(session),
            Err(error) if error.remedy() == Remedy::None => return Err(error),
            Err(error) => {
                if !is_reported {
                    warn!(%error, "waiting for {backend}");
                    health.set_starting(format!("waiting for {backend}: {error}"));
                    is_reported = true;
                }
                sleep(backoff.next()).await;
            }
        }
    }
}

//! `watchtower rebuild`: computes the tables anew from the log, and replaces the old ones in one transaction.
//!
//! After a change of the plan, old and new rows must not be mixed. So a daemon reads the log from its beginning into
//! tables beside the old ones, up to the last entry that these contain; then the new ones take their place. Readers see
//! the old tables until then, and producers append throughout.
//!
//! If Redis no longer has the whole log, the archive of the old tables is read instead: every accepted position and
//! edit with its arrival, which is the input of the computation. Events rejected before stay rejected; the new limits
//! may reject more.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::time::sleep;

use watchtower_core::Cursor;
use watchtower_core::plan;
use watchtower_daemon::{self as daemon, DaemonError, Places, RebuildFrom, telemetry};
use watchtower_log::{NotWhole, require_whole};
use watchtower_store::{ClaimError, Rebuild, Store, WriterError};

use super::arguments::PlaceArgs;
use super::{END_WITHIN, runtime};
use crate::interrupt;

/// Arguments of `rebuild`.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// The pipeline or the file.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Rebuild even if the tables were computed under the current plan
    #[arg(long)]
    pub force: bool,
}

/// Rebuilds, and prints the progress.
///
/// # Errors
/// If a daemon runs, or the log is not complete.
pub fn run(args: &RebuildArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (options, places) = args.place.load()?;
    telemetry::log::init(options.log.format, &options.log.level)?;
    let runtime = runtime()?;
    let stop = {
        let _entered = runtime.enter();
        interrupt::asked_to_stop().context("cannot listen for SIGTERM and Ctrl-C")?
    };
    let ended = runtime.block_on(rebuild(options, &places, args.force, stop, out));
    runtime.shutdown_timeout(END_WITHIN);
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Interval between checks whether the new tables have caught up.
const POLL_EVERY: Duration = Duration::from_millis(200);

/// The rebuild did not complete.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// A daemon runs, or there are no tables.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The tables cannot be used.
    #[error(transparent)]
    Store(#[from] WriterError),
    /// The log cannot be examined.
    #[error(transparent)]
    Log(NotWhole),
    /// The daemon that computes the new tables failed.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// Neither the log nor an archive is complete.
    #[error(
        "{0}; and no archive holds them: only PostgreSQL has one, while [store] archive is true. So the tables cannot be \
         computed anew: put the configuration back (see pipeline.plan), or begin a new pipeline"
    )]
    Trimmed(NotWhole),
    /// The user interrupted the rebuild.
    #[error("interrupted: the old tables are unchanged")]
    Interrupted,
    /// The output cannot be written, or checkpoints cannot be moved.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Computes the tables anew and replaces the old ones. Does nothing if their plan is the configuration's already and
/// `force` is not set.
///
/// # Errors
/// If a daemon runs, the log is not complete, a server does not answer, or `interrupted` completes. The old tables are
/// then unchanged.
pub async fn rebuild(
    options: daemon::Options,
    places: &Places,
    force: bool,
    interrupted: impl Future<Output = ()> + Send,
    out: &mut impl Write,
) -> Result<(), RebuildError> {
    let store = Store::new(&places.store)?;
    let old = store.hold_for_rebuild().await?;
    let difference = plan::difference(&old.stored().plan, &plan::of(&options.limits, &options.rules));
    if difference.is_empty() && old.has_our_columns()? && !force {
        writeln!(
            out,
            "the tables were computed under this very plan: nothing to rebuild (--force does it all the same)"
        )?;
        return Ok(());
    }
    let from = source(places, &old).await?;
    let from_archive = matches!(from, RebuildFrom::Archive(..));
    writeln!(
        out,
        "computing the tables anew{}",
        if difference.is_empty() { String::new() } else { format!(": {difference}") }
    )?;
    let new = Places { log: places.log.clone(), store: old.beside() };
    let (folder, beside) = (daemon::checkpoints(&options, &store), beside(&options));
    let folder_beside = daemon::checkpoints(&beside, &store);
    old.clear().await?;
    folder_beside.as_deref().map_or(Ok(()), remove_folder)?;
    compute(beside, &new, &old.stored().cursors, from, interrupted).await?;
    let left = old.replace(from_archive).await?;
    if let (Some(folder), Some(folder_beside)) = (folder, folder_beside) {
        remove_folder(&folder)?;
        // A checkpoint is a cache: without it the first start takes longer.
        let _ = std::fs::rename(folder_beside, folder);
    }
    match left {
        None => writeln!(out, "the new tables are in place; start the daemon")?,
        Some(old) => {
            writeln!(out, "the new tables are in place; the old ones are in schema {old}, being read: drop it later")?;
        }
    }
    Ok(())
}

/// What holds every event that the old tables contain.
async fn source(places: &Places, old: &Rebuild) -> Result<RebuildFrom, RebuildError> {
    let cursors = &old.stored().cursors;
    match (require_whole(&places.log, cursors).await, old.archive()) {
        (Ok(()), _) => Ok(RebuildFrom::Log),
        (Err(error @ NotWhole::Backend(_)), _) => Err(RebuildError::Log(error)),
        (Err(_), Some(archive)) => Ok(RebuildFrom::Archive(Box::new(archive.clone()), cursors.clone())),
        (Err(error), None) => Err(RebuildError::Trimmed(error)),
    }
}

/// Options of the daemon that computes the new tables.
fn beside(options: &daemon::Options) -> daemon::Options {
    let mut beside = options.clone();
    beside.checkpoints.folder = options.checkpoints.folder.join("rebuild");
    beside.http.listen.set_port(0);
    beside
}

fn remove_folder(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Runs a daemon until its tables contain what the old ones do.
async fn compute(
    options: daemon::Options,
    places: &Places,
    wanted: &[Cursor],
    from: RebuildFrom,
    interrupted: impl Future<Output = ()> + Send,
) -> Result<(), RebuildError> {
    let store = Store::new(&places.store)?;
    let caught_up = async {
        loop {
            sleep(POLL_EVERY).await;
            // The database may be restarting: retried with the next check.
            let Ok(session) = store.connect().await else { continue };
            // The tables do not exist at first.
            while let Ok(stored) = store.stored(&session).await {
                let contains_all = |cursors: &[Cursor]| {
                    wanted.iter().all(|wanted| cursors.iter().any(|cursor| contains(cursor, wanted)))
                };
                if stored.is_some_and(|stored| contains_all(&stored.cursors)) {
                    return;
                }
                sleep(POLL_EVERY).await;
            }
        }
    };
    let mut was_interrupted = false;
    let until = async {
        tokio::select! {
            () = caught_up => {}
            () = interrupted => was_interrupted = true,
        }
    };
    daemon::rebuild(options, places, from, until).await?;
    if was_interrupted { Err(RebuildError::Interrupted) } else { Ok(()) }
}

fn contains(cursor: &Cursor, wanted: &Cursor) -> bool {
    cursor.stream == wanted.stream && cursor.position.entries >= wanted.position.entries
}

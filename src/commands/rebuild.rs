//! `watchtower rebuild`: computes the tables anew from the log, and replaces the old ones in one transaction.
//!
//! After a change of the plan, old and new rows must not be mixed. So a daemon reads the log from its beginning into
//! a second schema, up to the last entry that the old tables contain; then the schemas are renamed in one transaction.
//! Readers see the old tables until then.
//!
//! If Redis no longer has the whole log, the archive of the old tables is read instead: every accepted position and
//! edit with its arrival, which is the input of the computation. Events rejected before stay rejected; the new limits
//! may reject more.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use watchtower_daemon::{self as daemon, telemetry};

use tokio::time::sleep;
use tokio_postgres::Client;

use watchtower_core::Cursor;
use watchtower_core::plan;
use watchtower_daemon::{self, DaemonError, RebuildFrom};
use watchtower_log::ClockSource;
use watchtower_log::redis::admin::Admin;
use watchtower_log::redis::{RedisError, Server, stream_keys};
use watchtower_store::postgres::claim;
use watchtower_store::postgres::{Database, StoreError};

use super::arguments::PlaceArgs;
use super::{END_WITHIN, embedded, runtime};
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
    let (options, file) = args.place.load()?;
    telemetry::log::init(options.log.format, &options.log.level)?;
    let runtime = runtime()?;
    let stop = {
        let _entered = runtime.enter();
        interrupt::asked_to_stop().context("cannot listen for SIGTERM and Ctrl-C")?
    };
    let ended: anyhow::Result<()> = runtime.block_on(async {
        match &file {
            None => Ok(rebuild(&options, args.force, stop, out).await?),
            Some(file) => Ok(embedded::rebuild(file, options, args.force, stop, out).await?),
        }
    });
    runtime.shutdown_timeout(END_WITHIN);
    ended?;
    Ok(ExitCode::SUCCESS)
}

/// Interval between checks whether the new tables have caught up.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// `log_keep` of the second daemon: it trims nothing.
const KEEP_ALL: Duration = Duration::from_secs(3650 * 86_400);

/// The rebuild did not complete.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The database cannot be used, or a daemon runs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The daemon that computes the new tables failed.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// Neither the log nor the archive is complete.
    #[error(
        "{stream}: Redis holds {held} of the {needed} entries that the tables contain, the rest was trimmed; and the \
         archive is not whole, for [store] archive was false for a while. So the tables cannot be computed anew: put the \
         configuration back (see pipeline.plan), or begin a new pipeline"
    )]
    Trimmed {
        /// Key of the stream.
        stream: String,
        /// Number of entries that Redis holds.
        held: u64,
        /// Number of entries that the tables contain.
        needed: u64,
    },
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
    options: &daemon::Options,
    force: bool,
    interrupted: impl Future<Output = ()> + Send,
    out: &mut impl Write,
) -> Result<(), RebuildError> {
    let database = Database::new(&options.pipeline, &options.store)?;
    let client = database.connect().await?;
    if !claim::try_lock(&client, &database).await? {
        let owner = claim::owner(&client, &database).await?.map_or_else(String::new, |owner| owner.name);
        let text = format!("pipeline {} is being written by {owner}: stop it first", options.pipeline);
        return Err(StoreError::Setup(text).into());
    }
    let Some(stored) = claim::stored(&client, &database).await? else {
        let text =
            format!("there is no pipeline {} in schema {} yet: nothing to rebuild", database.pipeline, database.schema);
        return Err(StoreError::Setup(text).into());
    };
    let difference = plan::difference(&stored.plan, &plan::of(&options.limits, &options.rules));
    if difference.is_empty() && !force {
        writeln!(
            out,
            "the tables were computed under this very plan: nothing to rebuild (--force does it all the same)"
        )?;
        return Ok(());
    }
    let from = match the_log_is_whole(options, &stored.cursors).await {
        Ok(()) => RebuildFrom::Log,
        Err(RebuildError::Trimmed { .. }) if stored.archived => {
            RebuildFrom::Archive(Box::new(database.clone()), stored.cursors.clone())
        }
        Err(error) => return Err(error),
    };
    writeln!(
        out,
        "computing the tables anew{}",
        if difference.is_empty() { String::new() } else { format!(": {difference}") }
    )?;
    let beside = beside(options);
    client
        .batch_execute(&format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", beside.store.schema))
        .await
        .map_err(StoreError::statement(format!("remove the schema {} of an earlier attempt", beside.store.schema)))?;
    remove_folder(&checkpoints(&beside))?;
    compute(&beside, &stored.cursors, from.clone(), interrupted).await?;
    if matches!(from, RebuildFrom::Archive(..)) {
        keep_refused(&client, &database.schema, &beside.store.schema).await?;
    }
    switch(&client, &database.schema, &beside.store.schema).await?;
    remove_folder(&checkpoints(options))?;
    // A checkpoint is a cache: without it the first start takes longer.
    let _ = std::fs::rename(checkpoints(&beside), checkpoints(options));
    let old = format!("{}_before_rebuild", database.schema);
    match client.batch_execute(&format!("DROP SCHEMA \"{old}\" CASCADE")).await {
        Ok(()) => writeln!(out, "the new tables are in place; start the daemon")?,
        Err(_) => {
            writeln!(out, "the new tables are in place; the old ones are in schema {old}, being read: drop it later")?
        }
    }
    Ok(())
}

/// Options of the daemon that fills the second schema and changes nothing in Redis.
fn beside(options: &daemon::Options) -> daemon::Options {
    let mut beside = options.clone();
    beside.store.schema = format!("{}_rebuild", options.store.schema);
    beside.store.migrate = true;
    beside.checkpoints.folder = options.checkpoints.folder.join("rebuild");
    beside.redis.log_keep = KEEP_ALL;
    beside.clock = ClockSource::Log;
    beside.http.listen.set_port(0);
    beside
}

fn checkpoints(options: &daemon::Options) -> PathBuf {
    options.checkpoints.folder.join(&options.pipeline)
}

fn remove_folder(folder: &PathBuf) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether Redis still has every entry that the tables contain.
async fn the_log_is_whole(options: &daemon::Options, cursors: &[Cursor]) -> Result<(), RebuildError> {
    let mut admin = Admin::connect(&Server::new(&options.redis)?).await?;
    for key in stream_keys(&options.pipeline, options.redis.streams) {
        let Some(cursor) = cursors.iter().find(|cursor| cursor.stream == key) else { continue };
        let (position, info) = (cursor.position, admin.stream_info(&key).await?);
        let gone = info.added.saturating_sub(info.length).saturating_sub(position.skipped);
        let needed = position.contained();
        if gone > 0 || info.added < position.entries || position.rebased > 0 {
            return Err(RebuildError::Trimmed { stream: key, held: needed.saturating_sub(gone.max(1)), needed });
        }
    }
    Ok(())
}

/// Runs a daemon until its tables contain what the old ones do.
async fn compute(
    beside: &daemon::Options,
    wanted: &[Cursor],
    from: RebuildFrom,
    interrupted: impl Future<Output = ()> + Send,
) -> Result<(), RebuildError> {
    let database = Database::new(&beside.pipeline, &beside.store)?;
    let caught_up = async {
        let client = loop {
            sleep(POLL_EVERY).await;
            if let Ok(client) = database.connect().await {
                break client;
            }
        };
        loop {
            // The schema does not exist at first, and the database may be restarting: retried with the next check.
            if let Ok(Some(stored)) = claim::stored(&client, &database).await
                && wanted.iter().all(|wanted| stored.cursors.iter().any(|cursor| contains(cursor, wanted)))
            {
                return;
            }
            sleep(POLL_EVERY).await;
        }
    };
    let mut was_interrupted = false;
    let until = async {
        tokio::select! {
            () = caught_up => {}
            () = interrupted => was_interrupted = true,
        }
    };
    daemon::rebuild(beside.clone(), from, until).await?;
    if was_interrupted { Err(RebuildError::Interrupted) } else { Ok(()) }
}

fn contains(cursor: &Cursor, wanted: &Cursor) -> bool {
    cursor.stream == wanted.stream && cursor.position.entries >= wanted.position.entries
}

/// Copies the rejected events, because the archive holds only accepted ones.
async fn keep_refused(client: &Client, schema: &str, beside: &str) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO \"{beside}\".rejected_events SELECT * FROM \"{schema}\".rejected_events ON CONFLICT DO NOTHING;
         INSERT INTO \"{beside}\".rejected_counts AS c SELECT * FROM \"{schema}\".rejected_counts
         ON CONFLICT (stream, hour, reason) DO UPDATE SET events = c.events + excluded.events, kept = c.kept + excluded.kept"
    );
    client.batch_execute(&sql).await.map_err(StoreError::statement("copy the rejected events"))
}

/// Renames the schemas in one transaction. A paused writer of the old tables is fenced: the term is higher afterwards.
async fn switch(client: &Client, schema: &str, beside: &str) -> Result<(), StoreError> {
    let sql = format!(
        "BEGIN;
         DROP SCHEMA IF EXISTS \"{schema}_before_rebuild\" CASCADE;
         ALTER SCHEMA \"{schema}\" RENAME TO \"{schema}_before_rebuild\";
         ALTER SCHEMA \"{beside}\" RENAME TO \"{schema}\";
         DO $$ BEGIN
             IF to_regclass('\"{schema}_before_rebuild\".tokens') IS NOT NULL THEN
                 INSERT INTO \"{schema}\".tokens SELECT * FROM \"{schema}_before_rebuild\".tokens;
             END IF;
         END $$;
         UPDATE \"{schema}\".pipeline SET term = term + (SELECT term FROM \"{schema}_before_rebuild\".pipeline);
         COMMIT"
    );
    client.batch_execute(&sql).await.map_err(StoreError::statement("put the new tables in place"))
}

//! `watchtower rebuild`: the tables computed anew from the log, and put in place of the old ones at once.
//!
//! After a change of what tables mean, old and new rows must not stand side by side. So a daemon reads the
//! log from its beginning into a schema beside the old one, up to the entry that the old tables contain;
//! then the schemas change names in one transaction. Readers see the old tables until then, and the new
//! ones afterwards.
//!
//! If Redis no longer has the whole log, the archive of the old tables is read instead: every accepted
//! position and edit with its arrival, which is what the tables are computed from. What was refused then
//! stays refused; what the new limits refuse besides is refused now.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::sleep;
use tokio_postgres::Client;

use crate::config::{Clock, Config};
use crate::daemon::{self, DaemonError, RebuildFrom};
use crate::plan;
use crate::sources::redis::admin::Admin;
use crate::sources::redis::{RedisError, Server, stream_keys};
use crate::store::StoredCursor;
use crate::store::postgres::claim;
use crate::store::postgres::{Database, StoreError};

/// How often it is looked whether the new tables have caught up.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The longest that nothing in Redis is removed for: nothing is, while the log is needed.
const KEEP_ALL_MS: i64 = 3650 * 86_400_000;

/// Why nothing was put in place.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The database does not answer, or a daemon runs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis does not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The new tables could not be computed.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The log is not whole any more.
    #[error(
        "{stream}: Redis holds {held} of the {needed} entries that the tables contain, the rest was trimmed; and the \
         archive is not whole, for [store] archive was false for a while. So the tables cannot be computed anew: put the \
         configuration back (see pipeline.plan), or begin a new pipeline"
    )]
    Trimmed {
        /// Which stream.
        stream: String,
        /// Entries that are there.
        held: u64,
        /// Entries that are needed.
        needed: u64,
    },
    /// It was interrupted.
    #[error("interrupted: the old tables are in place as they were")]
    Interrupted,
    /// The result cannot be told, or checkpoints cannot be moved.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Computes the tables anew and puts them in place, unless their plan is the configuration's already and
/// `force` is not set.
///
/// # Errors
/// If a daemon runs, the log is not whole, a server does not answer, or `interrupted` completes. The old
/// tables are in place then.
pub async fn rebuild(
    config: &Config,
    force: bool,
    interrupted: impl Future<Output = ()> + Send,
    out: &mut impl Write,
) -> Result<(), RebuildError> {
    let database = Database::new(&config.pipeline, &config.store)?;
    let client = database.connect().await?;
    if !claim::try_lock(&client, &database).await? {
        let owner = claim::owner(&client, &database).await?.map_or_else(String::new, |owner| owner.name);
        let text = format!("pipeline {} is being written by {owner}: stop it first", config.pipeline);
        return Err(StoreError::Setup(text).into());
    }
    let Some(stored) = claim::stored(&client, &database).await? else {
        let text =
            format!("there is no pipeline {} in schema {} yet: nothing to rebuild", database.pipeline, database.schema);
        return Err(StoreError::Setup(text).into());
    };
    let difference = plan::difference(&stored.plan, &plan::of(&config.limits, &config.rules));
    if difference.is_empty() && !force {
        writeln!(
            out,
            "the tables were computed under this very plan: nothing to rebuild (--force does it all the same)"
        )?;
        return Ok(());
    }
    let from = match the_log_is_whole(config, &stored.cursors).await {
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
    let beside = beside(config);
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
    remove_folder(&checkpoints(config))?;
    // A checkpoint is a cache: without it the first start takes longer.
    let _ = std::fs::rename(checkpoints(&beside), checkpoints(config));
    let old = format!("{}_before_rebuild", database.schema);
    match client.batch_execute(&format!("DROP SCHEMA \"{old}\" CASCADE")).await {
        Ok(()) => writeln!(out, "the new tables are in place; start the daemon")?,
        Err(_) => {
            writeln!(out, "the new tables are in place; the old ones are in schema {old}, being read: drop it later")?
        }
    }
    Ok(())
}

/// The same pipeline, with its tables beside, changing nothing in Redis.
fn beside(config: &Config) -> Config {
    let mut beside = config.clone();
    beside.store.schema = format!("{}_rebuild", config.store.schema);
    beside.store.migrate = true;
    beside.checkpoints.folder = config.checkpoints.folder.join("rebuild");
    beside.redis.log_keep_ms = KEEP_ALL_MS;
    beside.clock = Clock::Log;
    beside.http.listen.set_port(0);
    beside
}

fn checkpoints(config: &Config) -> PathBuf {
    config.checkpoints.folder.join(&config.pipeline)
}

fn remove_folder(folder: &PathBuf) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether Redis still has every entry that the tables contain.
async fn the_log_is_whole(config: &Config, cursors: &[StoredCursor]) -> Result<(), RebuildError> {
    let mut admin = Admin::connect(&Server::new(&config.redis)?).await?;
    for key in stream_keys(&config.pipeline, config.redis.streams) {
        let Some(cursor) = cursors.iter().find(|cursor| cursor.stream == key) else { continue };
        let info = admin.stream_info(&key).await?;
        let gone = info.added.saturating_sub(info.length).saturating_sub(cursor.skipped);
        let needed = cursor.entries - cursor.skipped;
        if gone > 0 || info.added < cursor.entries || cursor.rebased > 0 {
            return Err(RebuildError::Trimmed { stream: key, held: needed.saturating_sub(gone.max(1)), needed });
        }
    }
    Ok(())
}

/// Runs a daemon until its tables contain what the old ones do.
async fn compute(
    beside: &Config,
    wanted: &[StoredCursor],
    from: RebuildFrom,
    interrupted: impl Future<Output = ()> + Send,
) -> Result<(), RebuildError> {
    let database = Database::new(&beside.pipeline, &beside.store)?;
    let caught_up = async {
        let client = loop {
            sleep(LOOK_EVERY).await;
            if let Ok(client) = database.connect().await {
                break client;
            }
        };
        loop {
            // Until its schema is made, and whenever the database is away, there is nothing to see.
            if let Ok(Some(stored)) = claim::stored(&client, &database).await
                && wanted.iter().all(|wanted| stored.cursors.iter().any(|cursor| contains(cursor, wanted)))
            {
                return;
            }
            sleep(LOOK_EVERY).await;
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

fn contains(cursor: &StoredCursor, wanted: &StoredCursor) -> bool {
    cursor.stream == wanted.stream && cursor.entries >= wanted.entries
}

/// What was refused before stays so: the archive has only what was accepted.
async fn keep_refused(client: &Client, schema: &str, beside: &str) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO \"{beside}\".rejected_events SELECT * FROM \"{schema}\".rejected_events ON CONFLICT DO NOTHING;
         INSERT INTO \"{beside}\".rejected_counts AS c SELECT * FROM \"{schema}\".rejected_counts
         ON CONFLICT (stream, hour, reason) DO UPDATE SET events = c.events + excluded.events, kept = c.kept + excluded.kept"
    );
    client.batch_execute(&sql).await.map_err(StoreError::statement("keep what was refused"))
}

/// The one transaction: a writer of the old tables that was paused finds itself fenced in the new ones.
async fn switch(client: &Client, schema: &str, beside: &str) -> Result<(), StoreError> {
    let sql = format!(
        "BEGIN;
         DROP SCHEMA IF EXISTS \"{schema}_before_rebuild\" CASCADE;
         ALTER SCHEMA \"{schema}\" RENAME TO \"{schema}_before_rebuild\";
         ALTER SCHEMA \"{beside}\" RENAME TO \"{schema}\";
         UPDATE \"{schema}\".pipeline SET term = term + (SELECT term FROM \"{schema}_before_rebuild\".pipeline);
         COMMIT"
    );
    client.batch_execute(&sql).await.map_err(StoreError::statement("put the new tables in place"))
}

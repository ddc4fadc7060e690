//! `watchtower resume --accept-gap`: going on although entries of the log are lost.
//!
//! A daemon that finds entries missing writes nothing more. Whether the tables without them are worth more
//! than no tables is for people to decide; the decision becomes a commit of its own, with a note.

use watchtower_dataflows::model::{BEGINNING, Millis};

use crate::config::Config;
use crate::daemon::{Gap, Read, judge};
use crate::plan;
use crate::sources::redis::admin::Admin;
use crate::sources::redis::{EntryId, ProtocolError, Reader, RedisError, Server, stream_keys};
use crate::store::postgres::claim::{self, StoredCursor};
use crate::store::postgres::commit::{Commit, Writer};
use crate::store::postgres::{Database, StoreError};

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The database does not answer, or a daemon runs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis does not answer.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// What it sent is no reply.
    #[error("Redis: {0}")]
    Protocol(#[from] ProtocolError),
    /// There is no going on.
    #[error(
        "{0}. What is there now cannot be told from what was read, so there is nothing to go on with: restore Redis, or \
         begin a new pipeline"
    )]
    Another(Gap),
}

/// Takes the loss of what is missing between the tables and the streams. Returns what was lost, by stream;
/// nothing if nothing is.
///
/// # Errors
/// If a daemon runs, a server does not answer, or a stream is not the one that was read.
pub async fn accept_gap(config: &Config) -> Result<Vec<(String, u64)>, ResumeError> {
    let database = Database::new(&config.pipeline, &config.store)?;
    let server = Server::new(&config.redis)?;
    let mut client = database.connect().await?;
    if !claim::try_lock(&client, &database).await? {
        let owner = claim::owner(&client, &database).await?.map_or_else(String::new, |owner| owner.name);
        return Err(StoreError::Setup(format!(
            "pipeline {} is being written by {owner}: stop it first",
            config.pipeline
        ))
        .into());
    }
    let plan = plan::of(&config.limits, &config.rules);
    let claim = claim::claim(&mut client, &database, config.redis.streams, &plan, config.store.archive).await?;
    let now = claim::now(&client, &database).await?.unwrap_or(BEGINNING);
    let (lost, cursors) = losses(&server, &stream_keys(&config.pipeline, config.redis.streams), &claim.cursors).await?;
    if lost.is_empty() {
        return Ok(lost);
    }
    let told: Vec<String> = lost.iter().map(|(stream, entries)| format!("{entries} entries of {stream}")).collect();
    let note = format!("accepted the loss of {}", told.join(", "));
    let mut writer = Writer::new(database, client, &claim);
    writer.commit(&commit(cursors, now, note)).await?;
    writer.set_halted(None).await?;
    Ok(lost)
}

fn commit(cursors: Vec<StoredCursor>, now: Millis, note: String) -> Commit {
    Commit { cursors, now, note: Some(note), ..Commit::default() }
}

/// How much is missing of each stream, and the cursors that count it as given up.
async fn losses(
    server: &Server,
    keys: &[String],
    stored: &[StoredCursor],
) -> Result<(Vec<(String, u64)>, Vec<StoredCursor>), ResumeError> {
    let mut admin = Admin::connect(server).await?;
    let mut reader = Reader::connect(server).await?;
    let (mut lost, mut cursors) = (Vec::new(), Vec::new());
    for (stream, key) in keys.iter().enumerate() {
        let Some(cursor) = stored.iter().find(|cursor| cursor.stream == *key) else { continue };
        let at = Read::from(cursor);
        let (anchored, info) = admin.anchor(key, at.last).await?;
        if let Err(gap @ (Gap::Rewound { .. } | Gap::Unreplayable { .. })) = judge(key, at, at, anchored, info) {
            return Err(ResumeError::Another(gap));
        }
        let left = entries_after(&mut reader, keys, stream, at.last, info.last).await?;
        let missing = info.added.saturating_sub(cursor.entries).saturating_sub(left);
        if missing > 0 {
            lost.push((key.clone(), missing));
        }
        let (entries, skipped) = (cursor.entries + missing, cursor.skipped + missing);
        cursors.push(StoredCursor { entries, skipped, ..cursor.clone() });
    }
    Ok((lost, cursors))
}

/// How many entries the stream has in `(after, until]`.
async fn entries_after(
    reader: &mut Reader,
    keys: &[String],
    stream: usize,
    mut after: EntryId,
    until: EntryId,
) -> Result<u64, ResumeError> {
    let mut count = 0;
    while after < until {
        let reply = reader.range(keys, stream, after, until).await?;
        let before = after;
        let mut entries = reply.entries(keys)?;
        let mut fields = Vec::new();
        while let Some((_, id)) = entries.next(&mut fields)? {
            (after, count) = (id, count + 1);
        }
        if after == before {
            break; // the rest was deleted
        }
    }
    Ok(count)
}

//! `watchtower resume --accept-gap`: continues although entries of the log are lost.
//!
//! A daemon that finds entries missing writes nothing more. An operator decides whether tables without them are better
//! than none; the decision is a commit of its own, with a note.
//!
//! If another stream has taken the place of the one that was read, it is read from its beginning, because nothing shows
//! which of its entries are new. Only an older state of the same stream has our consumer group, at the tables' position
//! of that time: reading then continues from there. Entries that are read twice change no table, because a later event
//! with the same key and contents has no effect.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use std::fmt;
use watchtower_daemon as daemon;

use watchtower_model::{BEGINNING, Millis};

use watchtower_core::EntryId;
use watchtower_core::plan;
use watchtower_core::{Commit, Cursor, StreamPosition};
use watchtower_daemon::checkpoint::load_newest;
use watchtower_log::redis::admin::{Admin, StreamInfo};
use watchtower_log::redis::{Reader, RedisError, Server, from_where, stream_keys, unreplayable};
use watchtower_log::{Gap, Look, Proof, judge};
use watchtower_store::Claim;
use watchtower_store::postgres::claim;
use watchtower_store::postgres::commit::Writer;
use watchtower_store::postgres::{Database, StoreError};

use super::arguments::ConfigArgs;
use super::runtime;

/// Arguments of `resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The configuration of the pipeline.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Continue without the lost entries. The decision is recorded in commit_log
    #[arg(long, required = true)]
    pub accept_gap: bool,
}

/// Accepts the loss, and prints it.
///
/// # Errors
/// If a daemon runs, or the loss cannot be determined.
pub fn run(args: &ResumeArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let options = args.config.load()?;
    let accepted = runtime()?.block_on(accept_gap(&options))?;
    if accepted.is_empty() {
        writeln!(out, "nothing is lost: start the daemon")?;
    }
    for loss in accepted {
        writeln!(out, "{loss}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The loss could not be accepted.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The database cannot be used, or a daemon runs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Entries that the checkpoint needs are lost, too.
    #[error(
        "{0}. Without them the tables cannot be continued, so there is no loss to accept: restore Redis, or begin a new \
         pipeline"
    )]
    Unreplayable(Gap),
}

/// The accepted loss in one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Key of the stream.
    pub stream: String,
    /// Number of entries that were never read.
    pub lost: u64,
    /// If another stream had taken its place: the entry after which that is read, and the number of entries to read.
    pub rebased: Option<(EntryId, u64)>,
}

impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, lost, rebased } = self;
        write!(f, "{stream}: continues ")?;
        match rebased {
            Some((EntryId::ZERO, left)) => write!(f, "from the beginning of the present stream, {left} entries, ")?,
            Some((after, left)) => write!(f, "after {after}, where both streams are the same, with {left} entries, ")?,
            None => {}
        }
        write!(f, "without {lost} entries")
    }
}

/// Accepts the loss of the entries missing between the tables and the streams. Returns the losses by stream, empty if
/// no entry is lost.
///
/// # Errors
/// If a daemon runs, a server does not answer, or lost entries are needed to restore the state of the tables.
pub async fn accept_gap(options: &daemon::Options) -> Result<Vec<Accepted>, ResumeError> {
    let database = Database::new(&options.pipeline, &options.store)?;
    let server = Server::new(&options.redis)?;
    let mut client = database.connect().await?;
    if !claim::try_lock(&client, &database).await? {
        let owner = claim::owner(&client, &database).await?.map_or_else(String::new, |owner| owner.name);
        return Err(StoreError::Setup(format!(
            "pipeline {} is being written by {owner}: stop it first",
            options.pipeline
        ))
        .into());
    }
    let plan = plan::of(&options.limits, &options.rules);
    let claim = claim::claim(&mut client, &database, options.redis.streams, &plan, options.store.archive).await?;
    let now = claim::now(&client, &database).await?.unwrap_or(BEGINNING);
    let mut streams = Streams {
        keys: stream_keys(&options.pipeline, options.redis.streams),
        admin: Admin::connect(&server).await?,
        reader: Reader::connect(&server).await?,
    };
    let known = known(options, &claim, &plan, streams.keys.len());
    let (mut accepted, mut cursors) = (Vec::new(), Vec::new());
    for (stream, known) in known.into_iter().enumerate() {
        let Some(cursor) = claim.cursors.iter().find(|cursor| cursor.stream == streams.keys[stream]) else { continue };
        let (taken, cursor) = streams.take_loss(stream, cursor, known).await?;
        accepted.extend(taken);
        cursors.push(cursor);
    }
    if accepted.is_empty() {
        return Ok(accepted);
    }
    let losses: Vec<String> = accepted.iter().map(Accepted::to_string).collect();
    let mut writer = Writer::new(database, client, &claim);
    writer.commit(&commit(cursors, now, format!("accepted the loss: {}", losses.join("; ")))).await?;
    writer.set_halted(None).await?;
    Ok(accepted)
}

fn commit(cursors: Vec<Cursor>, now: Millis, note: String) -> Commit {
    Commit { cursors, now, note: Some(note), ..Commit::default() }
}

/// Position in each stream that the next start restores from a checkpoint.
fn known(options: &daemon::Options, claim: &Claim, plan: &str, streams: usize) -> Vec<StreamPosition> {
    let (loaded, _) = load_newest(&*daemon::folder(options, claim), &daemon::expected_tables(claim, plan.to_owned()));
    loaded.map_or_else(|| vec![StreamPosition::default(); streams], |loaded| daemon::known(&loaded.checkpoint.flow))
}

/// Access to the streams of the pipeline.
struct Streams {
    keys: Vec<String>,
    admin: Admin,
    reader: Reader,
}

impl Streams {
    /// The loss in a stream, if any, and the cursor that counts it as skipped.
    async fn take_loss(
        &mut self,
        stream: usize,
        cursor: &Cursor,
        known: StreamPosition,
    ) -> Result<(Option<Accepted>, Cursor), ResumeError> {
        let key = self.keys[stream].clone();
        let at = cursor.position;
        let (anchored, info) = self.admin.anchor(&key, at.last).await?;
        let mut look = Look { anchored, info, removed_then: None, left: None };
        let mut verdict = judge(&key, at, at, look);
        if verdict == Ok(Proof::Uncounted) {
            look.left = Some(self.reader.count(&self.keys, stream, at.last, info.last).await?);
            verdict = judge(&key, at, at, look);
        }
        match verdict {
            Ok(_) => {
                self.check_replay(stream, cursor, known).await?;
                Ok((None, cursor.clone()))
            }
            Err(Gap::Lost { lost, .. }) => {
                self.check_replay(stream, cursor, known).await?;
                let position = StreamPosition { entries: at.entries + lost, skipped: at.skipped + lost, ..at };
                let accepted = Accepted { stream: key, lost, rebased: None };
                Ok((Some(accepted), Cursor { position, ..cursor.clone() }))
            }
            Err(Gap::Rewound { .. } | Gap::Unreplayable { .. }) => {
                // Entries that the checkpoint does not contain were in the other stream.
                if known.contained() < at.contained() {
                    return Err(ResumeError::Unreplayable(unreplayable(&key, at, known, 0)));
                }
                let (accepted, cursor) = self.rebase(stream, cursor, info).await?;
                Ok((Some(accepted), cursor))
            }
        }
    }

    /// Checks that entries contained in the tables and not in the checkpoint can be read again.
    async fn check_replay(&mut self, stream: usize, cursor: &Cursor, known: StreamPosition) -> Result<(), ResumeError> {
        let at = cursor.position;
        let from = from_where(known, cursor);
        let wanted = at.contained().saturating_sub(known.contained());
        if wanted == 0 {
            return Ok(());
        }
        let found = self.reader.count(&self.keys, stream, from.last, at.last).await?;
        if found == wanted {
            return Ok(());
        }
        Err(ResumeError::Unreplayable(unreplayable(&self.keys[stream], at, known, found)))
    }

    /// The cursor for a stream that has taken the place of the one that was read.
    async fn rebase(
        &mut self,
        stream: usize,
        cursor: &Cursor,
        info: StreamInfo,
    ) -> Result<(Accepted, Cursor), ResumeError> {
        let key = self.keys[stream].clone();
        let at = cursor.position;
        let mut begin = (EntryId::ZERO, 0);
        if let Some((after, counted)) = self.admin.group_at(&key).await?
            && after < at.last
            && counted < at.counted()
            && self.admin.anchor(&key, after).await?.0
        {
            begin = (after, counted);
        }
        let mut left = self.reader.count(&self.keys, stream, begin.0, info.last).await?;
        if begin.1 + left > info.added {
            // The group was moved by another client.
            begin = (EntryId::ZERO, 0);
            left = self.reader.count(&self.keys, stream, EntryId::ZERO, info.last).await?;
        }
        let (after, counted) = begin;
        let lost = info.added.saturating_sub(counted + left);
        let cursor = Cursor {
            stream: key.clone(),
            position: StreamPosition {
                last: after,
                entries: at.entries + lost,
                skipped: at.skipped + lost,
                rebased: at.entries - counted,
            },
            rebased_after: after,
            now: cursor.now,
        };
        Ok((Accepted { stream: key, lost, rebased: Some((after, left)) }, cursor))
    }
}

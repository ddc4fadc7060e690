//! The loss of entries that no daemon will read, for an operator who accepts it.
//!
//! If another stream has taken the place of the one that was read, it is read from its beginning, because nothing shows
//! which of its entries are new. Only an older state of the same stream has our consumer group, at the tables' position
//! of that time: reading then continues from there. Entries that are read twice change no table, because a later event
//! with the same key and contents has no effect.

use std::fmt;

use watchtower_core::{Cursor, EntryId, StreamPosition};

use crate::redis::admin::{Admin, StreamInfo};
use crate::redis::{self, Reader, RedisError, Server, from_where, stream_keys, unreplayable};
use crate::{Gap, Look, Options, Proof, judge};

/// The losses cannot be accepted.
#[derive(Debug, thiserror::Error)]
pub enum LossError {
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

/// The cursors with which a daemon continues without the entries that are missing between the tables (`stored`) and the
/// streams, and the loss in each stream that has one. `known` are the positions in the streams that the next start
/// restores from a checkpoint, in the order of the streams. A file loses none: log and tables are one.
///
/// # Errors
/// If Redis does not answer, or lost entries are needed to restore the state of the tables.
pub async fn losses(
    log: &Options,
    stored: &[Cursor],
    known: &[StreamPosition],
) -> Result<(Vec<Cursor>, Vec<Accepted>), LossError> {
    match log {
        Options::Redis { pipeline, redis, .. } => of_streams(pipeline, redis, stored, known).await,
        Options::File { .. } => Ok((stored.to_vec(), Vec::new())),
    }
}

async fn of_streams(
    pipeline: &str,
    options: &redis::Options,
    stored: &[Cursor],
    known: &[StreamPosition],
) -> Result<(Vec<Cursor>, Vec<Accepted>), LossError> {
    let server = Server::new(options)?;
    let mut streams = Streams {
        keys: stream_keys(pipeline, options.streams),
        admin: Admin::connect(&server).await?,
        reader: Reader::connect(&server).await?,
    };
    let (mut accepted, mut cursors) = (Vec::new(), Vec::new());
    for (stream, known) in known.iter().enumerate() {
        let Some(cursor) = stored.iter().find(|cursor| cursor.stream == streams.keys[stream]) else { continue };
        let (taken, cursor) = streams.take_loss(stream, cursor, *known).await?;
        accepted.extend(taken);
        cursors.push(cursor);
    }
    Ok((cursors, accepted))
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
    ) -> Result<(Option<Accepted>, Cursor), LossError> {
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
                    return Err(LossError::Unreplayable(unreplayable(&key, at, known, 0)));
                }
                let (accepted, cursor) = self.rebase(stream, cursor, info).await?;
                Ok((Some(accepted), cursor))
            }
        }
    }

    /// Checks that entries contained in the tables and not in the checkpoint can be read again.
    async fn check_replay(&mut self, stream: usize, cursor: &Cursor, known: StreamPosition) -> Result<(), LossError> {
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
        Err(LossError::Unreplayable(unreplayable(&self.keys[stream], at, known, found)))
    }

    /// The cursor for a stream that has taken the place of the one that was read.
    async fn rebase(
        &mut self,
        stream: usize,
        cursor: &Cursor,
        info: StreamInfo,
    ) -> Result<(Accepted, Cursor), LossError> {
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

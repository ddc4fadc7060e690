//! The task that reads the log: what the tables contain and memory does not, then whatever comes.
//!
//! Redis does not say when entries have gone: whoever reads on behind a trimmed stream simply gets what
//! is left. So after every read the entry before the first that came must still be there, or else as many
//! must have been added as were read and are left; and at the end of a stream as many must have been added
//! as were read. What has come is passed on only after that.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::DaemonError;
use super::backoff::Backoff;
use super::intake::Input;
use crate::sources::redis::admin::{Admin, StreamInfo};
use crate::sources::redis::{EntryId, Reader, RedisError, Reply, Server};
use crate::store::postgres::claim::StoredCursor;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{self, Dependency};

/// Replies that are read ahead of the intake.
pub const MAX_REPLIES_AHEAD: usize = 2;
/// How long Redis waits for the next entry before it says that there is none.
const BLOCK: Duration = Duration::from_secs(5);
/// How often the progress of a long replay is said.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Where a stream has been read up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Its last entry.
    pub last: EntryId,
    /// How many were read.
    pub contained: u64,
    /// How many more were added by then: gone when the pipeline began, or given up since.
    pub skipped: u64,
}

impl Read {
    /// How many were added by then.
    fn entries(&self) -> u64 {
        self.contained + self.skipped
    }
}

impl From<&StoredCursor> for Read {
    fn from(cursor: &StoredCursor) -> Self {
        let last = cursor.last_id.parse().unwrap_or(EntryId::ZERO);
        Self { last, contained: cursor.entries - cursor.skipped, skipped: cursor.skipped }
    }
}

/// Entries that the log no longer has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Gap {
    /// They were trimmed or deleted before they were read.
    #[error(
        "{stream}: {lost} entries after {last} are lost: they were trimmed or deleted before they were read. Read were \
         {entries}, ever added {added}"
    )]
    Lost {
        /// Which stream.
        stream: String,
        /// How many.
        lost: u64,
        /// The last entry that was read before them.
        last: String,
        /// Entries up to there.
        entries: u64,
        /// Entries ever added.
        added: u64,
    },
    /// What the tables contain was trimmed or deleted, and memory does not have it either.
    #[error(
        "{stream}: the tables contain {needed} entries up to {last}, and Redis no longer holds {lost} of those that are \
         needed to go on from there: it was trimmed, flushed or restored from an older state"
    )]
    Unreplayable {
        /// Which stream.
        stream: String,
        /// Entries that the tables contain.
        needed: u64,
        /// The last of them.
        last: String,
        /// How many are missing.
        lost: u64,
    },
    /// The stream is another one, or an older state of it.
    #[error(
        "{stream}: it is not the stream that was read: {entries} entries were read up to {last}, but only {added} were \
         ever added up to {newest}, so {lost} are lost. It was deleted, flushed, restored from an older state, or is on \
         a replica that was behind"
    )]
    Rewound {
        /// Which stream.
        stream: String,
        /// Entries that were read.
        entries: u64,
        /// The last of them.
        last: String,
        /// Entries ever added to what is there now.
        added: u64,
        /// The last of those.
        newest: String,
        /// How many are missing at least.
        lost: u64,
    },
}

/// How the reader is connected.
#[derive(Debug)]
pub struct LogReader {
    /// Where the streams are.
    pub server: Server,
    /// Their keys.
    pub keys: Vec<String>,
    /// What memory contains of each.
    pub known: Vec<Read>,
    /// What the tables contain of each.
    pub stored: Vec<StoredCursor>,
    /// To the intake.
    pub input: Sender<Input>,
    /// How many replies may wait there.
    pub ahead: Arc<Semaphore>,
    /// Where it says what it does.
    pub health: Health,
    /// Where it says that it does nothing any more.
    pub halted: watch::Sender<Option<String>>,
}

impl LogReader {
    /// Reads for ever, or until entries are found to be lost: then nothing more is sent.
    ///
    /// # Errors
    /// If Redis refuses for good, or no longer holds what is needed to go on from the tables.
    pub async fn run(self) -> Result<(), DaemonError> {
        let mut at = self.known.clone();
        let mut caught_up = false;
        let mut backoff = Backoff::default();
        loop {
            let failed = match self.connected(&mut at, &mut caught_up, &mut backoff).await {
                Ok(()) => return Ok(()),
                Err(DaemonError::Gap(gap)) if caught_up => {
                    self.halted.send_replace(Some(gap.to_string()));
                    return Ok(());
                }
                Err(DaemonError::Redis(error)) if error.is_transient() => error,
                Err(error) => return Err(error),
            };
            warn!(error = %failed, "Redis is gone: connecting again");
            self.health.set_away(Dependency::Redis, format!("Redis is away: {failed}"));
            metrics::reconnects(Dependency::Redis, 1);
            sleep(backoff.next()).await;
        }
    }

    async fn connected(&self, at: &mut [Read], caught_up: &mut bool, backoff: &mut Backoff) -> Result<(), DaemonError> {
        let mut admin = Admin::connect(&self.server).await?;
        let mut reader = Reader::connect(&self.server).await?;
        if !*caught_up {
            self.replay(&mut reader, at).await?;
            *caught_up = true;
            self.say(Input::CaughtUp(self.stored.clone()));
        }
        for (key, at) in self.keys.iter().zip(at.iter()) {
            prove(key, *at, *at, &mut admin).await?;
        }
        self.health.set_back(Dependency::Redis);
        self.health.set_ready();
        loop {
            let after: Vec<EntryId> = at.iter().map(|read| read.last).collect();
            let reply = reader.read(&self.keys, &after, BLOCK).await?;
            *backoff = Backoff::default();
            if reply.is_empty() {
                continue;
            }
            let before = at.to_vec();
            self.advance(&reply, at)?;
            for ((key, before), at) in self.keys.iter().zip(before).zip(at.iter()) {
                if before != *at {
                    prove(key, before, *at, &mut admin).await?;
                }
            }
            if !self.send(reply).await {
                return Ok(());
            }
        }
    }

    /// Reads what the tables contain and memory does not: the engine has to know it, and nothing of it is
    /// written again.
    async fn replay(&self, reader: &mut Reader, at: &mut [Read]) -> Result<(), DaemonError> {
        let stored: Vec<Read> = self.stored.iter().map(Read::from).collect();
        let behind = |at: &[Read]| -> u64 {
            stored.iter().zip(at).map(|(stored, at)| stored.contained.saturating_sub(at.contained)).sum()
        };
        let total = behind(at);
        if total > 0 {
            info!(entries = total, "reading again what the tables contain");
        }
        let mut said = Instant::now();
        // The stream that is furthest behind in time goes next, so that the log's clock moves on evenly.
        while let Some(stream) = (0..at.len()).filter(|&i| at[i].last < stored[i].last).min_by_key(|&i| at[i].last) {
            let left = behind(at);
            self.health.set_starting(format!("reading again what the tables contain: {left} of {total} entries left"));
            let reply = reader.range(&self.keys, stream, at[stream].last, stored[stream].last).await?;
            let before = at[stream];
            self.advance(&reply, at)?;
            if at[stream] == before {
                break; // there is nothing more, and less than there should be
            }
            if !self.send(reply).await {
                return Ok(());
            }
            if said.elapsed() > SAY_EVERY {
                said = Instant::now();
                info!(entries = left, of = total, "still to be read again");
            }
        }
        for ((key, at), stored) in self.keys.iter().zip(at.iter_mut()).zip(&stored) {
            if (at.last, at.contained) != (stored.last, stored.contained) {
                return Err(Gap::Unreplayable {
                    stream: key.clone(),
                    needed: stored.contained,
                    last: stored.last.to_string(),
                    lost: stored.contained.saturating_sub(at.contained),
                }
                .into());
            }
            at.skipped = stored.skipped; // what was given up meanwhile
        }
        if total > 0 {
            info!(entries = total, "caught up with the tables");
        }
        Ok(())
    }

    fn advance(&self, reply: &Reply, at: &mut [Read]) -> Result<(), DaemonError> {
        let mut entries = reply.entries(&self.keys)?;
        let mut fields = Vec::new();
        while let Some((stream, id)) = entries.next(&mut fields)? {
            at[stream] = Read { last: id, contained: at[stream].contained + 1, ..at[stream] };
        }
        Ok(())
    }

    /// Waits until there is room. False if nobody takes it any more.
    async fn send(&self, reply: Reply) -> bool {
        let permit = Arc::clone(&self.ahead).acquire_owned().await.expect("the semaphore is never closed");
        self.say(Input::Entries(reply, permit))
    }

    fn say(&self, input: Input) -> bool {
        self.input.send(input).is_ok()
    }
}

/// Makes sure that nothing was lost between `before` and `at`, two places of one stream.
async fn prove(key: &str, before: Read, at: Read, admin: &mut Admin) -> Result<(), DaemonError> {
    let (anchored, info) = admin.anchor(key, before.last).await?;
    judge(key, before, at, anchored, info)?;
    Ok(())
}

/// Whether the stream's own account agrees with ours. `anchored`: the entry at `before` is still there.
pub fn judge(key: &str, before: Read, at: Read, anchored: bool, info: StreamInfo) -> Result<(), Gap> {
    let StreamInfo { length, added, first, last } = info;
    let stream = key.to_owned();
    if added < at.entries() || last < at.last {
        let lost = at.entries().saturating_sub(added).max(1);
        let (last, newest) = (at.last.to_string(), last.to_string());
        return Err(Gap::Rewound { stream, entries: at.entries(), last, added, newest, lost });
    }
    if before.last != EntryId::ZERO && !anchored {
        // Everything that is left came after `before`; what was added since and is not left is lost.
        let lost = added.saturating_sub(before.entries()).saturating_sub(length);
        if lost > 0 {
            let (last, entries) = (before.last.to_string(), before.entries());
            return Err(Gap::Lost { stream, lost, last, entries, added });
        }
        if length > 0 && first < before.last {
            let (last, newest) = (before.last.to_string(), last.to_string());
            return Err(Gap::Rewound { stream, entries: before.entries(), last, added, newest, lost: 1 });
        }
    }
    if last == at.last && added > at.entries() {
        let lost = added - at.entries();
        return Err(Gap::Lost { stream, lost, last: before.last.to_string(), entries: at.entries(), added });
    }
    Ok(())
}

/// Connects to Redis, however long it takes for it to be there.
///
/// # Errors
/// If it refuses for good.
pub async fn wait_for_redis(server: &Server, health: &Health) -> Result<Admin, RedisError> {
    let mut backoff = Backoff::default();
    let mut said = false;
    loop {
        match Admin::connect(server).await {
            Ok(admin) => return Ok(admin),
            Err(error) if error.is_transient() => {
                if !said {
                    warn!(%error, "waiting for Redis");
                    health.set_starting(format!("waiting for Redis: {error}"));
                    said = true;
                }
                sleep(backoff.next()).await;
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ms: u64) -> EntryId {
        EntryId { ms, seq: 0 }
    }

    fn read(ms: u64, entries: u64) -> Read {
        Read { last: id(ms), contained: entries, skipped: 0 }
    }

    fn info(length: u64, added: u64, first: u64, last: u64) -> StreamInfo {
        StreamInfo { length, added, first: id(first), last: id(last) }
    }

    /// How many entries are said to be lost between the second and the fourth of a stream, or -1 if it is
    /// said to be another stream.
    fn lost(anchored: bool, info: StreamInfo) -> i64 {
        match judge("s", read(2, 2), read(4, 4), anchored, info) {
            Ok(()) => 0,
            Err(Gap::Lost { lost, .. } | Gap::Unreplayable { lost, .. }) => lost as i64,
            Err(Gap::Rewound { .. }) => -1,
        }
    }

    #[test]
    fn what_is_lost_is_counted() {
        assert_eq!(lost(true, info(4, 4, 1, 4)), 0);
        assert_eq!(lost(true, info(9, 9, 1, 9)), 0, "there is more");
        assert_eq!(lost(false, info(2, 4, 3, 4)), 0, "what was read was trimmed, and nothing else");
        assert_eq!(lost(false, info(2, 7, 6, 7)), 3, "2 + 2 of 7");
        assert_eq!(lost(true, info(4, 5, 1, 4)), 1, "one was deleted amid those that came");
        assert_eq!(lost(true, info(3, 3, 1, 3)), -1, "an older state");
        assert_eq!(lost(false, info(2, 2, 8, 9)), -1, "another stream");
        assert_eq!(lost(false, info(0, 0, 0, 0)), -1, "none");
    }
}

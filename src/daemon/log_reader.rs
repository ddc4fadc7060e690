//! The task that reads the log: from the beginning up to the tables' cursors, then whatever comes.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::{info, warn};

use super::DaemonError;
use super::backoff::Backoff;
use super::intake::Input;
use crate::sources::redis::admin::Admin;
use crate::sources::redis::{EntryId, Reader, RedisError, Reply, Server};

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
    /// How many there were.
    pub entries: u64,
}

/// How the reader is connected.
#[derive(Debug)]
pub struct LogReader {
    /// Where the streams are.
    pub server: Server,
    /// Their keys.
    pub keys: Vec<String>,
    /// What the tables contain of each.
    pub stored: Vec<Read>,
    /// To the intake.
    pub input: Sender<Input>,
    /// How many replies may wait there.
    pub ahead: Arc<Semaphore>,
}

impl LogReader {
    /// Reads for ever.
    ///
    /// # Errors
    /// If Redis refuses for good, or no longer holds what is needed.
    pub async fn run(self) -> Result<(), DaemonError> {
        let mut at = vec![Read::default(); self.keys.len()];
        let mut backoff = Backoff::default();
        loop {
            let failed = match self.connected(&mut at, &mut backoff).await {
                Ok(()) => return Ok(()),
                Err(DaemonError::Redis(error)) if error.is_transient() => error,
                Err(error) => return Err(error),
            };
            warn!(error = %failed, "Redis is gone: connecting again");
            sleep(backoff.next()).await;
        }
    }

    async fn connected(&self, at: &mut [Read], backoff: &mut Backoff) -> Result<(), DaemonError> {
        let mut admin = Admin::connect(&self.server).await?;
        self.prove_nothing_is_lost(&mut admin, at).await?;
        let mut reader = Reader::connect(&self.server).await?;
        if at != self.stored && at.iter().zip(&self.stored).any(|(at, stored)| at.entries < stored.entries) {
            self.replay(&mut reader, at).await?;
        }
        loop {
            let after: Vec<EntryId> = at.iter().map(|read| read.last).collect();
            let reply = reader.read(&self.keys, &after, BLOCK).await?;
            *backoff = Backoff::default();
            if reply.is_empty() {
                continue;
            }
            self.advance(&reply, at)?;
            if !self.send(reply).await {
                return Ok(());
            }
        }
    }

    /// Reads what the tables contain: the engine has to know it, and nothing of it is written again.
    async fn replay(&self, reader: &mut Reader, at: &mut [Read]) -> Result<(), DaemonError> {
        let total: u64 = self.stored.iter().map(|read| read.entries).sum();
        info!(entries = total, "reading again what the tables contain");
        let mut said = tokio::time::Instant::now();
        // The stream that is furthest behind in time goes next, so that the log's clock moves on evenly.
        while let Some(stream) = (0..at.len()).filter(|&i| at[i].last < self.stored[i].last).min_by_key(|&i| at[i].last)
        {
            let until = self.stored[stream].last;
            let reply = reader.range(&self.keys, stream, at[stream].last, until).await?;
            let before = at[stream];
            self.advance(&reply, at)?;
            if at[stream] == before {
                break; // there is nothing more, and less than there should be
            }
            if !self.send(reply).await {
                return Ok(());
            }
            if said.elapsed() > SAY_EVERY {
                said = tokio::time::Instant::now();
                let entries: u64 = at.iter().map(|read| read.entries).sum();
                info!(entries, of = total, "reading again what the tables contain");
            }
        }
        for ((key, at), stored) in self.keys.iter().zip(at.iter()).zip(&self.stored) {
            if at != stored {
                return Err(DaemonError::LogLost {
                    stream: key.clone(),
                    needed: stored.entries,
                    last: stored.last.to_string(),
                    held: at.entries,
                });
            }
        }
        info!(entries = total, "caught up with the tables");
        self.say(Input::CaughtUp);
        Ok(())
    }

    /// The last entry that was read of each stream must still be there: else the log is another one.
    async fn prove_nothing_is_lost(&self, admin: &mut Admin, at: &[Read]) -> Result<(), DaemonError> {
        for ((key, at), stored) in self.keys.iter().zip(at).zip(&self.stored) {
            let read = if at.entries > stored.entries { at } else { stored };
            if read.entries > 0 && !admin.holds(key, read.last).await? {
                let info = admin.stream_info(key).await?;
                return Err(DaemonError::LogLost {
                    stream: key.clone(),
                    needed: read.entries,
                    last: read.last.to_string(),
                    held: info.length,
                });
            }
        }
        Ok(())
    }

    fn advance(&self, reply: &Reply, at: &mut [Read]) -> Result<(), DaemonError> {
        let mut entries = reply.entries(&self.keys)?;
        let mut fields = Vec::new();
        while let Some((stream, id)) = entries.next(&mut fields)? {
            at[stream] = Read { last: id, entries: at[stream].entries + 1 };
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

/// Connects to Redis, however long it takes for it to be there.
///
/// # Errors
/// If it refuses for good.
pub async fn wait_for_redis(server: &Server) -> Result<Admin, RedisError> {
    let mut backoff = Backoff::default();
    let mut said = false;
    loop {
        match Admin::connect(server).await {
            Ok(admin) => return Ok(admin),
            Err(error) if error.is_transient() => {
                if !said {
                    warn!(%error, "waiting for Redis");
                    said = true;
                }
                sleep(backoff.next()).await;
            }
            Err(error) => return Err(error),
        }
    }
}

//! The task that reads the log: what the tables contain and memory does not, then whatever comes.
//!
//! Redis does not say when entries have gone: whoever reads on behind a trimmed stream simply gets what
//! is left. So every read is followed by a look at the streams it moved, and all streams are looked at
//! every few seconds; [`super::gap`] says what such a look proves. What has come is passed on only after that.
//!
//! What is found, and with which numbers:
//!
//! | what happened to entries that were not read | what is said |
//! |---|---|
//! | trimmed or deleted, however many, whereever | how many, exactly; nothing after the last entry before is written, though the first that is missing may be further on |
//! | their stream was deleted or flushed | that it is another stream now. How many went unread is unknown: nobody counts in a stream that is gone |
//! | their master failed before its replica had them, and we had read some | that the stream is an older state, and how many of those that we read it lacks at least |
//! | the same, and we had read none of them | nothing: no trace of them is left anywhere. Producers that cannot bear that use WAIT, or `min-replicas-to-write` |
//! | XSETID made Redis forget how many there were | too many or too few of it, or another stream: the count was all we had |
//!
//! Entries that *were* read may go in any way; they are only missed if the tables contain them and the newest
//! checkpoint does not.

use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::DaemonError;
use super::backoff::Backoff;
use super::budget::Budget;
use super::intake::{Arrived, Input};
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{self, Dependency};
use watchtower_core::Cursor;
use watchtower_core::EntryId;
use watchtower_core::StreamPosition;
use watchtower_log::redis::admin::Admin;
use watchtower_log::redis::{ProtocolError, Reader, RedisError, Reply, Server, StreamEntries};
use watchtower_log::{Gap, Look, Proof, judge};

/// How long Redis waits for the next entry before it says that there is none.
const BLOCK: Duration = Duration::from_secs(5);
/// Reads are this far apart, however often something is appended: a read, the look that goes with it and the epoch
/// that comes of it cost the same whatever is in them.
const READ_EVERY: Duration = Duration::from_millis(2);
/// All streams are looked at this often: those that are quiet may be gone.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often the progress of a long replay is said.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// How the reader is connected.
#[derive(Debug)]
pub struct LogReader {
    /// Where the streams are.
    pub server: Server,
    /// Keys of the streams in Redis, the control stream last.
    pub keys: Vec<String>,
    /// What memory contains of each.
    pub known: Vec<StreamPosition>,
    /// What the tables contain of each.
    pub stored: Vec<Cursor>,
    /// Channel to the intake.
    pub input: Sender<Input>,
    /// How much may be on its way.
    pub budget: Budget,
    /// Where it says what it does.
    pub health: Health,
    /// Where it says that it does nothing any more.
    pub halted: watch::Sender<Option<String>>,
}

/// Two connections to one server.
struct Session<'a> {
    keys: &'a [String],
    admin: Admin,
    reader: Reader,
    /// By stream, how many entries had been removed when nothing was lost.
    removed: Vec<Option<u64>>,
}

impl LogReader {
    /// Reads for ever, or until entries are found to be lost: then nothing more is sent.
    ///
    /// # Errors
    /// If Redis refuses for good, or no longer holds what is needed to go on from the tables.
    pub async fn run(self) -> Result<(), DaemonError> {
        let stored = self.stored.iter();
        let mut at: Vec<StreamPosition> =
            self.known.iter().zip(stored).map(|(known, to)| from_where(*known, to)).collect();
        let mut caught_up = false;
        let mut backoff = Backoff::default();
        self.keys.iter().for_each(|key| metrics::set_lost(key, 0));
        loop {
            let failed = match self.connected(&mut at, &mut caught_up, &mut backoff).await {
                Ok(()) => return Ok(()),
                Err(DaemonError::Gap(gap)) => {
                    let (stream, lost) = gap.lost();
                    metrics::set_lost(stream, lost);
                    self.halted.send_replace(Some(gap.to_string()));
                    return if caught_up { Ok(()) } else { Err(gap.into()) };
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

    /// `at` moves with what was sent, never with what was only read.
    async fn connected(
        &self,
        at: &mut [StreamPosition],
        caught_up: &mut bool,
        backoff: &mut Backoff,
    ) -> Result<(), DaemonError> {
        let mut session = Session::connect(&self.server, &self.keys).await?;
        if !*caught_up {
            self.replay(&mut session.reader, at).await?;
            *caught_up = true;
            self.say(Input::CaughtUp(self.stored.clone()));
        }
        session.prove(at, at).await?;
        self.health.set_back(Dependency::Redis);
        self.health.set_ready();
        let (mut looked, mut next) = (Instant::now(), Instant::now());
        loop {
            sleep_until(next).await;
            next = Instant::now() + READ_EVERY;
            let after: Vec<EntryId> = at.iter().map(|read| read.last).collect();
            let reply = session.reader.read(&self.keys, &after, BLOCK).await?;
            if looked.elapsed() >= LOOK_EVERY {
                session.prove(at, at).await?;
                looked = Instant::now();
            }
            if reply.is_empty() {
                *backoff = Backoff::default();
                continue;
            }
            let then = advanced(&reply, &self.keys, at)?;
            if let Err(error) = session.prove(at, &then).await {
                // It may have come from a server that is no longer the one we look at.
                let DaemonError::Gap(gap) = error else { return Err(error) };
                session.prove(at, at).await?;
                warn!(%gap, "what was read is not what is there: it is read again");
                sleep(backoff.next()).await;
                continue;
            }
            *backoff = Backoff::default();
            if !self.send(reply).await {
                return Ok(());
            }
            at.copy_from_slice(&then);
        }
    }

    /// Reads what the tables contain and memory does not: the engine has to know it, and nothing of it is
    /// written again.
    async fn replay(&self, reader: &mut Reader, at: &mut [StreamPosition]) -> Result<(), DaemonError> {
        let stored: Vec<StreamPosition> = self.stored.iter().map(|cursor| cursor.position).collect();
        let behind = |at: &[StreamPosition]| -> u64 {
            stored.iter().zip(at).map(|(stored, at)| stored.contained().saturating_sub(at.contained())).sum()
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
            let then = advanced(&reply, &self.keys, at)?;
            if then == at {
                break; // there is nothing more, and less than there should be
            }
            if !self.send(reply).await {
                return Ok(());
            }
            at.copy_from_slice(&then);
            if said.elapsed() > SAY_EVERY {
                said = Instant::now();
                info!(entries = left, of = total, "still to be read again");
            }
        }
        for (i, (at, stored)) in at.iter_mut().zip(&stored).enumerate() {
            if at.last != stored.last || at.contained() != stored.contained() {
                let found = at.contained() - self.known[i].contained();
                return Err(unreplayable(&self.keys[i], *stored, self.known[i], found).into());
            }
            *at = *stored;
        }
        if total > 0 {
            info!(entries = total, "caught up with the tables");
        }
        Ok(())
    }

    /// Waits until there is room. False if nobody takes it any more.
    async fn send(&self, reply: Reply) -> bool {
        let (held, ahead) = self.budget.take(reply.len()).await;
        self.say(Input::Entries(Arrived::Redis(reply), held, ahead))
    }

    fn say(&self, input: Input) -> bool {
        self.input.send(input).is_ok()
    }
}

impl<'a> Session<'a> {
    async fn connect(server: &Server, keys: &'a [String]) -> Result<Self, RedisError> {
        let (admin, reader) = (Admin::connect(server).await?, Reader::connect(server).await?);
        Ok(Self { keys, admin, reader, removed: vec![None; keys.len()] })
    }

    /// Makes sure that nothing was lost between `before` and `at`, two places of each stream: of all, if they
    /// are the same places, else of those that moved.
    async fn prove(&mut self, before: &[StreamPosition], at: &[StreamPosition]) -> Result<(), DaemonError> {
        let all = before == at;
        for (stream, (before, at)) in before.iter().zip(at).enumerate() {
            if all || before != at {
                self.prove_stream(stream, *before, *at).await?;
            }
        }
        Ok(())
    }

    async fn prove_stream(
        &mut self,
        stream: usize,
        before: StreamPosition,
        at: StreamPosition,
    ) -> Result<(), DaemonError> {
        let key = &self.keys[stream];
        let (anchored, info) = self.admin.anchor(key, before.last).await?;
        let mut look = Look { anchored, info, removed_then: self.removed[stream], left: None };
        if judge(key, before, at, look)? == Proof::Uncounted {
            look.left = Some(self.reader.count(self.keys, stream, at.last, info.last).await?);
            judge(key, before, at, look)?;
        }
        self.removed[stream] = Some(info.removed());
        Ok(())
    }
}

/// The places after a reply that was read from `at`.
fn advanced(reply: &Reply, keys: &[String], at: &[StreamPosition]) -> Result<Vec<StreamPosition>, ProtocolError> {
    let mut at = at.to_vec();
    for StreamEntries { stream, entries, last } in reply.streams(keys)? {
        at[stream] = StreamPosition { last, entries: at[stream].entries + entries, ..at[stream] };
    }
    Ok(at)
}

/// Where to read on from what is known, up to what is stored: if another stream has taken the place of the
/// one it is known of, from where that was begun.
pub fn from_where(known: StreamPosition, stored: &Cursor) -> StreamPosition {
    let rebased = stored.position.rebased;
    if known.rebased == rebased {
        return known;
    }
    StreamPosition { last: stored.rebased_after, rebased, ..known }
}

/// That what is known and what is there do not come to what is stored.
pub fn unreplayable(key: &str, stored: StreamPosition, known: StreamPosition, found: u64) -> Gap {
    let wanted = stored.contained().saturating_sub(known.contained());
    Gap::Unreplayable {
        stream: key.to_owned(),
        needed: stored.contained(),
        last: stored.last.to_string(),
        wanted,
        found,
    }
}

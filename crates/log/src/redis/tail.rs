//! Reading all streams of a pipeline from cursors on, with proof that no entry was lost.
//!
//! Redis does not report that entries were removed: a read after a trimmed stream returns what is left. So every read
//! is followed by a look at the streams that it advanced, and all streams are looked at every few seconds; [`crate::gap`]
//! defines what such a look proves. Entries are returned only after that.
//!
//! | what happened to entries that were not read | what is reported |
//! |---|---|
//! | trimmed or deleted, any number, anywhere | their exact number; no entry after the last one before is returned, though the first missing one may be further on |
//! | their stream was deleted or flushed | that it is another stream now. The number of unread entries is unknown: their count is gone with the stream |
//! | their master failed before its replica had them, and some had been read | that the stream is an older state, and how many of the read entries it lacks at least |
//! | the same, and none had been read | nothing: no trace of them is left. Producers that cannot accept that use WAIT, or `min-replicas-to-write` |
//! | XSETID changed the number of entries ever added | too many or too few lost entries, or another stream: that number was the only evidence |
//!
//! Entries that *were* read may be removed in any way; they are missed only if the tables contain them and the newest
//! checkpoint does not.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use watchtower_core::{Cursor, EntryId, StreamPosition};

use super::admin::Admin;
use super::{ProtocolError, Reader, RedisError, Reply, Server, StreamEntries};
use crate::error::ReadError;
use crate::{Entries, Gap, Look, Proof, Step, judge};

/// How long Redis waits for the next entry before it replies that there is none.
const BLOCK: Duration = Duration::from_secs(5);
/// Interval between reads, however often entries are appended: a read, its look and the epoch cut from it cost the same
/// whatever they hold.
const READ_EVERY: Duration = Duration::from_millis(2);
/// Interval between looks at all streams: quiet ones may have been removed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The reader of a pipeline's streams, with its positions.
#[derive(Debug)]
pub struct Tail {
    server: Server,
    /// Keys of the streams, the control stream last.
    keys: Vec<String>,
    /// Position in each stream that memory contained at first.
    known: Vec<StreamPosition>,
    /// Position in each stream that the tables contain.
    stored: Vec<StreamPosition>,
    /// Position after the entries that were returned; never after those that were only read.
    at: Vec<StreamPosition>,
    is_caught_up: bool,
    session: Option<Session>,
}

/// Two connections to one server.
#[derive(Debug)]
struct Session {
    admin: Admin,
    reader: Reader,
    /// By stream, the number of removed entries when none was lost.
    removed: Vec<Option<u64>>,
    is_following: bool,
    looked_at: Instant,
    next_read_at: Instant,
}

impl Tail {
    /// Continues after what memory contains; the tables contain the streams up to `stored`.
    pub fn new(server: Server, keys: Vec<String>, known: Vec<StreamPosition>, stored: &[Cursor]) -> Self {
        let at = known.iter().zip(stored).map(|(known, to)| from_where(*known, to)).collect();
        let stored = stored.iter().map(|cursor| cursor.position).collect();
        Self { server, keys, known, stored, at, is_caught_up: false, session: None }
    }

    /// Number of entries that the tables contain and that are still to be returned.
    pub fn behind(&self) -> u64 {
        let behind =
            |(stored, at): (&StreamPosition, &StreamPosition)| stored.contained().saturating_sub(at.contained());
        self.stored.iter().zip(&self.at).map(behind).sum()
    }

    /// See [`crate::Tail::next`].
    ///
    /// # Errors
    /// If Redis cannot be used, entries are lost, or what is needed to continue from the tables is gone.
    pub async fn next(&mut self) -> Result<Step, ReadError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => Session::connect(&self.server, self.keys.len()).await?,
        };
        let step = self.step(&mut session).await?; // an error drops the session
        self.session = Some(session);
        Ok(step)
    }

    async fn step(&mut self, session: &mut Session) -> Result<Step, ReadError> {
        if !self.is_caught_up {
            return Ok(match self.replay(&mut session.reader).await? {
                Some(reply) => Step::Entries(Entries::Redis(reply)),
                None => {
                    self.is_caught_up = true;
                    Step::CaughtUp
                }
            });
        }
        if !session.is_following {
            session.prove(&self.keys, &self.at, &self.at).await?;
            session.is_following = true;
            return Ok(Step::Following);
        }
        self.follow(session).await
    }

    /// The next reply of what the tables contain and memory does not; `None` when there is no more, and `at` is where
    /// the tables are.
    async fn replay(&mut self, reader: &mut Reader) -> Result<Option<Reply>, ReadError> {
        let (at, stored) = (&self.at, &self.stored);
        // The stream that is furthest behind in time is next, so that the log's clock advances evenly.
        let next = (0..at.len()).filter(|&i| at[i].last < stored[i].last).min_by_key(|&i| at[i].last);
        if let Some(stream) = next {
            let reply = reader.range(&self.keys, stream, at[stream].last, stored[stream].last).await?;
            let then = advanced(&reply, &self.keys, at)?;
            if then != *at {
                self.at = then;
                return Ok(Some(reply));
            }
            // The stream has no more, and less than it should have.
        }
        for (i, (at, stored)) in at.iter().zip(stored).enumerate() {
            if at.last != stored.last || at.contained() != stored.contained() {
                let found = at.contained() - self.known[i].contained();
                return Err(unreplayable(&self.keys[i], *stored, self.known[i], found).into());
            }
        }
        self.at.clone_from(&self.stored);
        Ok(None)
    }

    async fn follow(&mut self, session: &mut Session) -> Result<Step, ReadError> {
        let (keys, at) = (&self.keys, &self.at);
        sleep_until(session.next_read_at).await;
        session.next_read_at = Instant::now() + READ_EVERY;
        let after: Vec<EntryId> = at.iter().map(|read| read.last).collect();
        let reply = session.reader.read(keys, &after, BLOCK).await?;
        if session.looked_at.elapsed() >= LOOK_EVERY {
            session.prove(keys, at, at).await?;
            session.looked_at = Instant::now();
        }
        if reply.is_empty() {
            return Ok(Step::Nothing);
        }
        let then = advanced(&reply, keys, at)?;
        if let Err(error) = session.prove(keys, at, &then).await {
            let ReadError::Gap(gap) = error else { return Err(error) };
            // The reply may have come from a server that is no longer the one that is looked at.
            session.prove(keys, at, at).await?;
            return Ok(Step::Unproven(gap));
        }
        self.at = then;
        Ok(Step::Entries(Entries::Redis(reply)))
    }
}

impl Session {
    async fn connect(server: &Server, streams: usize) -> Result<Self, RedisError> {
        let (admin, reader) = (Admin::connect(server).await?, Reader::connect(server).await?);
        let now = Instant::now();
        let removed = vec![None; streams];
        Ok(Self { admin, reader, removed, is_following: false, looked_at: now, next_read_at: now })
    }

    /// Proves that nothing was lost between `before` and `at`, two positions in each stream: in all, if they are equal,
    /// else in those that advanced.
    async fn prove(
        &mut self,
        keys: &[String],
        before: &[StreamPosition],
        at: &[StreamPosition],
    ) -> Result<(), ReadError> {
        let all = before == at;
        for (stream, (before, at)) in before.iter().zip(at).enumerate() {
            if all || before != at {
                self.prove_stream(keys, stream, *before, *at).await?;
            }
        }
        Ok(())
    }

    async fn prove_stream(
        &mut self,
        keys: &[String],
        stream: usize,
        before: StreamPosition,
        at: StreamPosition,
    ) -> Result<(), ReadError> {
        let key = &keys[stream];
        let (anchored, info) = self.admin.anchor(key, before.last).await?;
        let mut look = Look { anchored, info, removed_then: self.removed[stream], left: None };
        if judge(key, before, at, look)? == Proof::Uncounted {
            look.left = Some(self.reader.count(keys, stream, at.last, info.last).await?);
            judge(key, before, at, look)?;
        }
        self.removed[stream] = Some(info.removed());
        Ok(())
    }
}

/// The positions after a reply that was read from `at`.
fn advanced(reply: &Reply, keys: &[String], at: &[StreamPosition]) -> Result<Vec<StreamPosition>, ProtocolError> {
    let mut at = at.to_vec();
    for StreamEntries { stream, entries, last } in reply.streams(keys)? {
        at[stream] = StreamPosition { last, entries: at[stream].entries + entries, ..at[stream] };
    }
    Ok(at)
}

/// Where to continue after what is known, up to what is stored: if another stream has taken the place of the one it is
/// known of, from where reading that one began.
pub fn from_where(known: StreamPosition, stored: &Cursor) -> StreamPosition {
    let rebased = stored.position.rebased;
    if known.rebased == rebased {
        return known;
    }
    StreamPosition { last: stored.rebased_after, rebased, ..known }
}

/// The error that what is known and what Redis holds do not add up to what is stored.
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

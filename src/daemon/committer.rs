//! The one place from which tables are written: epochs in, transactions out, in order.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use super::backoff::Backoff;
use super::flow::{Closed, State};
use crate::store::postgres::claim::StoredCursor;
use crate::store::postgres::commit::{Commit, Writer};
use crate::store::postgres::lagging::Flush;
use crate::store::postgres::{Remedy, StoreError};

/// Rows and positions after which a transaction takes no further epoch.
const MAX_ROWS: usize = 50_000;
/// Commits that move nothing but cursors are this far apart.
const QUIET_EVERY: Duration = Duration::from_secs(1);

/// What others hear of a commit.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// How far the streams are read.
    pub cursors: Vec<StoredCursor>,
}

/// How the committer is connected.
#[derive(Debug)]
pub struct Committer {
    /// The session that writes.
    pub writer: Writer,
    /// From the intake.
    pub closed: mpsc::Receiver<Closed>,
    /// To the writer of lagging tables, which has at most one flush.
    pub flushes: mpsc::Sender<Flush>,
    /// To everybody else.
    pub committed: watch::Sender<Committed>,
}

/// Epochs that are committed together.
#[derive(Debug, Default)]
struct Group {
    commit: Commit,
    epochs: u64,
    state: Option<State>,
}

impl Group {
    fn add(&mut self, closed: Closed) {
        let Closed { commit, oldest_entry: _, state } = closed;
        self.state = state;
        let Commit { changes, archive, cursors, now, events, forget_rejected_before } = commit;
        if cursors.is_empty() {
            return; // nothing was read: only rows of lagging tables
        }
        self.epochs += 1;
        let mine = &mut self.commit;
        mine.changes.then(changes);
        mine.archive.extend(archive);
        mine.cursors = cursors;
        mine.now = now;
        mine.events += events;
        mine.forget_rejected_before = forget_rejected_before.or(mine.forget_rejected_before);
    }

    /// Rows of lagging tables equal the last epoch before them: none may be committed with it that is later.
    fn is_sealed(&self) -> bool {
        self.state.is_some() || self.commit.changes.len() + self.commit.archive.len() >= MAX_ROWS
    }

    /// It would move cursors, and nothing else.
    fn is_quiet(&self) -> bool {
        self.commit.changes.is_empty() && self.commit.archive.is_empty() && self.state.is_none()
    }
}

impl Committer {
    /// Commits until the intake is gone and everything it sent is committed.
    ///
    /// # Errors
    /// If the database refuses for good, or another daemon has taken over.
    pub async fn run(mut self) -> Result<(), StoreError> {
        let mut last = Instant::now() - QUIET_EVERY;
        while let Some(first) = self.closed.recv().await {
            let mut group = Group::default();
            group.add(first);
            self.fill(&mut group, last + QUIET_EVERY).await;
            let Group { commit, epochs, state } = group;
            if epochs > 0 {
                self.commit(&commit).await?;
                last = Instant::now();
            }
            if let Some(State { changes, complete }) = state {
                let flush = Flush { changes, complete, commit_seq: self.writer.commit_seq() };
                if self.flushes.send(flush).await.is_err() {
                    return Ok(()); // its writer has ended, and says why
                }
            }
        }
        Ok(())
    }

    /// Adds what has come meanwhile; while nothing but cursors would move, what comes until `quiet_until`.
    async fn fill(&mut self, group: &mut Group, quiet_until: Instant) {
        loop {
            while !group.is_sealed()
                && let Ok(closed) = self.closed.try_recv()
            {
                group.add(closed);
            }
            if !group.is_quiet() {
                return;
            }
            match timeout_at(quiet_until, self.closed.recv()).await {
                Ok(Some(closed)) => group.add(closed),
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        let mut backoff = Backoff::default();
        while let Err(error) = self.writer.commit(commit).await {
            match error.remedy() {
                Remedy::None => return Err(error),
                Remedy::Retry => {
                    warn!(%error, "the commit is tried again");
                    if self.writer.roll_back().await.is_err() && self.reconnect(&mut backoff).await? {
                        break;
                    }
                    sleep(backoff.next()).await;
                }
                Remedy::Wait => {
                    warn!(%error, "PostgreSQL has no room: waiting until it has");
                    if self.writer.roll_back().await.is_err() && self.reconnect(&mut backoff).await? {
                        break;
                    }
                    sleep(backoff.next()).await;
                }
                Remedy::Reconnect => {
                    warn!(%error, "PostgreSQL is gone: connecting again");
                    if self.reconnect(&mut backoff).await? {
                        break;
                    }
                }
            }
        }
        let committed = Committed { cursors: commit.cursors.clone() };
        self.committed.send_replace(committed);
        Ok(())
    }

    /// Until there is a session again; says whether the commit under way had happened.
    async fn reconnect(&mut self, backoff: &mut Backoff) -> Result<bool, StoreError> {
        loop {
            match self.writer.reconnect().await {
                Ok(happened) => {
                    info!(happened, commit_seq = self.writer.commit_seq(), "PostgreSQL is back");
                    return Ok(happened);
                }
                Err(error) if error.remedy() == Remedy::None => return Err(error),
                Err(_) => sleep(backoff.next()).await,
            }
        }
    }
}

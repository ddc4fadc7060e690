//! The one place from which tables are written: epochs in, transactions out, in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};
use watchtower_model::Millis;

use super::backoff::Backoff;
use super::budget::{Budget, Held};
use super::intake::ClosedEpoch;
use super::saving::Save;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{self, Dependency};
use watchtower_core::events::Reason;
use watchtower_core::{Commit, Cursor, Flush, Remedy};
use watchtower_engine::Checkpoint;
use watchtower_engine::flow::{Counts, State};
use watchtower_store::{Writer, WriterError};

/// Rows and positions after which a transaction takes no further epoch.
const MAX_ROWS: usize = 50_000;
/// Commits that move nothing but cursors are this far apart.
const QUIET_EVERY: Duration = Duration::from_secs(1);

/// How far the streams are committed.
pub type Committed = Vec<Cursor>;

/// How the committer is connected.
#[derive(Debug)]
pub struct Committer {
    /// The session that writes.
    pub writer: Writer,
    /// From the intake.
    pub closed: mpsc::Receiver<ClosedEpoch>,
    /// What may be on its way.
    pub budget: Budget,
    /// To the writer of lagging tables, which has at most one flush.
    pub flushes: mpsc::Sender<Flush>,
    /// To the writer of checkpoints, which has at most one.
    pub saves: mpsc::Sender<Save>,
    /// To everybody else.
    pub committed: watch::Sender<Committed>,
    /// The keys of the streams.
    pub keys: Vec<String>,
    /// Where it says that the database is away.
    pub health: Health,
    /// Why nothing more comes, once that is so.
    pub halted: watch::Receiver<Option<String>>,
}

/// Epochs that are committed together.
#[derive(Debug, Default)]
struct Group {
    commit: Commit,
    epochs: u64,
    oldest_entry: Option<Millis>,
    events: Vec<u64>,
    refused: BTreeMap<Reason, u64>,
    state: Option<State>,
    checkpoint: Option<Checkpoint>,
    /// What comes free with its commit, or with that of the next epochs.
    held: Vec<Arc<Held>>,
}

impl Group {
    fn add(&mut self, closed: ClosedEpoch) {
        let ClosedEpoch { commit, oldest_entry, counts, state, checkpoint, held } = closed;
        // Of a reply of many epochs the bytes are the same.
        self.held.extend(held.filter(|held| self.held.last().is_none_or(|last| !Arc::ptr_eq(last, held))));
        (self.state, self.checkpoint) = (state, checkpoint);
        let Some(oldest_entry) = oldest_entry else { return }; // nothing was read
        self.epochs += 1;
        self.oldest_entry = Some(self.oldest_entry.map_or(oldest_entry, |oldest| oldest.min(oldest_entry)));
        let Counts { events, refused } = counts;
        self.events.resize(events.len(), 0);
        self.events.iter_mut().zip(events).for_each(|(sum, more)| *sum += more);
        refused.into_iter().for_each(|(reason, more)| *self.refused.entry(reason).or_default() += more);
        // Nobody decides anything while the daemon runs.
        let Commit { changes, archive, edits, cursors, now, events, expired, note: _ } = commit;
        let mine = &mut self.commit;
        mine.changes.then(changes);
        mine.archive.extend(archive);
        mine.edits.extend(edits);
        mine.cursors = cursors;
        mine.now = now;
        mine.events += events;
        mine.expired.extend(expired);
    }

    /// Rows of lagging tables and checkpoints equal the last epoch before them: none may be committed with
    /// them that is later.
    fn is_sealed(&self) -> bool {
        self.state.is_some()
            || self.checkpoint.is_some()
            || self.commit.changes.len() + self.commit.archive.len() >= MAX_ROWS
    }

    /// It would move cursors, and nothing else.
    fn is_quiet(&self) -> bool {
        self.commit.changes.is_empty() && self.commit.archive.is_empty() && !self.is_sealed()
    }

    /// How much was read for it.
    fn held_bytes(&self) -> usize {
        self.held.iter().map(|held| held.bytes()).sum()
    }
}

impl Committer {
    /// Commits until the intake is gone and everything it sent is committed.
    ///
    /// # Errors
    /// If the database refuses for good, or another daemon has taken over.
    pub async fn run(mut self) -> Result<(), WriterError> {
        let mut last = Instant::now() - QUIET_EVERY;
        while let Some(first) = self.closed.recv().await {
            let mut group = Group::default();
            group.add(first);
            self.fill(&mut group, last + QUIET_EVERY).await;
            if group.epochs > 0 {
                let begun = Instant::now();
                self.commit(&group.commit).await?;
                last = Instant::now();
                self.tell(&group, begun.elapsed());
            }
            drop(group.held);
            let commit_seq = self.writer.commit_seq();
            if let Some(checkpoint) = group.checkpoint {
                // Its writer was idle when it was asked for; if it has ended, a checkpoint is no loss.
                let _ = self.saves.send(Save { commit_seq, checkpoint }).await;
            }
            if let Some(State { rows, complete }) = group.state
                && self.flushes.send(Flush { rows, complete, commit_seq }).await.is_err()
            {
                return Ok(()); // its writer has ended, and says why
            }
        }
        let halted = self.halted.borrow().clone();
        if let Some(why) = halted {
            self.writer.set_halted(Some(&why)).await?;
        }
        Ok(())
    }

    /// Adds what has come meanwhile; while nothing but cursors would move, what comes until `quiet_until`.
    async fn fill(&mut self, group: &mut Group, quiet_until: Instant) {
        loop {
            while !group.is_sealed()
                && !self.budget.is_much(group.held_bytes())
                && let Ok(closed) = self.closed.try_recv()
            {
                group.add(closed);
            }
            if !group.is_quiet() || self.budget.is_much(group.held_bytes()) {
                return;
            }
            match timeout_at(quiet_until, self.closed.recv()).await {
                Ok(Some(closed)) => group.add(closed),
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn commit(&mut self, commit: &Commit) -> Result<(), WriterError> {
        let mut backoff = Backoff::default();
        let backend = self.writer.backend();
        let dependency = Dependency::from(backend);
        while let Err(error) = self.writer.commit(commit).await {
            let remedy = error.remedy();
            match remedy {
                Remedy::None => return Err(error),
                Remedy::Retry => warn!(%error, "the commit is tried again"),
                Remedy::Wait => {
                    warn!(%error, "{backend} has no room: waiting until it has");
                    self.health.set_away(dependency, format!("{backend} has no room: {error}"));
                }
                Remedy::Reconnect => {
                    warn!(%error, "{backend} is gone: connecting again");
                    self.health.set_away(dependency, format!("{backend} is away: {error}"));
                }
            }
            let lost = remedy == Remedy::Reconnect || self.writer.roll_back().await.is_err();
            if lost && self.reconnect().await? {
                break;
            }
            sleep(backoff.next()).await;
        }
        self.health.set_back(dependency);
        self.committed.send_replace(commit.cursors.clone());
        Ok(())
    }

    /// Until there is a session again; says whether the commit under way had happened.
    async fn reconnect(&mut self) -> Result<bool, WriterError> {
        // Its own: however long the server was away, the commit is tried as soon as it is back.
        let mut backoff = Backoff::default();
        let backend = self.writer.backend();
        let dependency = Dependency::from(backend);
        loop {
            metrics::reconnects(dependency, 1);
            match self.writer.reconnect().await {
                Ok(happened) => {
                    info!(happened, commit_seq = self.writer.commit_seq(), "{backend} is back");
                    return Ok(happened);
                }
                Err(error) if error.remedy() == Remedy::None => return Err(error),
                Err(_) => sleep(backoff.next()).await,
            }
        }
    }

    /// What a commit came to, in metrics.
    fn tell(&self, group: &Group, took: Duration) {
        metrics::commit(took, self.writer.commit_seq().unsigned_abs());
        if let Some(oldest) = group.oldest_entry {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            metrics::event_to_commit(now.saturating_sub(Duration::from_millis(oldest.unsigned_abs())));
        }
        for (key, events) in self.keys.iter().zip(&group.events).filter(|(_, events)| **events > 0) {
            metrics::events(key, *events);
        }
        for (reason, events) in &group.refused {
            metrics::rejected(*reason, *events);
        }
        for changes in group.commit.changes.tables() {
            metrics::rows_written(changes.table.name, changes.rows.len() as u64);
        }
        if !group.commit.archive.is_empty() {
            metrics::rows_written("positions_log", group.commit.archive.len() as u64);
        }
    }
}

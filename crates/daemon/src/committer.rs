//! The task that writes the tables: it receives closed epochs and commits them in order.

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
/// Interval between commits that only move cursors.
const QUIET_EVERY: Duration = Duration::from_secs(1);

/// Committed positions of all streams.
pub type Committed = Vec<Cursor>;

/// The committer with its channels.
#[derive(Debug)]
pub struct Committer {
    /// Writes the transactional tables.
    pub writer: Writer,
    /// Closed epochs from the intake.
    pub closed: mpsc::Receiver<ClosedEpoch>,
    /// The budget that the epochs' bytes belong to.
    pub budget: Budget,
    /// To the writer of lagging tables. It requests a flush before one is sent, so at most one is queued.
    pub flushes: mpsc::Sender<Flush>,
    /// To the writer of checkpoints; at most one is queued.
    pub saves: mpsc::Sender<Save>,
    /// Publishes the cursors of each commit, for the tasks that report lag and move consumer groups.
    pub committed: watch::Sender<Committed>,
    /// The keys of the streams, in their order.
    pub keys: Vec<String>,
    /// Receives outages of the store.
    pub health: Health,
    /// The reason why reading has halted; recorded in the pipeline's row.
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
    /// Budget permits, released with this commit or with that of later epochs of the same reply.
    held: Vec<Arc<Held>>,
}

impl Group {
    fn add(&mut self, closed: ClosedEpoch) {
        let ClosedEpoch { commit, oldest_entry, counts, state, checkpoint, held } = closed;
        // Epochs of one reply share its permit.
        self.held.extend(held.filter(|held| self.held.last().is_none_or(|last| !Arc::ptr_eq(last, held))));
        (self.state, self.checkpoint) = (state, checkpoint);
        let Some(oldest_entry) = oldest_entry else { return }; // the epoch has no entries
        self.epochs += 1;
        self.oldest_entry = Some(self.oldest_entry.map_or(oldest_entry, |oldest| oldest.min(oldest_entry)));
        let Counts { events, refused } = counts;
        self.events.resize(events.len(), 0);
        self.events.iter_mut().zip(events).for_each(|(sum, more)| *sum += more);
        refused.into_iter().for_each(|(reason, more)| *self.refused.entry(reason).or_default() += more);
        // Only `resume` writes `note`; a running daemon never does.
        let Commit { changes, alerts, archive, edits, cursors, now, events, expired, note: _ } = commit;
        let mine = &mut self.commit;
        mine.changes.then(changes);
        mine.alerts.then(alerts);
        mine.archive.extend(archive);
        mine.edits.extend(edits);
        mine.cursors = cursors;
        mine.now = now;
        mine.events += events;
        mine.expired.extend(expired);
    }

    /// Whether the group ends here. Rows of lagging tables and checkpoints equal the last epoch before them, so no
    /// later epoch may be committed with them.
    fn is_sealed(&self) -> bool {
        self.state.is_some()
            || self.checkpoint.is_some()
            || self.commit.changes.len() + self.commit.archive.len() >= MAX_ROWS
    }

    /// Whether the commit would only move cursors.
    fn is_quiet(&self) -> bool {
        self.commit.changes.is_empty() && self.commit.archive.is_empty() && !self.is_sealed()
    }

    /// Bytes held in the budget by this group.
    fn held_bytes(&self) -> usize {
        self.held.iter().map(|held| held.bytes()).sum()
    }
}

impl Committer {
    /// Commits until the intake has ended and everything it sent is committed.
    ///
    /// # Errors
    /// If the store fails permanently, or another daemon has taken over.
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
                self.record_metrics(&group, begun.elapsed());
            }
            drop(group.held);
            let commit_seq = self.writer.commit_seq();
            if let Some(checkpoint) = group.checkpoint {
                // Its task was idle when the checkpoint was requested. If the task has ended, the lost checkpoint does
                // no harm.
                let _ = self.saves.send(Save { commit_seq, checkpoint }).await;
            }
            if let Some(State { rows, complete }) = group.state
                && self.flushes.send(Flush { rows, complete, commit_seq }).await.is_err()
            {
                return Ok(()); // the task has ended and returned its error
            }
        }
        let halted = self.halted.borrow().clone();
        if let Some(why) = halted {
            self.writer.set_halted(Some(&why)).await?;
        }
        Ok(())
    }

    /// Adds the epochs that are queued. While the group only moves cursors, also those that arrive until `quiet_until`.
    async fn fill(&mut self, group: &mut Group, quiet_until: Instant) {
        loop {
            while !group.is_sealed()
                && !self.budget.is_large(group.held_bytes())
                && let Ok(closed) = self.closed.try_recv()
            {
                group.add(closed);
            }
            if !group.is_quiet() || self.budget.is_large(group.held_bytes()) {
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
                Remedy::Retry => warn!(%error, "retrying the commit"),
                Remedy::Wait => {
                    warn!(%error, "{backend} has no room: retrying until it has");
                    self.health.set_away(dependency, format!("{backend} has no room: {error}"));
                }
                Remedy::Reconnect => {
                    warn!(%error, "lost {backend}: reconnecting");
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

    /// Reconnects, retrying until it succeeds. Returns whether the unanswered commit was executed.
    async fn reconnect(&mut self) -> Result<bool, WriterError> {
        // A separate backoff: after an outage of any length, the first commit is sent at once.
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

    /// Records the metrics of a commit.
    fn record_metrics(&self, group: &Group, took: Duration) {
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

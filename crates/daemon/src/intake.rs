//! The thread between the reader and the committer. It owns the [`Flow`] and never waits for I/O, only for input of the
//! reader and for room in the committer's channel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use tokio::sync::mpsc;
use watchtower_dataflows::views::AGGREGATES;
use watchtower_dataflows::views::groups::GroupStats;
use watchtower_model::Millis;

use super::DaemonError;
use super::budget::{Ahead, Held};
use crate::telemetry::metrics;
use watchtower_core::EntryId;
use watchtower_core::crash;
use watchtower_core::{Archived, Commit, Cursor};
use watchtower_engine::EngineStats;
use watchtower_engine::flow::{self, Counts};
use watchtower_log::Entries;

/// A flow whose epochs hold the budget permits of their entries.
pub type Flow = watchtower_engine::Flow<Arc<Held>>;
/// A closed epoch of such a flow.
pub type ClosedEpoch = flow::ClosedEpoch<Arc<Held>>;

/// A message of the reader to the intake.
#[derive(Debug)]
pub enum Input {
    /// Entries with their two budget permits: `Held` (bytes, released once durable) and `Ahead` (queue slot, released
    /// once decoded).
    Entries(Entries, Arc<Held>, Ahead),
    /// Archived events, and the instant up to which log time may advance with them.
    Archived(Vec<Archived>, Millis, Arc<Held>, Ahead),
    /// The archive has been read; it contains the log up to these cursors.
    Adopt(Vec<Cursor>),
    /// Everything that the tables contain has been read again; the tables' cursors.
    CaughtUp(Vec<Cursor>),
}

/// Whether a task waits for work: the task sets it, the intake clears it when it sends work.
pub type Idle = Arc<AtomicBool>;

/// The intake with its channels.
#[derive(Debug)]
pub struct Intake {
    /// Decodes and admits entries, and runs the engine.
    pub flow: Flow,
    /// The keys of the streams, in their order.
    pub keys: Vec<String>,
    /// Messages of the reader, which closes the channel at its end.
    pub input: Receiver<Input>,
    /// To the committer.
    pub closed: mpsc::Sender<ClosedEpoch>,
    /// Idle flag of the task that writes lagging tables, and the interval between its flushes.
    pub state: (Idle, Duration),
    /// Idle flag of the task that writes checkpoints, and the interval between checkpoints.
    pub checkpoint: (Idle, Duration),
}

/// State of the main loop.
#[derive(Debug)]
struct Rounds {
    state_due: Instant,
    /// Whether an epoch was sent since the last flush. Initially true while entries are read again.
    state_is_stale: bool,
    checkpoint_due: Instant,
    checkpoint_is_stale: bool,
    /// Instants at which the epochs in the engine were closed.
    closed_at: VecDeque<Instant>,
    stats: EngineStats,
}

impl Intake {
    /// Runs until the reader has ended and all its input is sent to the committer, or until the committer has ended.
    ///
    /// # Errors
    /// If an entry cannot be decoded or a reply is malformed. Everything read before it is sent to the committer.
    pub fn run(mut self) -> Result<(), DaemonError> {
        let mut rounds = Rounds {
            state_due: Instant::now(),
            state_is_stale: self.flow.is_muted(),
            checkpoint_due: Instant::now() + self.checkpoint.1,
            checkpoint_is_stale: self.flow.is_muted(),
            closed_at: VecDeque::new(),
            stats: EngineStats::default(),
        };
        let ended = loop {
            let received = self.flow.wait_or_receive(&self.input, self.state.1);
            let taken = match received {
                Ok(Some(Input::Entries(entries, held, ahead))) => {
                    self.take(&entries, &held, &mut rounds).map(|()| drop(ahead))
                }
                Ok(Some(Input::Archived(events, until, held, ahead))) => {
                    self.take_archived(&events, until, &held, &mut rounds);
                    drop(ahead);
                    Ok(())
                }
                Ok(Some(Input::Adopt(cursors))) => {
                    self.flow.adopt(&cursors);
                    rounds.closed_at.push_back(Instant::now());
                    Ok(())
                }
                Ok(Some(Input::CaughtUp(cursors))) => {
                    self.flow.unmute(&cursors);
                    rounds.closed_at.clear();
                    Ok(())
                }
                Ok(None) => Ok(()),
                Err(_) => break Ok(()),
            };
            if let Err(error) = taken {
                self.flow.discard_epoch();
                break Err(error);
            }
            if !self.hand_over(&mut rounds) {
                return Ok(());
            }
        };
        // After an error the flow has seen part of an entry that no commit may contain.
        if ended.is_ok() && !self.flow.is_muted() {
            self.flow.close_with_checkpoint();
        }
        while let Some(closed) = self.flow.wait() {
            if !self.send(closed) {
                return ended;
            }
        }
        if !self.flow.is_muted() {
            self.send_state();
        }
        ended
    }

    fn take(&mut self, entries: &Entries, held: &Arc<Held>, rounds: &mut Rounds) -> Result<(), DaemonError> {
        crash::point("after-read");
        let keys = self.keys.clone();
        entries.each(&keys, |stream, id, fields| self.take_entry(stream, id, fields, held, rounds))?;
        self.close_epoch(held, rounds);
        Ok(())
    }

    fn take_entry(
        &mut self,
        stream: usize,
        id: EntryId,
        fields: &[(&[u8], &[u8])],
        held: &Arc<Held>,
        rounds: &mut Rounds,
    ) -> Result<(), DaemonError> {
        if self.flow.take(stream, id, fields)? {
            self.close_epoch(held, rounds);
            while self.flow.is_full()
                && let Some(closed) = self.flow.wait()
            {
                self.record_metrics(&closed, rounds);
                self.send(closed);
            }
        }
        Ok(())
    }

    fn take_archived(&mut self, events: &[Archived], until: Millis, held: &Arc<Held>, rounds: &mut Rounds) {
        for event in events {
            if self.flow.take_archived(event, until) {
                self.close_epoch(held, rounds);
            }
        }
        self.close_epoch(held, rounds);
    }

    fn close_epoch(&mut self, held: &Arc<Held>, rounds: &mut Rounds) {
        if self.flow.close_epoch(Some(held)) {
            rounds.closed_at.push_back(Instant::now());
        }
    }

    /// Sends completed epochs to the committer. Returns false if the committer has ended.
    fn hand_over(&mut self, rounds: &mut Rounds) -> bool {
        while let Some(closed) = self.flow.completed() {
            self.record_metrics(&closed, rounds);
            if !self.send(closed) {
                return false;
            }
        }
        while self.flow.is_full()
            && let Some(closed) = self.flow.wait()
        {
            self.record_metrics(&closed, rounds);
            if !self.send(closed) {
                return false;
            }
        }
        if self.flow.is_muted() {
            return true;
        }
        let now = Instant::now();
        if rounds.checkpoint_is_stale && now >= rounds.checkpoint_due && clear_idle(&self.checkpoint.0) {
            rounds.checkpoint_due = now + self.checkpoint.1;
            rounds.checkpoint_is_stale = false;
            self.flow.close_with_checkpoint();
        }
        if rounds.state_is_stale && now >= rounds.state_due && clear_idle(&self.state.0) {
            rounds.state_due = now + self.state.1;
            rounds.state_is_stale = false;
            return self.send_state();
        }
        true
    }

    /// Sends the rows of lagging tables as of the last epoch that was sent.
    fn send_state(&mut self) -> bool {
        let state = Some(self.flow.take_state());
        let (commit, counts) = (Commit::default(), Counts::default());
        self.send(ClosedEpoch { commit, oldest_entry: None, counts, state, checkpoint: None, held: None })
    }

    fn send(&mut self, closed: ClosedEpoch) -> bool {
        self.closed.blocking_send(closed).is_ok()
    }

    /// Records the metrics of an epoch.
    fn record_metrics(&self, closed: &ClosedEpoch, rounds: &mut Rounds) {
        if closed.oldest_entry.is_none() {
            return; // an epoch that only carries a checkpoint
        }
        (rounds.state_is_stale, rounds.checkpoint_is_stale) = (true, true);
        if let Some(closed_at) = rounds.closed_at.pop_front() {
            metrics::epoch(closed_at.elapsed());
        }
        let (before, stats) = (rounds.stats, self.flow.stats());
        let EngineStats { timelines, arrangement_records, groups } = stats;
        metrics::rewinds(
            timelines.rewinds - before.timelines.rewinds,
            timelines.rewound_positions - before.timelines.rewound_positions,
        );
        metrics::set_retained(timelines.vehicles, timelines.retained_positions);
        metrics::set_arrangement_records("all", arrangement_records);
        for (aggregate, stats) in AGGREGATES.into_iter().zip(groups) {
            let GroupStats { groups, bytes, late_updates } = stats;
            metrics::set_groups(aggregate, groups, bytes, late_updates);
        }
        metrics::set_epochs_in_flight(self.flow.in_flight());
        metrics::set_now(self.flow.now());
        rounds.stats = stats;
    }
}

/// Clears the idle flag. Returns whether the task was idle.
fn clear_idle(idle: &Idle) -> bool {
    idle.swap(false, Ordering::AcqRel)
}

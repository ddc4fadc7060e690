//! The thread between the reader and the committer: it owns the [`Flow`] and never waits for I/O, only
//! for work from the one side and room on the other.

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
use watchtower_log::file::Entries;
use watchtower_log::redis::Reply;

/// A flow whose epochs hold the bytes that they were read from.
pub type Flow = watchtower_engine::Flow<Arc<Held>>;
/// An epoch of such a flow.
pub type ClosedEpoch = flow::ClosedEpoch<Arc<Held>>;

/// What comes from the reader.
#[derive(Debug)]
pub enum Input {
    /// Entries, the right to hold them, and that to wait here: it is given back when they are taken in.
    Entries(Arrived, Arc<Held>, Ahead),
    /// Archived events, and how far the log's time may go on with them.
    Archived(Vec<Archived>, Millis, Arc<Held>, Ahead),
    /// What was archived is all that the log held up to these cursors.
    Adopt(Vec<Cursor>),
    /// The tables contain what came so far, and nothing else; their cursors.
    CaughtUp(Vec<Cursor>),
}

/// Entries as their source has them.
#[derive(Debug)]
pub enum Arrived {
    /// A reply of Redis.
    Redis(Reply),
    /// Rows of the log in the file.
    Embedded(Entries),
}

/// Whether somebody waits for work: set by him, cleared by who gives it.
pub type Idle = Arc<AtomicBool>;

/// How the intake thread is connected.
#[derive(Debug)]
pub struct Intake {
    /// What decodes, admits and computes.
    pub flow: Flow,
    /// The keys of the streams.
    pub keys: Vec<String>,
    /// From the reader; closed when there is nothing more to come.
    pub input: Receiver<Input>,
    /// To the committer.
    pub closed: mpsc::Sender<ClosedEpoch>,
    /// Whether the writer of lagging tables waits for work, and how often it should get some.
    pub state: (Idle, Duration),
    /// The same of the writer of checkpoints.
    pub checkpoint: (Idle, Duration),
}

/// What has to be remembered between two rounds.
#[derive(Debug)]
struct Rounds {
    state_due: Instant,
    /// Epochs were sent since; after a start, what was read again.
    news_for_state: bool,
    checkpoint_due: Instant,
    news_for_checkpoint: bool,
    /// When the epochs in the engine were closed.
    closed_at: VecDeque<Instant>,
    stats: EngineStats,
}

impl Intake {
    /// Runs until the reader is gone and everything it sent is with the committer, or until the committer
    /// is gone.
    ///
    /// # Errors
    /// If an entry cannot be read or a reply is not what it should be. What was read before it is with the
    /// committer all the same.
    pub fn run(mut self) -> Result<(), DaemonError> {
        let mut rounds = Rounds {
            state_due: Instant::now(),
            news_for_state: self.flow.is_muted(),
            checkpoint_due: Instant::now() + self.checkpoint.1,
            news_for_checkpoint: self.flow.is_muted(),
            closed_at: VecDeque::new(),
            stats: EngineStats::default(),
        };
        let ended = loop {
            let received = self.flow.wait_or_receive(&self.input, self.state.1);
            let taken = match received {
                Ok(Some(Input::Entries(arrived, held, ahead))) => {
                    self.take(&arrived, &held, &mut rounds).map(|()| drop(ahead))
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
        // After a fault the flow has seen part of an entry that no commit contains.
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

    fn take(&mut self, arrived: &Arrived, held: &Arc<Held>, rounds: &mut Rounds) -> Result<(), DaemonError> {
        crash::point("after-read");
        let mut fields = Vec::new();
        match arrived {
            Arrived::Redis(reply) => {
                let keys = self.keys.clone();
                let mut entries = reply.entries(&keys)?;
                while let Some((stream, id)) = entries.next(&mut fields)? {
                    self.take_entry(stream, id, &fields, held, rounds)?;
                }
            }
            Arrived::Embedded(entries) => {
                let mut entries = entries.iter();
                while let Some((stream, id)) = entries.next(&mut fields) {
                    self.take_entry(stream, id, &fields, held, rounds)?;
                }
            }
        }
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
                self.tell(&closed, rounds);
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

    /// Passes on what is complete. False if nobody takes it any more.
    fn hand_over(&mut self, rounds: &mut Rounds) -> bool {
        while let Some(closed) = self.flow.completed() {
            self.tell(&closed, rounds);
            if !self.send(closed) {
                return false;
            }
        }
        while self.flow.is_full()
            && let Some(closed) = self.flow.wait()
        {
            self.tell(&closed, rounds);
            if !self.send(closed) {
                return false;
            }
        }
        if self.flow.is_muted() {
            return true;
        }
        let now = Instant::now();
        if rounds.news_for_checkpoint && now >= rounds.checkpoint_due && take(&self.checkpoint.0) {
            rounds.checkpoint_due = now + self.checkpoint.1;
            rounds.news_for_checkpoint = false;
            self.flow.close_with_checkpoint();
        }
        if rounds.news_for_state && now >= rounds.state_due && take(&self.state.0) {
            rounds.state_due = now + self.state.1;
            rounds.news_for_state = false;
            return self.send_state();
        }
        true
    }

    /// The rows of lagging tables, as of the last epoch that was sent.
    fn send_state(&mut self) -> bool {
        let state = Some(self.flow.take_state());
        let (commit, counts) = (Commit::default(), Counts::default());
        self.send(ClosedEpoch { commit, oldest_entry: None, counts, state, checkpoint: None, held: None })
    }

    fn send(&mut self, closed: ClosedEpoch) -> bool {
        self.closed.blocking_send(closed).is_ok()
    }

    /// What an epoch came to, in metrics.
    fn tell(&self, closed: &ClosedEpoch, rounds: &mut Rounds) {
        if closed.oldest_entry.is_none() {
            return; // an epoch for a checkpoint
        }
        (rounds.news_for_state, rounds.news_for_checkpoint) = (true, true);
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

/// Claims somebody's leisure; false if he has none.
fn take(idle: &Idle) -> bool {
    idle.swap(false, Ordering::AcqRel)
}

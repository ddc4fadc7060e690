//! The thread between the reader and the committer: it owns the [`Flow`] and never waits for I/O, only
//! for work from the one side and room on the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::DaemonError;
use super::flow::{Closed, Flow};
use crate::sources::redis::Reply;
use crate::store::postgres::commit::Commit;

/// What comes from the reader.
#[derive(Debug)]
pub enum Input {
    /// Entries, and the right to hold them: it is given back when they are taken in.
    Entries(Reply, OwnedSemaphorePermit),
    /// The tables contain what came so far, and nothing else.
    CaughtUp,
}

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
    pub closed: mpsc::Sender<Closed>,
    /// Whether the writer of lagging tables waits for work.
    pub state_writer_idle: Arc<AtomicBool>,
    /// How often it should get some.
    pub state_every: Duration,
}

impl Intake {
    /// Runs until the reader is gone and everything it sent is with the committer, or until the committer
    /// is gone.
    ///
    /// # Errors
    /// If an entry cannot be read or a reply is not what it should be. What was read before it is with the
    /// committer all the same.
    pub fn run(mut self) -> Result<(), DaemonError> {
        let mut state_due = Instant::now();
        let ended = loop {
            let received = self.flow.wait_or_receive(&self.input, self.state_every);
            let taken = match received {
                Ok(Some(Input::Entries(reply, permit))) => self.take(&reply).map(|()| drop(permit)),
                Ok(Some(Input::CaughtUp)) => {
                    self.flow.unmute();
                    Ok(())
                }
                Ok(None) => Ok(()),
                Err(_) => break Ok(()),
            };
            if let Err(error) = taken {
                self.flow.discard_epoch();
                break Err(error);
            }
            if !self.hand_over(&mut state_due) {
                return Ok(());
            }
        };
        self.flow.close_epoch();
        while let Some(closed) = self.flow.wait() {
            if !self.send(closed) {
                return ended;
            }
        }
        self.send_state();
        ended
    }

    fn take(&mut self, reply: &Reply) -> Result<(), DaemonError> {
        let keys = std::mem::take(&mut self.keys);
        let taken = self.take_entries(reply, &keys);
        self.keys = keys;
        taken
    }

    fn take_entries(&mut self, reply: &Reply, keys: &[String]) -> Result<(), DaemonError> {
        let mut entries = reply.entries(keys)?;
        let mut fields = Vec::new();
        while let Some((stream, id)) = entries.next(&mut fields)? {
            if self.flow.take(stream, id, &fields)? {
                self.flow.close_epoch();
                while self.flow.is_full()
                    && let Some(closed) = self.flow.wait()
                {
                    self.send(closed);
                }
            }
        }
        self.flow.close_epoch();
        Ok(())
    }

    /// Passes on what is complete. False if nobody takes it any more.
    fn hand_over(&mut self, state_due: &mut Instant) -> bool {
        while let Some(closed) = self.flow.completed() {
            if !self.send(closed) {
                return false;
            }
        }
        while self.flow.is_full()
            && let Some(closed) = self.flow.wait()
        {
            if !self.send(closed) {
                return false;
            }
        }
        if Instant::now() >= *state_due && !self.flow.is_muted() && self.state_writer_idle.load(Ordering::Acquire) {
            *state_due = Instant::now() + self.state_every;
            return self.send_state();
        }
        true
    }

    /// The rows of lagging tables, as of the last epoch that was sent.
    fn send_state(&mut self) -> bool {
        let Some(state) = self.flow.take_state() else { return true };
        self.state_writer_idle.store(false, Ordering::Release);
        self.send(Closed { commit: Commit::default(), oldest_entry: None, state: Some(state) })
    }

    fn send(&mut self, closed: Closed) -> bool {
        self.closed.blocking_send(closed).is_ok()
    }
}

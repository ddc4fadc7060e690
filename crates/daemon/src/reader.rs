//! The task that reads the log: first what the tables contain and memory does not, then every entry as it is appended.

use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{info, warn};

use super::DaemonError;
use super::backoff::Backoff;
use super::budget::Budget;
use super::intake::Input;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::{self, Dependency};
use watchtower_core::Cursor;
use watchtower_log::{Entries, ReadError, Step, Tail};

/// Interval between reports of a long replay's progress.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// The reader with its channels.
#[derive(Debug)]
pub struct LogReader {
    /// Returns the entries.
    pub tail: Tail,
    /// Keys of the streams, the control stream last.
    pub keys: Vec<String>,
    /// Position in each stream that the tables contain.
    pub stored: Vec<Cursor>,
    /// Channel to the intake.
    pub input: Sender<Input>,
    /// Limit of the bytes in flight.
    pub budget: Budget,
    /// State of the daemon.
    pub health: Health,
    /// Receives the reason why reading has halted.
    pub halted: watch::Sender<Option<String>>,
}

/// Progress of reading again what the tables contain.
#[derive(Debug)]
struct Replay {
    total: u64,
    reported_at: Instant,
    is_over: bool,
}

impl LogReader {
    /// Reads until the intake ends, or until entries are found to be lost: then nothing more is sent.
    ///
    /// # Errors
    /// If the backend refuses for good, or no longer holds what is needed to continue from the tables.
    pub async fn run(mut self) -> Result<(), DaemonError> {
        let dependency = Dependency::from(self.tail.backend());
        let mut backoff = Backoff::default();
        let mut replay = Replay { total: self.tail.behind(), reported_at: Instant::now(), is_over: false };
        if replay.total > 0 {
            info!(entries = replay.total, "reading again what the tables contain");
        }
        self.keys.iter().for_each(|key| metrics::set_lost(key, 0));
        loop {
            self.report(&mut replay);
            match self.tail.next().await {
                Ok(Step::Entries(entries)) => {
                    if replay.is_over {
                        backoff = Backoff::default();
                    }
                    if !send(&self.budget, &self.input, entries).await {
                        return Ok(());
                    }
                }
                Ok(Step::CaughtUp) => {
                    replay.is_over = true;
                    if replay.total > 0 {
                        info!(entries = replay.total, "caught up with the tables");
                    }
                    if self.input.send(Input::CaughtUp(self.stored.clone())).is_err() {
                        return Ok(());
                    }
                }
                Ok(Step::Following) => {
                    self.health.set_back(dependency);
                    self.health.set_ready();
                }
                Ok(Step::Nothing) => backoff = Backoff::default(),
                Ok(Step::Unproven(gap)) => {
                    warn!(%gap, "what was read is not what is there: it is read again");
                    sleep(backoff.next()).await;
                }
                Err(ReadError::Gap(gap)) => {
                    let (stream, lost) = gap.lost();
                    metrics::set_lost(stream, lost);
                    self.halted.send_replace(Some(gap.to_string()));
                    return if replay.is_over { Ok(()) } else { Err(gap.into()) };
                }
                Err(error) if error.is_transient() => {
                    let backend = self.tail.backend();
                    warn!(%error, "{backend} is gone: connecting again");
                    self.health.set_away(dependency, format!("{backend} is away: {error}"));
                    metrics::reconnects(dependency, 1);
                    sleep(backoff.next()).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sets the current step of the start while entries are read again, and logs the progress at intervals.
    fn report(&self, replay: &mut Replay) {
        let left = self.tail.behind();
        if replay.is_over || left == 0 {
            return;
        }
        let total = replay.total;
        self.health.set_starting(format!("reading again what the tables contain: {left} of {total} entries left"));
        if replay.reported_at.elapsed() > REPORT_EVERY {
            replay.reported_at = Instant::now();
            info!(entries = left, of = total, "still to be read again");
        }
    }
}

/// Waits until the budget has room. Returns false if the intake has ended.
async fn send(budget: &Budget, input: &Sender<Input>, entries: Entries) -> bool {
    let (held, ahead) = budget.take(entries.size_bytes()).await;
    input.send(Input::Entries(entries, held, ahead)).is_ok()
}

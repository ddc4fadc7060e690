//! Tasks beside the commits: clock events, the lag, the consumer groups, the lagging tables.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::committer::Committed;
use super::intake::Idle;
use crate::telemetry::metrics;
use watchtower_core::crash;
use watchtower_core::{Flush, Remedy};
use watchtower_log::{BackendError, Groups, LagMeter, StreamLag, Ticker};
use watchtower_store::{LaggingWriter, WriterError};

/// Interval between clock events.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// Interval between two measurements of the lag.
const LAG_EVERY: Duration = Duration::from_secs(2);
/// Longest pause between two flushes of lagging tables, however long the first took.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// Shortest interval between two moves of the consumer groups.
const MOVE_EVERY: Duration = Duration::from_millis(500);

/// An operation at intervals that the backend may refuse for a while: a failure is reported once, however often it is
/// repeated.
#[derive(Debug)]
struct Repeated {
    /// The consequence, as in "the log's clock stands still".
    failure: &'static str,
    is_reported: bool,
}

impl Repeated {
    fn new(failure: &'static str) -> Self {
        Self { failure, is_reported: false }
    }

    /// Logs the first failure since the last success, unless the connection failed, which the reader reports.
    fn attempted(&mut self, outcome: Result<(), BackendError>) {
        match outcome {
            Ok(()) if self.is_reported => {
                self.is_reported = false;
                info!("over: {}", self.failure);
            }
            Ok(()) => {}
            Err(error) if self.is_reported || error.is_disconnected() => debug!(%error, "{}", self.failure),
            Err(error) => {
                self.is_reported = true;
                warn!(%error, "{}", self.failure);
            }
        }
    }
}

/// Appends a clock event to every stream at intervals; never returns. One that is refused is left out: the next one has
/// a later time.
pub async fn append_clock_events(mut ticker: Ticker) {
    let mut ticks = interval(TICK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut clock = Repeated::new("the log's clock stands still: no clock event can be appended");
    loop {
        ticks.tick().await;
        clock.attempted(ticker.tick().await);
    }
}

/// Measures how far the tables are behind the log at intervals; never returns.
pub async fn measure_lag(mut meter: LagMeter, committed: watch::Receiver<Committed>) {
    let mut ticks = interval(LAG_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lag = Repeated::new("the lag is not known: the log does not describe its streams");
    loop {
        ticks.tick().await;
        let cursors = committed.borrow().clone();
        let measured = meter.measure(&cursors).await;
        lag.attempted(measured.map(|lags| {
            for StreamLag { stream, entries, since } in lags {
                metrics::set_lag(&stream, since, entries);
            }
        }));
    }
}

/// Moves the consumer groups behind the commits; never returns while there are commits. A move that is refused for a
/// while is repeated, though nothing more is committed.
pub async fn move_groups(mut groups: Groups, mut committed: watch::Receiver<Committed>) {
    let mut moves = Repeated::new("the consumer groups stand still: they cannot be moved behind the commits");
    while committed.changed().await.is_ok() {
        let cursors = committed.borrow_and_update().clone();
        crash::point("before-move-groups");
        let outcome = groups.advance(&cursors).await;
        let passes = outcome.as_ref().is_err_and(BackendError::is_transient);
        moves.attempted(outcome);
        if passes {
            committed.mark_changed();
        }
        sleep(MOVE_EVERY).await;
    }
}

/// Writes lagging tables until the channel closes; a flush that cannot be written yet is retried. Between two flushes it
/// pauses as long as the one before took: readers who wait read the other tables.
///
/// # Errors
/// If the database refuses for good, or another daemon has taken over.
pub async fn write_lagging(
    mut writer: LaggingWriter,
    mut flushes: mpsc::Receiver<Flush>,
    idle: Idle,
) -> Result<(), WriterError> {
    let mut next = flushes.recv().await;
    while let Some(flush) = next {
        let mut backoff = Backoff::default();
        let took = loop {
            let begun = Instant::now();
            match writer.flush(&flush).await {
                Ok(()) => break begun.elapsed(),
                Err(error) if error.remedy() == Remedy::None => return Err(error),
                Err(error) => warn!(%error, "vehicle_state could not be written yet"),
            }
            sleep(backoff.next()).await;
        };
        next = match timeout(took.min(LONGEST_REST), flushes.recv()).await {
            Ok(last) => last,
            Err(_) => {
                idle.store(true, Ordering::Release);
                flushes.recv().await
            }
        };
    }
    Ok(())
}

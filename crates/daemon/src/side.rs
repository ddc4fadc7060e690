//! What a daemon does besides: the time, the consumer groups, the lagging tables.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};

use super::backoff::Backoff;
use super::committer::Committed;
use super::intake::Idle;
use crate::telemetry::metrics;
use watchtower_core::EntryId;
use watchtower_core::StreamPosition;
use watchtower_core::crash;
use watchtower_core::{Flush, Remedy};
use watchtower_log::redis::admin::Admin;
use watchtower_log::redis::{RedisError, Server};
use watchtower_store::{LaggingWriter, WriterError};

/// The log hears what time it is this often.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// The lag is told this often.
const LAG_EVERY: Duration = Duration::from_secs(2);
/// Between two flushes of lagging tables nobody rests longer, however long the first took.
const LONGEST_REST: Duration = Duration::from_secs(10);
/// The consumer groups are moved at most this often.
const MOVE_EVERY: Duration = Duration::from_millis(500);

/// Something done again and again that Redis refuses for a while: reported once, however often it fails.
#[derive(Debug)]
struct Repeated {
    /// What, as in "the log's clock stands still".
    failure: &'static str,
    is_reported: bool,
}

impl Repeated {
    fn new(failure: &'static str) -> Self {
        Self { failure, is_reported: false }
    }

    /// Logs the first failure since the last success, unless the connection failed, which the reader reports. The next
    /// attempt needs a new connection: Redis may have closed this one, or be another server now.
    fn attempted(&mut self, admin: &mut Option<Admin>, outcome: Result<(), RedisError>) {
        match outcome {
            Ok(()) if self.is_reported => {
                self.is_reported = false;
                info!("over: {}", self.failure);
            }
            Ok(()) => {}
            Err(error) => {
                *admin = None;
                if self.is_reported || error.is_disconnected() {
                    debug!(%error, "{}", self.failure);
                } else {
                    self.is_reported = true;
                    warn!(%error, "{}", self.failure);
                }
            }
        }
    }
}

/// Appends the server's time to every stream, for ever. What Redis refuses is left out: the next clock says more.
pub async fn tell_the_time(server: Server, keys: Vec<String>) {
    let mut ticks = interval(TICK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut admin = None;
    let mut clock = Repeated::new("the log's clock stands still: no clock event can be appended");
    loop {
        ticks.tick().await;
        let outcome = tick(&mut admin, &server, &keys).await;
        clock.attempted(&mut admin, outcome);
    }
}

async fn tick(admin: &mut Option<Admin>, server: &Server, keys: &[String]) -> Result<(), RedisError> {
    connected(admin, server).await?.tick(keys).await.map(drop)
}

async fn connected<'a>(admin: &'a mut Option<Admin>, server: &Server) -> Result<&'a mut Admin, RedisError> {
    Ok(match admin {
        Some(admin) => admin,
        None => admin.insert(Admin::connect(server).await?),
    })
}

/// Says how far the tables are behind the streams, for ever.
pub async fn tell_the_lag(server: Server, keys: Vec<String>, committed: watch::Receiver<Committed>) {
    let mut ticks = interval(LAG_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut admin = None;
    let mut lag = Repeated::new("the lag is not known: Redis does not describe its streams");
    loop {
        ticks.tick().await;
        let outcome = measure_lag(&mut admin, &server, &keys, &committed).await;
        lag.attempted(&mut admin, outcome);
    }
}

async fn measure_lag(
    admin: &mut Option<Admin>,
    server: &Server,
    keys: &[String],
    committed: &watch::Receiver<Committed>,
) -> Result<(), RedisError> {
    let admin = connected(admin, server).await?;
    let now = admin.time().await?;
    for key in keys {
        let info = admin.stream_info(key).await?;
        let cursor = committed.borrow().iter().find(|cursor| cursor.stream == *key).cloned();
        let read = cursor.map_or_else(StreamPosition::default, |cursor| cursor.position);
        let (behind, last) = (info.added.saturating_sub(read.counted()), read.last);
        let since = if behind == 0 { 0 } else { now.saturating_sub(last.max(info.first).instant()).max(0) };
        metrics::set_lag(key, Duration::from_millis(since.unsigned_abs()), behind);
    }
    Ok(())
}

/// Moves the consumer groups behind the commits, for ever: a courtesy to whoever looks. What Redis refuses is tried
/// again, though nothing more is committed.
pub async fn move_groups(server: Server, mut committed: watch::Receiver<Committed>) {
    let mut admin = None;
    let mut moves = Repeated::new("the consumer groups stand still: they cannot be moved behind the commits");
    while committed.changed().await.is_ok() {
        let cursors: Vec<(String, EntryId, u64)> = committed
            .borrow_and_update()
            .iter()
            .map(|cursor| (cursor.stream.clone(), cursor.position))
            .filter(|(_, read)| read.last != EntryId::ZERO)
            .map(|(stream, read)| (stream, read.last, read.counted()))
            .collect();
        crash::point("before-move-groups");
        let outcome = async { connected(&mut admin, &server).await?.move_groups(&cursors).await }.await;
        let passes = outcome.as_ref().is_err_and(RedisError::is_transient);
        moves.attempted(&mut admin, outcome);
        if passes {
            committed.mark_changed();
        }
        sleep(MOVE_EVERY).await;
    }
}

/// Writes lagging tables until nothing more comes; what cannot be written yet is tried again. Between two
/// flushes it rests as long as the one before took: what is waited for is in the other tables.
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

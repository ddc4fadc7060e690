//! Operations that a daemon repeats at intervals: clock events, the lag, and the consumer groups.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use watchtower_core::{Cursor, EntryId, StreamPosition};
use watchtower_geopackage::GeoPackage;

use crate::error::BackendError;
use crate::file::{self, LogError};
use crate::redis::admin::Admin;
use crate::redis::{RedisError, Server};

/// A connection that is made when it is first needed, and again after an error: Redis may have closed it, or be another
/// server now.
#[derive(Debug)]
pub(crate) struct Reconnecting {
    server: Server,
    admin: Option<Admin>,
}

impl Reconnecting {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, admin: None }
    }

    async fn connected(&mut self) -> Result<&mut Admin, RedisError> {
        let admin = match self.admin.take() {
            Some(admin) => admin,
            None => Admin::connect(&self.server).await?,
        };
        Ok(self.admin.insert(admin))
    }

    /// Drops the connection after an error.
    fn checked<T>(&mut self, outcome: Result<T, RedisError>) -> Result<T, BackendError> {
        if outcome.is_err() {
            self.admin = None;
        }
        Ok(outcome?)
    }
}

/// Appends clock events.
#[derive(Debug)]
pub struct Ticker(pub(crate) Clocks);

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a daemon has one of it")]
pub(crate) enum Clocks {
    Redis(Reconnecting, Vec<String>),
    File(Box<file::Appender>),
}

impl Ticker {
    /// Appends a clock event with the backend's time to every stream.
    ///
    /// # Errors
    /// If an event cannot be appended. It is left out: the next one has a later time.
    pub async fn tick(&mut self) -> Result<(), BackendError> {
        match &mut self.0 {
            Clocks::Redis(redis, keys) => {
                let outcome = async { redis.connected().await?.tick(keys).await.map(drop) }.await;
                redis.checked(outcome)
            }
            Clocks::File(log) => Ok(tokio::task::block_in_place(|| log.tick().map(drop))?),
        }
    }
}

/// How far the tables are behind a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLag {
    /// Key or name of the stream.
    pub stream: String,
    /// Number of entries that the tables do not contain.
    pub entries: u64,
    /// Time since the last entry that the tables contain; zero if they contain all.
    pub since: Duration,
}

/// Measures how far the tables are behind the log.
#[derive(Debug)]
pub struct LagMeter(pub(crate) Ends);

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a daemon has one of it")]
pub(crate) enum Ends {
    Redis(Reconnecting, Vec<String>),
    File(GeoPackage),
}

impl LagMeter {
    /// The lag of each stream behind its committed position.
    ///
    /// # Errors
    /// If the backend does not describe its streams.
    pub async fn measure(&mut self, committed: &[Cursor]) -> Result<Vec<StreamLag>, BackendError> {
        match &mut self.0 {
            Ends::Redis(redis, keys) => {
                let outcome = async { streams_lag(redis.connected().await?, keys, committed).await }.await;
                redis.checked(outcome)
            }
            Ends::File(file) => Ok(tokio::task::block_in_place(|| file_lag(file, committed))?),
        }
    }
}

async fn streams_lag(admin: &mut Admin, keys: &[String], committed: &[Cursor]) -> Result<Vec<StreamLag>, RedisError> {
    let now = admin.time().await?;
    let mut lags = Vec::new();
    for key in keys {
        let info = admin.stream_info(key).await?;
        let cursor = committed.iter().find(|cursor| cursor.stream == *key);
        let read = cursor.map_or_else(StreamPosition::default, |cursor| cursor.position);
        let entries = info.added.saturating_sub(read.counted());
        lags.push(lag(key, entries, now, read.last.max(info.first)));
    }
    Ok(lags)
}

fn file_lag(file: &GeoPackage, committed: &[Cursor]) -> Result<Vec<StreamLag>, LogError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let lag = |end: file::StreamEnd| {
        let cursor = committed.iter().find(|cursor| cursor.stream == end.name);
        let entries = end.entries - cursor.map_or(0, |cursor| cursor.position.entries);
        lag(&end.name, entries, now, end.last)
    };
    Ok(file::Reader::open_to_read(file)?.ends()?.into_iter().map(lag).collect())
}

fn lag(stream: &str, entries: u64, now: i64, last: EntryId) -> StreamLag {
    let since_ms = if entries == 0 { 0 } else { now.saturating_sub(last.instant()).max(0) };
    StreamLag { stream: stream.to_owned(), entries, since: Duration::from_millis(since_ms.unsigned_abs()) }
}

/// Moves the consumer groups of a pipeline behind its commits, so that `XINFO GROUPS` shows the lag.
#[derive(Debug)]
pub struct Groups(pub(crate) Reconnecting);

impl Groups {
    /// Sets the groups to the committed positions. Streams of which nothing was read are left out.
    ///
    /// # Errors
    /// If Redis does not answer or refuses.
    pub async fn advance(&mut self, committed: &[Cursor]) -> Result<(), BackendError> {
        let read = committed.iter().filter(|cursor| cursor.position.last != EntryId::ZERO);
        let read = read.map(|Cursor { stream, position, .. }| (stream.clone(), position.last, position.counted()));
        let cursors: Vec<_> = read.collect();
        let outcome = async { self.0.connected().await?.move_groups(&cursors).await }.await;
        self.0.checked(outcome)
    }
}

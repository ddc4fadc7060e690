//! Copies the log of a file to the streams of a Redis, entry by entry with their ids.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Connection, RedisError};
use secrecy::ExposeSecret;
use watchtower_core::EntryId;
use watchtower_geopackage::GeoPackage;

use crate::ClockSource;
use crate::append::Target;
use crate::file::{Layout, LogError, Reader};
use crate::redis::address;

/// Time limit for the answer to one batch of entries.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// Entries per batch.
const AT_ONCE: usize = 512;

/// The export did not complete.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file cannot be read, or has no log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Redis cannot be reached, or refuses.
    #[error("cannot {doing} at {server}: {source}")]
    Redis {
        /// The operation, as in `cannot <doing> at <server>`.
        doing: String,
        /// Host, port and database.
        server: String,
        /// Cause reported by Redis or its client.
        source: RedisError,
    },
    /// The beginning of the log was trimmed.
    #[error(
        "the log begins with entry {first}: what was before it was trimmed ([embedded] log_keep), and the tables \
             could not become the same without it"
    )]
    Trimmed {
        /// Number of the oldest remaining entry.
        first: u64,
    },
    /// A stream holds other entries.
    #[error("{key} holds {entries} entries that are not those of this log: export into a pipeline of another name")]
    Occupied {
        /// Key of the stream.
        key: String,
        /// Number of entries ever added to it.
        entries: u64,
    },
    /// The user interrupted the export.
    #[error("interrupted after {entries} entries: the same command continues from there")]
    Interrupted {
        /// Number of entries exported so far.
        entries: u64,
    },
}

/// Result of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Number of entries of the log.
    pub entries: u64,
    /// Number of those that had been exported before.
    pub before: u64,
    /// Settings that the configuration of the new pipeline must have.
    pub layout: Layout,
}

/// State of one of the streams in Redis.
struct Stream {
    key: String,
    /// Number of entries added before this export, and the id of the last one.
    added: u64,
    last: EntryId,
    /// Entries of the log read for this stream so far.
    read: u64,
}

/// Appends the log of a file to the streams of a pipeline in Redis, with the same entry ids.
///
/// # Errors
/// If either cannot be used, a stream holds other entries, or `stop` is set.
///
/// # Panics
/// If the target is a file.
pub fn export(file: &GeoPackage, target: &Target, stop: &AtomicBool) -> Result<Exported, ExportError> {
    let Target::Redis { url, pipeline } = target else { unreachable!("the target of an export is a Redis") };
    let server = address(url);
    let failed = |doing: &str| {
        let (doing, server) = (doing.to_owned(), server.clone());
        move |source| ExportError::Redis { doing, server, source }
    };
    let log = Reader::open(file)?;
    if let Some(first) = log.first()?.filter(|first| *first > 1) {
        return Err(ExportError::Trimmed { first });
    }
    let layout = log.layout();
    let client = redis::Client::open(url.expose_secret()).map_err(failed("parse the address"))?;
    let mut redis = client.get_connection_with_timeout(Duration::from_secs(10)).map_err(failed("connect"))?;
    redis.set_read_timeout(Some(RESPONSE_TIMEOUT)).map_err(failed("connect"))?;
    let mut streams = Vec::new();
    for key in target.keys(layout.streams) {
        streams.push(Stream::read_state(&mut redis, key).map_err(failed("read the streams"))?);
    }
    announce(&mut redis, &pipeline.layout_key(), layout).map_err(failed("announce the pipeline"))?;
    let (mut at, mut sent) = (0, 0);
    loop {
        let entries = log.read(at, u64::MAX)?;
        if entries.is_empty() {
            break;
        }
        let (mut next, mut fields) = (entries.iter(), Vec::new());
        let mut pipe = redis::pipe();
        while let Some((stream, id)) = next.next(&mut fields) {
            let stream = &mut streams[stream];
            if stream.is_new(id)? {
                pipe.cmd("XADD").arg(&stream.key).arg(id.to_string());
                for (name, value) in &fields {
                    pipe.arg(*name).arg(*value);
                }
                pipe.ignore();
                sent += 1;
            }
            if pipe.len() >= AT_ONCE {
                pipe.exec(&mut redis).map_err(failed("append"))?;
                pipe.clear();
                if stop.load(Ordering::Relaxed) {
                    return Err(ExportError::Interrupted { entries: sent });
                }
            }
        }
        if !pipe.is_empty() {
            pipe.exec(&mut redis).map_err(failed("append"))?;
        }
        at = entries.last();
    }
    match streams.iter().find(|stream| stream.added > stream.read) {
        Some(Stream { key, added, .. }) => Err(ExportError::Occupied { key: key.clone(), entries: *added }),
        None => Ok(Exported { entries: at, before: at - sent, layout }),
    }
}

impl Stream {
    fn read_state(redis: &mut Connection, key: String) -> Result<Self, RedisError> {
        let mut stream = Self { key, added: 0, last: EntryId::ZERO, read: 0 };
        if redis::cmd("EXISTS").arg(&stream.key).query(redis)? {
            let info: HashMap<String, redis::Value> =
                redis::cmd("XINFO").arg("STREAM").arg(&stream.key).query(redis)?;
            let last = info.get("last-generated-id").and_then(|id| redis::from_redis_value_ref::<String>(id).ok());
            stream.last = last.and_then(|last| last.parse().ok()).unwrap_or(EntryId::ZERO);
            stream.added = match info.get("entries-added") {
                Some(redis::Value::Int(added)) => added.unsigned_abs(),
                _ => 0,
            };
        }
        Ok(stream)
    }

    /// Whether the next entry of the log is missing from the stream.
    fn is_new(&mut self, id: EntryId) -> Result<bool, ExportError> {
        self.read += 1;
        if self.read == self.added && id != self.last {
            return Err(ExportError::Occupied { key: self.key.clone(), entries: self.added });
        }
        Ok(self.read > self.added)
    }
}

/// Announces the pipeline to producers, as its daemon does.
fn announce(redis: &mut Connection, key: &str, layout: Layout) -> Result<(), RedisError> {
    let clock = match layout.clock {
        Some(ClockSource::Wall) | None => "wall",
        Some(ClockSource::Log) => "log",
    };
    redis::cmd("HSET").arg(key).arg("streams").arg(layout.streams).arg("clock").arg(clock).exec(redis)
}

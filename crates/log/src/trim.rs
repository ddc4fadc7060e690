//! Removal of entries that no checkpoint needs.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use watchtower_core::{EntryId, crash};
use watchtower_geopackage::GeoPackage;

use crate::error::BackendError;
use crate::file::{Appender, LogError};
use crate::redis::admin::Admin;
use crate::redis::{RedisError, Server};

/// Entries of the log that a checkpoint contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contained {
    /// Key and last entry of each stream.
    pub streams: Vec<(String, EntryId)>,
    /// Number of entries up to there, over all streams.
    pub entries: u64,
}

/// Removes entries of the log that no checkpoint needs.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a daemon has one of it")]
pub enum Trimmer {
    /// Trims streams in Redis.
    Redis {
        /// The Redis server.
        server: Server,
        /// Age below which entries are always kept; `None` keeps all.
        keep: Option<Duration>,
    },
    /// Trims the log in a GeoPackage.
    File {
        /// The GeoPackage with the log.
        file: GeoPackage,
        /// Age below which entries are always kept; `None` keeps all.
        keep: Option<Duration>,
    },
}

impl Trimmer {
    /// Removes entries that the oldest of the `kept` checkpoints contains and that are old enough. `kept` holds at least
    /// one, the oldest first. Returns how many entries were removed.
    ///
    /// # Errors
    /// If the log cannot be trimmed now. The next call continues.
    pub async fn trim(&self, kept: &VecDeque<Contained>) -> Result<u64, BackendError> {
        match self {
            Self::Redis { keep: None, .. } | Self::File { keep: None, .. } => Ok(0),
            Self::Redis { server, keep: Some(keep) } => Ok(trim_streams(server, kept, *keep).await?),
            Self::File { file, keep: Some(keep) } => {
                Ok(tokio::task::block_in_place(|| trim_file(file, kept[0].entries, *keep))?)
            }
        }
    }
}

/// A stream that lacks the last entry of the newest checkpoint may have been replaced by another one, and is not
/// trimmed.
async fn trim_streams(server: &Server, kept: &VecDeque<Contained>, keep: Duration) -> Result<u64, RedisError> {
    let mut admin = Admin::connect(server).await?;
    let youngest = admin.time().await?.saturating_sub(keep.as_millis() as i64);
    let youngest = EntryId { ms: youngest.unsigned_abs(), seq: 0 };
    let mut gone = 0;
    crash::point("before-trim");
    for (stream, (key, oldest)) in kept[0].streams.iter().enumerate() {
        let newest = kept[kept.len() - 1].streams[stream].1;
        let oldest = (*oldest).min(newest).min(youngest);
        if oldest != EntryId::ZERO && admin.anchor(key, newest).await?.0 {
            gone += admin.trim(key, oldest).await?;
        }
    }
    Ok(gone)
}

fn trim_file(file: &GeoPackage, until: u64, keep: Duration) -> Result<u64, LogError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let youngest = now.saturating_sub(keep).as_millis() as i64;
    let mut log = Appender::open(file, None)?;
    let mut gone = 0;
    crash::point("before-trim");
    loop {
        match log.trim_some(until, youngest)? {
            0 => return Ok(gone),
            some => gone += some as u64,
        }
    }
}

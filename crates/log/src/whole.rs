//! Whether a log still holds every entry that tables contain, so that these can be computed anew.

use std::path::PathBuf;

use watchtower_core::Cursor;

use crate::error::BackendError;
use crate::file::{LogError, Reader};
use crate::redis::admin::Admin;
use crate::redis::{RedisError, Server, stream_keys};
use crate::{Options, redis};

/// A log cannot be read from its beginning.
#[derive(Debug, thiserror::Error)]
pub enum NotWhole {
    /// Entries of a stream in Redis are gone.
    #[error("{stream}: Redis holds {held} of the {needed} entries that the tables contain, the rest was trimmed")]
    Stream {
        /// Key of the stream.
        stream: String,
        /// Number of entries that Redis holds.
        held: u64,
        /// Number of entries that the tables contain.
        needed: u64,
    },
    /// Entries of the log in a file are gone.
    #[error(
        "the log of {} begins with entry {first}, the ones before were trimmed ([embedded] log_keep)", path.display()
    )]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Number of the oldest remaining entry.
        first: u64,
    },
    /// The log cannot be examined.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

impl From<RedisError> for NotWhole {
    fn from(error: RedisError) -> Self {
        Self::Backend(error.into())
    }
}

impl From<LogError> for NotWhole {
    fn from(error: LogError) -> Self {
        Self::Backend(error.into())
    }
}

/// Proves that the log holds every entry up to `cursors`.
///
/// # Errors
/// If it does not, or cannot be examined.
pub async fn require_whole(log: &Options, cursors: &[Cursor]) -> Result<(), NotWhole> {
    match log {
        Options::Redis { pipeline, redis, .. } => require_streams(pipeline, redis, cursors).await,
        Options::File { file, .. } => {
            let first = tokio::task::block_in_place(|| Reader::open(file)?.first())?;
            match first {
                Some(first) if first > 1 => Err(NotWhole::File { path: file.path().to_owned(), first }),
                _ => Ok(()),
            }
        }
    }
}

async fn require_streams(pipeline: &str, options: &redis::Options, cursors: &[Cursor]) -> Result<(), NotWhole> {
    let mut admin = Admin::connect(&Server::new(options)?).await?;
    for key in stream_keys(pipeline, options.streams) {
        let Some(cursor) = cursors.iter().find(|cursor| cursor.stream == key) else { continue };
        let (position, info) = (cursor.position, admin.stream_info(&key).await?);
        let gone = info.removed().saturating_sub(position.skipped);
        let needed = position.contained();
        if gone > 0 || info.added < position.entries || position.rebased > 0 {
            return Err(NotWhole::Stream { stream: key, held: needed.saturating_sub(gone.max(1)), needed });
        }
    }
    Ok(())
}

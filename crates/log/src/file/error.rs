//! Errors of the log in a file.

use std::path::PathBuf;

use watchtower_core::EntryId;
use watchtower_geopackage::FileError;

/// The log did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is a file of ours, but no log in it yet.
    #[error("{} has no log yet", path.display())]
    NoLog {
        /// Path of the file, as it was given.
        path: PathBuf,
    },
    /// The number of streams is fixed.
    #[error(
        "{} has {has} event stream{}, not {wanted}: the number is fixed when the file is made, for it decides which \
         vehicle is in which stream", path.display(), if *has == 1 { "" } else { "s" }
    )]
    Streams {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// Number of event streams of the file.
        has: u16,
        /// Number of event streams in the configuration.
        wanted: u16,
    },
    /// An id is not greater than the one before it.
    #[error("entry {id} cannot be appended to {stream}, whose last one is {last}: ids only grow")]
    Order {
        /// Name of the stream.
        stream: String,
        /// The id of the entry.
        id: EntryId,
        /// The last one there is.
        last: EntryId,
    },
    /// A needed entry was trimmed, or the file was replaced.
    #[error("{}: the log has no entry number {wanted}{}", path.display(), first.map_or(String::new(), |first| format!(
        "; it begins with number {first}"
    )))]
    Missing {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// The number of the entry that is missing.
        wanted: u64,
        /// The number of the first one there is after it, if there is any.
        first: Option<u64>,
    },
    /// An entry is not what an entry is.
    #[error("{}: entry number {position} of the log is broken", path.display())]
    Broken {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// Number of the entry in the log.
        position: u64,
    },
}

impl LogError {
    /// Whether the same may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::File(error) => error.is_busy() || error.is_full(),
            Self::NoLog { .. }
            | Self::Streams { .. }
            | Self::Order { .. }
            | Self::Missing { .. }
            | Self::Broken { .. } => false,
        }
    }
}

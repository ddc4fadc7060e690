//! Errors of the tables in the file.

use std::path::PathBuf;

use watchtower_core::Remedy;
use watchtower_geopackage::FileError;

use crate::UnreadableCursor;

/// An operation on the tables failed.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tables were computed under another plan.
    #[error(
        "what the tables of {0} mean has changed: {difference}. They are not mixed: put the configuration back, or let \
         `watchtower rebuild --embedded {0}` compute them anew from the log", path.display(),
        difference = watchtower_core::plan::difference(stored, ours)
    )]
    Plan {
        /// Path of the file.
        path: PathBuf,
        /// The plan of its tables.
        stored: String,
        /// The plan of this program and configuration.
        ours: String,
    },
    /// A stored cursor cannot be read. A guessed cursor would repeat or lose entries.
    #[error("{}: {fault}", path.display())]
    Cursor {
        /// Path of the file.
        path: PathBuf,
        /// The row and its cell.
        fault: UnreadableCursor,
    },
    /// The tables have the columns of another version.
    #[error(
        "the tables of {0} are those of another watchtower: let `watchtower rebuild --embedded {0}` compute them anew \
         from the log", path.display()
    )]
    Tables {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file has no tables.
    #[error("{} has no tables yet: no daemon has run on it", path.display())]
    NoTables {
        /// Path of the file.
        path: PathBuf,
    },
    /// Nothing can be resumed over a file.
    #[error(
        "{0} cannot lose entries that its tables lack, so there is nothing to resume: log and tables are in the same \
         file, and entries are removed only once the tables contain them. `watchtower check --embedded {0}` reports what \
         keeps the daemon from running; if the file is damaged or half copied, put a copy of it back, or let `watchtower \
         rebuild --embedded {0}` compute the tables anew from its log", path.display()
    )]
    NothingToResume {
        /// Path of the file.
        path: PathBuf,
    },
    /// A file that was written beside it cannot be removed.
    #[error("cannot remove {}: {source}", path.display())]
    Beside {
        /// Path of that file.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// Another daemon holds the file.
    #[error(
        "{} is being written by {owner}: stop that daemon first (or start this one with --takeover, which fences it)",
        path.display()
    )]
    Occupied {
        /// Path of the file.
        path: PathBuf,
        /// Process and machine of that daemon.
        owner: String,
    },
    /// Another daemon has taken over.
    #[error("fenced: {by} took over {} (term {term}, ours was {ours}); nothing was written since", path.display())]
    Fenced {
        /// Path of the file.
        path: PathBuf,
        /// Process and machine of the new owner.
        by: String,
        /// Term of the new owner.
        term: i64,
        /// Term of this writer.
        ours: i64,
    },
}

impl EmbeddedError {
    /// How the committer should recover from this error.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::File(error) if error.is_busy() => Remedy::Retry,
            Self::File(error) if error.is_full() => Remedy::Wait,
            Self::File(_)
            | Self::Cursor { .. }
            | Self::Plan { .. }
            | Self::Tables { .. }
            | Self::NoTables { .. }
            | Self::NothingToResume { .. }
            | Self::Beside { .. }
            | Self::Occupied { .. }
            | Self::Fenced { .. } => Remedy::None,
        }
    }
}

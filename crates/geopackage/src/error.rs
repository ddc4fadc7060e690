//! What can go wrong with the file.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// The file did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// There is none.
    #[error("there is no file {}; `watchtower run --embedded` makes one", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It cannot be opened.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It is something else, and is left as it is.
    #[error("{} is {what}, not a file that watchtower made: it is left as it is", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A later program made it.
    #[error(
        "{} has format {found}, made by a later watchtower; this one knows format {known}: upgrade it", path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A statement failed.
    #[error("cannot {doing} in {}: {source}", path.display())]
    Statement {
        /// Which file.
        path: PathBuf,
        /// What was being done, and to what.
        doing: String,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file beside it that says who writes cannot be used.
    #[error("cannot use {}: {source}", path.display())]
    Lease {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FileError {
    /// Whether the same may succeed a little later: somebody else had the file locked.
    pub fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Whether there is no room on the disk.
    pub fn is_full(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DiskFull))
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Open { source, .. } | Self::Statement { source, .. } => source.sqlite_error_code(),
            Self::Missing { .. } | Self::Foreign { .. } | Self::Newer { .. } | Self::Lease { .. } => None,
        }
    }
}

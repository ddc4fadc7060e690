//! Errors of the GeoPackage file.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

/// An operation on the GeoPackage file failed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// No file exists at the path.
    #[error("there is no file {}; `watchtower run --embedded` makes one", path.display())]
    Missing {
        /// The path that was given.
        path: PathBuf,
    },
    /// SQLite cannot open the file.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// Path of the file.
        path: PathBuf,
        /// Cause reported by SQLite.
        source: rusqlite::Error,
    },
    /// The file was made by another program. It is left unchanged.
    #[error("{} is {what}, not a file that watchtower made: it is left unchanged", path.display())]
    Foreign {
        /// Path of the file.
        path: PathBuf,
        /// The kind of file that was found, with its article.
        what: &'static str,
    },
    /// A later version of this program made the file.
    #[error(
        "{} has format {found}, made by a later watchtower; this one knows format {known}: upgrade it", path.display()
    )]
    Newer {
        /// Path of the file.
        path: PathBuf,
        /// Format number found in the file.
        found: i64,
        /// Format number of this program.
        known: i64,
    },
    /// A statement failed.
    #[error("cannot {doing} in {}: {source}", path.display())]
    Statement {
        /// Path of the file.
        path: PathBuf,
        /// The operation and its object, as in `cannot <doing> in <path>`.
        doing: String,
        /// Cause reported by SQLite.
        source: rusqlite::Error,
    },
    /// The lock file beside the GeoPackage cannot be opened or locked.
    #[error("cannot use {}: {source}", path.display())]
    Lease {
        /// Path of the lock file.
        path: PathBuf,
        /// Cause reported by the operating system.
        source: io::Error,
    },
}

impl FileError {
    /// Whether a retry may succeed: another connection held SQLite's lock.
    pub fn is_busy(&self) -> bool {
        matches!(self.code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Whether the disk is full.
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

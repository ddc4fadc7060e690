//! The writers of all stores behind one type, for the daemon.

use watchtower_core::{Commit, Flush, Remedy};

use crate::geopackage::{self, EmbeddedError};
use crate::postgres::{self, StoreError};

/// A write to the store failed.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The error of the PostgreSQL store.
    #[error(transparent)]
    Postgres(#[from] StoreError),
    /// The error of the embedded store.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
}

impl WriterError {
    /// How the committer should recover from this error.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Postgres(error) => error.remedy(),
            Self::Embedded(error) => error.remedy(),
        }
    }
}

/// The writer of transactional tables.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a daemon has one of it")]
pub enum Writer {
    /// Writes to PostgreSQL.
    Postgres(postgres::commit::Writer),
    /// Writes to the GeoPackage. It blocks the calling thread while the disk writes; the runtime has several threads.
    Embedded(geopackage::commit::Writer),
}

impl Writer {
    /// Number of the last commit.
    pub fn commit_seq(&self) -> i64 {
        match self {
            Self::Postgres(writer) => writer.commit_seq(),
            Self::Embedded(writer) => writer.commit_seq(),
        }
    }

    /// Kind of the store, for messages.
    pub fn backend(&self) -> Backend {
        match self {
            Self::Postgres(_) => Backend::Postgres,
            Self::Embedded(_) => Backend::File,
        }
    }

    /// Writes one commit; afterwards [`Self::commit_seq`] is its number.
    ///
    /// # Errors
    /// If another writer has taken over. After any other error the outcome is unknown until [`Self::reconnect`] or
    /// [`Self::roll_back`] returns.
    pub async fn commit(&mut self, commit: &Commit) -> Result<(), WriterError> {
        match self {
            Self::Postgres(writer) => Ok(writer.commit(commit).await?),
            Self::Embedded(writer) => Ok(tokio::task::block_in_place(|| writer.commit(commit))?),
        }
    }

    /// Records in the pipeline's row why writing has stopped; `None` clears the record.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn set_halted(&mut self, why: Option<&str>) -> Result<(), WriterError> {
        match self {
            Self::Postgres(writer) => Ok(writer.set_halted(why).await?),
            Self::Embedded(writer) => Ok(tokio::task::block_in_place(|| writer.set_halted(why))?),
        }
    }

    /// Rolls back a failed transaction.
    ///
    /// # Errors
    /// If the connection is lost.
    pub async fn roll_back(&mut self) -> Result<(), WriterError> {
        match self {
            Self::Postgres(writer) => Ok(writer.roll_back().await?),
            Self::Embedded(_) => Ok(()), // the error ended it
        }
    }

    /// Replaces a lost connection. Returns whether the unanswered commit was executed.
    ///
    /// # Errors
    /// If another writer has taken over, or the store cannot be reached.
    pub async fn reconnect(&mut self) -> Result<bool, WriterError> {
        match self {
            Self::Postgres(writer) => Ok(writer.reconnect().await?),
            Self::Embedded(_) => Ok(false), // a file has no connection to lose
        }
    }
}

/// The writer of lagging tables.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a daemon has one of it")]
pub enum LaggingWriter {
    /// Writes to PostgreSQL.
    Postgres(postgres::lagging::LaggingWriter),
    /// Writes to the GeoPackage.
    Embedded(geopackage::lagging::LaggingWriter),
}

impl LaggingWriter {
    /// Writes a flush in one transaction.
    ///
    /// # Errors
    /// If another daemon has taken over. After any other error the same flush may be retried: it sets values.
    pub async fn flush(&mut self, flush: &Flush) -> Result<(), WriterError> {
        match self {
            Self::Postgres(writer) => Ok(writer.flush(flush).await?),
            Self::Embedded(writer) => Ok(tokio::task::block_in_place(|| writer.flush(flush))?),
        }
    }
}

/// The kind of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A PostgreSQL server.
    Postgres,
    /// A GeoPackage file.
    File,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::File => "the file",
        })
    }
}

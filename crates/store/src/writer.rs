//! The writers of all stores as one: what a daemon writes with.

use watchtower_core::{Commit, Flush, Remedy};

use crate::geopackage::{self, EmbeddedError};
use crate::postgres::{self, StoreError};

/// Tables could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// In PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] StoreError),
    /// In the one file.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
}

impl WriterError {
    /// What helps.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Postgres(error) => error.remedy(),
            Self::Embedded(error) => error.remedy(),
        }
    }
}

/// What writes transactional tables.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a daemon has one of it")]
pub enum Writer {
    /// To PostgreSQL.
    Postgres(postgres::commit::Writer),
    /// To the one file. It waits for the disk within the thread it is called in: the runtime has several.
    Embedded(geopackage::commit::Writer),
}

impl Writer {
    /// The last commit.
    pub fn commit_seq(&self) -> i64 {
        match self {
            Self::Postgres(writer) => writer.commit_seq(),
            Self::Embedded(writer) => writer.commit_seq(),
        }
    }

    /// What it writes to, as an operator calls it.
    pub fn backend(&self) -> Backend {
        match self {
            Self::Postgres(_) => Backend::Postgres,
            Self::Embedded(_) => Backend::File,
        }
    }

    /// One commit; afterwards [`Self::commit_seq`] is its number.
    ///
    /// # Errors
    /// If another writer has taken over. After any other error the outcome is unknown until
    /// [`Self::reconnect`] or [`Self::roll_back`] has said it.
    pub async fn commit(&mut self, commit: &Commit) -> Result<(), WriterError> {
        match self {
            Self::Postgres(writer) => Ok(writer.commit(commit).await?),
            Self::Embedded(writer) => Ok(tokio::task::block_in_place(|| writer.commit(commit))?),
        }
    }

    /// Says in the pipeline's row why no more is written, or that all is well.
    ///
    /// # Errors
    /// If it cannot be said.
    pub async fn set_halted(&mut self, why: Option<&str>) -> Result<(), WriterError> {
        match self {
            Self::Postgres(writer) => Ok(writer.set_halted(why).await?),
            Self::Embedded(writer) => Ok(tokio::task::block_in_place(|| writer.set_halted(why))?),
        }
    }

    /// Ends a transaction that failed.
    ///
    /// # Errors
    /// If the connection is gone after all.
    pub async fn roll_back(&mut self) -> Result<(), WriterError> {
        match self {
            Self::Postgres(writer) => Ok(writer.roll_back().await?),
            Self::Embedded(_) => Ok(()), // it ended with the error
        }
    }

    /// A new connection in place of a lost one. Says whether the commit that was under way happened.
    ///
    /// # Errors
    /// If another writer has taken over, or there is still no connection.
    pub async fn reconnect(&mut self) -> Result<bool, WriterError> {
        match self {
            Self::Postgres(writer) => Ok(writer.reconnect().await?),
            Self::Embedded(_) => Ok(false), // a file is never away
        }
    }
}

/// What writes lagging tables.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a daemon has one of it")]
pub enum LaggingWriter {
    /// To PostgreSQL.
    Postgres(postgres::lagging::LaggingWriter),
    /// To the one file.
    Embedded(geopackage::lagging::LaggingWriter),
}

impl LaggingWriter {
    /// Writes.
    ///
    /// # Errors
    /// If another daemon has taken over. After any other error the same flush may be tried again: it sets
    /// values.
    pub async fn flush(&mut self, flush: &Flush) -> Result<(), WriterError> {
        match self {
            Self::Postgres(writer) => Ok(writer.flush(flush).await?),
            Self::Embedded(writer) => Ok(tokio::task::block_in_place(|| writer.flush(flush))?),
        }
    }
}

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A PostgreSQL server.
    Postgres,
    /// A GeoPackage.
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

//! Errors of a log, whichever backend holds it.

use crate::Gap;
use crate::file::LogError;
use crate::redis::{ProtocolError, RedisError};

/// A backend did not carry out an operation on the log.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The error of Redis.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The error of the log in a file.
    #[error(transparent)]
    File(#[from] LogError),
}

impl BackendError {
    /// Whether the same operation will succeed once the server is back, without any other change.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Redis(error) => error.is_transient(),
            Self::File(error) => error.is_transient(),
        }
    }

    /// Whether the connection failed, so that nothing is known of the server. False for a file.
    pub fn is_disconnected(&self) -> bool {
        match self {
            Self::Redis(error) => error.is_disconnected(),
            Self::File(_) => false,
        }
    }
}

/// The log cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// Redis sent a malformed reply.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Entries are lost.
    #[error(transparent)]
    Gap(#[from] Gap),
    /// The log in the file cannot be used.
    #[error(transparent)]
    File(#[from] LogError),
}

impl ReadError {
    /// Whether the server is away for a while: the next read connects again.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Redis(error) if error.is_transient())
    }
}

//! Reading a log: first what the tables contain and memory does not, then every entry as it is appended.

use crate::error::ReadError;
use crate::{Backend, Entries, Gap, file, redis};

/// Result of a step of [`Tail::next`].
#[derive(Debug)]
pub enum Step {
    /// The next entries; the following step continues after them.
    Entries(Entries),
    /// Everything that the tables contain has been returned. Comes once, before the first [`Self::Following`].
    CaughtUp,
    /// A connection that has proven that no entry was lost before it; later entries follow. Comes once per connection.
    Following,
    /// No entry was appended for a while.
    Nothing,
    /// Entries were read that the streams do not hold, as from a server that was replaced meanwhile. They were dropped;
    /// the next step reads again from the same position.
    Unproven(Gap),
}

/// A reader of all streams of a log, with its positions.
#[derive(Debug)]
pub enum Tail {
    /// Reads streams in Redis.
    Redis(Box<redis::Tail>),
    /// Reads the log in a GeoPackage.
    File(file::Tail),
}

impl Tail {
    /// The kind of log that is read.
    pub fn backend(&self) -> Backend {
        match self {
            Self::Redis(_) => Backend::Redis,
            Self::File(_) => Backend::File,
        }
    }

    /// Number of entries that the tables contain and that are still to be returned.
    pub fn behind(&self) -> u64 {
        match self {
            Self::Redis(tail) => tail.behind(),
            Self::File(tail) => tail.behind(),
        }
    }

    /// Reads on; connects first if there is no connection. Waits some seconds at most for the next entry.
    ///
    /// # Errors
    /// If entries are lost or the backend cannot be used. After a [transient](ReadError::is_transient) error the next
    /// step connects again and continues from the same position.
    pub async fn next(&mut self) -> Result<Step, ReadError> {
        match self {
            Self::Redis(tail) => tail.next().await,
            Self::File(tail) => Ok(tail.next().await?),
        }
    }
}

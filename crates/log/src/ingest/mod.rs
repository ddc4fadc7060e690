//! Appending the requests of many clients: each is in the log as a whole, or not at all, before its client gets an answer.
//!
//! A thread owns the connection to the log. While one append is under way the requests that arrive wait in a bounded
//! channel; the next append takes all of them, up to a limit, and is one transaction: MULTI and EXEC of Redis, or a
//! transaction of the file. So Redis syncs its disk once for a group of requests, and entries hold up to
//! [`EVENTS_PER_ENTRY`] events.
//!
//! The identifiers of deliveries are remembered in the same transaction as their events: a delivery that is repeated adds
//! nothing, and a failed append leaves no identifier behind that would turn an honest retry into a loss.

mod appender;
mod submission;

use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

pub use submission::{Delivery, Entry, Outcome};

use crate::Options;
use appender::Appender;
use submission::Submission;

/// Greatest number of events of one entry: the cost of an entry in Redis is then a small part of that of its events.
pub const EVENTS_PER_ENTRY: u32 = 64;
/// Requests that wait for the thread; further ones are refused at once.
const MAX_WAITING: usize = 4096;
/// Time limit for the append of a request. The thread goes on with it, so the request may be in the log although its
/// client was told to retry.
const APPEND_WITHIN: Duration = Duration::from_secs(15);

/// A request was not appended, or that is unknown; the client should send it again.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IngestError {
    /// The log refuses it or cannot be reached.
    #[error("cannot append to the log: {0}")]
    Refused(String),
    /// Too many requests wait for the log.
    #[error("{MAX_WAITING} requests wait for the log")]
    Full,
    /// The log did not acknowledge in time.
    #[error("the log did not acknowledge within {} s", APPEND_WITHIN.as_secs())]
    TimedOut,
    /// The thread has ended.
    #[error("the program is stopping")]
    Stopping,
}

/// A handle to the thread that appends; the thread ends when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Ingest {
    submissions: mpsc::Sender<Submission>,
}

impl Ingest {
    /// Starts the thread, which connects when the first request arrives. The number of event streams in Redis is the
    /// configured one until a daemon has announced one; a missing file is created.
    pub fn start(log: Options) -> Self {
        let (submissions, waiting) = mpsc::channel(MAX_WAITING);
        std::thread::spawn(move || Appender::new(log).run(waiting));
        Self { submissions }
    }

    /// Appends the entries of one request, in order, and waits until the log has acknowledged them. A `delivery` that
    /// was acknowledged before adds nothing.
    ///
    /// # Errors
    /// If the entries may not be in the log: none of them is, but for [`IngestError::TimedOut`] and a connection that
    /// broke before Redis answered.
    pub async fn append(&self, entries: Vec<Entry>, delivery: Option<Delivery>) -> Result<Outcome, IngestError> {
        let (done, outcome) = oneshot::channel();
        self.submissions.try_send(Submission { entries, delivery, done }).map_err(|error| match error {
            TrySendError::Full(_) => IngestError::Full,
            TrySendError::Closed(_) => IngestError::Stopping,
        })?;
        match tokio::time::timeout(APPEND_WITHIN, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(IngestError::Stopping),
            Err(_) => Err(IngestError::TimedOut),
        }
    }

    /// Whether the log accepts entries: appends nothing, and connects if there is no connection.
    ///
    /// # Errors
    /// If it cannot be reached or is being loaded.
    pub async fn probe(&self) -> Result<(), IngestError> {
        self.append(Vec::new(), None).await.map(drop)
    }
}

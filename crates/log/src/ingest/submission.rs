//! A request on its way to the log, and what became of it.

use std::time::Duration;

use tokio::sync::oneshot;
use watchtower_core::events::{Event, Rejection};

use super::IngestError;

/// What a request appends.
#[derive(Clone, Debug)]
pub enum Entry {
    /// An accepted event. A clock is appended to every stream.
    Event(Event<'static>),
    /// A refused event, which the daemon records in `rejected_events`.
    Refused {
        /// The reason.
        rejection: Rejection,
        /// The event as it was received.
        bytes: Vec<u8>,
        /// The vehicle that it names; the entry is in the stream of that vehicle, else in the control stream.
        vehicle_id: Option<String>,
    },
}

/// The identifier that a sender gives to a delivery and repeats when it retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The source: identifiers of two sources are independent.
    pub source: String,
    /// The identifier.
    pub id: String,
    /// How long it is remembered: at least as long as the sender retries.
    pub keep: Duration,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its entries are in the log.
    Appended,
    /// The same delivery was acknowledged before; nothing was added.
    Repeated,
    /// It has a clock, but clocks of this pipeline are appended by its daemon alone; nothing was added.
    ClockOfDaemon,
}

/// A request that waits for the log.
#[derive(Debug)]
pub(super) struct Submission {
    /// What is appended.
    pub(super) entries: Vec<Entry>,
    /// The identifier of the delivery, if its sender gives one.
    pub(super) delivery: Option<Delivery>,
    /// Receives the outcome.
    pub(super) done: oneshot::Sender<Result<Outcome, IngestError>>,
}

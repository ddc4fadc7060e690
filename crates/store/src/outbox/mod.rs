//! The outbox: what is to be delivered to endpoints, beside the tables that it follows from.
//!
//! A commit that changes alerts appends rows in its own transaction. Processes that deliver claim rows for a time, send
//! them, and settle them: a delivered row moves to `deliveries`, which holds what each endpoint was sent last about each
//! subject. A process that is killed lets its claims expire; what it sent without settling is sent again.
//!
//! * Of one endpoint and subject, one row is claimed at a time, in order of revision; a row that names an old subject
//!   waits for the rows of that one, too. Dead rows hold back only rows that are for endpoints that got an earlier one.
//! * An endpoint that is away (`retry_at`) or disabled hands out no rows; others are not affected.
//! * Times by which rows are due are the caller's; claims expire by the clock of the store.
//!
//! In PostgreSQL the tables are created by a migration; in a GeoPackage by the first commit that has rows.

pub(crate) mod geopackage;
pub(crate) mod postgres;

use std::time::Duration;

use tokio::task::block_in_place;
use watchtower_core::outbox::{AlertEvent, Condition, OutboxRow};
use watchtower_geopackage::GeoPackage;
use watchtower_model::Millis;

use crate::Options;
use crate::claim::random_name;
use crate::geopackage::EmbeddedError;
use crate::postgres::{Database, StoreError};

/// Longest error that is stored, characters.
const MAX_ERROR_CHARS: usize = 500;

/// The outbox cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// PostgreSQL does not do it.
    #[error(transparent)]
    Postgres(#[from] StoreError),
    /// The file does not do it.
    #[error(transparent)]
    File(#[from] EmbeddedError),
    /// A row is not what this program writes.
    #[error(
        "the outbox has a row of subject {subject} with {found:?}, which this program does not know: was it written by a later one?"
    )]
    Unreadable {
        /// Subject of the row.
        subject: String,
        /// The name that is not known.
        found: String,
    },
}

/// A row that is claimed: this process alone delivers it, until the claim expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedRow {
    /// Name of the channel.
    pub endpoint: String,
    /// Subject of the alert.
    pub subject: String,
    /// Number of the commit; greater with each change of the subject.
    pub revision: i64,
    /// Subject of the same alert before.
    pub old_subject: Option<String>,
    /// What happened.
    pub event: AlertEvent,
    /// Whether the endpoint gets it.
    pub condition: Condition,
    /// The rest, as [`OutboxRow::body`](watchtower_core::outbox::OutboxRow::body).
    pub body: String,
    /// Number of attempts, this one included.
    pub attempts: u32,
    /// Instant of the first failure.
    pub failing_since: Option<Millis>,
    /// Revision of the last row of the subject, or the old subject, that was delivered to the endpoint.
    pub delivered_revision: Option<i64>,
    /// Name that the receiver has for that message.
    pub external_ref: Option<String>,
}

impl ClaimedRow {
    /// Whether it is to be sent: its condition holds, and nothing newer was delivered.
    pub fn is_due(&self) -> bool {
        self.condition.holds(self.delivered_revision.is_some())
            && self.delivered_revision.is_none_or(|delivered| delivered < self.revision)
    }
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint has it, under this name.
    Delivered {
        /// Name that the receiver has for the message.
        external_ref: Option<String>,
    },
    /// The endpoint is not to get it.
    Skipped,
    /// It was not attempted: another process may claim it at once.
    Released,
    /// It is attempted again.
    Retry {
        /// Instant of the next attempt.
        at: Millis,
        /// Why this one failed.
        error: String,
    },
    /// It is not attempted again.
    Dead {
        /// Why.
        error: String,
    },
}

/// What is known about an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Instant of the first failure since the last success.
    pub failing_since: Option<Millis>,
    /// Number of failures since the last success.
    pub failures: u32,
    /// Instant before which nothing is sent.
    pub retry_at: Option<Millis>,
    /// Instant at which it was disabled.
    pub disabled_at: Option<Millis>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// State of a listed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// It waits for its first or next attempt.
    Pending,
    /// It is not attempted again.
    Dead,
    /// The endpoint has it.
    Delivered,
}

impl RowState {
    /// All states by their names.
    pub const NAMES: [(&'static str, Self); 3] =
        [("pending", Self::Pending), ("dead", Self::Dead), ("delivered", Self::Delivered)];

    /// The name in tables and lists.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }

    /// The state of a name in the tables, which hold no others.
    fn of(name: &str) -> Self {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, state)| *state).expect("the table has a constraint on its states")
    }
}

/// A row as it is listed: of the outbox, or of `deliveries`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRow {
    /// Name of the channel.
    pub endpoint: String,
    /// Subject of the alert.
    pub subject: String,
    /// Number of the commit.
    pub revision: i64,
    /// raised, corrected or retracted.
    pub event: String,
    /// Whether it waits, was given up, or was delivered.
    pub state: RowState,
    /// Number of attempts; 0 of a delivered one, of which it is not kept.
    pub attempts: u32,
    /// Instant of the next attempt, of the end of attempts, or of the delivery; `None` if it was never attempted.
    pub at: Option<Millis>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// Which rows a command is about: all conditions that are set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Name of the channel.
    pub endpoint: Option<String>,
    /// Subject of the alert.
    pub subject: Option<String>,
    /// State of the row.
    pub state: Option<RowState>,
}

/// The outbox of a pipeline, as one process sees it. Clones share the name of the process.
#[derive(Clone, Debug)]
pub struct Outbox {
    place: Place,
    owner: String,
}

#[derive(Clone, Debug)]
enum Place {
    Postgres(Box<postgres::Sessions>),
    File(geopackage::Connections),
}

impl Outbox {
    /// The outbox beside these tables. Does not connect.
    ///
    /// # Errors
    /// If the address or the certificates of PostgreSQL are invalid.
    pub fn new(tables: &Options) -> Result<Self, OutboxError> {
        let place = match tables {
            Options::Postgres { pipeline, postgres, .. } => {
                Place::Postgres(Box::new(postgres::Sessions::new(Database::new(pipeline, postgres)?)))
            }
            Options::File(file) => Place::File(geopackage::Connections::new(GeoPackage::clone(file))),
        };
        Ok(Self { place, owner: random_name() })
    }

    /// A handle with a connection of its own, which waits for no other.
    #[must_use]
    pub fn with_own_connection(&self) -> Self {
        let place = match &self.place {
            Place::Postgres(sessions) => Place::Postgres(Box::new(sessions.apart())),
            Place::File(connections) => Place::File(connections.apart()),
        };
        Self { place, owner: self.owner.clone() }
    }

    /// Those of the endpoints that have rows to claim at `now`.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn due(&self, endpoints: &[String], now: Millis) -> Result<Vec<String>, OutboxError> {
        match &self.place {
            Place::Postgres(sessions) => postgres::due(sessions, endpoints, now).await,
            Place::File(file) => block_in_place(|| geopackage::due(file, endpoints, now)),
        }
    }

    /// Claims at most `limit` rows of an endpoint that are due at `now`, for the duration of `lease`, oldest first; no two
    /// of one subject.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn claim(
        &self,
        endpoint: &str,
        limit: usize,
        lease: Duration,
        now: Millis,
    ) -> Result<Vec<ClaimedRow>, OutboxError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let lease_ms = Millis::try_from(lease.as_millis()).unwrap_or(Millis::MAX);
        match &self.place {
            Place::Postgres(sessions) => postgres::claim(sessions, endpoint, limit, &self.owner, lease_ms, now).await,
            Place::File(file) => {
                block_in_place(|| geopackage::claim(file, endpoint, limit, &self.owner, lease_ms, now))
            }
        }
    }

    /// Ends attempts, all in one transaction. A delivery is recorded even if the claim has expired meanwhile; any other
    /// outcome only while the claim is this process's.
    ///
    /// # Errors
    /// If the store does not answer: the rows are sent again when the claim has expired.
    pub async fn settle(&self, outcomes: &[(&ClaimedRow, Outcome)], now: Millis) -> Result<(), OutboxError> {
        if outcomes.is_empty() {
            return Ok(());
        }
        match &self.place {
            Place::Postgres(sessions) => postgres::settle(sessions, outcomes, &self.owner, now).await,
            Place::File(file) => block_in_place(|| geopackage::settle(file, outcomes, &self.owner, now)),
        }
    }

    /// What is known about an endpoint; the default if it works.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn endpoint(&self, endpoint: &str) -> Result<Endpoint, OutboxError> {
        match &self.place {
            Place::Postgres(sessions) => postgres::endpoint(sessions, endpoint).await,
            Place::File(file) => block_in_place(|| geopackage::endpoint(file, endpoint)),
        }
    }

    /// Replaces what is known about an endpoint. If it is disabled, its pending rows become dead.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn set_endpoint(&self, name: &str, endpoint: &Endpoint, now: Millis) -> Result<(), OutboxError> {
        match &self.place {
            Place::Postgres(sessions) => postgres::set_endpoint(sessions, name, endpoint, now).await,
            Place::File(file) => block_in_place(|| geopackage::set_endpoint(file, name, endpoint, now)),
        }
    }

    /// Rows of the outbox, then those delivered, each by endpoint, revision and subject.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn list(&self, filter: &Filter, limit: usize) -> Result<Vec<ListedRow>, OutboxError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        match &self.place {
            Place::Postgres(sessions) => postgres::list(sessions, filter, limit).await,
            Place::File(file) => block_in_place(|| geopackage::list(file, filter, limit)),
        }
    }

    /// Makes dead and waiting rows due at once, as if never attempted; unless the filter names a subject, their endpoints
    /// are enabled again. Returns the number of rows.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn retry(&self, filter: &Filter) -> Result<u64, OutboxError> {
        match &self.place {
            Place::Postgres(sessions) => postgres::retry(sessions, filter).await,
            Place::File(file) => block_in_place(|| geopackage::retry(file, filter)),
        }
    }

    /// Deletes dead rows, or pending ones if the filter names that state. Returns the number of rows.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn purge(&self, filter: &Filter) -> Result<u64, OutboxError> {
        match &self.place {
            Place::Postgres(sessions) => postgres::purge(sessions, filter).await,
            Place::File(file) => block_in_place(|| geopackage::purge(file, filter)),
        }
    }

    /// Adds rows that follow from no commit; `revision` must be greater than that of earlier ones of the same subject.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn enqueue(&self, rows: &[OutboxRow], revision: i64) -> Result<(), OutboxError> {
        match &self.place {
            Place::Postgres(sessions) => postgres::enqueue(sessions, rows, revision).await,
            Place::File(file) => block_in_place(|| geopackage::enqueue(file, rows, revision)),
        }
    }

    /// Whether the tables are in PostgreSQL.
    pub fn is_in_postgres(&self) -> bool {
        matches!(self.place, Place::Postgres(_))
    }

    /// NOTIFY in the database of the tables. Does nothing in a file.
    ///
    /// # Errors
    /// If PostgreSQL does not answer.
    pub async fn notify(&self, channel: &str, payload: &str) -> Result<(), OutboxError> {
        match &self.place {
            Place::Postgres(sessions) => postgres::notify(sessions, channel, payload).await,
            Place::File(_) => Ok(()),
        }
    }

    /// Deletes what was delivered before an instant, and rows that became dead before it: corrections of such alerts are
    /// no longer delivered. Pending rows of disabled endpoints become dead.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn expire(&self, before: Millis, now: Millis) -> Result<(), OutboxError> {
        match &self.place {
            Place::Postgres(sessions) => postgres::expire(sessions, before, now).await,
            Place::File(file) => block_in_place(|| geopackage::expire(file, before, now)),
        }
    }
}

/// A row as text columns and numbers, as both backends read it.
struct RawRow {
    texts: [Option<String>; 6],
    revision: i64,
    attempts: i64,
    failing_since: Option<Millis>,
    delivered_revision: Option<i64>,
}

impl RawRow {
    /// The row, if it is one; texts are subject, old subject, event, condition, body, external reference.
    fn parse(self, endpoint: &str) -> Result<ClaimedRow, OutboxError> {
        let [subject, old_subject, event, condition, body, external_ref] = self.texts;
        let subject = subject.unwrap_or_default();
        let unreadable = |found: &Option<String>| OutboxError::Unreadable {
            subject: subject.clone(),
            found: found.clone().unwrap_or_default(),
        };
        let parsed = event.as_deref().and_then(AlertEvent::from_name);
        let event = parsed.ok_or_else(|| unreadable(&event))?;
        let parsed = condition.as_deref().and_then(Condition::from_name);
        let condition = parsed.ok_or_else(|| unreadable(&condition))?;
        Ok(ClaimedRow {
            endpoint: endpoint.to_owned(),
            subject,
            revision: self.revision,
            old_subject,
            event,
            condition,
            body: body.unwrap_or_default(),
            attempts: u32::try_from(self.attempts).unwrap_or(u32::MAX),
            failing_since: self.failing_since,
            delivered_revision: self.delivered_revision,
            external_ref,
        })
    }
}

/// An error as it is stored: one line, not too long.
fn stored_error(error: &str) -> String {
    error.chars().take(MAX_ERROR_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

//! A URL that is fetched again and again.

use std::time::Duration;

use tracing::{debug, info, warn};
use watchtower_core::crash;
use watchtower_inputs::messages::{self, Item, Message, Unchanged, read_page};
use watchtower_log::leases::{Lease, LeaseError};

use super::Task;
use super::fetch::{FetchError, Fetcher, Validators};
use super::options::{Content, Poll};
use super::pace::Pace;
use crate::answer::Failure;
use crate::events::Scope;
use crate::{metrics, now_ms};

/// Events of one append: a request of a client may have as many.
const MAX_APPENDED: usize = messages::DEFAULT_MAX_EVENTS;

/// A round failed: it is repeated from the same cursor.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The answer is none of its format; what it is, only people can find out.
    #[error("{0}")]
    Unreadable(String),
    #[error("the log does not acknowledge: {0}")]
    Log(String),
    #[error(transparent)]
    Lease(#[from] LeaseError),
    #[error("another process has taken over")]
    Fenced,
}

impl From<Failure> for RoundError {
    fn from(failure: Failure) -> Self {
        Self::Log(failure.detail().to_owned())
    }
}

/// What a round has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    /// The server has more already.
    More,
    /// That is all for now.
    Complete,
}

/// What of an answer is read.
struct Reading {
    items: Vec<Item>,
    next_cursor: Option<String>,
    more: bool,
}

/// A feed between two rounds.
struct Session<'a> {
    task: &'a Task,
    poll: &'a Poll,
    lease: &'a Lease,
    fetcher: Fetcher,
    /// Of the last answer that the log has acknowledged, and the cursor that it was the answer to.
    validators: (String, Validators),
    unchanged: Unchanged,
}

/// Fetches until the task ends.
pub(super) async fn run(task: &Task, poll: &Poll, lease: &Lease) {
    let source = task.feed.name.as_str();
    let fetcher = match Fetcher::new(poll) {
        Ok(fetcher) => fetcher,
        Err(error) => {
            warn!(source, %error, "the source cannot be fetched");
            return std::future::pending().await;
        }
    };
    let validators = (String::new(), Validators::default());
    let mut session = Session { task, poll, lease, fetcher, validators, unchanged: Unchanged::default() };
    let (mut pace, mut failing) = (Pace::default(), false);
    loop {
        let wait = match session.round().await {
            Ok(round) => {
                if failing {
                    info!(source, "the source is fetched again");
                }
                (pace, failing) = (Pace::default(), false);
                metrics::feed_succeeded(source);
                if round == Round::More { Duration::ZERO } else { poll.every }
            }
            Err(RoundError::Fenced) => return,
            Err(error) => {
                let asked = match &error {
                    RoundError::Fetch(FetchError::Status { retry_after, .. }) => *retry_after,
                    _ => None,
                };
                let wait = pace.next(asked).max(poll.every.min(Duration::from_secs(1)));
                failing = true;
                metrics::feed_failed(source);
                warn!(source, server = super::cursor::server(&poll.url), %error, wait_s = wait.as_secs(),
                      "the source was not fetched");
                wait
            }
        };
        tokio::time::sleep(wait).await;
    }
}

impl Session<'_> {
    /// Fetches once: what is new is appended, then the cursor advances.
    async fn round(&mut self) -> Result<Round, RoundError> {
        let cursor = self.lease.cursor().unwrap_or_else(|| self.poll.first_cursor.clone());
        let none = Validators::default();
        let known = if self.validators.0 == cursor { &self.validators.1 } else { &none };
        let most = self.task.context.options.max_inflated_bytes;
        let Some(answer) = self.fetcher.fetch(self.poll, &cursor, known, most).await? else {
            return Ok(Round::Complete);
        };
        let Reading { mut items, next_cursor, more } = tokio::task::block_in_place(|| self.read(&answer.body))?;
        let fetched = self.unchanged.retain_new(&mut items);
        debug!(source = self.task.feed.name, new = items.len(), more, "the source was fetched");
        self.append(items).await?;
        crash::point("before-cursor");
        let next = next_cursor.filter(|next| !next.is_empty() && *next != cursor);
        if let Some(next) = &next
            && !self.task.leases.advance(self.lease, next).await?
        {
            return Err(RoundError::Fenced);
        }
        self.unchanged.acknowledge(fetched);
        // Validators are of one answer: of the next cursor nothing is known.
        self.validators = (cursor, answer.validators);
        Ok(if more && next.is_some() { Round::More } else { Round::Complete })
    }

    fn read(&self, body: &[u8]) -> Result<Reading, RoundError> {
        let context = &self.task.context;
        let options = self.task.feed.reading(&context.options, &context.limits);
        let message = Message::from_body(body, now_ms());
        match &self.poll.content {
            Content::Snapshot(format) => {
                let items = messages::read(*format, &message, &options);
                let items = items.map_err(|error| RoundError::Unreadable(error.to_string()))?;
                Ok(Reading { items, next_cursor: None, more: false })
            }
            Content::Records(records) => {
                let page = read_page(records, &message, &options);
                let page = page.map_err(|error| RoundError::Unreadable(error.to_string()))?;
                Ok(Reading { items: page.items, next_cursor: page.next_cursor, more: page.more })
            }
        }
    }

    /// Appends what is new, and waits for the log. Nothing is appended by a process that has lost its lease: what it
    /// fetched may be older than what its successor has appended since.
    async fn append(&self, mut items: Vec<Item>) -> Result<(), RoundError> {
        while !items.is_empty() {
            if !self.lease.holds() {
                return Err(RoundError::Fenced);
            }
            let rest = items.split_off(items.len().min(MAX_APPENDED));
            self.task.context.receive(&self.task.caller(), Scope::Source, items, None).await?;
            items = rest;
        }
        Ok(())
    }
}

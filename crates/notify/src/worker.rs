//! The deliveries of one endpoint: claim, send, settle.
//!
//! Rows that are claimed together are of different subjects and sent at the same time. An endpoint that is away gets one
//! message at a time, when its pause is over; the others wait in the outbox, and cost nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};
use watchtower_core::crash;
use watchtower_core::outbox::{AlertEvent, Condition, OutboxRow};
use watchtower_core::random::SplitMix;
use watchtower_model::{Millis, rfc3339};
use watchtower_store::outbox::{ClaimedRow, Endpoint, Outbox, OutboxError, Outcome};

use crate::channels::{Fault, SendError, Sender, Sent};
use crate::clock::Clock;
use crate::notice::Notice;
use crate::options::Options;
use crate::retry::wait_ms;

/// How long a claim outlasts the time limit of an attempt.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// Pause after an error of the store.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Rows that are not to be sent are settled so many at once.
const MAX_CLAIMED: usize = 256;

/// The deliveries of one endpoint.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) id: String,
    pub(crate) timeout: Duration,
    pub(crate) concurrency: usize,
    pub(crate) sender: Sender,
    pub(crate) outbox: Outbox,
    pub(crate) options: Arc<Options>,
    pub(crate) pipeline: String,
    pub(crate) clock: Clock,
    pub(crate) random: Mutex<SplitMix>,
}

/// Attempts that ended, as far as the endpoint is concerned.
#[derive(Debug, Default)]
struct Tally {
    delivered: usize,
    /// The last failure, and the pause that follows if the endpoint is away.
    failure: Option<(String, Option<Millis>)>,
    is_gone: bool,
}

impl Worker {
    /// Delivers whenever `wake` says that rows may be due, until `stop` is closed.
    pub(crate) async fn run(self, wake: Arc<Notify>, mut stop: watch::Receiver<()>) {
        loop {
            tokio::select! {
                () = wake.notified() => {}
                _ = stop.changed() => return,
            }
            loop {
                // A round is not cut short: what was sent is settled.
                match self.round().await {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) => {
                        warn!(channel = self.id, %error, "cannot read or write the outbox: trying again");
                        sleep(STORE_PAUSE).await;
                        break;
                    }
                }
                if stop.has_changed().is_err() {
                    return;
                }
            }
        }
    }

    /// Claims rows, sends those that are to be sent, and settles all. Returns how many rows were claimed.
    pub(crate) async fn round(&self) -> Result<usize, OutboxError> {
        let now = self.clock.now();
        let endpoint = self.outbox.endpoint(&self.id).await?;
        let limit = if endpoint.retry_at.is_some() { 1 } else { self.concurrency.min(MAX_CLAIMED) };
        let rows = self.outbox.claim(&self.id, limit, self.timeout + LEASE_MARGIN, now).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        crash::point("notify-claimed");
        let ended = join_all(rows.iter().map(|row| self.attempt(row))).await;
        crash::point("notify-sent");
        let now = self.clock.now();
        let mut tally = Tally::default();
        let mut outcomes = Vec::with_capacity(rows.len());
        for (row, result) in rows.iter().zip(ended) {
            outcomes.push((row, self.outcome(row, result, &endpoint, now, &mut tally).await));
        }
        crash::point("notify-before-mark");
        self.outbox.settle(&outcomes, now).await?;
        crash::point("notify-marked");
        self.note(endpoint, tally, now).await?;
        Ok(rows.len())
    }

    /// Sends one row; `None` if it is not to be sent.
    async fn attempt(&self, row: &ClaimedRow) -> Option<Result<Sent, SendError>> {
        if !row.is_due() {
            return None;
        }
        let notice = match Notice::of(row, &self.pipeline) {
            Ok(notice) => notice,
            Err(fault) => return Some(Err(SendError::impossible(fault))),
        };
        let sent = timeout(self.timeout, self.sender.send(&notice)).await;
        let late = || SendError::away(format!("no answer within {} s", self.timeout.as_secs_f64()));
        Some(sent.unwrap_or_else(|_| Err(late())))
    }

    async fn outcome(
        &self,
        row: &ClaimedRow,
        result: Option<Result<Sent, SendError>>,
        endpoint: &Endpoint,
        now: Millis,
        tally: &mut Tally,
    ) -> Outcome {
        let SendError { text: error, fault } = match result {
            None => return Outcome::Skipped,
            Some(Ok(external_ref)) => {
                tally.delivered += 1;
                return Outcome::Delivered { external_ref: external_ref.or_else(|| row.external_ref.clone()) };
            }
            Some(Err(error)) => error,
        };
        let failing_since = row.failing_since.unwrap_or(now);
        let is_too_old = now - failing_since >= millis(self.options.give_up_after);
        let mut random = self.random.lock().await;
        let (wait, pause) = match fault {
            Fault::Away { retry_after } => {
                let failures = endpoint.failures.saturating_add(1).max(row.attempts);
                let wait = wait_ms(failures, retry_after, &mut random);
                (wait, Some(wait))
            }
            Fault::Refused => (wait_ms(row.attempts, None, &mut random), None),
            Fault::Impossible | Fault::Gone => (0, None),
        };
        tally.is_gone |= fault == Fault::Gone;
        let longest = tally.failure.take().and_then(|(_, pause)| pause).max(pause);
        tally.failure = Some((error.clone(), longest));
        if is_too_old || matches!(fault, Fault::Impossible | Fault::Gone) {
            warn!(channel = self.id, subject = row.subject, attempts = row.attempts, error, "gave up a delivery");
            return Outcome::Dead { error };
        }
        tracing::debug!(
            channel = self.id,
            subject = row.subject,
            attempts = row.attempts,
            wait_ms = wait,
            error,
            "retrying"
        );
        Outcome::Retry { at: now.saturating_add(wait), error }
    }

    /// Records what the attempts say about the endpoint.
    async fn note(&self, before: Endpoint, tally: Tally, now: Millis) -> Result<(), OutboxError> {
        let Tally { delivered, failure, is_gone } = tally;
        let after = match failure {
            None if delivered == 0 || before == Endpoint::default() => return Ok(()),
            None => {
                info!(channel = self.id, failures = before.failures, "the endpoint accepts messages again");
                Endpoint::default()
            }
            // Some were accepted: it is not away, and those that were refused have their own pauses.
            Some(_) if delivered > 0 && !is_gone => Endpoint::default(),
            Some((error, pause)) => Endpoint {
                failing_since: before.failing_since.or(Some(now)),
                failures: before.failures.saturating_add(1),
                retry_at: pause.map(|pause| now.saturating_add(pause)),
                disabled_at: None,
                error: Some(error),
            },
        };
        let failing_ms = after.failing_since.map_or(0, |since| now - since);
        if is_gone || failing_ms >= millis(self.options.disable_after) {
            return self.disable(after, now).await;
        }
        if after != before {
            if before.failing_since.is_none() && after.failing_since.is_some() {
                warn!(channel = self.id, error = after.error, "the endpoint does not accept messages: retrying");
            }
            self.outbox.set_endpoint(&self.id, &after, now).await?;
        }
        Ok(())
    }

    /// Disables the endpoint, and tells the operators.
    async fn disable(&self, endpoint: Endpoint, now: Millis) -> Result<(), OutboxError> {
        let error = endpoint.error.clone().unwrap_or_default();
        error!(channel = self.id, error, "the endpoint is disabled; `watchtower deliveries retry` enables it again");
        let endpoint = Endpoint { disabled_at: Some(now), retry_at: None, ..endpoint };
        self.outbox.set_endpoint(&self.id, &endpoint, now).await?;
        let operators = self.options.operators.iter().filter(|name| **name != self.id);
        let rows: Vec<OutboxRow> = operators.map(|to| disabled_row(&self.id, to, &error, now)).collect();
        self.outbox.enqueue(&rows, now).await
    }
}

/// The alert that an endpoint is disabled, for a channel of the operators.
fn disabled_row(endpoint: &str, to: &str, error: &str, now: Millis) -> OutboxRow {
    let now = rfc3339::format(now);
    let subject = format!("endpoint_disabled/{endpoint}");
    let body = serde_json::json!({
        "now": now,
        "alert": {
            "rule_id": "endpoint_disabled", "subject": subject, "at": now, "kind": "endpoint_disabled",
            "vehicle_id": null, "geofence_id": null, "severity": "critical",
            "values": {"started_at": now, "endpoint": endpoint, "error": error},
        },
        "before": null,
        "message": null,
    });
    OutboxRow {
        endpoint: to.into(),
        subject: subject.into(),
        old_subject: None,
        event: AlertEvent::Raised,
        condition: Condition::Always,
        body: body.to_string().into(),
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

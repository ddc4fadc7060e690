//! The outbox in the schema of a pipeline.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};
use watchtower_core::outbox::OutboxRow;
use watchtower_model::Millis;

use super::{ClaimedRow, Endpoint, Filter, ListedRow, OutboxError, Outcome, RawRow, RowState, stored_error};
use crate::postgres::encode::Time;
use crate::postgres::queue::{Parameters, StatementQueue};
use crate::postgres::{Database, StoreError};

/// $1: endpoints, $2: subjects, $3: old subjects, $4: events, $5: conditions, $6: bodies, $7: number of the commit.
///
/// A row for endpoints that got an earlier one is left out where none was delivered and none is on its way. A row that
/// leaves the outbox enters `deliveries` in the same transaction, so that one statement sees it in one of them.
const APPEND: &str = "
INSERT INTO outbox (endpoint, subject, revision, old_subject, event, condition, body)
SELECT endpoint, subject, $7 + coalesce((SELECT base FROM outbox_base), 0), old_subject, event, condition, body::json
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
     AS u(endpoint, subject, old_subject, event, condition, body)
WHERE condition <> 'known'
   OR EXISTS (SELECT FROM deliveries d WHERE d.endpoint = u.endpoint AND d.subject IN (u.subject, u.old_subject))
   OR EXISTS (SELECT FROM outbox o WHERE o.endpoint = u.endpoint AND o.subject IN (u.subject, u.old_subject))
ON CONFLICT (endpoint, subject, revision) DO NOTHING";

/// $1: endpoints, $2: now.
const DUE: &str = "
SELECT c FROM unnest($1::text[]) AS c
WHERE NOT EXISTS (SELECT FROM endpoints e
                  WHERE e.endpoint = c AND (e.disabled_at IS NOT NULL OR e.retry_at > $2::timestamptz))
  AND EXISTS (SELECT FROM outbox o
              WHERE o.endpoint = c AND o.state = 'pending' AND o.due_at <= $2
                AND (o.leased_until IS NULL OR o.leased_until <= clock_timestamp()))";

/// $1: endpoint, $2: limit, $3: name of the process, $4: duration of the claim [ms], $5: now.
///
/// A row that another process claims between the snapshot and the lock fails its own conditions when it is read again.
const CLAIM: &str = concat!(
    "
WITH due AS (
    SELECT o.subject, o.revision FROM outbox o
    WHERE o.endpoint = $1 AND o.state = 'pending' AND o.due_at <= $5::timestamptz
      AND (o.leased_until IS NULL OR o.leased_until <= clock_timestamp())
      AND NOT EXISTS (SELECT FROM endpoints e
                      WHERE e.endpoint = $1 AND (e.disabled_at IS NOT NULL OR e.retry_at > $5))
      AND NOT EXISTS (SELECT FROM outbox e WHERE e.endpoint = $1 AND e.subject = o.subject
                      AND e.revision < o.revision AND e.state = 'pending')
      AND NOT EXISTS (SELECT FROM outbox e WHERE e.endpoint = $1 AND e.subject = o.old_subject
                      AND e.revision < o.revision AND e.state = 'pending')
      AND NOT EXISTS (SELECT FROM outbox e WHERE e.endpoint = $1 AND e.old_subject = o.subject
                      AND e.revision < o.revision AND e.state = 'pending')
      AND (o.condition <> 'known'
           OR EXISTS (SELECT FROM deliveries d WHERE d.endpoint = $1 AND d.subject IN (o.subject, o.old_subject))
           OR NOT EXISTS (SELECT FROM outbox e WHERE e.endpoint = $1 AND e.subject IN (o.subject, o.old_subject)
                          AND e.revision < o.revision AND e.state = 'dead'))
    ORDER BY o.revision, o.subject LIMIT $2
    FOR UPDATE SKIP LOCKED),
claimed AS (
    UPDATE outbox o
    SET leased_by = $3, leased_until = clock_timestamp() + $4::bigint * interval '1 ms', attempts = attempts + 1
    FROM due WHERE o.endpoint = $1 AND o.subject = due.subject AND o.revision = due.revision
    RETURNING o.*)
SELECT subject, old_subject, event, condition, body::text,
       (SELECT d.external_ref FROM deliveries d WHERE d.endpoint = $1 AND d.subject IN (c.subject, c.old_subject)
        ORDER BY d.revision DESC LIMIT 1),
       revision, attempts::bigint, ",
    instant_ms!("failing_since"),
    ",
       (SELECT max(d.revision) FROM deliveries d WHERE d.endpoint = $1 AND d.subject IN (c.subject, c.old_subject))
FROM claimed c ORDER BY revision, subject"
);

/// $1: endpoints, $2: subjects, $3: revisions, $4: external references, $5: now.
const DELIVERED: &str = "
WITH done AS (
    DELETE FROM outbox o USING unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS u(endpoint, subject, revision, ref)
    WHERE o.endpoint = u.endpoint AND o.subject = u.subject AND o.revision = u.revision
    RETURNING o.endpoint, o.subject, o.revision, o.old_subject, o.event, u.ref),
moved AS (
    DELETE FROM deliveries d USING done WHERE d.endpoint = done.endpoint AND d.subject = done.old_subject)
INSERT INTO deliveries AS d (endpoint, subject, revision, event, external_ref, delivered_at)
SELECT endpoint, subject, revision, event, ref, $5 FROM done
ON CONFLICT (endpoint, subject) DO UPDATE
SET revision = excluded.revision, event = excluded.event, external_ref = excluded.external_ref,
    delivered_at = excluded.delivered_at
WHERE d.revision < excluded.revision";
const SKIPPED: &str = "DELETE FROM outbox WHERE endpoint = $1 AND subject = $2 AND revision = $3 AND leased_by = $4";
const RELEASED: &str = "UPDATE outbox SET leased_by = NULL, leased_until = NULL, attempts = attempts - 1
                        WHERE endpoint = $1 AND subject = $2 AND revision = $3 AND leased_by = $4";
const FAILED: &str = "UPDATE outbox SET leased_by = NULL, leased_until = NULL, state = $5, due_at = $6, error = $7,
                             failing_since = coalesce(failing_since, $8)
                      WHERE endpoint = $1 AND subject = $2 AND revision = $3 AND leased_by = $4";

const ENDPOINT: &str = concat!(
    "SELECT failures::bigint, error, ",
    instant_ms!("failing_since"),
    ", ",
    instant_ms!("retry_at"),
    ", ",
    instant_ms!("disabled_at"),
    " FROM endpoints WHERE endpoint = $1"
);
const SET_ENDPOINT: &str = "
INSERT INTO endpoints (endpoint, failing_since, failures, retry_at, disabled_at, error)
VALUES ($1, $2, $3::bigint::integer, $4, $5, $6)
ON CONFLICT (endpoint) DO UPDATE
SET failing_since = excluded.failing_since, failures = excluded.failures, retry_at = excluded.retry_at,
    disabled_at = excluded.disabled_at, error = excluded.error";
const BURY_DISABLED: &str = "
UPDATE outbox o SET state = 'dead', leased_by = NULL, leased_until = NULL, due_at = $1,
                    error = coalesce(o.error, 'the endpoint is disabled')
FROM endpoints e WHERE e.endpoint = o.endpoint AND e.disabled_at IS NOT NULL AND o.state = 'pending'";

/// $1: endpoint, $2: subject, $3: state, $4: limit.
const LIST: &str = concat!(
    "SELECT * FROM (
         SELECT 1 AS part, endpoint, subject, revision, event, state, attempts::bigint, ",
    instant_ms!("due_at"),
    " AS at, error FROM outbox
         UNION ALL
         SELECT 2, endpoint, subject, revision, event, 'delivered', 0::bigint, ",
    instant_ms!("delivered_at"),
    ", NULL FROM deliveries) AS both_of_them
     WHERE endpoint = coalesce($1, endpoint) AND subject = coalesce($2, subject) AND state = coalesce($3, state)
     ORDER BY part, endpoint, revision, subject LIMIT $4"
);
/// $1: endpoint, $2: subject, $3: state.
const RETRY: &str = "
UPDATE outbox SET state = 'pending', attempts = 0, failing_since = NULL, due_at = '-infinity', leased_by = NULL,
                  leased_until = NULL, error = NULL
WHERE endpoint = coalesce($1, endpoint) AND subject = coalesce($2, subject) AND state = coalesce($3, state)
  AND (leased_until IS NULL OR leased_until <= clock_timestamp())";
const ENABLE: &str = "DELETE FROM endpoints WHERE endpoint = coalesce($1, endpoint)";
const PURGE: &str = "DELETE FROM outbox WHERE endpoint = coalesce($1, endpoint) AND subject = coalesce($2, subject)
                     AND state = coalesce($3, 'dead')";

/// A session of the database that is opened when it is needed, and again after an error.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    database: Database,
    open: Arc<Mutex<Option<Open>>>,
}

/// An open session with the statements that it has prepared.
#[derive(Debug)]
struct Open {
    client: Client,
    prepared: HashMap<&'static str, Statement>,
}

/// A session in use. It is closed unless [`Self::keep`] is called: after an error it may be amid a transaction.
struct Session {
    guard: OwnedMutexGuard<Option<Open>>,
    open: Open,
}

type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

impl Session {
    fn keep(mut self) {
        *self.guard = Some(self.open);
    }

    async fn prepare(&mut self, sql: &'static str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.open.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.open.client.prepare(sql).await?;
        self.open.prepared.insert(sql, statement.clone());
        Ok(statement)
    }

    async fn query(&mut self, doing: &str, sql: &'static str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        let statement = self.prepare(sql).await.map_err(StoreError::statement(doing))?;
        self.open.client.query(&statement, values).await.map_err(StoreError::statement(doing))
    }

    async fn execute(&mut self, doing: &str, sql: &'static str, values: Values<'_>) -> Result<u64, StoreError> {
        let statement = self.prepare(sql).await.map_err(StoreError::statement(doing))?;
        self.open.client.execute(&statement, values).await.map_err(StoreError::statement(doing))
    }

    async fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        self.open.client.batch_execute(sql).await.map_err(StoreError::statement("write the outbox"))
    }
}

impl Sessions {
    pub(super) fn new(database: Database) -> Self {
        Self { database, open: Arc::default() }
    }

    pub(super) fn apart(&self) -> Self {
        Self::new(self.database.clone())
    }

    async fn get(&self) -> Result<Session, StoreError> {
        let mut guard = Arc::clone(&self.open).lock_owned().await;
        let open = match guard.take().filter(|open| !open.client.is_closed()) {
            Some(open) => open,
            None => {
                let client = self.database.connect().await?;
                // A lost mark of a delivery is a repeated delivery; the rows themselves are written by the commit.
                let setting = client.batch_execute("SET synchronous_commit = off").await;
                setting.map_err(StoreError::statement("set up a session of the outbox"))?;
                Open { client, prepared: HashMap::new() }
            }
        };
        Ok(Session { guard, open })
    }
}

/// Appends the rows of a commit.
pub(crate) async fn append(
    queue: &mut StatementQueue<'_>,
    rows: &[OutboxRow],
    commit_seq: i64,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    queue.execute(APPEND, &[], parameters(rows, commit_seq), "write the outbox".to_owned()).await
}

fn parameters<'a>(rows: &[OutboxRow], revision: i64) -> Parameters<'a> {
    let texts = |of: &dyn Fn(&OutboxRow) -> &str| rows.iter().map(|row| of(row).to_owned()).collect::<Vec<String>>();
    let old: Vec<Option<String>> = rows.iter().map(|row| row.old_subject.as_deref().map(str::to_owned)).collect();
    vec![
        Box::new(texts(&|row| &row.endpoint)),
        Box::new(texts(&|row| &row.subject)),
        Box::new(old),
        Box::new(texts(&|row| row.event.name())),
        Box::new(texts(&|row| row.condition.name())),
        Box::new(texts(&|row| &row.body)),
        Box::new(revision),
    ]
}

pub(super) async fn enqueue(sessions: &Sessions, rows: &[OutboxRow], revision: i64) -> Result<(), OutboxError> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut session = sessions.get().await?;
    let parameters = parameters(rows, revision);
    let values: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|parameter| &**parameter as _).collect();
    session.execute("add to the outbox", APPEND, &values).await?;
    session.keep();
    Ok(())
}

pub(super) async fn notify(sessions: &Sessions, channel: &str, payload: &str) -> Result<(), OutboxError> {
    let mut session = sessions.get().await?;
    session.execute("notify listeners", "SELECT pg_notify($1, $2)", &[&channel, &payload]).await?;
    session.keep();
    Ok(())
}

pub(super) async fn due(sessions: &Sessions, endpoints: &[String], now: Millis) -> Result<Vec<String>, OutboxError> {
    let mut session = sessions.get().await?;
    let rows = session.query("look for deliveries", DUE, &[&endpoints, &Time(now)]).await?;
    session.keep();
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

pub(super) async fn claim(
    sessions: &Sessions,
    endpoint: &str,
    limit: i64,
    owner: &str,
    lease_ms: Millis,
    now: Millis,
) -> Result<Vec<ClaimedRow>, OutboxError> {
    let mut session = sessions.get().await?;
    let values: Values<'_> = &[&endpoint, &limit, &owner, &lease_ms, &Time(now)];
    let rows = session.query("claim deliveries", CLAIM, values).await?;
    session.keep();
    let raw = |row: &Row| RawRow {
        texts: std::array::from_fn(|column| row.get(column)),
        revision: row.get(6),
        attempts: row.get(7),
        failing_since: row.get(8),
        delivered_revision: row.get(9),
    };
    rows.iter().map(|row| raw(row).parse(endpoint)).collect()
}

pub(super) async fn settle(
    sessions: &Sessions,
    outcomes: &[(&ClaimedRow, Outcome)],
    owner: &str,
    now: Millis,
) -> Result<(), OutboxError> {
    let doing = "record deliveries";
    let mut session = sessions.get().await?;
    session.run("BEGIN").await?;
    let (mut endpoints, mut subjects, mut revisions, mut references) = (vec![], vec![], vec![], vec![]);
    for (row, outcome) in outcomes {
        let ClaimedRow { endpoint, subject, revision, .. } = row;
        let key: Values<'_> = &[endpoint, subject, revision, &owner];
        let (state, at, error) = match outcome {
            Outcome::Delivered { external_ref } => {
                endpoints.push(endpoint.as_str());
                subjects.push(subject.as_str());
                revisions.push(*revision);
                references.push(external_ref.as_deref());
                continue;
            }
            Outcome::Skipped => {
                session.execute(doing, SKIPPED, key).await?;
                continue;
            }
            Outcome::Released => {
                session.execute(doing, RELEASED, key).await?;
                continue;
            }
            Outcome::Retry { at, error } => (RowState::Pending, *at, error),
            Outcome::Dead { error } => (RowState::Dead, now, error),
        };
        let (state, error) = (state.name(), stored_error(error));
        let values: Values<'_> = &[endpoint, subject, revision, &owner, &state, &Time(at), &error, &Time(now)];
        session.execute(doing, FAILED, values).await?;
    }
    if !endpoints.is_empty() {
        let values: Values<'_> = &[&endpoints, &subjects, &revisions, &references, &Time(now)];
        session.execute(doing, DELIVERED, values).await?;
    }
    session.run("COMMIT").await?;
    session.keep();
    Ok(())
}

pub(super) async fn endpoint(sessions: &Sessions, endpoint: &str) -> Result<Endpoint, OutboxError> {
    let mut session = sessions.get().await?;
    let rows = session.query("read the state of an endpoint", ENDPOINT, &[&endpoint]).await?;
    session.keep();
    let read = |row: &Row| Endpoint {
        failures: u32::try_from(row.get::<_, i64>(0)).unwrap_or(u32::MAX),
        error: row.get(1),
        failing_since: row.get(2),
        retry_at: row.get(3),
        disabled_at: row.get(4),
    };
    Ok(rows.first().map(read).unwrap_or_default())
}

pub(super) async fn set_endpoint(
    sessions: &Sessions,
    name: &str,
    endpoint: &Endpoint,
    now: Millis,
) -> Result<(), OutboxError> {
    let doing = "record the state of an endpoint";
    let Endpoint { failing_since, failures, retry_at, disabled_at, error } = endpoint;
    let [failing_since, retry_at, disabled_at] = [failing_since, retry_at, disabled_at].map(|time| time.map(Time));
    let error = error.as_deref().map(stored_error);
    let mut session = sessions.get().await?;
    let values: Values<'_> = &[&name, &failing_since, &i64::from(*failures), &retry_at, &disabled_at, &error];
    session.execute(doing, SET_ENDPOINT, values).await?;
    if disabled_at.is_some() {
        session.execute(doing, BURY_DISABLED, &[&Time(now)]).await?;
    }
    session.keep();
    Ok(())
}

pub(super) async fn list(sessions: &Sessions, filter: &Filter, limit: i64) -> Result<Vec<ListedRow>, OutboxError> {
    let Filter { endpoint, subject, state } = filter;
    let mut session = sessions.get().await?;
    let values: Values<'_> = &[endpoint, subject, &state.map(RowState::name), &limit];
    let rows = session.query("list deliveries", LIST, values).await?;
    session.keep();
    let listed = |row: &Row| ListedRow {
        endpoint: row.get(1),
        subject: row.get(2),
        revision: row.get(3),
        event: row.get(4),
        state: RowState::of(row.get(5)),
        attempts: u32::try_from(row.get::<_, i64>(6)).unwrap_or(u32::MAX),
        at: row.get(7),
        error: row.get(8),
    };
    Ok(rows.iter().map(listed).collect())
}

pub(super) async fn retry(sessions: &Sessions, filter: &Filter) -> Result<u64, OutboxError> {
    let Filter { endpoint, subject, state } = filter;
    let mut session = sessions.get().await?;
    session.run("BEGIN").await?;
    let values: Values<'_> = &[endpoint, subject, &state.map(RowState::name)];
    let rows = session.execute("retry deliveries", RETRY, values).await?;
    if subject.is_none() {
        session.execute("enable endpoints", ENABLE, &[endpoint]).await?;
    }
    session.run("COMMIT").await?;
    session.keep();
    Ok(rows)
}

pub(super) async fn purge(sessions: &Sessions, filter: &Filter) -> Result<u64, OutboxError> {
    let Filter { endpoint, subject, state } = filter;
    let mut session = sessions.get().await?;
    let rows = session.execute("purge deliveries", PURGE, &[endpoint, subject, &state.map(RowState::name)]).await?;
    session.keep();
    Ok(rows)
}

pub(super) async fn expire(sessions: &Sessions, before: Millis, now: Millis) -> Result<(), OutboxError> {
    let doing = "delete old deliveries";
    let mut session = sessions.get().await?;
    session.execute(doing, BURY_DISABLED, &[&Time(now)]).await?;
    session.execute(doing, "DELETE FROM deliveries WHERE delivered_at < $1", &[&Time(before)]).await?;
    let dead = "DELETE FROM outbox WHERE state = 'dead' AND due_at < $1";
    session.execute(doing, dead, &[&Time(before)]).await?;
    session.keep();
    Ok(())
}

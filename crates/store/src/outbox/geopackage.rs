//! The outbox in a GeoPackage. Its tables are created by the first commit that has rows; without them nothing is due.

use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::{OptionalExtension, Row, Transaction, TransactionBehavior, named_params, params};
use watchtower_core::outbox::OutboxRow;
use watchtower_geopackage::layer::Layer;
use watchtower_geopackage::{Connection, FileError, GeoPackage};
use watchtower_model::Millis;

use super::{ClaimedRow, Endpoint, Filter, ListedRow, OutboxError, Outcome, RawRow, RowState, stored_error};
use crate::geopackage::EmbeddedError;

const TABLES: &str = "
CREATE TABLE outbox (
    fid             INTEGER PRIMARY KEY,
    endpoint        TEXT NOT NULL,
    subject         TEXT NOT NULL,
    revision        INTEGER NOT NULL,
    old_subject     TEXT,
    event           TEXT NOT NULL,
    condition       TEXT NOT NULL,
    body            TEXT NOT NULL,
    state           TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'dead')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    failing_since_ms INTEGER,
    due_ms          INTEGER NOT NULL DEFAULT 0,
    leased_by       TEXT,
    leased_until_ms INTEGER NOT NULL DEFAULT 0,
    error           TEXT,
    UNIQUE (endpoint, subject, revision)
);
CREATE INDEX outbox_queue ON outbox (endpoint, revision, subject) WHERE state = 'pending';
CREATE INDEX outbox_moved ON outbox (endpoint, old_subject) WHERE old_subject IS NOT NULL;
CREATE TABLE deliveries (
    fid          INTEGER PRIMARY KEY,
    endpoint     TEXT NOT NULL,
    subject      TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    event        TEXT NOT NULL,
    external_ref TEXT,
    delivered_ms INTEGER NOT NULL,
    UNIQUE (endpoint, subject)
);
CREATE INDEX deliveries_delivered_ms ON deliveries (delivered_ms);
CREATE TABLE endpoints (
    fid              INTEGER PRIMARY KEY,
    endpoint         TEXT NOT NULL UNIQUE,
    failing_since_ms INTEGER,
    failures         INTEGER NOT NULL DEFAULT 0,
    retry_ms         INTEGER,
    disabled_ms      INTEGER,
    error            TEXT
);
CREATE TABLE outbox_base (
    fid  INTEGER PRIMARY KEY CHECK (fid = 1),
    base INTEGER NOT NULL
);
";

const LAYERS: [Layer<'_>; 4] = [
    Layer {
        table: "outbox",
        description: "Events of alerts that are to be delivered; a delivered one is in deliveries.",
        geometry: None,
        columns: &[
            ("endpoint", "Name of the channel."),
            ("subject", "Subject of the alert."),
            ("revision", "Number of the commit that changed the alert, counted on over rebuilds of the tables."),
            ("old_subject", "Subject of the same alert before the commit, if the start of its fact moved."),
            ("event", "raised, corrected or retracted."),
            ("condition", "always; new: only if the endpoint did not get the subject yet; known: only if it did."),
            ("body", "The alert after and before the commit, and the template of the message, a JSON object."),
            ("state", "pending, or dead: it is no longer attempted."),
            ("attempts", "Number of attempts, the present one included."),
            ("failing_since_ms", "Instant of the first failure, milliseconds since 1970; empty if there was none."),
            ("due_ms", "Instant of the next attempt, or of the end of attempts, milliseconds since 1970."),
            ("leased_by", "Random name of the process that delivers it; empty if none does."),
            ("leased_until_ms", "Instant from which another process may deliver it, milliseconds since 1970."),
            ("error", "Why the last attempt failed."),
        ],
    },
    Layer {
        table: "deliveries",
        description: "What each endpoint was sent last about each alert.",
        geometry: None,
        columns: &[
            ("endpoint", "Name of the channel."),
            ("subject", "Subject of the alert."),
            ("revision", "Revision of the last event that was delivered."),
            ("event", "raised, corrected or retracted."),
            ("external_ref", "Name that the receiver has for the message; empty if it has none."),
            ("delivered_ms", "Instant of that delivery, milliseconds since 1970."),
        ],
    },
    Layer {
        table: "endpoints",
        description: "Endpoints that fail or are disabled.",
        geometry: None,
        columns: &[
            ("endpoint", "Name of the channel."),
            ("failing_since_ms", "Instant of the first failure since the last success, milliseconds since 1970."),
            ("failures", "Number of failures since the last success."),
            ("retry_ms", "Instant before which nothing is sent to it, milliseconds since 1970."),
            ("disabled_ms", "Instant at which it was disabled, milliseconds since 1970; empty while it is in use."),
            ("error", "Why the last attempt failed."),
        ],
    },
    Layer {
        table: "outbox_base",
        description: "At most one row, after a rebuild of the tables.",
        geometry: None,
        columns: &[("base", "Number of commits before the rebuild: a revision is the number of its commit plus this.")],
    },
];

/// As in PostgreSQL: a row for endpoints that got an earlier one is left out where none was delivered or is on its way.
const APPEND: &str = "
INSERT INTO outbox (endpoint, subject, revision, old_subject, event, condition, body)
SELECT :endpoint, :subject, :revision + coalesce((SELECT base FROM outbox_base), 0), :old, :event, :condition, :body
WHERE :condition <> 'known'
   OR EXISTS (SELECT 1 FROM deliveries d WHERE d.endpoint = :endpoint AND d.subject IN (:subject, :old))
   OR EXISTS (SELECT 1 FROM outbox o WHERE o.endpoint = :endpoint AND o.subject IN (:subject, :old))
ON CONFLICT (endpoint, subject, revision) DO NOTHING";

const IS_OPEN: &str = "SELECT NOT EXISTS (SELECT 1 FROM endpoints WHERE endpoint = :endpoint
                                          AND (disabled_ms IS NOT NULL OR retry_ms > :now))";
const IS_DUE: &str = "SELECT EXISTS (SELECT 1 FROM outbox WHERE endpoint = :endpoint AND state = 'pending'
                                     AND due_ms <= :now AND leased_until_ms <= :clock)";
const CANDIDATES: &str = "
SELECT o.fid, o.subject, o.old_subject, o.event, o.condition, o.body,
       (SELECT d.external_ref FROM deliveries d WHERE d.endpoint = :endpoint AND d.subject IN (o.subject, o.old_subject)
        ORDER BY d.revision DESC LIMIT 1),
       o.revision, o.attempts + 1, o.failing_since_ms,
       (SELECT max(d.revision) FROM deliveries d WHERE d.endpoint = :endpoint AND d.subject IN (o.subject, o.old_subject))
FROM outbox o
WHERE o.endpoint = :endpoint AND o.state = 'pending' AND o.due_ms <= :now AND o.leased_until_ms <= :clock
  AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.endpoint = :endpoint AND e.subject IN (o.subject, o.old_subject)
                  AND e.revision < o.revision AND e.state = 'pending')
  AND NOT EXISTS (SELECT 1 FROM outbox e WHERE e.endpoint = :endpoint AND e.old_subject = o.subject
                  AND e.revision < o.revision AND e.state = 'pending')
  AND (o.condition <> 'known'
       OR EXISTS (SELECT 1 FROM deliveries d WHERE d.endpoint = :endpoint AND d.subject IN (o.subject, o.old_subject))
       OR NOT EXISTS (SELECT 1 FROM outbox e WHERE e.endpoint = :endpoint AND e.subject IN (o.subject, o.old_subject)
                      AND e.revision < o.revision AND e.state = 'dead'))
ORDER BY o.revision, o.subject LIMIT :limit";
const LEASE: &str = "UPDATE outbox SET leased_by = ?2, leased_until_ms = ?3, attempts = attempts + 1 WHERE fid = ?1";

const TAKE: &str =
    "DELETE FROM outbox WHERE endpoint = ?1 AND subject = ?2 AND revision = ?3 RETURNING old_subject, event";
const MOVE: &str = "DELETE FROM deliveries WHERE endpoint = ?1 AND subject = ?2";
const DELIVERED: &str = "
INSERT INTO deliveries (endpoint, subject, revision, event, external_ref, delivered_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (endpoint, subject) DO UPDATE
SET revision = excluded.revision, event = excluded.event, external_ref = excluded.external_ref,
    delivered_ms = excluded.delivered_ms
WHERE revision < excluded.revision";
const SKIPPED: &str = "DELETE FROM outbox WHERE endpoint = ?1 AND subject = ?2 AND revision = ?3 AND leased_by = ?4";
const RELEASED: &str = "UPDATE outbox SET leased_by = NULL, leased_until_ms = 0, attempts = attempts - 1
                        WHERE endpoint = ?1 AND subject = ?2 AND revision = ?3 AND leased_by = ?4";
const FAILED: &str = "UPDATE outbox SET leased_by = NULL, leased_until_ms = 0, state = ?5, due_ms = ?6, error = ?7,
                             failing_since_ms = coalesce(failing_since_ms, ?8)
                      WHERE endpoint = ?1 AND subject = ?2 AND revision = ?3 AND leased_by = ?4";

const SET_ENDPOINT: &str = "
INSERT INTO endpoints (endpoint, failing_since_ms, failures, retry_ms, disabled_ms, error) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (endpoint) DO UPDATE
SET failing_since_ms = excluded.failing_since_ms, failures = excluded.failures, retry_ms = excluded.retry_ms,
    disabled_ms = excluded.disabled_ms, error = excluded.error";
const BURY_DISABLED: &str = "
UPDATE outbox SET state = 'dead', leased_by = NULL, leased_until_ms = 0, due_ms = ?1,
                  error = coalesce(error, 'the endpoint is disabled')
WHERE state = 'pending' AND endpoint IN (SELECT endpoint FROM endpoints WHERE disabled_ms IS NOT NULL)";

const LIST: &str = "
SELECT * FROM (
    SELECT 1 AS part, endpoint, subject, revision, event, state, attempts, nullif(due_ms, 0) AS at, error FROM outbox
    UNION ALL
    SELECT 2, endpoint, subject, revision, event, 'delivered', 0, delivered_ms, NULL FROM deliveries)
WHERE endpoint = coalesce(?1, endpoint) AND subject = coalesce(?2, subject) AND state = coalesce(?3, state)
ORDER BY part, endpoint, revision, subject LIMIT ?4";
const RETRY: &str = "
UPDATE outbox SET state = 'pending', attempts = 0, failing_since_ms = NULL, due_ms = 0, leased_by = NULL,
                  leased_until_ms = 0, error = NULL
WHERE endpoint = coalesce(?1, endpoint) AND subject = coalesce(?2, subject) AND state = coalesce(?3, state)
  AND leased_until_ms <= ?4";
const PURGE: &str = "DELETE FROM outbox WHERE endpoint = coalesce(?1, endpoint) AND subject = coalesce(?2, subject)
                     AND state = coalesce(?3, 'dead')";

/// A connection to the file that is opened when it is needed, and again after an error.
#[derive(Clone, Debug)]
pub(crate) struct Connections {
    file: GeoPackage,
    open: Arc<Mutex<Option<Connection>>>,
}

impl Connections {
    pub(super) fn new(file: GeoPackage) -> Self {
        Self { file, open: Arc::default() }
    }

    pub(super) fn apart(&self) -> Self {
        Self::new(self.file.clone())
    }

    /// Runs statements in one transaction; `None` without running them if the file has no outbox.
    fn write<T>(
        &self,
        doing: &str,
        statements: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, EmbeddedError> {
        let mut guard: MutexGuard<'_, Option<Connection>> =
            self.open.lock().expect("nothing panics while it holds this");
        let mut connection = match guard.take() {
            Some(connection) => connection,
            None if !self.file.path().exists() => return Ok(None),
            None => self.connect()?,
        };
        let failed = || self.file.failed(doing);
        if !exists(&connection).map_err(failed())? {
            return Ok(None);
        }
        let done = (|| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = statements(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })();
        let done = done.map_err(failed())?;
        *guard = Some(connection);
        Ok(Some(done))
    }

    /// The same for a query outside of a transaction, which never waits for a writer.
    fn read<T>(
        &self,
        doing: &str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, EmbeddedError> {
        let mut guard = self.open.lock().expect("nothing panics while it holds this");
        let connection = match guard.take() {
            Some(connection) => connection,
            None if !self.file.path().exists() => return Ok(None),
            None => self.connect()?,
        };
        let found = match exists(&connection) {
            Ok(true) => query(&connection).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        let found = found.map_err(self.file.failed(doing))?;
        *guard = Some(connection);
        Ok(found)
    }

    fn connect(&self) -> Result<Connection, FileError> {
        let connection = self.file.connect()?;
        // A lost mark of a delivery is a repeated delivery; the rows themselves are written by the commit.
        connection.execute_batch("PRAGMA synchronous = NORMAL").map_err(self.file.failed("set up the outbox"))?;
        Ok(connection)
    }
}

fn exists(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'outbox'";
    Ok(connection.prepare_cached(sql)?.query_row((), |_| Ok(())).optional()?.is_some())
}

/// Appends the rows of a commit.
pub(crate) fn append(connection: &Connection, rows: &[OutboxRow], commit_seq: i64) -> rusqlite::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    if !exists(connection)? {
        connection.execute_batch(TABLES)?;
        LAYERS.iter().try_for_each(|layer| layer.register(connection))?;
    }
    let mut statement = connection.prepare_cached(APPEND)?;
    for OutboxRow { endpoint, subject, old_subject, event, condition, body } in rows {
        statement.execute(named_params! {
            ":endpoint": endpoint,
            ":subject": subject,
            ":revision": commit_seq,
            ":old": old_subject,
            ":event": event.name(),
            ":condition": condition.name(),
            ":body": body,
        })?;
    }
    Ok(())
}

pub(super) fn enqueue(file: &Connections, rows: &[OutboxRow], revision: i64) -> Result<(), OutboxError> {
    file.write("add to the outbox", |transaction| append(transaction, rows, revision))?;
    Ok(())
}

/// Counts revisions on after a rebuild, before the old tables are dropped: see `outbox_base`.
pub(crate) fn keep_counting(connection: &Connection) -> rusqlite::Result<()> {
    if !exists(connection)? {
        return Ok(());
    }
    let sql = "INSERT INTO outbox_base (fid, base) SELECT 1, commit_seq FROM pipeline WHERE true
               ON CONFLICT (fid) DO UPDATE SET base = base + excluded.base";
    connection.execute(sql, ()).map(drop)
}

pub(super) fn due(file: &Connections, endpoints: &[String], now: Millis) -> Result<Vec<String>, OutboxError> {
    let due = file.read("look for deliveries", |connection| {
        let mut due = Vec::new();
        for endpoint in endpoints {
            let is_open: bool = connection
                .prepare_cached(IS_OPEN)?
                .query_row(named_params! { ":endpoint": endpoint, ":now": now }, |row| row.get(0))?;
            let values = named_params! { ":endpoint": endpoint, ":now": now, ":clock": clock_ms() };
            if is_open && connection.prepare_cached(IS_DUE)?.query_row(values, |row| row.get(0))? {
                due.push(endpoint.clone());
            }
        }
        Ok(due)
    })?;
    Ok(due.unwrap_or_default())
}

pub(super) fn claim(
    file: &Connections,
    endpoint: &str,
    limit: i64,
    owner: &str,
    lease_ms: Millis,
    now: Millis,
) -> Result<Vec<ClaimedRow>, OutboxError> {
    let clock = clock_ms();
    let raw = |row: &Row<'_>| {
        let mut texts: [Option<String>; 6] = Default::default();
        for (column, text) in (1..).zip(texts.iter_mut()) {
            *text = row.get(column)?;
        }
        let [revision, attempts] = [row.get(7)?, row.get(8)?];
        let raw = RawRow { texts, revision, attempts, failing_since: row.get(9)?, delivered_revision: row.get(10)? };
        Ok((row.get::<_, i64>(0)?, raw))
    };
    let claimed = file.write("claim deliveries", |transaction| {
        let is_open: bool = transaction
            .prepare_cached(IS_OPEN)?
            .query_row(named_params! { ":endpoint": endpoint, ":now": now }, |row| row.get(0))?;
        if !is_open {
            return Ok(Vec::new());
        }
        let values = named_params! { ":endpoint": endpoint, ":now": now, ":clock": clock, ":limit": limit };
        let rows: Vec<(i64, RawRow)> =
            transaction.prepare_cached(CANDIDATES)?.query_map(values, raw)?.collect::<Result<_, _>>()?;
        let mut lease = transaction.prepare_cached(LEASE)?;
        for (fid, _) in &rows {
            lease.execute(params![fid, owner, clock + lease_ms])?;
        }
        Ok(rows)
    })?;
    claimed.unwrap_or_default().into_iter().map(|(_, raw)| raw.parse(endpoint)).collect()
}

pub(super) fn settle(
    file: &Connections,
    outcomes: &[(&ClaimedRow, Outcome)],
    owner: &str,
    now: Millis,
) -> Result<(), OutboxError> {
    file.write("record deliveries", |transaction| {
        outcomes.iter().try_for_each(|(row, outcome)| settle_one(transaction, row, outcome, owner, now))
    })?;
    Ok(())
}

fn settle_one(
    transaction: &Transaction<'_>,
    row: &ClaimedRow,
    outcome: &Outcome,
    owner: &str,
    now: Millis,
) -> rusqlite::Result<()> {
    let ClaimedRow { endpoint, subject, revision, .. } = row;
    let key = params![endpoint, subject, revision, owner];
    let (state, at, error) = match outcome {
        Outcome::Delivered { external_ref } => {
            let taken: Option<(Option<String>, String)> = transaction
                .prepare_cached(TAKE)?
                .query_row(params![endpoint, subject, revision], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((old_subject, event)) = taken else { return Ok(()) };
            if let Some(old) = old_subject {
                transaction.prepare_cached(MOVE)?.execute(params![endpoint, old])?;
            }
            let values = params![endpoint, subject, revision, event, external_ref, now];
            return transaction.prepare_cached(DELIVERED)?.execute(values).map(drop);
        }
        Outcome::Skipped => return transaction.prepare_cached(SKIPPED)?.execute(key).map(drop),
        Outcome::Released => return transaction.prepare_cached(RELEASED)?.execute(key).map(drop),
        Outcome::Retry { at, error } => (RowState::Pending, *at, error),
        Outcome::Dead { error } => (RowState::Dead, now, error),
    };
    let values = params![endpoint, subject, revision, owner, state.name(), at, stored_error(error), now];
    transaction.prepare_cached(FAILED)?.execute(values).map(drop)
}

pub(super) fn endpoint(file: &Connections, endpoint: &str) -> Result<Endpoint, OutboxError> {
    let sql = "SELECT failures, error, failing_since_ms, retry_ms, disabled_ms FROM endpoints WHERE endpoint = ?1";
    let read = |row: &Row<'_>| {
        Ok(Endpoint {
            failures: row.get(0)?,
            error: row.get(1)?,
            failing_since: row.get(2)?,
            retry_at: row.get(3)?,
            disabled_at: row.get(4)?,
        })
    };
    let found = file.read("read the state of an endpoint", |connection| {
        connection.prepare_cached(sql)?.query_row([endpoint], read).optional()
    })?;
    Ok(found.flatten().unwrap_or_default())
}

pub(super) fn set_endpoint(
    file: &Connections,
    name: &str,
    endpoint: &Endpoint,
    now: Millis,
) -> Result<(), OutboxError> {
    let Endpoint { failing_since, failures, retry_at, disabled_at, error } = endpoint;
    let error = error.as_deref().map(stored_error);
    file.write("record the state of an endpoint", |transaction| {
        let values = params![name, failing_since, failures, retry_at, disabled_at, error];
        transaction.execute(SET_ENDPOINT, values)?;
        if disabled_at.is_some() {
            transaction.execute(BURY_DISABLED, [now])?;
        }
        Ok(())
    })?;
    Ok(())
}

pub(super) fn list(file: &Connections, filter: &Filter, limit: i64) -> Result<Vec<ListedRow>, OutboxError> {
    let Filter { endpoint, subject, state } = filter;
    let listed = |row: &Row<'_>| {
        Ok(ListedRow {
            endpoint: row.get(1)?,
            subject: row.get(2)?,
            revision: row.get(3)?,
            event: row.get(4)?,
            state: RowState::of(&row.get::<_, String>(5)?),
            attempts: row.get(6)?,
            at: row.get(7)?,
            error: row.get(8)?,
        })
    };
    let found = file.read("list deliveries", |connection| {
        let values = params![endpoint, subject, state.map(RowState::name), limit];
        connection.prepare_cached(LIST)?.query_map(values, listed)?.collect::<Result<Vec<_>, _>>()
    })?;
    Ok(found.unwrap_or_default())
}

pub(super) fn retry(file: &Connections, filter: &Filter) -> Result<u64, OutboxError> {
    let Filter { endpoint, subject, state } = filter;
    let rows = file.write("retry deliveries", |transaction| {
        let values = params![endpoint, subject, state.map(RowState::name), clock_ms()];
        let rows = transaction.execute(RETRY, values)?;
        if subject.is_none() {
            transaction.execute("DELETE FROM endpoints WHERE endpoint = coalesce(?1, endpoint)", [endpoint])?;
        }
        Ok(rows as u64)
    })?;
    Ok(rows.unwrap_or_default())
}

pub(super) fn purge(file: &Connections, filter: &Filter) -> Result<u64, OutboxError> {
    let Filter { endpoint, subject, state } = filter;
    let values = params![endpoint, subject, state.map(RowState::name)];
    let rows = file.write("purge deliveries", |transaction| Ok(transaction.execute(PURGE, values)? as u64))?;
    Ok(rows.unwrap_or_default())
}

pub(super) fn expire(file: &Connections, before: Millis, now: Millis) -> Result<(), OutboxError> {
    file.write("delete old deliveries", |transaction| {
        transaction.execute(BURY_DISABLED, [now])?;
        transaction.execute("DELETE FROM deliveries WHERE delivered_ms < ?1", [before])?;
        transaction.execute("DELETE FROM outbox WHERE state = 'dead' AND due_ms < ?1", [before])
    })?;
    Ok(())
}

/// The machine's clock, by which claims expire. Milliseconds since 1970.
fn clock_ms() -> Millis {
    jiff::Timestamp::now().as_millisecond()
}

//! Commits to PostgreSQL: one transaction each; and how a commit of unknown outcome is resolved.

use std::pin::pin;
use std::time::Duration;

use tokio_postgres::Client;

use super::archive::{self, Partitions};
use super::claim::{fenced, roll_back_fenced, try_lock};
use super::connection::Database;
use super::encode::Time;
use super::error::StoreError;
use super::queue::{Parameters, SessionCache, StatementQueue, only_if_one};
use super::statements;
use crate::{Claim, outbox};
use watchtower_core::crash;
use watchtower_core::{Commit, Cursor, ExpiredRejected};

/// Rows kept in `commit_log`: more than a day at one commit per second.
const COMMIT_LOG_ROWS: i64 = 100_000;
/// Commits between two removals of the oldest rows.
const COMMIT_LOG_EVERY: i64 = 1_000;

/// The writer of transactional tables; it owns one session.
#[derive(Debug)]
pub struct Writer {
    database: Database,
    client: Client,
    prepared: SessionCache,
    partitions: Partitions,
    term: i64,
    owner: String,
    commit_seq: i64,
}

impl Writer {
    /// A writer with the rights of a claim, in the session that made the claim.
    pub fn new(database: Database, client: Client, claim: &Claim) -> Self {
        Self {
            database,
            client,
            prepared: SessionCache::default(),
            partitions: Partitions::default(),
            term: claim.term,
            owner: claim.owner.clone(),
            commit_seq: claim.commit_seq,
        }
    }

    /// Number of the last commit.
    pub fn commit_seq(&self) -> i64 {
        self.commit_seq
    }

    /// Writes one commit; afterwards [`Self::commit_seq`] is its number.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if another writer has taken over. After any other error the outcome is unknown until
    /// [`Self::reconnect`] or [`Self::roll_back`] returns.
    pub async fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        self.partitions.ensure(&self.client, &commit.archive).await?;
        let next = self.commit_seq + 1;
        crash::point("before-begin");
        let mut queue = StatementQueue::new(&self.client, &mut self.prepared);
        let claim = Claimed { pipeline: &self.database.pipeline, term: self.term, owner: &self.owner };
        match write(&mut queue, claim, next, commit).await {
            Err(error) if error.changed_no_row() => {
                return Err(roll_back_fenced(&self.client, &self.database, self.term).await);
            }
            written => written?,
        }
        let mut sent = pin!(self.client.batch_execute("COMMIT"));
        let mut answer = None;
        if crash::is_due("commit-sent") {
            // COMMIT has been sent, and the process ends before the answer is read.
            answer = tokio::time::timeout(Duration::from_millis(20), sent.as_mut()).await.ok();
            crash::now("commit-sent");
        }
        let answer = match answer {
            Some(answer) => answer,
            None => sent.await,
        };
        answer.map_err(StoreError::statement(format!("complete commit {next}")))?;
        crash::point("after-commit");
        self.commit_seq = next;
        Ok(())
    }

    /// Records in the pipeline's row why writing has stopped; `None` clears the record.
    ///
    /// # Errors
    /// If the statement fails.
    pub async fn set_halted(&self, why: Option<&str>) -> Result<(), StoreError> {
        let sql = "UPDATE pipeline SET halted = $4 WHERE id = $1 AND term = $2 AND owner = $3";
        let doing = StoreError::statement("record that the pipeline has halted");
        self.client.execute(sql, &[&self.database.pipeline, &self.term, &self.owner, &why]).await.map_err(doing)?;
        Ok(())
    }

    /// Rolls back a failed transaction; the session must be alive.
    ///
    /// # Errors
    /// If the session is lost.
    pub async fn roll_back(&mut self) -> Result<(), StoreError> {
        self.prepared.roll_back();
        self.client.batch_execute("ROLLBACK").await.map_err(StoreError::statement("roll back"))
    }

    /// Replaces a lost session. Returns whether the unanswered commit was executed. The query locks the row: a plain
    /// query could see the state before a commit that is still in progress.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if another writer has taken over; another error if the database cannot be reached.
    pub async fn reconnect(&mut self) -> Result<bool, StoreError> {
        let client = self.database.connect().await?;
        let sql = "SELECT term, owner, commit_seq FROM pipeline WHERE id = $1 FOR UPDATE";
        let row = client
            .query_opt(sql, &[&self.database.pipeline])
            .await
            .map_err(StoreError::statement("look up the outcome of the last commit"))?;
        let known: Option<(i64, String, i64)> = row.map(|row| (row.get(0), row.get(1), row.get(2)));
        let happened = match known {
            Some((term, owner, seq)) if term == self.term && owner == self.owner => seq == self.commit_seq + 1,
            Some(_) | None => return Err(fenced(&client, &self.database, self.term).await),
        };
        try_lock(&client, &self.database).await?;
        self.client = client;
        self.prepared = SessionCache::default();
        self.partitions = Partitions::default();
        if happened {
            self.commit_seq += 1;
        }
        Ok(happened)
    }
}

/// Identity of the writer, compared by the first statement.
struct Claimed<'a> {
    pipeline: &'a str,
    term: i64,
    owner: &'a str,
}

/// Executes all statements of the commit except COMMIT itself.
async fn write<'a>(
    queue: &mut StatementQueue<'a>,
    claim: Claimed<'a>,
    next: i64,
    commit: &'a Commit,
) -> Result<(), StoreError> {
    let Commit { changes, alerts, archive, edits, cursors, now, events, expired, note } = commit;
    let doing = |what: &str| format!("{what} commit {next}");
    queue.begin(doing("begin")).await?;
    let Claimed { pipeline, term, owner } = claim;
    let compare_and_set = only_if_one(
        "UPDATE pipeline SET commit_seq = $5, now = $6 WHERE id = $1 AND term = $2 AND owner = $3 AND commit_seq = $4",
    );
    let whose: Parameters<'_> = vec![
        Box::new(pipeline),
        Box::new(term),
        Box::new(owner),
        Box::new(next - 1),
        Box::new(next),
        Box::new(Time(*now)),
    ];
    queue.execute(&compare_and_set, &[], whose, doing("claim")).await?;
    queue.crash_point("after-compare-and-set").await?;
    for table in changes.tables() {
        statements::write(queue, table).await?;
        queue.crash_point("mid-upserts").await?;
    }
    outbox::postgres::append(queue, &alerts.rows(*now), next).await?;
    archive::append_edits(queue, edits).await?;
    for ExpiredRejected { stream, until } in expired {
        let drop = "DELETE FROM rejected_events WHERE stream = $1 AND arrived_at <= $2";
        let which: Parameters<'_> = vec![Box::new(stream.as_str()), Box::new(Time(*until))];
        queue.execute(drop, &[], which, doing("delete old rejected events in")).await?;
    }
    log(queue, next, term, changes.len() as i64, *events as i64, cursors, note.as_deref()).await?;
    if !archive.is_empty() {
        archive::append(queue.client().await?, archive).await?;
    }
    queue.answered().await?;
    crash::point("before-commit");
    Ok(())
}

/// Writes cursors and `commit_log`.
async fn log<'a>(
    queue: &mut StatementQueue<'a>,
    next: i64,
    term: i64,
    rows: i64,
    events: i64,
    cursors: &'a [Cursor],
    note: Option<&'a str>,
) -> Result<(), StoreError> {
    let doing = || format!("log commit {next}");
    let sql = "WITH moved AS (
                   INSERT INTO cursors (stream, last_id, entries, skipped, now, rebased, rebased_after)
                   SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[],
                                        $6::bigint[], $7::text[])
                   ON CONFLICT (stream) DO UPDATE
                   SET last_id = excluded.last_id, entries = excluded.entries, skipped = excluded.skipped,
                       now = excluded.now, rebased = excluded.rebased, rebased_after = excluded.rebased_after)
               INSERT INTO commit_log (commit_seq, term, events, rows_changed, note, cursors)
               VALUES ($8, $9, $10, $11, $12, coalesce((SELECT jsonb_object_agg(s, i) FROM unnest($1::text[], $2::text[]) AS u(s, i)), '{}'))";
    let parameters: Parameters<'a> = vec![
        Box::new(cursors.iter().map(|cursor| cursor.stream.as_str()).collect::<Vec<_>>()),
        Box::new(cursors.iter().map(|cursor| cursor.position.last.to_string()).collect::<Vec<_>>()),
        Box::new(cursors.iter().map(|cursor| cursor.position.entries as i64).collect::<Vec<_>>()),
        Box::new(cursors.iter().map(|cursor| cursor.position.skipped as i64).collect::<Vec<_>>()),
        Box::new(cursors.iter().map(|cursor| Time(cursor.now)).collect::<Vec<_>>()),
        Box::new(cursors.iter().map(|cursor| cursor.position.rebased as i64).collect::<Vec<_>>()),
        Box::new(cursors.iter().map(|cursor| cursor.rebased_after.to_string()).collect::<Vec<_>>()),
        Box::new(next),
        Box::new(term),
        Box::new(events),
        Box::new(rows),
        Box::new(note),
    ];
    queue.execute(sql, &[], parameters, doing()).await?;
    if next % COMMIT_LOG_EVERY == 0 {
        let drop = "DELETE FROM commit_log WHERE commit_seq <= $1";
        queue.execute(drop, &[], vec![Box::new(next - COMMIT_LOG_ROWS)], doing()).await?;
    }
    Ok(())
}

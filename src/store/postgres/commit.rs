//! The transaction, and what to think of it when its outcome is unknown.

use std::pin::pin;
use std::time::Duration;

use tokio_postgres::Client;

use super::archive::{self, Partitions};
use super::claim::{fenced, try_lock};
use super::connection::Database;
use super::encode::Time;
use super::error::StoreError;
use super::statements::Statements;
use crate::crash;
use crate::store::{Claim, Commit, StoredCursor};

/// Commits that are kept in `commit_log`: more than a day of one a second.
const COMMIT_LOG_ROWS: i64 = 100_000;
/// The oldest commits are dropped every so many.
const COMMIT_LOG_EVERY: i64 = 1_000;

/// The one session that writes transactional tables.
#[derive(Debug)]
pub struct Writer {
    database: Database,
    client: Client,
    statements: Statements,
    partitions: Partitions,
    term: i64,
    owner: String,
    commit_seq: i64,
}

impl Writer {
    /// Writes in the name of a claim, in the session that made it.
    pub fn new(database: Database, client: Client, claim: &Claim) -> Self {
        Self {
            database,
            client,
            statements: Statements::default(),
            partitions: Partitions::default(),
            term: claim.term,
            owner: claim.owner.clone(),
            commit_seq: claim.commit_seq,
        }
    }

    /// The last commit.
    pub fn commit_seq(&self) -> i64 {
        self.commit_seq
    }

    /// One commit; afterwards [`Self::commit_seq`] is its number.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if another writer has taken over. After any other error the outcome is
    /// unknown until [`Self::reconnect`] or [`Self::roll_back`] has said it.
    pub async fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        self.partitions.ensure(&self.client, &commit.archive).await?;
        let Commit { changes, archive, edits, cursors, now, events, forget_rejected_before, note } = commit;
        let next = self.commit_seq + 1;
        let client = &self.client;
        let doing = |what: &str| StoreError::statement(format!("{what} commit {next}"));
        crash::point("before-begin");
        client.batch_execute("BEGIN; SET LOCAL synchronous_commit = on").await.map_err(doing("begin"))?;
        let compare_and_set = "UPDATE pipeline SET commit_seq = $5, now = $6 \
                               WHERE id = $1 AND term = $2 AND owner = $3 AND commit_seq = $4";
        let owned = client
            .execute(
                compare_and_set,
                &[&self.database.pipeline, &self.term, &self.owner, &self.commit_seq, &next, &Time(*now)],
            )
            .await
            .map_err(doing("claim"))?;
        if owned == 0 {
            let error = fenced(client, &self.database, self.term).await;
            client.batch_execute("ROLLBACK").await.map_err(doing("roll back"))?;
            return Err(error);
        }
        crash::point("after-compare-and-set");
        for table in changes.tables() {
            self.statements.write(client, table).await?;
            crash::point("mid-upserts");
        }
        if !archive.is_empty() {
            archive::append(client, archive).await?;
        }
        archive::append_edits(client, edits).await?;
        if let Some(before) = forget_rejected_before {
            let drop = "DELETE FROM rejected_events WHERE arrived_at < $1";
            client.execute(drop, &[&Time(*before)]).await.map_err(doing("drop old refused events in"))?;
        }
        let (rows, events) = (changes.len() as i64, *events as i64);
        self.log(next, rows, events, cursors, note.as_deref()).await?;
        crash::point("before-commit");
        let mut sent = pin!(client.batch_execute("COMMIT"));
        let mut answer = None;
        if crash::is_due("commit-sent") {
            // On its way, and nobody waits for the answer.
            answer = tokio::time::timeout(Duration::from_millis(20), sent.as_mut()).await.ok();
            crash::now("commit-sent");
        }
        let answer = match answer {
            Some(answer) => answer,
            None => sent.await,
        };
        answer.map_err(doing("complete"))?;
        crash::point("after-commit");
        self.commit_seq = next;
        Ok(())
    }

    async fn log(
        &self,
        next: i64,
        rows: i64,
        events: i64,
        cursors: &[StoredCursor],
        note: Option<&str>,
    ) -> Result<(), StoreError> {
        let doing = || StoreError::statement(format!("log commit {next}"));
        let streams: Vec<&str> = cursors.iter().map(|cursor| cursor.stream.as_str()).collect();
        let ids: Vec<&str> = cursors.iter().map(|cursor| cursor.last_id.as_str()).collect();
        let entries: Vec<i64> = cursors.iter().map(|cursor| cursor.entries as i64).collect();
        let clocks: Vec<Time> = cursors.iter().map(|cursor| Time(cursor.now)).collect();
        let skipped: Vec<i64> = cursors.iter().map(|cursor| cursor.skipped as i64).collect();
        let rebased: Vec<i64> = cursors.iter().map(|cursor| cursor.rebased as i64).collect();
        let after: Vec<&str> = cursors.iter().map(|cursor| cursor.rebased_after.as_str()).collect();
        let sql = "WITH moved AS (
                       INSERT INTO cursors (stream, last_id, entries, skipped, now, rebased, rebased_after)
                       SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $8::bigint[], $10::timestamptz[],
                                            $11::bigint[], $12::text[])
                       ON CONFLICT (stream) DO UPDATE
                       SET last_id = excluded.last_id, entries = excluded.entries, skipped = excluded.skipped,
                           now = excluded.now, rebased = excluded.rebased, rebased_after = excluded.rebased_after)
                   INSERT INTO commit_log (commit_seq, term, events, rows_changed, note, cursors)
                   VALUES ($4, $5, $6, $7, $9, coalesce((SELECT jsonb_object_agg(s, i) FROM unnest($1::text[], $2::text[]) AS u(s, i)), '{}'))";
        self.client
            .execute(
                sql,
                &[
                    &streams, &ids, &entries, &next, &self.term, &events, &rows, &skipped, &note, &clocks, &rebased,
                    &after,
                ],
            )
            .await
            .map_err(doing())?;
        if next % COMMIT_LOG_EVERY == 0 {
            let drop = "DELETE FROM commit_log WHERE commit_seq <= $1";
            self.client.execute(drop, &[&(next - COMMIT_LOG_ROWS)]).await.map_err(doing())?;
        }
        Ok(())
    }

    /// Says in the pipeline's row why no more is written, or that all is well.
    ///
    /// # Errors
    /// If it cannot be said.
    pub async fn set_halted(&self, why: Option<&str>) -> Result<(), StoreError> {
        let sql = "UPDATE pipeline SET halted = $4 WHERE id = $1 AND term = $2 AND owner = $3";
        let doing = StoreError::statement("say that the pipeline has halted");
        self.client.execute(sql, &[&self.database.pipeline, &self.term, &self.owner, &why]).await.map_err(doing)?;
        Ok(())
    }

    /// Ends a transaction that failed in a session that lives.
    ///
    /// # Errors
    /// If the session is gone after all.
    pub async fn roll_back(&mut self) -> Result<(), StoreError> {
        self.client.batch_execute("ROLLBACK").await.map_err(StoreError::statement("roll back"))
    }

    /// A new session in place of a lost one. Says whether the commit that was under way happened: the
    /// row is locked for the answer, for what a plain query sees may be older than a commit in progress.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if another writer has taken over, or if there is still no database.
    pub async fn reconnect(&mut self) -> Result<bool, StoreError> {
        let client = self.database.connect().await?;
        let sql = "SELECT term, owner, commit_seq FROM pipeline WHERE id = $1 FOR UPDATE";
        let row = client
            .query_opt(sql, &[&self.database.pipeline])
            .await
            .map_err(StoreError::statement("ask what became of the last commit"))?;
        let known: Option<(i64, String, i64)> = row.map(|row| (row.get(0), row.get(1), row.get(2)));
        let happened = match known {
            Some((term, owner, seq)) if term == self.term && owner == self.owner => seq == self.commit_seq + 1,
            Some(_) | None => return Err(fenced(&client, &self.database, self.term).await),
        };
        try_lock(&client, &self.database).await?;
        self.client = client;
        self.statements = Statements::default();
        self.partitions = Partitions::default();
        if happened {
            self.commit_seq += 1;
        }
        Ok(happened)
    }
}

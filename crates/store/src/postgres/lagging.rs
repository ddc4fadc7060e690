//! Lagging tables in PostgreSQL: each flush is one transaction, on its own connection.
//!
//! A flush makes the table equal to its contents at some commit, and records the commit in `table_progress`. That row
//! is the fence: the first statement compares its term, and every claim raises it, so that a flush of a replaced daemon
//! changes nothing.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_postgres::Client;

use super::claim::roll_back_fenced;
use super::connection::Database;
use super::error::StoreError;
use super::queue::{SessionCache, StatementQueue, only_if_one};
use super::statements;
use crate::Claim;
use watchtower_core::Flush;
use watchtower_core::tables::vehicle_state;

/// Rows written without a pause. The pause after them is as long as their writing took, and leaves the server to
/// others.
const TOGETHER: usize = 1_000;
/// Upper limit of that pause: the server ends a transaction that is idle for 15 s.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// The writer of lagging tables; it owns one session.
#[derive(Debug)]
pub struct LaggingWriter {
    database: Database,
    session: Option<(Client, SessionCache)>,
    term: i64,
}

impl LaggingWriter {
    /// A writer with the rights of a claim. It connects at the first flush.
    pub fn new(database: Database, claim: &Claim) -> Self {
        Self { database, session: None, term: claim.term }
    }

    /// Writes a flush in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if another daemon has taken over. After any other error the same flush may be retried: it
    /// sets values.
    pub async fn flush(&mut self, flush: &Flush) -> Result<(), StoreError> {
        let (client, mut prepared) = match self.session.take() {
            Some(session) => session,
            None => (self.database.connect().await?, SessionCache::default()),
        };
        // An error drops the session, and with it the transaction.
        match write(&client, &mut prepared, self.term, flush).await {
            Err(error) if error.changed_no_row() => {
                return Err(roll_back_fenced(&client, &self.database, self.term).await);
            }
            written => written?,
        }
        self.session = Some((client, prepared));
        Ok(())
    }
}

/// The whole transaction, including COMMIT.
async fn write(client: &Client, prepared: &mut SessionCache, term: i64, flush: &Flush) -> Result<(), StoreError> {
    begin(&mut StatementQueue::new(client, prepared), term, flush).await?;
    let mut rest = Duration::ZERO;
    for rows in flush.rows.chunks(TOGETHER) {
        sleep(rest).await;
        let begun = Instant::now();
        let changes = vehicle_state::changes(rows);
        let mut queue = StatementQueue::new(client, prepared);
        for table in changes.tables() {
            statements::write(&mut queue, table).await?;
        }
        queue.answered().await?;
        rest = begun.elapsed().min(LONGEST_REST);
    }
    client.batch_execute("COMMIT").await.map_err(StoreError::statement("commit vehicle_state"))
}

/// Begins the transaction: compares the term, and deletes rows of unknown vehicles if the flush is complete.
async fn begin<'a>(queue: &mut StatementQueue<'a>, term: i64, flush: &'a Flush) -> Result<(), StoreError> {
    let doing = |what: &str| format!("{what} vehicle_state");
    // These rows are not written again later, so their commit must be durable.
    queue.begin(doing("begin to write")).await?;
    let mine =
        only_if_one("UPDATE table_progress SET commit_seq = $2 WHERE table_name = 'vehicle_state' AND term = $1");
    queue.execute(&mine, &[], vec![Box::new(term), Box::new(flush.commit_seq)], doing("claim")).await?;
    if flush.complete {
        delete_others(queue, flush).await?;
    }
    queue.answered().await
}

async fn delete_others<'a>(queue: &mut StatementQueue<'a>, flush: &'a Flush) -> Result<(), StoreError> {
    let ids: Vec<&str> = flush.rows.iter().map(|row| &*row.vehicle).collect();
    let others = "DELETE FROM vehicle_state AS t WHERE NOT EXISTS (SELECT FROM unnest($1::text[]) AS u(id) WHERE u.id = t.vehicle_id)";
    queue.execute(others, &[], vec![Box::new(ids)], "delete old rows of vehicle_state".to_owned()).await
}

//! Lagging tables: written on a connection of their own, a little later, in one piece.
//!
//! A flush is one transaction that makes the table equal to what it was at some commit and says so in
//! `table_progress`. That row is its fence: it names the term, the first statement compares it, and
//! whoever takes over raises it, so that a flush of a replaced daemon changes nothing.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_postgres::Client;

use super::batch::{Batch, Prepared, only_if_one};
use super::claim::give_up;
use super::connection::Database;
use super::error::StoreError;
use super::statements;
use crate::Claim;
use watchtower_core::Flush;
use watchtower_core::tables::vehicle_state;

/// Rows that are written together; after them, as long again is left to others.
const TOGETHER: usize = 1_000;
/// The server gives up a transaction in which nothing happens for some seconds.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// The one session that writes lagging tables.
#[derive(Debug)]
pub struct LaggingWriter {
    database: Database,
    session: Option<(Client, Prepared)>,
    term: i64,
}

impl LaggingWriter {
    /// Writes in the name of a claim; connects when there is something to write.
    pub fn new(database: Database, claim: &Claim) -> Self {
        Self { database, session: None, term: claim.term }
    }

    /// Writes.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if another daemon has taken over. After any other error the same flush may
    /// be tried again: it sets values.
    pub async fn flush(&mut self, flush: &Flush) -> Result<(), StoreError> {
        let (client, mut prepared) = match self.session.take() {
            Some(session) => session,
            None => (self.database.connect().await?, Prepared::default()),
        };
        // An error drops the session, and with it the transaction.
        match write(&client, &mut prepared, self.term, flush).await {
            Err(error) if error.found_nothing() => return Err(give_up(&client, &self.database, self.term).await),
            written => written?,
        }
        self.session = Some((client, prepared));
        Ok(())
    }
}

/// The whole transaction.
async fn write(client: &Client, prepared: &mut Prepared, term: i64, flush: &Flush) -> Result<(), StoreError> {
    begin(&mut Batch::new(client, prepared), term, flush).await?;
    let mut rest = Duration::ZERO;
    for rows in flush.rows.chunks(TOGETHER) {
        sleep(rest).await;
        let begun = Instant::now();
        let changes = vehicle_state::changes(rows);
        let mut batch = Batch::new(client, prepared);
        for table in changes.tables() {
            statements::write(&mut batch, table).await?;
        }
        batch.answered().await?;
        rest = begun.elapsed().min(LONGEST_REST);
    }
    client.batch_execute("COMMIT").await.map_err(StoreError::statement("commit vehicle_state"))
}

/// Makes sure that it is ours to write, and that no other rows are left.
async fn begin<'a>(batch: &mut Batch<'a>, term: i64, flush: &'a Flush) -> Result<(), StoreError> {
    let doing = |what: &str| format!("{what} vehicle_state");
    // What is written here is not written again: a crash of the database must not forget it.
    batch.begin(doing("begin to write")).await?;
    let mine =
        only_if_one("UPDATE table_progress SET commit_seq = $2 WHERE table_name = 'vehicle_state' AND term = $1");
    batch.execute(&mine, &[], vec![Box::new(term), Box::new(flush.commit_seq)], doing("claim")).await?;
    if flush.complete {
        delete_others(batch, flush).await?;
    }
    batch.answered().await
}

async fn delete_others<'a>(batch: &mut Batch<'a>, flush: &'a Flush) -> Result<(), StoreError> {
    let ids: Vec<&str> = flush.rows.iter().map(|row| &*row.vehicle).collect();
    let others = "DELETE FROM vehicle_state AS t WHERE NOT EXISTS (SELECT FROM unnest($1::text[]) AS u(id) WHERE u.id = t.vehicle_id)";
    batch.execute(others, &[], vec![Box::new(ids)], "delete old rows of vehicle_state".to_owned()).await
}

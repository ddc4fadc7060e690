//! Lagging tables: written on a connection of their own, a little later, in one piece.
//!
//! A flush is one transaction that makes the table equal to what it was at some commit and says so in
//! `table_progress`. That row is its fence: it names the term, the first statement compares it, and
//! whoever takes over raises it, so that a flush of a replaced daemon changes nothing.

use tokio_postgres::Client;

use super::claim::fenced;
use super::connection::Database;
use super::error::StoreError;
use super::statements::Statements;
use crate::store::{Claim, Flush};
use crate::tables::{KeyCell, vehicle_state};

/// The one session that writes lagging tables.
#[derive(Debug)]
pub struct LaggingWriter {
    database: Database,
    session: Option<(Client, Statements)>,
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
        let (client, mut statements) = match self.session.take() {
            Some(session) => session,
            None => (self.database.connect().await?, Statements::default()),
        };
        // An error drops the session, and with it the transaction.
        self.write(&client, &mut statements, flush).await?;
        self.session = Some((client, statements));
        Ok(())
    }

    async fn write(&self, client: &Client, statements: &mut Statements, flush: &Flush) -> Result<(), StoreError> {
        let doing = |what: &'static str| StoreError::statement(format!("{what} vehicle_state"));
        // What is written here is not written again: a crash of the database must not forget it.
        client.batch_execute("BEGIN; SET LOCAL synchronous_commit = on").await.map_err(doing("begin to write"))?;
        let mine = "UPDATE table_progress SET commit_seq = $2 WHERE table_name = 'vehicle_state' AND term = $1";
        if client.execute(mine, &[&self.term, &flush.commit_seq]).await.map_err(doing("claim"))? == 0 {
            return Err(fenced(client, &self.database, self.term).await);
        }
        if flush.complete {
            self.delete_others(client, flush).await?;
        }
        for table in flush.changes.tables() {
            statements.write(client, table).await?;
        }
        client.batch_execute("COMMIT").await.map_err(doing("commit"))
    }

    async fn delete_others(&self, client: &Client, flush: &Flush) -> Result<(), StoreError> {
        let keys = flush.changes.tables().iter().filter(|changes| changes.table.name == vehicle_state::TABLE.name);
        let ids: Vec<&str> = keys
            .flat_map(|changes| changes.rows.keys())
            .map(|key| match &key[0] {
                KeyCell::Text(id) => &**id,
                KeyCell::Time(_) | KeyCell::Date(_) => unreachable!("the key of vehicle_state is a vehicle"),
            })
            .collect();
        let others = "DELETE FROM vehicle_state AS t WHERE NOT EXISTS (SELECT FROM unnest($1::text[]) AS u(id) WHERE u.id = t.vehicle_id)";
        client.execute(others, &[&ids]).await.map_err(StoreError::statement("delete old rows of vehicle_state"))?;
        Ok(())
    }
}

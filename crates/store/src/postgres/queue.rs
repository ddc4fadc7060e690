//! Pipelined statements: sent one behind the other, without waiting for answers in between.
//!
//! Within a transaction a statement does not depend on earlier answers: the session executes statements in order, and
//! none after one that fails. So a commit takes three round trips, to begin, to write and to complete, instead of one
//! for each statement, which matters wherever the server is distant or the processors are busy.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Statement};

use super::error::StoreError;
use watchtower_core::crash;

/// Parameters of a statement.
pub type Parameters<'a> = Vec<Box<dyn ToSql + Send + Sync + 'a>>;

type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// Wraps a change so that it fails unless it changes one row; the statements sent behind it then do nothing. See
/// [`StoreError::changed_no_row`].
pub fn only_if_one(change: &str) -> String {
    format!("WITH changed AS ({change} RETURNING 1) SELECT 1 / count(*) FROM changed")
}

/// Statements prepared and temporary tables created in a session.
#[derive(Debug, Default)]
pub struct SessionCache {
    statements: HashMap<String, Statement>,
    /// Temporary tables that exist.
    staged: Vec<String>,
}

impl SessionCache {
    /// Forgets the temporary tables that a rolled-back transaction had created.
    pub fn roll_back(&mut self) {
        self.staged.clear();
    }
}

/// Statements of one session that may be unanswered.
pub struct StatementQueue<'a> {
    client: &'a Client,
    prepared: &'a mut SessionCache,
    unanswered: VecDeque<Answer<'a>>,
}

impl<'a> StatementQueue<'a> {
    /// A queue without unanswered statements.
    pub fn new(client: &'a Client, prepared: &'a mut SessionCache) -> Self {
        Self { client, prepared, unanswered: VecDeque::new() }
    }

    /// Begins a transaction whose commit is durable, and waits for the answer: if it failed, each statement sent behind
    /// it would be a transaction of its own.
    ///
    /// # Errors
    /// If the transaction cannot begin.
    pub async fn begin(&mut self, doing: String) -> Result<(), StoreError> {
        self.run("BEGIN; SET LOCAL synchronous_commit = on".to_owned(), doing).await?;
        self.answered().await
    }

    /// Sends statements without parameters; `doing` describes them in errors, as in `cannot <doing>`.
    ///
    /// # Errors
    /// If these or earlier statements are already known to have failed.
    pub async fn run(&mut self, sql: String, doing: String) -> Result<(), StoreError> {
        let (client, failed) = (self.client, StoreError::statement(doing));
        self.send(Box::pin(async move { client.batch_execute(&sql).await.map_err(failed) })).await
    }

    /// Sends a statement, preparing it at first use. Parameter types missing in `types` are inferred by the server.
    ///
    /// # Errors
    /// If it cannot be prepared, or it or an earlier statement is already known to have failed.
    pub async fn execute(
        &mut self,
        sql: &str,
        types: &[Type],
        parameters: Parameters<'a>,
        doing: String,
    ) -> Result<(), StoreError> {
        let statement = self.prepare(sql, types).await?;
        let (client, failed) = (self.client, StoreError::statement(doing));
        self.send(Box::pin(async move {
            let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|p| &**p as _).collect();
            client.execute(&statement, &parameters).await.map(drop).map_err(failed)
        }))
        .await
    }

    /// Ensures that the temporary table `stage_<table>` exists, with the columns of `table`. It is empty when a
    /// transaction begins.
    ///
    /// # Errors
    /// If it cannot be created, or an earlier statement failed.
    pub async fn stage(&mut self, table: &str) -> Result<(), StoreError> {
        if self.prepared.staged.iter().any(|staged| staged == table) {
            return Ok(());
        }
        let create = format!("CREATE TEMPORARY TABLE IF NOT EXISTS stage_{table} (LIKE {table}) ON COMMIT DELETE ROWS");
        self.run(create, format!("create a temporary table for rows of {table}")).await?;
        self.prepared.staged.push(table.to_owned());
        Ok(())
    }

    /// The session, with all statements answered, for requests that wait for their own answers.
    ///
    /// # Errors
    /// If a statement failed.
    pub async fn client(&mut self) -> Result<&'a Client, StoreError> {
        self.answered().await?;
        Ok(self.client)
    }

    /// Waits until all statements sent so far have been executed.
    ///
    /// # Errors
    /// The error of the first statement that failed; those behind it were not executed.
    pub async fn answered(&mut self) -> Result<(), StoreError> {
        while let Some(answer) = self.unanswered.pop_front() {
            answer.await?;
        }
        Ok(())
    }

    /// A [crash point](crash) at which a test ends the process, after all statements sent so far were executed.
    ///
    /// # Errors
    /// If a statement failed.
    pub async fn crash_point(&mut self, name: &'static str) -> Result<(), StoreError> {
        if crash::is_due(name) {
            self.answered().await?;
            crash::now(name);
        }
        Ok(())
    }

    async fn prepare(&mut self, sql: &str, types: &[Type]) -> Result<Statement, StoreError> {
        if let Some(statement) = self.prepared.statements.get(sql) {
            return Ok(statement.clone());
        }
        let failed = StoreError::statement(format!("prepare {sql}"));
        let statement = self.client().await?.prepare_typed(sql, types).await.map_err(failed)?;
        self.prepared.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Sends a request: tokio-postgres sends when the future is first polled.
    async fn send(&mut self, mut answer: Answer<'a>) -> Result<(), StoreError> {
        match poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await {
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(error)) => {
                // An earlier statement may have been the cause; its error comes first.
                self.answered().await?;
                Err(error)
            }
            Poll::Pending => {
                self.unanswered.push_back(answer);
                Ok(())
            }
        }
    }
}

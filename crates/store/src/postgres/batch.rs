//! Statements on their way: sent one behind the other, without waiting for answers in between.
//!
//! Within a transaction a statement needs nothing of the answers before it: the session carries them out in order,
//! and after one that fails none. So a commit takes three journeys, to begin, to write and to complete, instead of
//! one for each statement, which counts wherever the server is far or the processors are busy.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Statement};

use super::error::StoreError;
use watchtower_core::crash;

/// What a statement is given.
pub type Parameters<'a> = Vec<Box<dyn ToSql + Send + Sync + 'a>>;

type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// A statement that fails unless it changes one row: then nothing that is sent behind it is carried out. See
/// [`StoreError::found_nothing`].
pub fn only_if_one(change: &str) -> String {
    format!("WITH changed AS ({change} RETURNING 1) SELECT 1 / count(*) FROM changed")
}

/// What a session has been told once.
#[derive(Debug, Default)]
pub struct Prepared {
    statements: HashMap<String, Statement>,
    /// Temporary tables that there are.
    staged: Vec<String>,
}

impl Prepared {
    /// A transaction came to nothing, and with it the tables that it made.
    pub fn roll_back(&mut self) {
        self.staged.clear();
    }
}

/// Statements of one session that may be on their way.
pub struct Batch<'a> {
    client: &'a Client,
    prepared: &'a mut Prepared,
    unanswered: VecDeque<Answer<'a>>,
}

impl<'a> Batch<'a> {
    /// With nothing on its way.
    pub fn new(client: &'a Client, prepared: &'a mut Prepared) -> Self {
        Self { client, prepared, unanswered: VecDeque::new() }
    }

    /// Begins a transaction that is durable when it is complete, and waits until it has begun: outside of one, each
    /// statement behind would be one of its own.
    ///
    /// # Errors
    /// If it cannot be begun.
    pub async fn begin(&mut self, doing: String) -> Result<(), StoreError> {
        self.run("BEGIN; SET LOCAL synchronous_commit = on".to_owned(), doing).await?;
        self.answered().await
    }

    /// Sends statements without parameters; `doing` says what for.
    ///
    /// # Errors
    /// If it is known already that they, or some before, failed.
    pub async fn run(&mut self, sql: String, doing: String) -> Result<(), StoreError> {
        let (client, failed) = (self.client, StoreError::statement(doing));
        self.send(Box::pin(async move { client.batch_execute(&sql).await.map_err(failed) })).await
    }

    /// Sends a statement, which is prepared when it is sent first; types that are not given follow from it.
    ///
    /// # Errors
    /// If it cannot be prepared, or it is known already that it, or one before, failed.
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

    /// Makes sure that there is a temporary table like another, with its name behind `stage_`; it is empty when
    /// a transaction begins.
    ///
    /// # Errors
    /// If there is none, or a statement before failed.
    pub async fn stage(&mut self, table: &str) -> Result<(), StoreError> {
        if self.prepared.staged.iter().any(|staged| staged == table) {
            return Ok(());
        }
        let create = format!("CREATE TEMPORARY TABLE IF NOT EXISTS stage_{table} (LIKE {table}) ON COMMIT DELETE ROWS");
        self.run(create, format!("make room for rows of {table}")).await?;
        self.prepared.staged.push(table.to_owned());
        Ok(())
    }

    /// The session, for what has to wait for answers of its own: with nothing on its way.
    ///
    /// # Errors
    /// If a statement failed.
    pub async fn client(&mut self) -> Result<&'a Client, StoreError> {
        self.answered().await?;
        Ok(self.client)
    }

    /// Waits until everything that was sent has been carried out.
    ///
    /// # Errors
    /// That of the first statement that failed; those behind it were not carried out.
    pub async fn answered(&mut self) -> Result<(), StoreError> {
        while let Some(answer) = self.unanswered.pop_front() {
            answer.await?;
        }
        Ok(())
    }

    /// A [place](crash) at which a test ends the process: after what was sent has been carried out.
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

    /// A request goes out when its answer is asked for first.
    async fn send(&mut self, mut answer: Answer<'a>) -> Result<(), StoreError> {
        match poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await {
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(error)) => {
                // One before may have been the reason.
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

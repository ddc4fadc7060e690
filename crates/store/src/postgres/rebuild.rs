//! Tables that are computed anew in a second schema, which then takes the place of the first.

use tokio_postgres::Client;

use super::claim;
use super::connection::Database;
use super::error::StoreError;
use crate::Stored;

/// The pipeline's tables, and the session whose lock keeps daemons from them.
#[derive(Debug)]
pub(crate) struct Old {
    client: Client,
    database: Database,
    pub(crate) stored: Stored,
}

impl Old {
    /// Takes the lock. `Err` within `Ok` names the daemon that holds it.
    ///
    /// # Errors
    /// If the database does not answer, or has no such pipeline.
    pub(crate) async fn hold(database: &Database) -> Result<Result<Self, String>, StoreError> {
        let client = database.connect().await?;
        if !claim::exists(&client, database).await? {
            return Err(claim::missing(database));
        }
        if !claim::try_lock(&client, database).await? {
            let owner = claim::owner(&client, database).await?;
            return Ok(Err(owner.map_or_else(|| "another session".to_owned(), |owner| owner.name)));
        }
        let stored = claim::stored(&client, database).await?.ok_or_else(|| claim::missing(database))?;
        Ok(Ok(Self { client, database: database.clone(), stored }))
    }

    /// The database, whose archive can be read instead of the log.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Removes the second schema of an earlier attempt.
    pub(crate) async fn clear(&self, beside: &str) -> Result<(), StoreError> {
        let sql = format!("DROP SCHEMA IF EXISTS \"{beside}\" CASCADE");
        let doing = format!("remove the schema {beside} of an earlier attempt");
        self.client.batch_execute(&sql).await.map_err(StoreError::statement(doing))
    }

    /// Renames the schemas in one transaction, and removes the old one; its name if readers keep it from being removed.
    /// A paused writer of the old tables is fenced: the term is higher afterwards. From an archive, which holds accepted
    /// events only, the rejected ones are copied.
    pub(crate) async fn replace(&self, beside: &str, from_archive: bool) -> Result<Option<String>, StoreError> {
        let Self { client, database: Database { schema, .. }, .. } = self;
        if from_archive {
            keep_rejected(client, schema, beside).await?;
        }
        switch(client, schema, beside).await?;
        let old = format!("{schema}_before_rebuild");
        let dropped = client.batch_execute(&format!("DROP SCHEMA \"{old}\" CASCADE")).await;
        Ok(dropped.err().map(|_| old))
    }
}

async fn keep_rejected(client: &Client, schema: &str, beside: &str) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO \"{beside}\".rejected_events SELECT * FROM \"{schema}\".rejected_events ON CONFLICT DO NOTHING;
         INSERT INTO \"{beside}\".rejected_counts AS c SELECT * FROM \"{schema}\".rejected_counts
         ON CONFLICT (stream, hour, reason) DO UPDATE SET events = c.events + excluded.events, kept = c.kept + excluded.kept"
    );
    client.batch_execute(&sql).await.map_err(StoreError::statement("copy the rejected events"))
}

async fn switch(client: &Client, schema: &str, beside: &str) -> Result<(), StoreError> {
    let sql = format!(
        "BEGIN;
         DROP SCHEMA IF EXISTS \"{schema}_before_rebuild\" CASCADE;
         ALTER SCHEMA \"{schema}\" RENAME TO \"{schema}_before_rebuild\";
         ALTER SCHEMA \"{beside}\" RENAME TO \"{schema}\";
         DO $$ BEGIN
             IF to_regclass('\"{schema}_before_rebuild\".tokens') IS NOT NULL THEN
                 INSERT INTO \"{schema}\".tokens SELECT * FROM \"{schema}_before_rebuild\".tokens;
             END IF;
             -- What the rebuild wrote was written before, and is known to the endpoints.
             TRUNCATE \"{schema}\".outbox;
             IF to_regclass('\"{schema}_before_rebuild\".outbox') IS NOT NULL THEN
                 INSERT INTO \"{schema}\".outbox SELECT * FROM \"{schema}_before_rebuild\".outbox;
                 INSERT INTO \"{schema}\".deliveries SELECT * FROM \"{schema}_before_rebuild\".deliveries;
                 INSERT INTO \"{schema}\".endpoints SELECT * FROM \"{schema}_before_rebuild\".endpoints;
                 INSERT INTO \"{schema}\".outbox_base
                 SELECT commit_seq + coalesce((SELECT base FROM \"{schema}_before_rebuild\".outbox_base), 0)
                 FROM \"{schema}_before_rebuild\".pipeline;
             END IF;
         END $$;
         UPDATE \"{schema}\".pipeline SET term = term + (SELECT term FROM \"{schema}_before_rebuild\".pipeline);
         COMMIT"
    );
    client.batch_execute(&sql).await.map_err(StoreError::statement("put the new tables in place"))
}

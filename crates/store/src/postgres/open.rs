//! From a connection to tables that this process may write.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use watchtower_core::{Note, Remedy, crash};
use watchtower_model::BEGINNING;

use super::commit::Writer;
use super::lagging::LaggingWriter;
use super::schema::{self, Standing};
use super::{Database, Options, StoreError, claim, durability};
use crate::open::{ClaimError, Opened};
use crate::{Claim, LaggingWriter as AnyLaggingWriter, Resume, Writer as AnyWriter};

/// Time limit for the end of a predecessor's session.
const PREDECESSOR_ENDS_WITHIN: Duration = Duration::from_secs(5);
/// Time after which the server has ended a session whose client is gone or hangs, by the settings of our sessions.
const HUNG_TRANSACTIONS_END_WITHIN: Duration = Duration::from_secs(45);

/// Receives findings.
type Notes<'a> = &'a mut (dyn FnMut(Note) + Send);

/// How the tables are to be claimed.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) options: &'a Options,
    pub(crate) database: &'a Database,
    /// Number of event streams of the pipeline's log.
    pub(crate) streams: u16,
    pub(crate) plan: &'a str,
    /// Whether to fence a daemon that still runs.
    pub(crate) takeover: bool,
}

impl Opening<'_> {
    /// Makes sure of the schema and of the server's settings, and claims the pipeline.
    pub(crate) async fn claim(&self, mut client: Client, note: Notes<'_>) -> Result<Opened, ClaimError> {
        let database = self.database;
        if database.is_unencrypted_over_the_network() {
            note(Note::warning(
                "the connection to PostgreSQL is not encrypted; add ?sslmode=verify-full to [store] url",
            ));
        }
        database.refuse_transaction_pooling(&client).await?;
        self.refuse_unsafe(&client, note).await?;
        self.bring_up_to_date(&mut client, note).await?;
        claim::refuse_another_pipeline(&client, database).await?;
        if !self.takeover {
            wait_for_predecessor(&client, database).await?;
        }
        let claim = self.claim_when_free(&mut client, note).await?;
        crash::point("after-claim");
        let (server, schema) = (database.server(), &database.schema);
        let Claim { term, commit_seq, .. } = &claim;
        note(Note::info(format!(
            "connected to PostgreSQL at {server}, schema {schema}: term {term}, commit {commit_seq}"
        )));
        let writer = Writer::new(database.clone(), client, &claim);
        writer.set_halted(None).await?;
        let lagging = AnyLaggingWriter::Postgres(LaggingWriter::new(database.clone(), &claim));
        Ok(Opened { claim, writer: AnyWriter::Postgres(writer), lagging, hold: None })
    }

    async fn bring_up_to_date(&self, client: &mut Client, note: Notes<'_>) -> Result<(), StoreError> {
        let Self { options, database, .. } = self;
        match schema::standing(client, database).await? {
            Standing::Current => Ok(()),
            Standing::Ahead { have, want } => Err(schema::too_new(database, have, want)),
            Standing::Behind { have, want } if !options.migrate => Err(StoreError::Setup(format!(
                "schema {} has version {have}, this program needs {want}, and [store] migrate is false: run \
                 `watchtower migrate --config <file>` first",
                database.schema
            ))),
            Standing::Behind { .. } => {
                let migrated = schema::migrate(client, database, options.reader_role.as_deref()).await?;
                note(Note::info(format!("schema {} migrated to version {}", database.schema, migrated.version)));
                Ok(())
            }
        }
    }

    /// Claims the pipeline. A predecessor that hangs amid a transaction delays this until the server ends its session.
    async fn claim_when_free(&self, client: &mut Client, note: Notes<'_>) -> Result<Claim, StoreError> {
        let Self { options, database, streams, plan, .. } = self;
        let until = Instant::now() + HUNG_TRANSACTIONS_END_WITHIN;
        loop {
            match claim::claim(client, database, *streams, plan, options.archive).await {
                Err(error) if error.remedy() == Remedy::Retry && Instant::now() < until => {
                    note(Note::warning(format!(
                        "a transaction of the predecessor is open: waiting until the server ends it ({error})"
                    )));
                }
                claimed => return claimed,
            }
        }
    }

    /// Makes sure that what is committed is kept.
    async fn refuse_unsafe(&self, client: &Client, note: Notes<'_>) -> Result<(), StoreError> {
        let faults = durability::faults(client).await?;
        faults.iter().for_each(|fault| note(Note::warning(fault.clone())));
        if faults.is_empty() || self.options.allow_unsafe {
            return Ok(());
        }
        Err(StoreError::Setup(format!("{}, or [store] allow_unsafe = true to run all the same", faults.join("; "))))
    }
}

/// Claims the tables of a pipeline as they are. `Err` within `Ok` names the daemon that holds them.
pub(crate) async fn hold_for_resume(
    database: &Database,
    options: &Options,
    streams: u16,
    plan: &str,
) -> Result<Result<Resume, String>, StoreError> {
    let mut client = database.connect().await?;
    if !claim::exists(&client, database).await? {
        return Err(claim::missing(database));
    }
    if !claim::try_lock(&client, database).await? {
        let owner = claim::owner(&client, database).await?;
        return Ok(Err(owner.map_or_else(|| "another session".to_owned(), |owner| owner.name)));
    }
    let claim = claim::claim(&mut client, database, streams, plan, options.archive).await?;
    let now = claim::now(&client, database).await?.unwrap_or(BEGINNING);
    let writer = AnyWriter::Postgres(Writer::new(database.clone(), client, &claim));
    Ok(Ok(Resume { claim, now, writer }))
}

async fn wait_for_predecessor(client: &Client, database: &Database) -> Result<(), ClaimError> {
    let until = Instant::now() + PREDECESSOR_ENDS_WITHIN;
    while !claim::try_lock(client, database).await? {
        if Instant::now() > until {
            let owner = claim::owner(client, database).await?;
            return Err(ClaimError::Occupied {
                pipeline: database.pipeline.clone(),
                owner: owner.map_or_else(|| "another process".to_owned(), |owner| owner.name),
            });
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

//! Getting hold of the tables.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use tracing::{info, warn};

use super::DaemonError;
use super::backoff::Backoff;
use crate::Options;
use crate::telemetry::health::Health;
use watchtower_core::Remedy;
use watchtower_core::crash;
use watchtower_store::Claim;
use watchtower_store::postgres::claim;
use watchtower_store::postgres::commit::Writer;
use watchtower_store::postgres::durability;
use watchtower_store::postgres::schema::{self, Standing};
use watchtower_store::postgres::{Database, StoreError};

/// How long a predecessor's session may take to end.
const PREDECESSOR_ENDS_WITHIN: Duration = Duration::from_secs(5);
/// By then the server has given up a session whose client is gone or hangs: see what sessions are set to.
const HUNG_TRANSACTIONS_END_WITHIN: Duration = Duration::from_secs(45);

/// Connects to PostgreSQL, however long it takes for it to be there; makes sure of the schema; takes over.
pub async fn open(
    options: &Options,
    database: &Database,
    plan: &str,
    takeover: bool,
    health: &Health,
) -> Result<(Writer, Claim), DaemonError> {
    let mut client = wait_for_postgres(database, health).await?;
    if database.is_unencrypted_over_the_network() {
        warn!("the connection to PostgreSQL is not encrypted; add ?sslmode=verify-full to [store] url");
    }
    database.refuse_transaction_pooling(&client).await?;
    refuse_unsafe(options, &client).await?;
    match schema::standing(&client, database).await? {
        Standing::Current => {}
        Standing::Ahead { have, want } => return Err(schema::too_new(database, have, want).into()),
        Standing::Behind { have, want } if !options.store.migrate => {
            return Err(StoreError::Setup(format!(
                "schema {} has version {have}, this program needs {want}, and [store] migrate is false: run \
                 `watchtower migrate --config <file>` first",
                database.schema
            ))
            .into());
        }
        Standing::Behind { .. } => {
            let migrated = schema::migrate(&mut client, database, options.store.reader_role.as_deref()).await?;
            info!(schema = database.schema, version = migrated.version, "schema brought up to date");
        }
    }
    claim::refuse_another_pipeline(&client, database).await?;
    if !takeover {
        wait_for_predecessor(&client, database).await?;
    }
    let claim = claim_when_free(options, &mut client, database, plan).await?;
    crash::point("after-claim");
    info!(
        server = database.server(),
        schema = database.schema,
        term = claim.term,
        commit_seq = claim.commit_seq,
        "connected to PostgreSQL"
    );
    let writer = Writer::new(database.clone(), client, &claim);
    writer.set_halted(None).await?;
    Ok((writer, claim))
}

/// Takes over; a predecessor that hangs amid a transaction holds it up until the server ends its session.
async fn claim_when_free(
    options: &Options,
    client: &mut Client,
    database: &Database,
    plan: &str,
) -> Result<Claim, StoreError> {
    let until = Instant::now() + HUNG_TRANSACTIONS_END_WITHIN;
    loop {
        match claim::claim(client, database, options.redis.streams, plan, options.store.archive).await {
            Err(error) if error.remedy() == Remedy::Retry && Instant::now() < until => {
                warn!(%error, "a transaction of the predecessor is open: waiting until the server ends it");
            }
            claimed => return claimed,
        }
    }
}

/// Makes sure that what is committed is kept.
async fn refuse_unsafe(options: &Options, client: &Client) -> Result<(), StoreError> {
    let faults = durability::faults(client).await?;
    for fault in &faults {
        warn!("{fault}");
    }
    if faults.is_empty() || options.store.allow_unsafe {
        return Ok(());
    }
    Err(StoreError::Setup(format!("{}, or [store] allow_unsafe = true to run all the same", faults.join("; "))))
}

async fn wait_for_postgres(database: &Database, health: &Health) -> Result<Client, StoreError> {
    let mut backoff = Backoff::default();
    let mut said = false;
    loop {
        match database.connect().await {
            Ok(client) => return Ok(client),
            Err(error) if error.remedy() == Remedy::None => return Err(error),
            Err(error) => {
                if !said {
                    warn!(%error, "waiting for PostgreSQL");
                    health.set_starting(format!("waiting for PostgreSQL: {error}"));
                    said = true;
                }
                sleep(backoff.next()).await;
            }
        }
    }
}

async fn wait_for_predecessor(client: &Client, database: &Database) -> Result<(), DaemonError> {
    let until = Instant::now() + PREDECESSOR_ENDS_WITHIN;
    while !claim::try_lock(client, database).await? {
        if Instant::now() > until {
            let owner = claim::owner(client, database).await?;
            return Err(DaemonError::Occupied {
                pipeline: database.pipeline.clone(),
                owner: owner.map_or_else(|| "another process".to_owned(), |owner| owner.name),
            });
        }
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

//! The task that reads the archive of other tables instead of the log.

use std::sync::Arc;

use crossbeam_channel::Sender;
use tokio::sync::Semaphore;
use tracing::info;

use super::DaemonError;
use super::intake::Input;
use crate::store::postgres::claim::StoredCursor;
use crate::store::postgres::{Database, archive};

/// Events after which progress is said.
const SAY_EVERY: usize = 1_000_000;

/// How the reader is connected.
#[derive(Debug)]
pub struct ArchiveReader {
    /// The database, with the schema whose archive it is.
    pub database: Database,
    /// What that archive is all of the log up to.
    pub cursors: Vec<StoredCursor>,
    /// To the intake.
    pub input: Sender<Input>,
    /// How many portions may wait there.
    pub ahead: Arc<Semaphore>,
}

impl ArchiveReader {
    /// Reads all of it.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn run(self) -> Result<(), DaemonError> {
        let client = self.database.connect().await?;
        let until = self.cursors.iter().map(|cursor| cursor.now).min().unwrap_or_default();
        let (mut read, mut said) = (0, 0);
        let sink = |events: Vec<archive::Archived>| {
            read += events.len();
            if read >= said + SAY_EVERY {
                said = read;
                info!(events = read, "read from the archive");
            }
            let (ahead, input) = (Arc::clone(&self.ahead), self.input.clone());
            async move {
                let permit = ahead.acquire_owned().await.expect("the semaphore is never closed");
                input.send(Input::Archived(events, until, permit)).is_ok()
            }
        };
        archive::read_all(&client, sink).await?;
        info!(events = read, "the archive is read");
        // If nobody listens any more, there is a fault that is told elsewhere.
        let _ = self.input.send(Input::Adopt(self.cursors));
        Ok(())
    }
}

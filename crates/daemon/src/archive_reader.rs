//! The task that reads the archive of other tables instead of the log.

use crossbeam_channel::Sender;
use tracing::info;

use super::DaemonError;
use super::budget::Budget;
use super::intake::Input;
use watchtower_core::{Archived, Cursor};
use watchtower_store::postgres::{Database, archive};

/// Events after which progress is said.
const SAY_EVERY: usize = 1_000_000;

/// How the reader is connected.
#[derive(Debug)]
pub struct ArchiveReader {
    /// The database, with the schema whose archive it is.
    pub database: Database,
    /// What that archive is all of the log up to.
    pub cursors: Vec<Cursor>,
    /// Channel to the intake.
    pub input: Sender<Input>,
    /// How much may be on its way.
    pub budget: Budget,
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
        let sink = |events: Vec<Archived>| {
            read += events.len();
            if read >= said + SAY_EVERY {
                said = read;
                info!(events = read, "read from the archive");
            }
            let (budget, input) = (self.budget.clone(), self.input.clone());
            async move {
                let (held, ahead) = budget.take(events.iter().map(Archived::bytes).sum()).await;
                input.send(Input::Archived(events, until, held, ahead)).is_ok()
            }
        };
        archive::read_all(&client, sink).await?;
        info!(events = read, "the archive is read");
        // If nobody listens any more, there is a fault that is told elsewhere.
        let _ = self.input.send(Input::Adopt(self.cursors));
        Ok(())
    }
}

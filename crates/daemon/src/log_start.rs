//! Waiting until the log can be used.
//!
//! A Redis that loads its file accepts connections and refuses most commands, and a replica accepts all but writes. So
//! an attempt is the whole sequence of [`Log::begin`], and is repeated until one completes.

use tokio::time::sleep;
use tracing::{info, warn};

use super::DaemonError;
use super::backoff::Backoff;
use crate::telemetry::health::Health;
use watchtower_core::{Cursor, Note};
use watchtower_log::Log;

/// Prepares the log, however long its server is away. Returns the position to continue from in each stream. `stored` is
/// what the tables contain; a public pipeline is announced to producers.
///
/// # Errors
/// If the log refuses for good, or its server may evict streams, and that is not allowed.
pub async fn begin(
    log: &mut Log,
    stored: &[Cursor],
    is_public: bool,
    health: &Health,
) -> Result<Vec<Cursor>, DaemonError> {
    let mut backoff = Backoff::default();
    let mut is_reported = false;
    let backend = log.backend();
    loop {
        match log.begin(stored, is_public).await {
            Ok((cursors, notes)) => {
                notes.into_iter().for_each(report);
                return Ok(cursors);
            }
            Err(error) if error.is_transient() => {
                if !is_reported {
                    warn!(%error, "waiting for {backend}");
                    is_reported = true;
                }
                health.set_starting(format!("waiting for {backend}: {error}"));
                sleep(backoff.next()).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Logs a finding.
pub fn report(note: Note) {
    match note.is_warning {
        true => warn!("{}", note.text),
        false => info!("{}", note.text),
    }
}

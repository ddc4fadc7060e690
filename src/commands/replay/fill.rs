//! `watchtower replay --embedded`: files into a new file, log and tables at once.
//!
//! Unlike a replay into CSV, which knows no arrival, this is what a daemon makes of events that were published:
//! first they are appended to the log, each arriving when the log's time was what it was, and then a daemon reads
//! it to its end. So `run`, `rebuild` and `export` continue from there, and compute the same tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::commands::publish::{self, PublishError, publish};
use watchtower_core::tables::{TABLES, Table};
use watchtower_daemon::{self as daemon, DaemonError};
use watchtower_geopackage::GeoPackage;
use watchtower_inputs::{FileReport, Progress};
use watchtower_log::file::{LogError, Reader};
use watchtower_store::geopackage::{EmbeddedError, claim};
use watchtower_store::{Store, WriterError};

/// How often it is looked whether the tables contain the log, and whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why there is no file, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// There is one already.
    #[error("{} is there already: `watchtower publish --embedded` appends to it", path.display())]
    Exists {
        /// Path of the file, as it was given.
        path: PathBuf,
    },
    /// The events cannot be appended.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The tables cannot be computed.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The tables cannot be read.
    #[error(transparent)]
    Store(#[from] WriterError),
    /// It was interrupted.
    #[error("interrupted: `watchtower run --embedded {}` computes the rest of the tables", path.display())]
    Interrupted {
        /// Path of the file, as it was given.
        path: PathBuf,
    },
}

/// Result of filling a file.
#[derive(Debug)]
pub struct Filled {
    /// Events that were appended.
    pub events: u64,
    /// From the first byte read until the tables were complete.
    pub elapsed: Duration,
    /// Number of refused events, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Records of files that were refused before they were appended.
    pub unpublished: publish::Refused,
    /// Rows by table, in the order they are listed to people.
    pub rows: Vec<(&'static str, u64)>,
    /// Reading report of each file.
    pub files: Vec<FileReport>,
}

/// Creates the file of `options`' target from its files; `progress` receives how far they have been read.
///
/// # Errors
/// If it is there already, cannot be written, a file cannot be read, or `stop` is set.
pub async fn fill(
    file: &GeoPackage,
    options: &publish::Options,
    mut daemon_options: daemon::Options,
    stop: &AtomicBool,
    progress: &mut (dyn FnMut(&Path, Progress) + Send),
) -> Result<Filled, FillError> {
    if file.path().exists() {
        return Err(FillError::Exists { path: file.path().to_owned() });
    }
    let started = Instant::now();
    let published = tokio::task::block_in_place(|| publish(options, stop, &mut |path, at, _| progress(path, at)))?;
    let ends = Reader::open(file)?.ends()?;
    let wanted: u64 = ends.iter().map(|end| end.entries).sum();
    daemon_options.http.listen.set_port(0);
    daemon_options.embedded.clock = None; // the one that was published
    let complete = async {
        while contained(file).unwrap_or(None) < Some(wanted) && !stop.load(Ordering::Relaxed) {
            sleep(LOOK_EVERY).await;
        }
    };
    let places = daemon_options.places(Some(file));
    daemon::run(daemon_options, &places, false, complete).await?;
    if published.interrupted_at.is_some() || stop.load(Ordering::Relaxed) {
        return Err(FillError::Interrupted { path: file.path().to_owned() });
    }
    let (refused, rows) = count(&Store::new(&places.store)?).await?;
    let (unpublished, files) = (published.refused, published.files);
    Ok(Filled { events: published.published, elapsed: started.elapsed(), refused, unpublished, rows, files })
}

/// How many entries the tables contain, once there are any.
fn contained(file: &GeoPackage) -> Result<Option<u64>, EmbeddedError> {
    tokio::task::block_in_place(|| {
        let connection = file.connect_to_read()?;
        let stored = claim::stored(file, &connection)?;
        Ok(stored.map(|stored| stored.cursors.iter().map(|cursor| cursor.position.entries).sum()))
    })
}

/// Refused events by reason, and rows by table.
type Counts = (BTreeMap<String, u64>, Vec<(&'static str, u64)>);

async fn count(store: &Store) -> Result<Counts, FillError> {
    let progress = store.progress().await?;
    let refused = progress.rejected.into_iter().map(|count| (count.reason, count.events.unsigned_abs())).collect();
    let rows = |table: &'static Table| {
        let found = progress.tables.iter().find(|found| found.name == table.name);
        (table.name, found.map_or(0, |found| found.rows.unsigned_abs()))
    };
    Ok((refused, TABLES.into_iter().map(rows).collect()))
}

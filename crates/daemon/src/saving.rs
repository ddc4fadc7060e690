//! The task that writes checkpoints and then trims the log.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use super::intake::Idle;
use crate::checkpoint::{KEPT, Saver};
use watchtower_core::EntryId;
use watchtower_core::crash;
use watchtower_engine::{Checkpoint, FlowState, InletState};
use watchtower_geopackage::GeoPackage;
use watchtower_log::file::{Appender, LogError};
use watchtower_log::redis::admin::Admin;
use watchtower_log::redis::{RedisError, Server};

/// Interval between two attempts to trim the log without a new checkpoint: a log that is full, so that nothing more is
/// appended, would otherwise stay full.
const TRIM_EVERY: Duration = Duration::from_secs(10);

/// A checkpoint whose commit is durable.
#[derive(Debug)]
pub struct Save {
    /// Number of the commit.
    pub commit_seq: i64,
    /// The state to write.
    pub checkpoint: Checkpoint,
}

/// Stream positions of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursors {
    /// Key and last entry of each stream.
    pub streams: Vec<(String, EntryId)>,
    /// Number of entries up to there, over all streams.
    pub entries: u64,
}

/// Stream positions in the state of a flow.
pub fn cursors(flow: &FlowState) -> Cursors {
    let last = |inlet: &InletState| (inlet.stream.clone(), inlet.position.last);
    Cursors {
        streams: flow.inlets.iter().map(last).collect(),
        entries: flow.inlets.iter().map(|inlet| inlet.position.entries).sum(),
    }
}

/// Removes entries of the log that no checkpoint needs.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a daemon has one of it")]
pub enum Trimmer {
    /// Trims streams in Redis.
    Redis {
        /// The Redis server.
        server: Server,
        /// Age below which entries are always kept.
        keep: Duration,
    },
    /// Trims the log in a GeoPackage.
    File {
        /// The GeoPackage with the log.
        file: GeoPackage,
        /// Age below which entries are always kept; `None` keeps all.
        keep: Option<Duration>,
    },
}

impl Trimmer {
    async fn trim(&self, kept: &VecDeque<Cursors>) -> Result<(), TrimError> {
        match self {
            Self::Redis { server, keep } => Ok(trim(server, kept, *keep).await?),
            Self::File { file: _, keep: None } => Ok(()),
            Self::File { file, keep: Some(keep) } => {
                Ok(tokio::task::block_in_place(|| trim_file(file, kept[0].entries, *keep))?)
            }
        }
    }
}

/// The log could not be trimmed.
#[derive(Debug, thiserror::Error)]
enum TrimError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(transparent)]
    File(#[from] LogError),
}

/// The task that writes checkpoints and trims the log behind the oldest kept one.
#[derive(Debug)]
pub struct Saving {
    /// Writes checkpoint files.
    pub saver: Saver,
    /// Checkpoints from the committer.
    pub saves: mpsc::Receiver<Save>,
    /// Set when the task can take the next checkpoint.
    pub idle: Idle,
    /// Trims the log after each checkpoint.
    pub trimmer: Trimmer,
    /// Stream positions of the kept checkpoints, the oldest first.
    pub kept: VecDeque<Cursors>,
}

impl Saving {
    /// Runs until the channel closes. A failed checkpoint is logged as an error and does not end the daemon.
    pub async fn run(self) {
        let Self { saver, mut saves, idle, trimmer, kept } = self;
        let mut saver = Some(saver);
        let mut trimming = Trimming { trimmer, kept, is_reported: false };
        loop {
            let Ok(next) = timeout(TRIM_EVERY, saves.recv()).await else {
                trimming.trim().await; // what was too young to be removed has become older
                continue;
            };
            let Some(Save { commit_seq, checkpoint }) = next else { return };
            let cursors = cursors(&checkpoint.flow);
            let Some(mut writing) = saver.take() else { return };
            let begun = std::time::Instant::now();
            let written = tokio::task::spawn_blocking(move || {
                let result = writing.save(commit_seq, checkpoint);
                (writing, result)
            });
            let Ok((written, result)) = written.await else { return };
            saver = Some(written);
            match result {
                Ok(None) => {}
                Ok(Some(bytes)) => {
                    info!(commit_seq, bytes, ms = begun.elapsed().as_millis() as u64, "checkpoint written");
                    trimming.keep(cursors);
                    trimming.trim().await;
                }
                Err(error) => error!(%error, "cannot write the checkpoint; the next start reads more of the log"),
            }
            idle.store(true, Ordering::Release);
        }
    }
}

/// Trims the log behind the oldest checkpoint that is kept.
#[derive(Debug)]
struct Trimming {
    trimmer: Trimmer,
    kept: VecDeque<Cursors>,
    /// The last attempt failed, which has been logged.
    is_reported: bool,
}

impl Trimming {
    /// One more checkpoint is kept, and perhaps the oldest no longer.
    fn keep(&mut self, cursors: Cursors) {
        self.kept.push_back(cursors);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    async fn trim(&mut self) {
        if self.kept.len() < KEPT {
            return;
        }
        match self.trimmer.trim(&self.kept).await {
            Ok(()) => self.is_reported = false,
            Err(error) if self.is_reported => debug!(%error, "the log can still not be trimmed"),
            Err(error) => {
                self.is_reported = true;
                warn!(%error, "the log cannot be trimmed now; it is tried again");
            }
        }
    }
}

/// Trims the streams up to the oldest kept checkpoint, except for entries younger than `keep`. A stream that lacks the
/// last entry of the newest checkpoint may have been replaced by another one, and is not trimmed.
async fn trim(server: &Server, kept: &VecDeque<Cursors>, keep: Duration) -> Result<(), RedisError> {
    let mut admin = Admin::connect(server).await?;
    let youngest = admin.time().await?.saturating_sub(keep.as_millis() as i64);
    let youngest = EntryId { ms: youngest.unsigned_abs(), seq: 0 };
    let mut gone = 0;
    crash::point("before-trim");
    for (stream, (key, oldest)) in kept[0].streams.iter().enumerate() {
        let newest = kept[kept.len() - 1].streams[stream].1;
        let oldest = (*oldest).min(newest).min(youngest);
        if oldest != EntryId::ZERO && admin.anchor(key, newest).await?.0 {
            gone += admin.trim(key, oldest).await?;
        }
    }
    debug!(entries = gone, "streams trimmed");
    Ok(())
}

/// Trims the log in a GeoPackage up to the oldest kept checkpoint, except for entries younger than `keep`.
fn trim_file(file: &GeoPackage, until: u64, keep: Duration) -> Result<(), LogError> {
    let youngest = jiff::Timestamp::now().as_millisecond().saturating_sub(keep.as_millis() as i64);
    let mut log = Appender::open(file, None)?;
    let mut gone = 0;
    crash::point("before-trim");
    loop {
        match log.trim_some(until, youngest)? {
            0 => break,
            some => gone += some,
        }
    }
    debug!(entries = gone, "log trimmed");
    Ok(())
}

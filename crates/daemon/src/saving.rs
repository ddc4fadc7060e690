//! Checkpoints on their way to disk, and the log that is no longer needed after that.

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

/// The log is trimmed after each checkpoint, and again when there was none for so long: a log that is full, so that
/// nothing more is appended, would else stay full.
const TRIM_EVERY: Duration = Duration::from_secs(10);

/// A checkpoint whose commit has happened.
#[derive(Debug)]
pub struct Save {
    /// The commit.
    pub commit_seq: i64,
    /// What is to be written.
    pub checkpoint: Checkpoint,
}

/// Where the streams were at a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursors {
    /// The last entry of each.
    pub streams: Vec<(String, EntryId)>,
    /// How many entries there were up to there, in all streams together.
    pub entries: u64,
}

/// Where the streams were at a checkpoint.
pub fn cursors(flow: &FlowState) -> Cursors {
    let last = |inlet: &InletState| (inlet.stream.clone(), inlet.position.last);
    Cursors {
        streams: flow.inlets.iter().map(last).collect(),
        entries: flow.inlets.iter().map(|inlet| inlet.position.entries).sum(),
    }
}

/// What removes what no checkpoint needs of the log.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a daemon has one of it")]
pub enum Trimmer {
    /// From streams.
    Redis {
        /// Where they are.
        server: Server,
        /// How much is kept in any case.
        keep: Duration,
    },
    /// From the log in a file.
    File {
        /// Which.
        file: GeoPackage,
        /// How much is kept in any case; all of it if nothing is said.
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

/// Writes checkpoints, and trims the streams behind the oldest that is kept.
#[derive(Debug)]
pub struct Saving {
    /// What writes.
    pub saver: Saver,
    /// From the committer.
    pub saves: mpsc::Receiver<Save>,
    /// Set when the next checkpoint may come.
    pub idle: Idle,
    /// What trims behind them.
    pub trimmer: Trimmer,
    /// Where the streams were at the checkpoints that are kept, the oldest first.
    pub kept: VecDeque<Cursors>,
}

impl Saving {
    /// Writes until nothing more comes. A checkpoint that cannot be written is an alarm, not the end.
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
                Err(error) => error!(%error, "no checkpoint could be written; a restart will take longer"),
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

/// Removes what no kept checkpoint needs, except for what is younger than `keep`. Of a stream that does not
/// have the entry up to which the newest of them goes, nothing is removed: it may be another one.
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

/// Removes what no kept checkpoint needs of a file's log, except for what is younger than `keep`.
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

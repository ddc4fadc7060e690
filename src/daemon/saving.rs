//! Checkpoints on their way to disk, and the log that is no longer needed after that.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::intake::Idle;
use crate::checkpoint::{Checkpoint, FlowState, KEPT, Saver};
use crate::crash;
use crate::sources::redis::admin::Admin;
use crate::sources::redis::{EntryId, RedisError, Server};

/// A checkpoint whose commit has happened.
#[derive(Debug)]
pub struct Save {
    /// The commit.
    pub commit_seq: i64,
    /// What is to be written.
    pub checkpoint: Checkpoint,
}

/// Where the streams were at a checkpoint.
pub type Cursors = Vec<(String, EntryId)>;

/// Where the streams were at a checkpoint.
pub fn cursors(flow: &FlowState) -> Cursors {
    flow.inlets.iter().map(|inlet| (inlet.key.clone(), EntryId { ms: inlet.last.0, seq: inlet.last.1 })).collect()
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
    /// Where the streams are.
    pub server: Server,
    /// How much of the log is kept in any case.
    pub log_keep: Duration,
    /// Where the streams were at the checkpoints that are kept, the oldest first.
    pub kept: VecDeque<Cursors>,
}

impl Saving {
    /// Writes until nothing more comes. A checkpoint that cannot be written is an alarm, not the end.
    pub async fn run(mut self) {
        let mut saver = Some(self.saver);
        while let Some(Save { commit_seq, checkpoint }) = self.saves.recv().await {
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
                    self.kept.push_back(cursors);
                    if self.kept.len() > KEPT {
                        self.kept.pop_front();
                    }
                    if self.kept.len() == KEPT
                        && let Err(error) = trim(&self.server, &self.kept, self.log_keep).await
                    {
                        warn!(%error, "the streams could not be trimmed");
                    }
                }
                Err(error) => error!(%error, "no checkpoint could be written; a restart will take longer"),
            }
            self.idle.store(true, Ordering::Release);
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
    for (stream, (key, oldest)) in kept[0].iter().enumerate() {
        let newest = kept[kept.len() - 1][stream].1;
        let oldest = (*oldest).min(newest).min(youngest);
        if oldest != EntryId::ZERO && admin.anchor(key, newest).await?.0 {
            gone += admin.trim(key, oldest).await?;
        }
    }
    debug!(entries = gone, "streams trimmed");
    Ok(())
}

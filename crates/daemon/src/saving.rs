//! The task that writes checkpoints and then trims the log.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use super::intake::Idle;
use crate::checkpoint::{KEPT, Saver};
use watchtower_engine::{Checkpoint, FlowState, InletState};
use watchtower_log::{Contained, Trimmer};

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

/// What the state of a flow contains of the log.
pub fn contained(flow: &FlowState) -> Contained {
    let last = |inlet: &InletState| (inlet.stream.clone(), inlet.position.last);
    Contained {
        streams: flow.inlets.iter().map(last).collect(),
        entries: flow.inlets.iter().map(|inlet| inlet.position.entries).sum(),
    }
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
    /// What the kept checkpoints contain, the oldest first.
    pub kept: VecDeque<Contained>,
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
            let contained = contained(&checkpoint.flow);
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
                    trimming.keep(contained);
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
    kept: VecDeque<Contained>,
    /// The last attempt failed, which has been logged.
    is_reported: bool,
}

impl Trimming {
    /// One more checkpoint is kept, and perhaps the oldest no longer.
    fn keep(&mut self, contained: Contained) {
        self.kept.push_back(contained);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    async fn trim(&mut self) {
        if self.kept.len() < KEPT {
            return;
        }
        match self.trimmer.trim(&self.kept).await {
            Ok(entries) => {
                self.is_reported = false;
                debug!(entries, "log trimmed");
            }
            Err(error) if self.is_reported => debug!(%error, "the log can still not be trimmed"),
            Err(error) => {
                self.is_reported = true;
                warn!(%error, "the log cannot be trimmed now; it is tried again");
            }
        }
    }
}

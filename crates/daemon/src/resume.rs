//! The state from which a daemon continues: a checkpoint, or an empty one.

use std::collections::VecDeque;
use std::path::PathBuf;

use tracing::{info, warn};

use watchtower_engine::flow::Settings;

use super::intake::Flow;
use crate::Options;
use crate::checkpoint::{Loaded, Saver, Skipped, Tables};
use watchtower_core::Cursor;
use watchtower_core::StreamPosition;
use watchtower_engine::FlowState;
use watchtower_log::Contained;
use watchtower_log::redis::from_where;
use watchtower_store::{Claim, Store};

/// The restored state of a daemon.
#[derive(Debug)]
pub struct Resumed {
    /// The flow at a checkpoint, or before the first entry.
    pub flow: Flow,
    /// Position in each stream that the flow contains.
    pub known: Vec<StreamPosition>,
    /// What the kept checkpoints contain, the oldest first.
    pub kept: VecDeque<Contained>,
}

/// Folder of the checkpoints of a claim. It includes the lineage: tables that were lost and created again count their
/// commits from 1, so their checkpoints must not mix with the old ones.
pub fn folder(options: &Options, claim: &Claim) -> PathBuf {
    of_pipeline(options).join(&claim.lineage)
}

fn of_pipeline(options: &Options) -> PathBuf {
    options.checkpoints.folder.join(&options.pipeline)
}

/// The folder of all checkpoints of a pipeline; `None` if the file that holds the tables holds them.
pub fn checkpoints(options: &Options, store: &Store) -> Option<PathBuf> {
    store.file().is_none().then(|| of_pipeline(options))
}

/// Identity and progress of the tables, which a checkpoint must match.
pub fn expected_tables(claim: &Claim, plan: String) -> Tables {
    let Claim { term: _, owner: _, lineage, commit_seq, cursors } = claim;
    let cursors = cursors.iter().map(|cursor| (cursor.stream.clone(), cursor.position)).collect();
    Tables { lineage: lineage.clone(), plan, commit_seq: *commit_seq, cursors }
}

/// Restores the loaded checkpoint, or starts with an empty state without one.
pub fn resume(
    (loaded, skipped_checkpoints): (Option<Loaded>, Vec<Skipped>),
    settings: Settings,
    stored: &[Cursor],
    claim: &Claim,
    saver: &mut Saver,
) -> Resumed {
    for checkpoint in &skipped_checkpoints {
        warn!(%checkpoint, "a checkpoint is not used");
    }
    saver.register_skipped(&skipped_checkpoints);
    let Some(Loaded { checkpoint, known }) = loaded else {
        let skipped: Vec<u64> = stored.iter().map(|cursor| cursor.position.skipped).collect();
        let known = vec![StreamPosition::default(); skipped.len()];
        let flow = Flow::start(settings, &skipped, claim.commit_seq > 0);
        return Resumed { flow, known, kept: VecDeque::new() };
    };
    info!(
        commit_seq = known.commit_seq,
        behind = claim.commit_seq - known.commit_seq,
        vehicles = checkpoint.snapshots.timelines.len(),
        "checkpoint loaded"
    );
    saver.register_loaded(known);
    let known = self::known(&checkpoint.flow);
    let needed = known.iter().zip(stored).map(|(known, to)| (to.stream.clone(), from_where(*known, to).last));
    let entries = known.iter().map(|position| position.entries).sum();
    let kept = VecDeque::from([Contained { streams: needed.collect(), entries }]);
    Resumed { flow: Flow::resume(settings, checkpoint), known, kept }
}

/// Position in each stream that a checkpoint contains.
pub fn known(flow: &FlowState) -> Vec<StreamPosition> {
    flow.inlets.iter().map(|inlet| inlet.position).collect()
}

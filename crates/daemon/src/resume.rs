//! Where a daemon goes on: from a checkpoint, or from the beginning.

use std::collections::VecDeque;
use std::path::PathBuf;

use tracing::{info, warn};

use watchtower_engine::flow::Settings;

use super::intake::Flow;
use super::log_reader::from_where;
use super::saving::Cursors;
use crate::Options;
use crate::checkpoint::{Loaded, Saver, Skipped, Tables};
use watchtower_core::Cursor;
use watchtower_core::StreamPosition;
use watchtower_engine::FlowState;
use watchtower_log::redis::RedisError;
use watchtower_log::redis::admin::Admin;
use watchtower_store::Claim;

/// Where a stream that was never read begins: what is no longer there is not missed.
pub async fn begin(key: &str, admin: &mut Admin) -> Result<Cursor, RedisError> {
    let info = admin.stream_info(key).await?;
    let skipped = info.added.saturating_sub(info.length);
    if skipped > 0 {
        warn!(stream = key, entries = skipped, "entries are gone already: the tables begin with what is left");
    }
    Ok(Cursor::start(key, skipped))
}

/// Where a daemon goes on.
#[derive(Debug)]
pub struct Resumed {
    /// After a checkpoint, or before the first entry.
    pub flow: Flow,
    /// What it knows of each stream.
    pub known: Vec<StreamPosition>,
    /// Where the streams were at the checkpoints that are kept, the oldest first.
    pub kept: VecDeque<Cursors>,
}

/// The folder of the checkpoints that belong to a claim. Tables that were lost and made again count their commits
/// anew: they are others.
pub fn folder(options: &Options, claim: &Claim) -> PathBuf {
    options.checkpoints.folder.join(&options.pipeline).join(&claim.lineage)
}

/// What a checkpoint has to fit.
pub fn expected_tables(claim: &Claim, plan: String) -> Tables {
    let Claim { term: _, owner: _, lineage, commit_seq, cursors } = claim;
    let cursors = cursors.iter().map(|cursor| (cursor.stream.clone(), cursor.position)).collect();
    Tables { lineage: lineage.clone(), plan, commit_seq: *commit_seq, cursors }
}

/// Goes on from a checkpoint, if there is one that fits.
pub fn resume(
    (loaded, passed_over): (Option<Loaded>, Vec<Skipped>),
    settings: Settings,
    stored: &[Cursor],
    claim: &Claim,
    saver: &mut Saver,
) -> Resumed {
    for checkpoint in &passed_over {
        warn!(%checkpoint, "a checkpoint is not used");
    }
    saver.pass_over(&passed_over);
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
    saver.know(known);
    let known = self::known(&checkpoint.flow);
    let needed = known.iter().zip(stored).map(|(known, to)| (to.stream.clone(), from_where(*known, to).last));
    let entries = known.iter().map(|position| position.entries).sum();
    let kept = VecDeque::from([Cursors { streams: needed.collect(), entries }]);
    Resumed { flow: Flow::resume(settings, checkpoint), known, kept }
}

/// What a checkpoint contains of each stream.
pub fn known(flow: &FlowState) -> Vec<StreamPosition> {
    flow.inlets.iter().map(|inlet| inlet.position).collect()
}

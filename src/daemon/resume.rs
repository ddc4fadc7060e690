//! Where a daemon goes on: from a checkpoint, or from the beginning.

use std::collections::VecDeque;
use std::path::PathBuf;

use tracing::{info, warn};
use watchtower_dataflows::model::BEGINNING;

use super::flow::{Flow, Settings};
use super::gap::Read;
use super::log_reader::from_where;
use super::saving::Cursors;
use crate::checkpoint::{At, FlowState, InletState, Loaded, Saver, Skipped, Tables};
use crate::config::Config;
use crate::sources::redis::admin::Admin;
use crate::sources::redis::{EntryId, RedisError};
use crate::store::{Claim, StoredCursor};

/// Where a stream that was never read begins: what is no longer there is not missed.
pub async fn begin(key: &str, admin: &mut Admin) -> Result<StoredCursor, RedisError> {
    let info = admin.stream_info(key).await?;
    let skipped = info.added.saturating_sub(info.length);
    if skipped > 0 {
        warn!(stream = key, entries = skipped, "entries are gone already: the tables begin with what is left");
    }
    let zero = EntryId::ZERO.to_string();
    Ok(StoredCursor {
        stream: key.to_owned(),
        last_id: zero.clone(),
        entries: skipped,
        skipped,
        rebased: 0,
        rebased_after: zero,
        now: BEGINNING,
    })
}

/// Where a daemon goes on.
#[derive(Debug)]
pub struct Resumed {
    /// After a checkpoint, or before the first entry.
    pub flow: Flow,
    /// What it knows of each stream.
    pub known: Vec<Read>,
    /// Where the streams were at the checkpoints that are kept, the oldest first.
    pub kept: VecDeque<Cursors>,
}

/// The folder of the checkpoints that belong to a claim. Tables that were lost and made again count their commits
/// anew: they are others.
pub fn folder(config: &Config, claim: &Claim) -> PathBuf {
    config.checkpoints.folder.join(&config.pipeline).join(&claim.lineage)
}

/// What a checkpoint has to fit.
pub fn tables(claim: &Claim, plan: String) -> Tables {
    let Claim { term: _, owner: _, lineage, commit_seq, cursors } = claim;
    let at = |cursor: &StoredCursor| {
        let Read { last: EntryId { ms, seq }, contained, skipped: _, rebased } = Read::from(cursor);
        (cursor.stream.clone(), At { last: (ms, seq), contained, rebased })
    };
    let cursors = cursors.iter().map(at).collect();
    Tables { lineage: lineage.clone(), plan, commit_seq: *commit_seq, cursors }
}

/// Goes on from a checkpoint, if there is one that fits.
pub fn resume(
    (loaded, passed_over): (Option<Loaded>, Vec<Skipped>),
    settings: Settings,
    stored: &[StoredCursor],
    claim: &Claim,
    saver: &mut Saver,
) -> Resumed {
    for checkpoint in &passed_over {
        warn!(%checkpoint, "a checkpoint is not used");
    }
    saver.pass_over(&passed_over);
    let Some(Loaded { checkpoint, known }) = loaded else {
        let skipped: Vec<u64> = stored.iter().map(|cursor| cursor.skipped).collect();
        let known = vec![Read::default(); skipped.len()];
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
    let entries = known.iter().map(Read::entries).sum();
    let kept = VecDeque::from([Cursors { streams: needed.collect(), entries }]);
    Resumed { flow: Flow::resume(settings, checkpoint), known, kept }
}

/// What a checkpoint contains of each stream.
pub fn known(flow: &FlowState) -> Vec<Read> {
    let of = |inlet: &InletState| Read {
        last: EntryId { ms: inlet.last.0, seq: inlet.last.1 },
        contained: inlet.entries - inlet.skipped,
        skipped: inlet.skipped,
        rebased: inlet.rebased,
    };
    flow.inlets.iter().map(of).collect()
}

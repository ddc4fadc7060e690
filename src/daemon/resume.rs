//! Where a daemon goes on: from a checkpoint, or from the beginning.

use std::collections::VecDeque;

use tracing::{info, warn};
use watchtower_dataflows::model::BEGINNING;

use super::flow::{Flow, Settings};
use super::log_reader::Read;
use super::saving::{self, Cursors};
use crate::checkpoint::{Loaded, Saver, Skipped};
use crate::sources::redis::admin::Admin;
use crate::sources::redis::{EntryId, RedisError};
use crate::store::postgres::claim::{Claim, StoredCursor};

/// Where a stream that was never read begins: what is no longer there is not missed.
pub async fn begin(key: &str, admin: &mut Admin) -> Result<StoredCursor, RedisError> {
    let info = admin.stream_info(key).await?;
    let skipped = info.added.saturating_sub(info.length);
    if skipped > 0 {
        warn!(stream = key, entries = skipped, "entries are gone already: the tables begin with what is left");
    }
    let last_id = EntryId::ZERO.to_string();
    Ok(StoredCursor { stream: key.to_owned(), last_id, entries: skipped, skipped, now: BEGINNING })
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

/// Goes on from a checkpoint, if there is one that fits.
pub fn resume(
    (loaded, passed_over): (Option<Loaded>, Vec<Skipped>),
    settings: Settings,
    stored: &[StoredCursor],
    claim: &Claim,
    saver: &mut Saver,
) -> Resumed {
    for checkpoint in passed_over {
        warn!(%checkpoint, "a checkpoint is not used");
    }
    let Some(Loaded { commit_seq, checkpoint, written }) = loaded else {
        let skipped: Vec<u64> = stored.iter().map(|cursor| cursor.skipped).collect();
        let known = skipped.iter().map(|&skipped| Read { last: EntryId::ZERO, contained: 0, skipped }).collect();
        let flow = Flow::start(settings, &skipped, claim.commit_seq > 0);
        return Resumed { flow, known, kept: VecDeque::new() };
    };
    info!(
        commit_seq,
        behind = claim.commit_seq - commit_seq,
        vehicles = checkpoint.timelines.len(),
        "checkpoint loaded"
    );
    saver.know(written);
    let kept = VecDeque::from([saving::cursors(&checkpoint.flow)]);
    let known = checkpoint.flow.inlets.iter().map(|inlet| Read {
        last: EntryId { ms: inlet.last.0, seq: inlet.last.1 },
        contained: inlet.entries - inlet.skipped,
        skipped: inlet.skipped,
    });
    let known = known.collect();
    Resumed { flow: Flow::resume(settings, checkpoint), known, kept }
}

//! Loads checkpoints.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use watchtower_dataflows::timeline::{Chunk, TimelineSnapshot, TrackParts};
use watchtower_dataflows::views::Snapshots;

use super::block::{BlockError, Blocks, Kind};
use watchtower_core::{EntryId, StreamPosition};
use watchtower_engine::{Checkpoint, FlowState, InletState};

use super::contents::{ChunkPlace, FileName, Head, Stored, StoredTimeline, Written};
use super::shelf::Shelf;
use super::{CHECKPOINT, CHUNKS};

/// Identity and progress of the tables that a checkpoint must match.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Random name of the pipeline's row, fixed when the row was created.
    pub lineage: String,
    /// The plan they were computed under.
    pub plan: String,
    /// Number of the last commit.
    pub commit_seq: i64,
    /// Committed position of each stream, by the stream's key.
    pub cursors: BTreeMap<String, StreamPosition>,
}

/// Whether the tables, at `stored` of a stream, contain everything that a checkpoint at `read` has read of it.
fn is_contained(read: StreamPosition, stored: StreamPosition) -> bool {
    if read.rebased == stored.rebased {
        read.last <= stored.last
    } else {
        read.rebased < stored.rebased && read.contained() <= stored.contained()
    }
}

/// A checkpoint that was not used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct Skipped {
    /// Name of the checkpoint.
    pub name: FileName,
    /// Path of the checkpoint's file.
    pub path: PathBuf,
    /// Reason why it was not used.
    pub reason: SkipReason,
}

/// Reason why a checkpoint was not used.
#[derive(Debug, thiserror::Error)]
pub enum SkipReason {
    /// One of its files cannot be read.
    #[error("{0}")]
    File(#[from] BlockError),
    /// Its segment lacks a chunk.
    #[error("it names a chunk that its segment does not have")]
    Chunk,
    /// It was made for other tables.
    #[error("it belongs to another pipeline, or to one whose tables were lost")]
    Lineage,
    /// It was made under another configuration or version of the computation.
    #[error("it was made under another plan")]
    Plan,
    /// It is newer than the tables: the database was restored to an earlier state.
    #[error("it is of commit {checkpoint}, ahead of the database, which is at {database}")]
    Ahead {
        /// Commit of the checkpoint.
        checkpoint: i64,
        /// Last commit of the tables.
        database: i64,
    },
}

/// A loaded checkpoint.
#[derive(Debug)]
pub struct Loaded {
    /// The restored state.
    pub checkpoint: Checkpoint,
    /// Its files, for the [`Saver`](super::Saver) that writes the next checkpoint.
    pub known: CheckpointFiles,
}

/// The files of a checkpoint.
#[derive(Debug)]
pub struct CheckpointFiles {
    /// The commit whose state it holds.
    pub commit_seq: i64,
    /// Locations of its chunks.
    pub(super) written: Vec<Written>,
    /// Number of chunks in each of its segments, used or not.
    pub(super) sizes: BTreeMap<FileName, usize>,
}

/// Loads the newest checkpoint that matches the tables. Also returns those that were skipped.
pub fn load_newest(shelf: impl Into<Shelf>, tables: &Tables) -> (Option<Loaded>, Vec<Skipped>) {
    let shelf = shelf.into();
    let mut skipped = Vec::new();
    // A shelf that does not exist has no checkpoints.
    for name in shelf.names(CHECKPOINT).unwrap_or_default() {
        match load(&shelf, name, tables) {
            Ok(loaded) => return (Some(loaded), skipped),
            Err(reason) => skipped.push(Skipped { name, path: shelf.path_of(name, CHECKPOINT), reason }),
        }
    }
    (None, skipped)
}

/// Reads the head of a checkpoint; `None` if it cannot be read.
pub(super) fn read_head(shelf: &Shelf, name: FileName) -> Option<Head> {
    read(shelf, name, CHECKPOINT, Kind::Checkpoint).ok()?.value(0).ok()
}

fn read(shelf: &Shelf, name: FileName, kind: &str, file_kind: Kind) -> Result<Blocks, BlockError> {
    Blocks::read(shelf.open(name, kind)?, file_kind, name)
}

fn load(shelf: &Shelf, name: FileName, tables: &Tables) -> Result<Loaded, SkipReason> {
    let blocks = read(shelf, name, CHECKPOINT, Kind::Checkpoint)?;
    let Head { lineage, plan, commit_seq, segments } = blocks.value(0)?;
    if lineage != tables.lineage {
        return Err(SkipReason::Lineage);
    }
    if plan != tables.plan {
        return Err(SkipReason::Plan);
    }
    let flow: FlowState = blocks.value(1)?;
    let is_read = |inlet: &InletState| {
        let InletState { stream, position, .. } = inlet;
        let stored = tables.cursors.get(stream);
        stored.is_some_and(|stored| is_contained(*position, *stored)) || position.last == EntryId::ZERO
    };
    if commit_seq > tables.commit_seq || !flow.inlets.iter().all(is_read) {
        return Err(SkipReason::Ahead { checkpoint: commit_seq, database: tables.commit_seq });
    }
    let (mut chunks, mut sizes) = (Vec::<Vec<Vec<Arc<Chunk>>>>::new(), BTreeMap::new());
    for &segment in &segments {
        let blocks: Vec<Vec<_>> = read(shelf, segment, CHUNKS, Kind::Chunks)?.values(0)?;
        sizes.insert(segment, blocks.iter().map(Vec::len).sum());
        chunks.push(blocks);
    }
    let stored: Vec<Stored> = blocks.values(2)?;
    let mut written = Vec::new();
    let mut chunk = |place: &ChunkPlace| {
        let ChunkPlace { segment, block, index } = *place;
        let chunk = chunks.get(segment as usize)?.get(block as usize)?.get(index as usize)?;
        written.push(Written { chunk: Arc::clone(chunk), segment: segments[segment as usize], block, index });
        Some(Arc::clone(chunk))
    };
    let mut snapshots = Snapshots::default();
    for block in stored {
        match block {
            Stored::Groups(groups) => snapshots.groups.extend(groups),
            Stored::Timelines(timelines) => {
                for StoredTimeline { vehicle, newest, ledger, past, sealed, tail, head, undecided } in timelines {
                    let sealed = sealed.iter().map(&mut chunk).collect::<Option<Vec<_>>>().ok_or(SkipReason::Chunk)?;
                    let track = TrackParts { past, sealed, tail, head, undecided }.into();
                    snapshots.timelines.push(TimelineSnapshot { vehicle, newest, track, ledger });
                }
            }
        }
    }
    Ok(Loaded { checkpoint: Checkpoint { flow, snapshots }, known: CheckpointFiles { commit_seq, written, sizes } })
}

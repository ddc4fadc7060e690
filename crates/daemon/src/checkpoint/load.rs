//! Reading checkpoints.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use watchtower_dataflows::timeline::{Chunk, TimelineSnapshot, TrackParts};
use watchtower_dataflows::views::Snapshots;

use super::block::{BlockError, Blocks, Kind};
use watchtower_core::{EntryId, StreamPosition};
use watchtower_engine::{Checkpoint, FlowState, InletState};

use super::contents::{ChunkPlace, FileName, Head, Stored, StoredTimeline};
use super::save::Written;
use super::shelf::Shelf;
use super::{CHECKPOINT, CHUNKS};

/// The tables that a checkpoint has to fit.
#[derive(Clone, Debug)]
pub struct Tables {
    /// The random name the pipeline's row was created with.
    pub lineage: String,
    /// What they mean.
    pub plan: String,
    /// Their last commit.
    pub commit_seq: i64,
    /// By the key of a stream, how far they contain it.
    pub cursors: BTreeMap<String, StreamPosition>,
}

/// Whether the tables, at `stored` of a stream, contain what a checkpoint has read of it.
fn is_contained(read: StreamPosition, stored: StreamPosition) -> bool {
    if read.rebased == stored.rebased {
        read.last <= stored.last
    } else {
        read.rebased < stored.rebased && read.contained() <= stored.contained()
    }
}

/// A checkpoint that was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct Skipped {
    /// Which.
    pub name: FileName,
    /// Its file.
    pub path: PathBuf,
    /// Why.
    pub why: Why,
}

/// Why a checkpoint was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// A file of it cannot be read.
    #[error("{0}")]
    File(#[from] BlockError),
    /// It names a chunk that is not there.
    #[error("it names a chunk that its segment does not have")]
    Chunk,
    /// It was made for other tables.
    #[error("it belongs to another pipeline, or to one whose tables were lost")]
    Lineage,
    /// The configuration or the program has changed what tables mean.
    #[error("it was made under another plan")]
    Plan,
    /// The database was restored to an earlier state.
    #[error("it is of commit {checkpoint}, ahead of the database, which is at {database}")]
    Ahead {
        /// Its commit.
        checkpoint: i64,
        /// The database's.
        database: i64,
    },
}

/// A checkpoint, and what is known of its files.
#[derive(Debug)]
pub struct Loaded {
    /// What it holds.
    pub checkpoint: Checkpoint,
    /// For whoever writes the next one.
    pub known: Known,
}

/// What is known of the files of a checkpoint.
#[derive(Debug)]
pub struct Known {
    /// The commit it is as of.
    pub commit_seq: i64,
    /// Where its chunks are.
    pub(super) written: Vec<Written>,
    /// How many chunks its segments hold, named or not.
    pub(super) sizes: BTreeMap<FileName, usize>,
}

/// The newest checkpoint on the shelf that fits the tables, and those that were passed over.
pub fn load_newest(shelf: impl Into<Shelf>, tables: &Tables) -> (Option<Loaded>, Vec<Skipped>) {
    let shelf = shelf.into();
    let mut skipped = Vec::new();
    // A shelf that is not there has no checkpoints.
    for name in shelf.names(CHECKPOINT).unwrap_or_default() {
        match load(&shelf, name, tables) {
            Ok(loaded) => return (Some(loaded), skipped),
            Err(why) => skipped.push(Skipped { name, path: shelf.path_of(name, CHECKPOINT), why }),
        }
    }
    (None, skipped)
}

/// The head of a checkpoint, if it can be read.
pub(super) fn read_head(shelf: &Shelf, name: FileName) -> Option<Head> {
    read(shelf, name, CHECKPOINT, Kind::Checkpoint).ok()?.value(0).ok()
}

fn read(shelf: &Shelf, name: FileName, kind: &str, file_kind: Kind) -> Result<Blocks, BlockError> {
    Blocks::read(shelf.open(name, kind)?, file_kind, name)
}

fn load(shelf: &Shelf, name: FileName, tables: &Tables) -> Result<Loaded, Why> {
    let blocks = read(shelf, name, CHECKPOINT, Kind::Checkpoint)?;
    let Head { lineage, plan, commit_seq, segments } = blocks.value(0)?;
    if lineage != tables.lineage {
        return Err(Why::Lineage);
    }
    if plan != tables.plan {
        return Err(Why::Plan);
    }
    let flow: FlowState = blocks.value(1)?;
    let is_read = |inlet: &InletState| {
        let InletState { stream, position, .. } = inlet;
        let stored = tables.cursors.get(stream);
        stored.is_some_and(|stored| is_contained(*position, *stored)) || position.last == EntryId::ZERO
    };
    if commit_seq > tables.commit_seq || !flow.inlets.iter().all(is_read) {
        return Err(Why::Ahead { checkpoint: commit_seq, database: tables.commit_seq });
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
                for StoredTimeline { vehicle, newest, ledger, past, sealed, tail, head } in timelines {
                    let sealed = sealed.iter().map(&mut chunk).collect::<Option<Vec<_>>>().ok_or(Why::Chunk)?;
                    let track = TrackParts { past, sealed, tail, head }.into();
                    snapshots.timelines.push(TimelineSnapshot { vehicle, newest, track, ledger });
                }
            }
        }
    }
    Ok(Loaded { checkpoint: Checkpoint { flow, snapshots }, known: Known { commit_seq, written, sizes } })
}

//! Reading checkpoints.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use watchtower_dataflows::timeline::{Chunk, TimelineSnapshot, TrackParts};

use super::block::{BlockError, Blocks, Kind};
use super::contents::{Checkpoint, ChunkPlace, FlowState, Head, StoredTimeline};
use super::save::Written;
use super::{CHECKPOINT, CHUNKS, commits_in, path_of};

/// A checkpoint that was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct Skipped {
    /// Which file.
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
    #[error("it is of commit {checkpoint}, the database is at {database}")]
    Ahead {
        /// Its commit.
        checkpoint: i64,
        /// The database's.
        database: i64,
    },
}

/// A checkpoint, and where its chunks are.
#[derive(Debug)]
pub struct Loaded {
    /// The commit it is as of.
    pub commit_seq: i64,
    /// What it holds.
    pub checkpoint: Checkpoint,
    /// For whoever writes the next one.
    pub written: Vec<Written>,
}

/// The newest checkpoint in the folder that fits, and those that were not taken. `database_at` is the last
/// commit of the database.
pub fn load_newest(folder: &Path, lineage: &str, plan: &str, database_at: i64) -> (Option<Loaded>, Vec<Skipped>) {
    let mut skipped = Vec::new();
    // A folder that is not there has no checkpoints.
    for commit in commits_in(folder, CHECKPOINT).unwrap_or_default() {
        match load(folder, commit, lineage, plan, database_at) {
            Ok(loaded) => return (Some(loaded), skipped),
            Err(why) => skipped.push(Skipped { path: path_of(folder, commit, CHECKPOINT), why }),
        }
    }
    (None, skipped)
}

/// The head of a checkpoint, if it can be read.
pub(super) fn read_head(folder: &Path, commit: i64) -> Option<Head> {
    read(folder, commit, CHECKPOINT, Kind::Checkpoint).ok()?.value(0).ok()
}

fn read(folder: &Path, commit: i64, kind: &str, file_kind: Kind) -> Result<Blocks, BlockError> {
    let file = File::open(path_of(folder, commit, kind))?;
    Blocks::read(BufReader::with_capacity(1 << 20, file), file_kind)
}

fn load(folder: &Path, commit: i64, lineage: &str, plan: &str, database_at: i64) -> Result<Loaded, Why> {
    let blocks = read(folder, commit, CHECKPOINT, Kind::Checkpoint)?;
    let head: Head = blocks.value(0)?;
    if head.lineage != lineage {
        return Err(Why::Lineage);
    }
    if head.plan != plan {
        return Err(Why::Plan);
    }
    if head.commit_seq > database_at {
        return Err(Why::Ahead { checkpoint: head.commit_seq, database: database_at });
    }
    let flow: FlowState = blocks.value(1)?;
    let mut segments: Vec<Vec<Vec<Arc<Chunk>>>> = Vec::new();
    for &segment in &head.segments {
        segments.push(read(folder, segment, CHUNKS, Kind::Chunks)?.values(0)?);
    }
    let stored: Vec<Vec<StoredTimeline>> = blocks.values(2)?;
    let mut written = Vec::new();
    let mut chunk = |place: &ChunkPlace| {
        let ChunkPlace { segment, block, index } = *place;
        let chunk = segments.get(segment as usize)?.get(block as usize)?.get(index as usize)?;
        written.push(Written { chunk: Arc::clone(chunk), segment: head.segments[segment as usize], block, index });
        Some(Arc::clone(chunk))
    };
    let mut timelines = Vec::new();
    for StoredTimeline { vehicle, newest, sealed, tail, head } in stored.into_iter().flatten() {
        let sealed = sealed.iter().map(&mut chunk).collect::<Option<Vec<_>>>().ok_or(Why::Chunk)?;
        timelines.push(TimelineSnapshot { vehicle, newest, track: TrackParts { sealed, tail, head }.into() });
    }
    Ok(Loaded { commit_seq: head.commit_seq, checkpoint: Checkpoint { flow, timelines }, written })
}

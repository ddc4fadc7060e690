//! Contents of a checkpoint.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchtower_dataflows::timeline::state::State;
use watchtower_dataflows::timeline::{Chunk, Ledger, Past};
use watchtower_dataflows::views::GroupSnapshot;
use watchtower_model::{Millis, VehicleId};

/// Name of a file: the commit whose state it holds, and a random number of the process that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileName {
    /// Number of the commit.
    pub commit_seq: i64,
    /// Random number of the writing process.
    pub writer: u64,
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:016x}", self.commit_seq, self.writer)
    }
}

/// The text does not have the form `<commit>-<writer>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a checkpoint file")]
pub struct NoFileName;

impl FromStr for FileName {
    type Err = NoFileName;

    fn from_str(text: &str) -> Result<Self, NoFileName> {
        let (commit_seq, writer) = text.split_once('-').ok_or(NoFileName)?;
        let commit_seq = commit_seq.parse().map_err(|_| NoFileName)?;
        let writer = u64::from_str_radix(writer, 16).map_err(|_| NoFileName)?;
        Ok(Self { commit_seq, writer })
    }
}

/// The first block of a checkpoint: the tables it belongs to, and its segments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Random name of the pipeline's row, fixed when the row was created.
    pub lineage: String,
    /// The plan of the tables: see [`watchtower_core::plan`].
    pub plan: String,
    /// The commit whose state it holds.
    pub commit_seq: i64,
    /// The segments that hold its chunks.
    pub segments: Vec<FileName>,
}

/// Location of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChunkPlace {
    /// Index into [`Head::segments`].
    pub segment: u32,
    /// Number of the block in the segment.
    pub block: u32,
    /// Index of the chunk within the block.
    pub index: u32,
}

/// A timeline whose full chunks are stored in segments.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredTimeline {
    pub vehicle: VehicleId,
    pub newest: Millis,
    pub ledger: Ledger,
    pub past: Past,
    pub sealed: Vec<ChunkPlace>,
    pub tail: Arc<Chunk>,
    pub head: State,
    pub undecided: Option<Millis>,
}

/// A block of the last part of a checkpoint, as read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Stored {
    Timelines(Vec<StoredTimeline>),
    Groups(Vec<GroupSnapshot>),
}

/// The same as [`Stored`], borrowed for writing.
#[derive(Debug, Serialize)]
pub(super) enum StoredRef<'a> {
    Timelines(&'a [StoredTimeline]),
    Groups(&'a [GroupSnapshot]),
}

/// A chunk that has been written. Holding it keeps its address from being reused.
#[derive(Debug)]
pub struct Written {
    pub(super) chunk: Arc<Chunk>,
    /// The segment that holds it.
    pub(super) segment: FileName,
    pub(super) block: u32,
    pub(super) index: u32,
}

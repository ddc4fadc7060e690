//! What a checkpoint holds.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchtower_dataflows::timeline::state::State;
use watchtower_dataflows::timeline::{Chunk, Ledger, Past};
use watchtower_dataflows::views::GroupSnapshot;
use watchtower_model::{Millis, VehicleId};

/// What a file is called: the commit it is as of, and a random number of the process that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FileName {
    /// The commit.
    pub commit_seq: i64,
    /// Who wrote it.
    pub writer: u64,
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{:016x}", self.commit_seq, self.writer)
    }
}

/// The text is no `<commit>-<writer>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a file of checkpoints")]
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

/// The first block of a checkpoint: whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The random name the pipeline's row was created with.
    pub lineage: String,
    /// What the tables mean: see [`watchtower_core::plan`].
    pub plan: String,
    /// The commit it is as of.
    pub commit_seq: i64,
    /// The segments it names.
    pub segments: Vec<FileName>,
}

/// Where a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChunkPlace {
    /// Index into [`Head::segments`].
    pub segment: u32,
    /// Number of the block in the segment.
    pub block: u32,
    /// Its place in the block.
    pub index: u32,
}

/// A timeline whose full chunks are elsewhere.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredTimeline {
    pub vehicle: VehicleId,
    pub newest: Millis,
    pub ledger: Ledger,
    pub past: Past,
    pub sealed: Vec<ChunkPlace>,
    pub tail: Arc<Chunk>,
    pub head: State,
}

/// A block of the last part of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Stored {
    Timelines(Vec<StoredTimeline>),
    Groups(Vec<GroupSnapshot>),
}

/// The same, to be written.
#[derive(Debug, Serialize)]
pub(super) enum Storing<'a> {
    Timelines(&'a [StoredTimeline]),
    Groups(&'a [GroupSnapshot]),
}

//! Checkpoints: the state from which a daemon continues without reading the log from its beginning.
//!
//! A checkpoint is a cache. It holds the state of the flow after an epoch that PostgreSQL has committed: names, edits,
//! and the timelines with the positions that can still change. If it is missing, broken, made by another version, or
//! does not match the tables, the daemon loads the previous one or reads the log again: slower, but the tables are the
//! same.
//!
//! ```text
//! <folder>/00000000000000012345-6b1f0c52a3d94e87.checkpoint   state at commit 12345: heads, locations of the chunks
//! <folder>/00000000000000012345-6b1f0c52a3d94e87.chunks       chunks that became full since the previous one
//! ```
//!
//! Positions are in chunks that never change once they are full ([`watchtower_dataflows::timeline`]). Each full chunk
//! is written once, to the segment of the first checkpoint that has it; later checkpoints refer to it. A segment of
//! which little is still in use is rewritten, and removed when no checkpoint refers to it. A file is written under a
//! temporary name, synced, and renamed; the last [`KEPT`] checkpoints are kept. In the embedded mode the folder is a
//! table: see [`Shelf`].
//!
//! A name ends with a random number of the process, so that no file is ever overwritten: a fenced daemon may resume and
//! finish a file while its successor writes its own.

mod block;
mod contents;
mod load;
mod save;
mod shelf;
#[cfg(test)]
mod tests;

pub use block::BlockError;
pub use contents::{FileName, Head};
pub use load::{CheckpointFiles, Loaded, SkipReason, Skipped, Tables, load_newest};
pub use save::{SaveError, Saver};
pub use shelf::Shelf;

use std::path::PathBuf;
use std::time::Duration;

/// Values of `[checkpoints]`.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the checkpoints; created if missing. Each pipeline has a subfolder.
    pub folder: PathBuf,
    /// Interval between two checkpoints.
    pub every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { folder: PathBuf::from("checkpoints"), every: Duration::from_secs(60) }
    }
}

/// Number of checkpoints kept.
pub const KEPT: usize = 2;

/// Raised with every change of the contents of files.
const FORMAT: u32 = 9;

const CHECKPOINT: &str = "checkpoint";
const CHUNKS: &str = "chunks";

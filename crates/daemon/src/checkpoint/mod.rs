//! Checkpoints: what a daemon needs to go on without reading the log from its beginning.
//!
//! A checkpoint is a cache. It holds what the flow knew after some epoch that PostgreSQL has committed:
//! names, edits, the timelines with the positions that can still change. Where it is missing, broken,
//! made by another program, or does not belong to what PostgreSQL holds, the one before it is taken, or
//! the log is read again: slower, never wrong.
//!
//! ```text
//! <folder>/00000000000000012345-6b1f0c52a3d94e87.checkpoint   as of commit 12345: heads, where the chunks are
//! <folder>/00000000000000012345-6b1f0c52a3d94e87.chunks       chunks that are full since the one before
//! ```
//!
//! Positions sit in chunks that never change once they are full ([`watchtower_dataflows::timeline`]). Each is
//! written once, to the segment of the first checkpoint that has it, and named by those after it. A segment
//! of which little is still named is written anew and goes when no checkpoint names it. Files are written
//! beside, synced, and renamed; the last [`KEPT`] checkpoints are kept. The folder is a table where everything is in
//! one file: see [`Shelf`].
//!
//! A name ends with a random number of the process, so that no file is ever written over: a daemon that was
//! fenced while it wrote may wake up and finish what it began, beside those of its successor.

mod block;
mod contents;
mod load;
mod save;
mod shelf;
#[cfg(test)]
mod tests;

pub use block::BlockError;
pub use contents::{FileName, Head};
pub use load::{Known, Loaded, Skipped, Tables, Why, load_newest};
pub use save::{SaveError, Saver};
pub use shelf::Shelf;

use std::path::PathBuf;
use std::time::Duration;

/// `[checkpoints]`
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder they are written to; created if it is missing. Each pipeline has one of its own in it.
    pub folder: PathBuf,
    /// Interval between two checkpoints.
    pub every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { folder: PathBuf::from("checkpoints"), every: Duration::from_secs(60) }
    }
}

/// Checkpoints that are kept.
pub const KEPT: usize = 2;

/// Grows with every change of what files hold.
const FORMAT: u32 = 7;

const CHECKPOINT: &str = "checkpoint";
const CHUNKS: &str = "chunks";

//! Checkpoints: what a daemon needs to go on without reading the log from its beginning.
//!
//! A checkpoint is a cache. It holds what the flow knew after some epoch that PostgreSQL has committed:
//! names, edits, the timelines with the positions that can still change. Where it is missing, broken,
//! made by another program, or does not belong to what PostgreSQL holds, the one before it is taken, or
//! the log is read again: slower, never wrong.
//!
//! ```text
//! <folder>/00000000000000012345.checkpoint   as of commit 12345: heads, and where the chunks are
//! <folder>/00000000000000012345.chunks       chunks that were full by then, and had not been before
//! ```
//!
//! Positions sit in chunks that never change once they are full ([`watchtower_dataflows::timeline`]). Each is
//! written once, to the segment of the first checkpoint that has it, and named by those after it. A segment
//! of which little is still named is written anew and goes when no checkpoint names it. Files are written
//! beside, synced, and renamed; the last [`KEPT`] checkpoints are kept.

mod block;
mod contents;
mod load;
mod save;

pub use block::BlockError;
pub use contents::{Checkpoint, FlowState, Head, InletState};
pub use load::{Loaded, Skipped, load_newest};
pub use save::{SaveError, Saver};

use std::path::{Path, PathBuf};

/// Checkpoints that are kept.
pub const KEPT: usize = 2;

/// Grows with every change of what files hold.
const FORMAT: u32 = 2;

const CHECKPOINT: &str = "checkpoint";
const CHUNKS: &str = "chunks";

/// The file of a kind as of a commit.
fn path_of(folder: &Path, commit_seq: i64, kind: &str) -> PathBuf {
    folder.join(format!("{commit_seq:020}.{kind}"))
}

/// The commits for which the folder has a file of a kind, the newest first.
fn commits_in(folder: &Path, kind: &str) -> std::io::Result<Vec<i64>> {
    let mut commits = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if path.extension().is_some_and(|extension| extension == kind) {
            commits.extend(stem.and_then(|stem| stem.parse::<i64>().ok()));
        }
    }
    commits.sort_unstable_by(|a, b| b.cmp(a));
    Ok(commits)
}

//! Appending events to the log of a pipeline, in Redis or in a file: one way for every producer.
//!
//! A [`Target`] names the pipeline; [`Outlet::open`] connects and learns its [`Layout`]: the number of streams and where
//! its clock events come from. [`Batches`] turns events into entries, which fill a [`Chunk`]; a [`Sender`] appends chunks
//! on a thread of its own while the next one is filled. [`read_control`] reads back the edits that are not in the tables yet.

mod batches;
mod chunk;
mod control;
mod layout;
mod link;
mod outlet;
mod sender;
mod target;

pub use batches::{Batches, Format, Place};
pub use chunk::{Chunk, Commands};
pub use control::read_control;
pub use layout::{Layout, LayoutError, MAX_STREAMS, Wanted};
pub use link::{Broken, Fault, Fields, LinkError};
pub use outlet::{OpenError, Outlet, open_for_edits};
pub use sender::{AppendError, Sender, Tally};
pub use target::{PipelineName, PipelineNameError, Target};

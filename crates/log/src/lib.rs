//! The event log of a pipeline: in Redis Streams, or in one file.
//!
//! [`redis`] and [`file`](mod@file) each read from a cursor of ours, append and trim; [`append`] is the one way in for
//! producers, whichever it is; [`gap`] proves that no entry was lost
//! between two reads of a Redis stream.

pub mod append;
mod clock_source;
pub mod file;
pub mod gap;
pub mod redis;

pub use clock_source::ClockSource;
pub use gap::{Gap, Look, Proof, judge};

//! The event log of a pipeline: in Redis Streams, or in one file.
//!
//! [`redis`] and [`file`](mod@file) each read from a cursor of ours, append and trim; [`append`] is the one way in for
//! producers of files and edits, [`ingest`] the one for
//! requests of clients, whichever it is; [`gap`] proves that no entry was lost
//! between two reads of a Redis stream; [`leases`] let one process at a time fetch a source.

pub mod append;
mod clock_source;
pub mod file;
pub mod gap;
pub mod ingest;
pub mod leases;
pub mod redis;

pub use clock_source::ClockSource;
pub use gap::{Gap, Look, Proof, judge};

//! The event log of a pipeline: in Redis Streams, or in one file.
//!
//! [`Log::open`] chooses the backend; a daemon reads with [`Tail`], removes with [`Trimmer`], and appends clock events
//! with [`Ticker`], whichever backend it is. [`append`] is the same for producers of files and edits, [`ingest`] for
//! requests of clients; [`leases`] let one process at a time fetch a source. [`redis`] and [`file`](mod@file) hold the
//! two implementations; [`gap`] proves that no entry was lost between two reads of a Redis stream.

pub mod append;
mod check;
mod clock_source;
mod entries;
mod error;
pub mod export;
pub mod file;
pub mod gap;
pub mod ingest;
pub mod leases;
mod loss;
mod open;
pub mod redis;
mod tail;
mod trim;
mod upkeep;
mod whole;

pub use clock_source::ClockSource;
pub use entries::Entries;
pub use error::{BackendError, ReadError};
pub use gap::{Gap, Look, Proof, judge};
pub use loss::{Accepted, LossError, losses};
pub use open::{Backend, Log, Options};
pub use tail::{Step, Tail};
pub use trim::{Contained, Trimmer};
pub use upkeep::{Groups, LagMeter, StreamLag, Ticker};
pub use whole::{NotWhole, require_whole};

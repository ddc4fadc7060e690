//! Events from the log in the file of the embedded mode.
//!
//! The log is what Redis Streams are elsewhere: event streams and a control stream of entries, each with an id
//! that begins with the milliseconds at which it was appended, so that a daemon decides on every event exactly
//! as it would there. Two tables hold it:
//!
//! * `log`: an entry a row, numbered without gaps in the order in which they were appended, all streams
//!   together. A prefix of these numbers is a prefix of every stream. Entries are never changed.
//! * `streams`: name of each stream, number of entries ever appended, and the id of the last one.
//!
//! A third one, `delivery_ids`, is made when a sender first gives an identifier to what it delivers: the identifiers that
//! were acknowledged, until they expire.
//!
//! Any number of processes append ([`Appender`]), each in short transactions; one reads ([`Reader`])
//! behind them. No entry is lost in between, so unlike with Redis nothing has to be proven.

mod append;
mod batch;
mod deliveries;
mod error;
mod read;
mod schema;
mod tail;

pub use append::Appender;
pub use batch::{Batch, Entries};
pub use error::LogError;
pub use read::{Reader, StreamEnd};
pub use schema::{LAYERS, Layout, create, layout, set_clock, stream_names};
pub use tail::Tail;

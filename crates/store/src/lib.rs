//! The tables of a pipeline: in PostgreSQL, in a GeoPackage, or as CSV files.
//!
//! A store that a daemon writes to ([`geopackage`], [`postgres`]) is a claim of the right to write, and a [`Writer`] that
//! writes the changes of an epoch in one transaction. [`Commit`](watchtower_core::Commit) is the same for both. [`Store`]
//! chooses between them. [`query`] reads rows back, by the descriptor of their table.

/// The SQL of a column of instants as milliseconds: empty for an empty cell, and for -infinity.
macro_rules! instant_ms {
    ($column:literal) => {
        concat!("(CASE WHEN isfinite(", $column, ") THEN floor(extract(epoch FROM ", $column, ") * 1000) END)::bigint")
    };
}

mod check;
mod claim;
pub mod csv;
pub mod geopackage;
mod open;
pub mod outbox;
pub mod postgres;
mod progress;
pub mod query;
mod rebuild;
mod resume;
pub mod tokens;
mod writer;

pub use claim::{Claim, Owner, Stored, UnreadableCursor};
pub use open::{ClaimError, Hold, Opened, Options, Session, Store};
pub use progress::{Progress, RejectedCount, RejectedEvent, TableProgress};
pub use rebuild::Rebuild;
pub use resume::Resume;
pub use writer::{Backend, LaggingWriter, Writer, WriterError};

use claim::{host, random_name};

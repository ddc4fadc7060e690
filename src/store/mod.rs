//! Where tables go.
//!
//! A store that a daemon writes to ([`embedded`], [`postgres`]) is a claim of the right to write, and a writer
//! that makes what an epoch changed one transaction. What goes in and what is remembered is the same for all,
//! and defined here; how it is written is each store's own.

mod archived;
mod claim;
mod commit;
pub mod csv;
pub mod embedded;
pub mod postgres;
mod remedy;
mod writer;

pub use archived::{Archived, ArchivedEdit, ArchivedPosition};
pub use claim::{Claim, Owner, Stored, StoredCursor};
pub use commit::{Commit, Flush};
pub use remedy::Remedy;
pub use writer::{LaggingWriter, Writer, WriterError};

pub(crate) use claim::{host, random_name};

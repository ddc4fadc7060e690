//! What the rooms of Watch Tower exchange.
//!
//! An event arrives as bytes ([`events`]), is accepted or refused by rules that depend on the log alone
//! ([`admission`]), and changes tables ([`tables`]) in a [`Commit`] that carries how far the log is read
//! ([`Cursor`]). Nothing in this crate performs I/O.

pub mod admission;
mod archived;
mod commit;
pub mod crash;
mod cursor;
mod entry_id;
pub mod events;
mod finding;
mod note;
pub mod outbox;
pub mod plan;
pub mod random;
mod remedy;
pub mod retry_after;
pub mod tables;
pub mod time_zone;

pub use archived::{Archived, ArchivedEdit, ArchivedPosition};
pub use commit::{Commit, ExpiredRejected, Flush};
pub use cursor::{Cursor, StreamPosition};
pub use entry_id::{EntryId, NoEntryId};
pub use finding::{Finding, Findings, Severity};
pub use note::Note;
pub use remedy::Remedy;

/// A future that is compiled in the crate that returns it, once. Any other is compiled where it is awaited, with all that
/// it awaits: at the door of a room, that would be the whole room in each program.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

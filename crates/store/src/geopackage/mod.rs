//! Tables in the GeoPackage of the embedded mode: see [`watchtower_geopackage`].
//!
//! The protocol is that of PostgreSQL: a daemon claims the pipeline's row ([`claim`]), and every commit first compares
//! the row's term, owner and number with the expected ones ([`commit`]). Rows, cursors and number change in one
//! transaction. Lagging tables have a separate writer and fence ([`lagging`]).
//!
//! Two things differ: the archive is the log itself, which is in the same file; and `positions` is a table that each
//! commit updates, not a view over the archive.

pub(crate) mod check;
pub mod claim;
pub mod commit;
pub(crate) mod encode;
mod error;
pub mod lagging;
pub(crate) mod progress;
mod rows;
pub mod schema;
pub mod switch;

pub use error::EmbeddedError;

//! Tables in the one file of the embedded mode, which is a GeoPackage: see [`watchtower_geopackage`].
//!
//! The protocol is that of PostgreSQL: a daemon claims the pipeline's row ([`claim`]), and every commit begins by
//! comparing term, owner and number with what it expects ([`commit`]). Rows, cursors and number change in one
//! transaction. Lagging tables have a writer and a fence of their own ([`lagging`]).
//!
//! What differs: the archive is the log itself, which is in the same file. `positions` is a table that each
//! commit brings up to date, not a view of all that ever arrived.

pub mod claim;
pub mod commit;
mod encode;
mod error;
pub mod lagging;
mod rows;
pub mod schema;
pub mod switch;

pub use error::EmbeddedError;

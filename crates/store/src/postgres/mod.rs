//! Tables in PostgreSQL with PostGIS, one schema per pipeline.
//!
//! A commit is one transaction: rows, archive, cursors, the commit's number. Its first statement is a compare-and-set
//! on the pipeline's row: it compares term, owner and number of the last commit and sets the next number. So a writer
//! that was paused and replaced changes nothing, and a commit whose outcome is unknown can be looked up: see
//! [`commit`]. Values are set, never added to.
//!
//! Lagging tables are written on another connection, with a fence of their own: see [`lagging`]. Numbered migrations
//! create the schema; the descriptors of the tables provide its comments: see [`schema`].

pub mod archive;
pub(crate) mod check;
pub mod claim;
pub mod commit;
mod connection;
pub mod connection_string;
pub(crate) mod decode;
pub mod durability;
pub(crate) mod encode;
mod error;
mod ewkb;
pub mod lagging;
pub(crate) mod open;
mod options;
pub(crate) mod progress;
pub(crate) mod queue;
pub(crate) mod rebuild;
pub mod schema;
mod statements;

pub use connection::{Database, address};
pub use connection_string::{SslMode, split_ssl_mode};
pub use error::StoreError;
pub use options::Options;

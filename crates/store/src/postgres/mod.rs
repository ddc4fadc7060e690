//! Tables in PostgreSQL with PostGIS, one schema a pipeline.
//!
//! A commit is one transaction: rows, archive, cursors, the commit's number. It begins by comparing the
//! pipeline's row with what this writer knows (term, owner, number of the last commit) and setting the
//! next number, so that a writer that was paused and replaced meanwhile changes nothing, and a commit
//! whose outcome is unknown can be looked up: see [`commit`]. Values are set, never added to.
//!
//! Lagging tables are written on a connection of their own, fenced by a row of their own: see
//! [`lagging`]. The schema is made by numbered migrations and explained by the descriptors of the tables:
//! see [`schema`].

pub mod archive;
mod batch;
pub mod claim;
pub mod commit;
mod connection;
pub mod connection_string;
pub mod durability;
mod encode;
mod error;
mod ewkb;
pub mod lagging;
mod options;
pub mod schema;
mod statements;

pub use connection::Database;
pub use connection_string::{SslMode, split_ssl_mode};
pub use error::StoreError;
pub use options::Options;

//! The one file of the embedded mode: SQLite, and a valid OGC GeoPackage.
//!
//! The event log and all tables of a pipeline are in it, so that a fleet needs no server, and QGIS, `ogrinfo`,
//! geopandas and DuckDB open it. What is in the log is the business of [`watchtower_log::file`], what is in
//! the tables that of [`watchtower_store::geopackage`]. Here is what both stand on:
//!
//! * [`GeoPackage`] opens connections. A file that is not ours is left as it is. SQLite's write-ahead log lets
//!   everybody read while one writes, and every commit is on disk before it is acknowledged
//!   (`synchronous = FULL`): it survives `kill -9`, and the loss of power on a disk that does not lie.
//! * [`layer`] tells readers what tables there are: `gpkg_contents` and its kin.
//! * [`geometry`] is how a geometry is written, and what a spatial index wants to know of it.
//! * [`Lease`] is held by the daemon that writes, so that a second one is refused by name.

mod error;
mod file;
pub mod geometry;
pub mod layer;
mod lease;
pub mod time;

pub use error::FileError;
pub use file::GeoPackage;
pub use lease::Lease;

/// The connection everything is done with, for the siblings that stand on this module.
pub use rusqlite::Connection;

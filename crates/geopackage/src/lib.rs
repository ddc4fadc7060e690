//! The single file of the embedded mode: an SQLite database that is a valid OGC GeoPackage.
//!
//! It holds the event log and all tables of a pipeline, so that a fleet needs no server. QGIS, `ogrinfo`, geopandas and
//! DuckDB open it. [`watchtower_log::file`] defines the log in it, [`watchtower_store::geopackage`] the tables. This
//! crate is what both use:
//!
//! * [`GeoPackage`] opens connections. A file made by another program is left unchanged. With SQLite's write-ahead log
//!   all processes can read while one writes. A commit is on disk before it is acknowledged (`synchronous = FULL`):
//!   it survives `kill -9`, and a power failure if the disk honours flushes.
//! * [`layer`] registers tables in the catalogue that readers use: `gpkg_contents` and the tables beside it.
//! * [`geometry`] encodes geometries and provides the functions of spatial indexes.
//! * [`FeatureLayer`] and the functions beside it read the features of files that other programs made.
//! * [`Lease`] is held by the daemon that writes, so that a second one is refused by name.

mod error;
mod features;
mod file;
pub mod geometry;
pub mod layer;
mod lease;
pub mod time;

pub use error::FileError;
pub use features::{FeatureLayer, TableFeature};
pub use file::GeoPackage;
pub use lease::Lease;

/// The connection type of this crate's functions, re-exported for the crates that use it.
pub use rusqlite::Connection;

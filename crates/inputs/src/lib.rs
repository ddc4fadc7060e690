//! Events from files: positions as CSV, any events as NDJSON, geofences as GeoJSON; each may be
//! compressed with gzip, whatever it is called.
//!
//! A source is read record by record. A record that is refused is an outcome and the next one
//! follows; only a file that cannot be read, or whose CSV header lacks a column, is an error.

use std::io;
use std::path::{Path, PathBuf};

use watchtower_core::events::{Limits, Record};

mod csv;
mod days;
mod first_reading;
mod geojson;
mod input;
mod lines;
mod ndjson;
mod spool;

pub use csv::{Csv, MAX_ROW_BYTES};
pub use days::{Days, FileJudge};
pub use first_reading::{Present, first_reading};
pub use geojson::{GeoJson, MAX_DOCUMENT_BYTES};
pub use ndjson::Ndjson;
pub use spool::{InputFile, TemporaryFile};

/// How far a file has been read, in bytes on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Read so far.
    pub bytes_read: u64,
    /// Size of the file when it was opened.
    pub bytes_total: u64,
}

/// A file of events, read in its own order.
pub trait Source: Send {
    /// The next record, or nothing at the end.
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError>;

    /// How far it has been read.
    fn progress(&self) -> Progress;

    /// The file.
    fn path(&self) -> &Path;
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Geofences: a GeoJSON feature collection, or one feature.
    GeoJson,
    /// Positions: CSV with a header.
    Csv,
    /// Any events: a JSON object a line.
    Ndjson,
}

/// Opens a file.
pub fn open(path: &Path, format: FileFormat, limits: &Limits) -> Result<Box<dyn Source>, SourceError> {
    Ok(match format {
        FileFormat::GeoJson => Box::new(GeoJson::open(path, limits)?),
        FileFormat::Csv => Box::new(Csv::open(path, limits)?),
        FileFormat::Ndjson => Box::new(Ndjson::open(path, limits)?),
    })
}

/// The order in which files are read: geofences, positions, any events.
pub fn in_order<'a>(
    geofences: &'a [PathBuf],
    positions: &'a [PathBuf],
    events: &'a [PathBuf],
) -> impl Iterator<Item = (&'a Path, FileFormat)> {
    let files = [(geofences, FileFormat::GeoJson), (positions, FileFormat::Csv), (events, FileFormat::Ndjson)];
    files.into_iter().flat_map(|(paths, format)| paths.iter().map(move |path| (path.as_path(), format)))
}

/// A file cannot be read as what it should be.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading it failed, or its compression is broken.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its header will not do.
    #[error("cannot read {} as CSV of positions: {fault}", path.display())]
    Header {
        /// Which file.
        path: PathBuf,
        /// Which columns are missing or repeated, and which there are.
        fault: String,
    },
}

impl SourceError {
    /// The same of a file that is named otherwise.
    pub(crate) fn of(self, named: &Path) -> Self {
        let path = named.to_owned();
        match self {
            Self::Open { source, .. } => Self::Open { path, source },
            Self::Read { source, .. } => Self::Read { path, source },
            Self::Header { fault, .. } => Self::Header { path, fault },
        }
    }
}

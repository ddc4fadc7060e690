//! Events from files: positions, geofences and vehicles in the formats that people have them in; each may be
//! compressed with gzip, whatever it is called.
//!
//! A source is read record by record. A record that is refused is an outcome and the next one
//! follows; only a file that cannot be read, or whose CSV header lacks a column, is an error. What was understood of
//! a file is in its [`Notes`].

use std::io;
use std::path::{Path, PathBuf};

use watchtower_core::events::{Limits, Record};

mod aliases;
mod archive;
mod csv;
mod days;
mod document;
mod draft;
mod elements;
mod encoding;
mod features;
mod first_reading;
mod forms;
mod geojson;
mod geopackage;
mod gpx;
mod header;
mod input;
mod inspect;
mod kml;
mod lines;
mod made;
mod markup;
mod members;
pub mod messages;
mod ndjson;
mod nmea;
mod notes;
mod object;
mod overpass;
mod picture;
mod points;
mod reading;
mod report;
mod rows;
mod sniff;
mod spool;
mod tables;
mod times;
mod titles;
mod track;
mod values;
mod vehicles;
mod wkb;
mod wkt;
mod written;
mod xml;

pub use csv::{Csv, MAX_ROW_BYTES};
pub use days::{Days, FileJudge};
pub use first_reading::{Present, first_reading};
pub use geojson::GeoJson;
pub use input::MAX_DOCUMENT_BYTES;
pub use inspect::{Inspection, Suspicion, inspect};
pub use ndjson::Ndjson;
pub use notes::{Notes, Remark};
pub use reading::{ColumnMap, DateOrder, Reading, SpeedUnit, parse_time_zone};
pub use report::{FileReport, RefusedFor};
pub use spool::{InputFile, TemporaryFile};
pub use vehicles::open_vehicles;

/// How far a file has been read, in bytes on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far, before they are decompressed.
    pub bytes_read: u64,
    /// Size of the file when it was opened.
    pub bytes_total: u64,
}

/// A file of events, read in its own order.
pub trait Source: Send {
    /// The next record, or nothing at the end.
    ///
    /// # Errors
    /// If the file cannot be read on.
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError>;

    /// How far it has been read.
    fn progress(&self) -> Progress;

    /// Path of the file, as it was given.
    fn path(&self) -> &Path;

    /// What was understood of it, as far as it has been read.
    fn notes(&self) -> Notes {
        Notes::default()
    }
}

/// What a file is said to hold. How it is written is seen in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Geofences: GeoJSON, KML, CSV with WKT, or those of Traccar.
    GeoJson,
    /// Positions: CSV with a header, JSON, GPX, KML or NMEA.
    Csv,
    /// Any events: a JSON object a line.
    Ndjson,
}

/// Opens a file that says everything itself.
///
/// # Errors
/// As [`open_with`].
pub fn open(path: &Path, format: FileFormat, limits: &Limits) -> Result<Box<dyn Source>, SourceError> {
    open_with(path, format, &Reading::default(), limits)
}

/// Opens a file.
///
/// # Errors
/// If it cannot be opened or read, or is in a format that is not known.
pub fn open_with(
    path: &Path,
    format: FileFormat,
    reading: &Reading,
    limits: &Limits,
) -> Result<Box<dyn Source>, SourceError> {
    sniff::open(path, format, reading, limits)
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
        /// Path of the file, as it was given.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Reading it failed, or its compression is broken.
    #[error("cannot read {}", path.display())]
    Read {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Its header will not do.
    #[error("cannot read {} as CSV of positions: {fault}", path.display())]
    Header {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// Which columns are missing or repeated, which there are, and what helps.
        fault: String,
    },
    /// It holds no geofences.
    #[error("cannot read geofences from {}: {fault}", path.display())]
    Geofences {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// What was expected.
        fault: String,
    },
    /// It holds no vehicles.
    #[error("cannot read vehicles from {}: {fault}", path.display())]
    Vehicles {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// What was expected.
        fault: String,
    },
    /// It is in a format that is not read.
    #[error("cannot read {}: {fault}", path.display())]
    Foreign {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// The format, and the command that makes one of it that is read.
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
            Self::Geofences { fault, .. } => Self::Geofences { path, fault },
            Self::Vehicles { fault, .. } => Self::Vehicles { path, fault },
            Self::Foreign { fault, .. } => Self::Foreign { path, fault },
        }
    }
}

//! Result of a publication, and its text.

use std::path::{Path, PathBuf};
use std::time::Duration;

use watchtower_core::events::Rejection;
use watchtower_inputs::{FileFormat, FileReport};
use watchtower_model::Millis;

use watchtower_log::append::Layout;

/// Of refused records, how many are kept to be shown.
const MAX_SHOWN: usize = 10;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// Path of the file, as it was given.
    pub path: PathBuf,
    /// Format in which the file is given.
    pub format: FileFormat,
    /// Number of the line or feature, from 1.
    pub position: u64,
}

/// Records that were refused. Each is appended with its reason, for the daemon to keep.
#[derive(Clone, Debug, Default)]
pub struct Refused {
    /// Number of records.
    pub count: u64,
    /// The first of them, and why.
    pub first: Vec<(RecordPlace, Rejection)>,
}

/// Result of a publication.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How many records of the files are in the streams: events, and lines that are passed on.
    pub published: u64,
    /// How many of them are lines that are no event, which the daemon is to refuse and keep.
    pub passed_on: u64,
    /// Entries that were appended, those of clocks included.
    pub entries: u64,
    /// Clocks that were appended beside those of the files.
    pub clocks: u64,
    /// Positions farther behind their arrival than a daemon takes.
    pub behind_horizon: u64,
    /// Positions that would be too late in the order of the files. Unless there are none, everything was delivered
    /// in order of ts.
    pub reordered: u64,
    /// How far behind its arrival a daemon takes a position. Milliseconds.
    pub horizon_ms: Millis,
    /// Refused records.
    pub refused: Refused,
    /// Layout of the pipeline.
    pub layout: Layout,
    /// Reading report of each file.
    pub files: Vec<FileReport>,
    /// If it was stopped: the record before which.
    pub interrupted_at: Option<RecordPlace>,
    /// From the first look at a file until Redis had everything.
    pub elapsed: Duration,
}

impl RecordPlace {
    pub(crate) fn new(path: &Path, format: FileFormat, position: u64) -> Self {
        Self { path: path.to_owned(), format, position }
    }
}

impl std::fmt::Display for RecordPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let noun = match self.format {
            FileFormat::GeoJson => "feature",
            FileFormat::Csv | FileFormat::Ndjson => "line",
        };
        write!(f, "{}, {noun} {}", self.path.display(), self.position)
    }
}

impl Refused {
    /// Counts a record, and keeps it if it is one of the first.
    pub(super) fn add(&mut self, place: RecordPlace, rejection: Rejection) {
        self.count += 1;
        if self.first.len() < MAX_SHOWN {
            self.first.push((place, rejection));
        }
    }
}

impl Summary {
    /// Records per second.
    pub fn events_per_s(&self) -> f64 {
        self.published as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// A number and its noun.
pub fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

//! Files in, tables out, no server: what `watchtower replay` does.
//!
//! The log is the features of the geofence files, then the rows of the position files, then the
//! lines of the event files, each in file order. Its time is the greatest explicit clock or accepted
//! position so far; arrival plays no part, so nothing is refused for being early or old unless a
//! lateness is asked for, and nothing leaves memory.
//!
//! A shuffle permutes the position events *after* they were accepted, as if the network had: equal
//! (vehicle, ts) keep their order, edits and clocks their places. The tables must not notice.

mod archive;
mod driver;
mod shuffle;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use watchtower_dataflows::model::{Control, Millis, PositionEvent, Rules};

use crate::admission::{Accepted, Admission, Stream};
use crate::events::{Event, Limits, Reason, RejectedEvent, Rejection};
use crate::replay::archive::Archive;
use crate::sources::{self, Progress, Record, SourceError};
use crate::store::csv::{self, CsvError};
use crate::tables::{Lookup, Row, Table, rejected_events};

pub use driver::Driver;

/// What to replay, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// GeoJSON files of geofences, read first.
    pub geofences: Vec<PathBuf>,
    /// CSV files of positions, read next.
    pub positions: Vec<PathBuf>,
    /// NDJSON files of any events, read last.
    pub events: Vec<PathBuf>,
    /// Permutes position events, by this seed.
    pub shuffle: Option<u64>,
    /// Worker threads.
    pub workers: usize,
    /// What is acceptable.
    pub limits: Limits,
    /// What the tables mean.
    pub rules: Rules,
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file is not what it should be.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A table could not be written.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// The folder of tables could not be made.
    #[error("cannot create the folder {}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What a replay came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Events read, refused ones included.
    pub events: u64,
    /// How many of them were refused, by reason.
    pub refused: BTreeMap<Reason, u64>,
    /// From the first byte read until the tables were complete.
    pub elapsed: Duration,
    /// Rows by table, in the order they are listed to people.
    pub rows: Vec<(&'static str, usize)>,
}

impl Summary {
    /// Events per second.
    pub fn events_per_s(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// The tables of a replay.
pub type Tables = Vec<(&'static Table, Vec<Row>)>;

/// Replays; `progress` hears, now and then, how far the current file has been read.
///
/// # Errors
/// If a file cannot be read. A bad *event* is no error: it is a row of `rejected_events`.
pub fn replay(options: &Options, progress: &mut dyn FnMut(&Path, Progress)) -> Result<(Tables, Summary), ReplayError> {
    let started = Instant::now();
    let mut intake = Intake::new(options.limits.clone());
    let mut driver = Driver::start(options.workers, options.rules.clone());
    let mut log = Vec::new();
    for (path, format) in sources::in_order(&options.geofences, &options.positions, &options.events) {
        let name = path.display().to_string();
        let mut source = sources::open(path, format, &options.limits)?;
        let mut records = 0u64;
        while let Some(record) = source.next_record()? {
            if let Some(item) = intake.take(&name, record) {
                match options.shuffle {
                    Some(_) => log.push(item),
                    None => driver.push(item),
                }
            }
            records += 1;
            if records.is_multiple_of(PROGRESS_EVERY) {
                progress(path, source.progress());
            }
        }
        progress(path, source.progress());
    }
    if let Some(seed) = options.shuffle {
        shuffle::permute_positions(&mut log, seed);
        log.into_iter().for_each(|item| driver.push(item));
    }
    let materialized = driver.finish();
    let elapsed = started.elapsed();
    let Intake { lookup, archive, rejected, events, .. } = intake;
    let mut refused = BTreeMap::new();
    for event in &rejected {
        *refused.entry(event.reason).or_default() += 1;
    }
    let mut tables = materialized.tables(&lookup);
    tables.push(archive.table(&lookup));
    tables.push((&rejected_events::TABLE, rejected.iter().map(rejected_events::cells).collect()));
    let rows = tables.iter().map(|(table, rows)| (table.name, rows.len())).collect();
    Ok((tables, Summary { events, refused, elapsed, rows }))
}

/// Writes the tables of a replay as `dir/<table>.csv`.
///
/// # Errors
/// If the folder or a file cannot be written.
pub fn write(tables: Tables, dir: &Path) -> Result<(), ReplayError> {
    std::fs::create_dir_all(dir).map_err(|source| ReplayError::Folder { path: dir.to_owned(), source })?;
    for (table, rows) in tables {
        csv::write(dir, table, rows)?;
    }
    Ok(())
}

/// Records between two calls of `progress`.
const PROGRESS_EVERY: u64 = 4096;

/// An accepted event on its way into the engine.
#[derive(Debug)]
pub enum Item {
    /// Where a vehicle was.
    Position(PositionEvent),
    /// An edit.
    Control(Control),
    /// The log's own time.
    Clock(Millis),
}

/// Where events are accepted, and what only the tables need is kept.
#[derive(Debug)]
pub struct Intake {
    admission: Admission,
    /// Names and definitions.
    pub lookup: Lookup,
    archive: Archive,
    rejected: Vec<RejectedEvent>,
    events: u64,
}

impl Intake {
    /// Of files, under these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            admission: Admission::new(Stream::Files, limits),
            lookup: Lookup::default(),
            archive: Archive::default(),
            rejected: Vec::new(),
            events: 0,
        }
    }

    /// The log's time so far.
    pub fn now(&self) -> Millis {
        self.admission.now()
    }

    /// The event of a record if it is accepted; otherwise it is kept with the reason.
    pub fn take(&mut self, file: &str, record: Record<'_>) -> Option<Item> {
        let Record { position, raw, result } = record;
        match result.and_then(|event| self.admit(&event)) {
            Ok(item) => Some(item),
            Err(rejection) => {
                self.events += 1;
                self.rejected.push(RejectedEvent::new(file, position.to_string(), rejection, raw));
                None
            }
        }
    }

    /// What the engine gets of an accepted event.
    ///
    /// # Errors
    /// If it is refused.
    pub fn admit(&mut self, event: &Event<'_>) -> Result<Item, Rejection> {
        self.admission.begin_epoch(); // the driver numbers the positions of its epochs itself
        let accepted = self.admission.admit(event, 0, &mut self.lookup.names)?;
        self.events += 1;
        Ok(match (accepted, event) {
            (Accepted::Position(position), Event::Position(report)) => {
                self.archive.push(position.vehicle, report.ts, &report.fix);
                Item::Position(position)
            }
            (Accepted::Position(_), _) => unreachable!("only a position event is accepted as one"),
            (Accepted::Geofence(edit), _) => {
                self.lookup.remember_geofence(&edit);
                Item::Control(Control::Geofence(edit))
            }
            (Accepted::Vehicle(edit), _) => {
                self.lookup.remember_vehicle(&edit);
                Item::Control(Control::Vehicle(edit))
            }
            (Accepted::Clock, _) => Item::Clock(self.admission.now()),
        })
    }
}

/// Whether the event counts for the log's time.
fn instant_of(item: &Item) -> Option<Millis> {
    match item {
        Item::Position(event) => (!event.withdrawn).then_some(event.position.ts),
        Item::Clock(now) => Some(*now),
        Item::Control(_) => None,
    }
}

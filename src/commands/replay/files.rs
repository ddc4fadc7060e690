//! Files in, tables out, without a server.
//!
//! The log is the features of the geofence files, then the rows of the position files, then the lines of the event
//! files, each in file order: see [`watchtower_engine::replay`]. They are read twice: first to judge which rows cannot be
//! from when they say.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use watchtower_core::events::{Event, Limits, Reason, Rejection, RuleText};
use watchtower_core::tables::{Row, Table, rejected_events};
use watchtower_engine::replay::{Driver, Intake, permute_positions};
use watchtower_inputs::{
    self as inputs, FileReport, InputFile, Present, Progress, Reading, SourceError, first_reading,
};
use watchtower_model::Rules;
use watchtower_store::csv::{self, CsvError};

/// Options of a replay: files, order, limits and rules.
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
    /// Number of worker threads of the dataflow, at least 1.
    pub workers: usize,
    /// How the files are to be read.
    pub reading: Reading,
    /// Limits that events are checked against.
    pub limits: Limits,
    /// Present time by which the days of the files are judged.
    pub present: Present,
    /// Rules by which the tables are computed.
    pub rules: Rules,
    /// Alert rules that are in force before the first event.
    pub alert_rules: Vec<RuleText>,
    /// Whether `rule` events of the files count; others are passed over.
    pub has_rule_events: bool,
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file is not what it should be.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// An alert rule makes no sense.
    #[error("{}", .0.detail)]
    Rule(Rejection),
    /// A table could not be written.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// The folder of tables could not be made.
    #[error("cannot create the folder {}", path.display())]
    Folder {
        /// Path of the file, as it was given.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
}

/// Result of a replay.
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
    /// Reading report of each file.
    pub files: Vec<FileReport>,
}

impl Summary {
    /// Events per second.
    pub fn events_per_s(&self) -> f64 {
        self.events as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// The tables of a replay.
pub type Tables = Vec<(&'static Table, Vec<Row>)>;

/// Replays; `progress` receives, now and then, how far the current file has been read.
///
/// # Errors
/// If a file cannot be read. A bad *event* is no error: it is a row of `rejected_events`.
pub fn replay(options: &Options, progress: &mut dyn FnMut(&Path, Progress)) -> Result<(Tables, Summary), ReplayError> {
    let started = Instant::now();
    let mut intake = Intake::new(options.limits.clone(), options.rules.clone());
    let mut driver = Driver::start(options.workers, options.rules.clone());
    let (mut log, mut reports) = (Vec::new(), Vec::new());
    for rule in &options.alert_rules {
        let change = rule.change(&options.limits).map_err(ReplayError::Rule)?;
        driver.push(intake.admit(&Event::Rule(change)).map_err(ReplayError::Rule)?);
    }
    intake.events = 0; // those of the files are counted
    let files = inputs::in_order(&options.geofences, &options.positions, &options.events);
    let files =
        files.map(|(path, format)| InputFile::new(path, format, &options.reading)).collect::<Result<Vec<_>, _>>()?;
    let mut go_on = |path: &Path, at| {
        progress(path, at);
        ControlFlow::Continue(())
    };
    let judged = first_reading(&files, &options.limits, options.present, &mut go_on, |_| {})?;
    let judge = judged.expect("nothing ends the first reading early");
    for file in &files {
        let path = file.path();
        let name = path.display().to_string();
        let mut source = file.open(&options.limits)?;
        let mut report = FileReport::new(path, file.format());
        let mut records = 0u64;
        while let Some(record) = source.next_record()? {
            if !options.has_rule_events && matches!(record.result, Ok(Event::Rule(_))) {
                continue;
            }
            report.count(&record);
            if let Some(item) = intake.take(&name, record, |event| judge.check(event)) {
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
        report.finish(source.as_ref());
        reports.push(report);
    }
    if let Some(seed) = options.shuffle {
        permute_positions(&mut log, seed);
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
    tables.push(archive.table(materialized.marks(), &lookup));
    tables.push((&rejected_events::TABLE, rejected.iter().map(rejected_events::cells).collect()));
    let rows = tables.iter().map(|(table, rows)| (table.name, rows.len())).collect();
    Ok((tables, Summary { events, refused, elapsed, rows, files: reports }))
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

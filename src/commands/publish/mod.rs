//! Files in, streams out: what `watchtower publish` and `watchtower geofences` do.
//!
//! The events of files go to the streams of a pipeline, in Redis or in a file, in the order in which a replay reads them:
//! the features of the geofence files, the rows of the position files, the lines of the event files.
//! A position goes to the stream that its vehicle's id names, a geofence or vehicle to the control
//! stream, a clock to all of them. What one stream gets stays in order, whichever shape entries have.
//!
//! **Arrival.** A daemon judges an event by its arrival, so history needs one: `received_at` is set
//! on every event that has none, to the running maximum of the log's time, its own included. What
//! counts for that are the `ts` of positions and the `now` of clocks, but of none that is further ahead of its own
//! `received_at` than a daemon tolerates. A withdrawal arrives at its own `ts` or later, and counts for nothing else.
//! Geofences and vehicles published before anything has said what
//! time it is arrive at their `valid_from`, so that they hold from then on and nothing is raised;
//! if they name none, at the least `ts` of the files, so that they hold from there;
//! if there is none, at the time of the machine.
//!
//! **Clocks.** If the pipeline's clock is the log, clocks with that running maximum are appended to
//! every stream whenever it has gone on by a second, but not more often than every 1000 events, or,
//! when events are paced, ten times a second; and one at the end. As in a replay, the `ts` of a
//! withdrawal does not count for them.
//!
//! **Order.** The files are read twice. The first reading judges which rows cannot be from when they say, and whether
//! the order of the files would make rows too late: if so, all is delivered in order of `ts`, see [`order`].
//!
//! **What is no event.** A refused line of an event file is appended as it is, in the field `json`,
//! for the daemon to refuse and keep. What has no such shape, and what the first reading refuses, is appended with
//! the field `refused`, the reason: the daemon keeps it and does nothing else. The rest is published.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use watchtower_core::events::{Event, Limits, json};
use watchtower_inputs::{
    self as inputs, FileJudge, FileReport, InputFile, Present, Progress, Reading, SourceError, first_reading,
};
use watchtower_log::append::{AppendError, Format, LayoutError, LinkError, OpenError, Outlet, Target, Wanted};
use watchtower_log::file::LogError;

mod args;
mod arrival;
mod command;
mod order;
mod pace;
mod producer;
mod summary;

pub use args::{ClockArg, EXAMPLE, FormatArg, PublishArgs};
pub use command::run;
pub use pace::Pace;
pub use summary::counted;
pub use summary::{RecordPlace, Refused, Summary};

pub use producer::now_ms;

use order::{OrderCheck, Sorter, sort_key};
use producer::{Counts, End, Producer};

use crate::config::ConfigError;

/// Options of a publication: files, target and pace.
#[derive(Clone, Debug)]
pub struct Options {
    /// GeoJSON files of geofences, read first.
    pub geofences: Vec<PathBuf>,
    /// CSV files of positions, read next.
    pub positions: Vec<PathBuf>,
    /// NDJSON files of any events, read last.
    pub events: Vec<PathBuf>,
    /// How the files are to be read.
    pub reading: Reading,
    /// Pipeline that is appended to.
    pub target: Target,
    /// Layout of a pipeline whose daemon has not announced one.
    pub wanted: Wanted,
    /// Pace at which events are sent.
    pub pace: Pace,
    /// How an entry holds events.
    pub format: Format,
    /// The most events of an entry in the shapes that hold several.
    pub batch: u32,
    /// Limits of the pipeline's daemon.
    pub limits: Limits,
    /// Present time by which the days of the files are judged.
    pub present: Present,
}

/// Why publishing stopped, or did not begin.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The command line names no pipeline.
    #[error("no pipeline is named: give --redis URL --pipeline NAME, or --embedded FILE")]
    NoTarget,
    /// The log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Events are taken no more.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A file is not what it should be. Nothing was published yet.
    #[error(transparent)]
    Unreadable(SourceError),
    /// A file is not what it should be. What was read before is in the streams.
    #[error("publishing stopped after {published} events")]
    Source {
        /// How many events are in the streams.
        published: u64,
        /// Which file, and why.
        source: SourceError,
    },
    /// The configuration cannot be read, or is wrong.
    #[error(transparent)]
    Config(ConfigError),
    /// A temporary file for sorting cannot be written or read.
    #[error("cannot sort the events after {published} of them were published")]
    Sort {
        /// How many events are in the streams.
        published: u64,
        /// Error of the system.
        source: io::Error,
    },
    /// The summary cannot be written.
    #[error("cannot write what was done")]
    Output(#[source] io::Error),
}

impl PublishError {
    /// Whether the command was used wrongly, so that trying again as it is makes no sense.
    pub fn is_wrong_use(&self) -> bool {
        match self {
            Self::Open(OpenError::Link(LinkError::Url) | OpenError::Log(LogError::Streams { .. })) => true,
            Self::Open(OpenError::Layout(LayoutError::Streams { .. } | LayoutError::Clock { .. })) => true,
            Self::Config(_) | Self::NoTarget => true,
            Self::Open(_) | Self::Append(_) | Self::Unreadable(_) => false,
            Self::Source { .. } | Self::Sort { .. } | Self::Output(_) => false,
        }
    }
}

/// Records between two calls of `progress`, unless they come slowly.
const PROGRESS_EVERY_RECORDS: u64 = 4096;

/// When events are paced, `progress` is called this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Why reading ended early.
#[derive(Debug)]
enum ReadError {
    Source(SourceError),
    Sort(io::Error),
}

impl From<SourceError> for ReadError {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Sort(error)
    }
}

/// Result of the first reading.
#[derive(Debug)]
struct Judged {
    judge: FileJudge,
    /// Positions that would be too late in the order of the files.
    behind: u64,
}

/// Progress of reading, for the terminal.
type Watcher<'a> = dyn FnMut(&Path, Progress, u64) + 'a;

/// Publishes until all is in the streams or `stop` is set. `progress` receives, now and then, how far
/// the current file has been read, and how many records so far in all.
///
/// # Errors
/// If a file cannot be read, Redis is not there or takes no more, or the pipeline is not what
/// `options` say. A refused record is no error.
pub fn publish(options: &Options, stop: &AtomicBool, progress: &mut Watcher<'_>) -> Result<Summary, PublishError> {
    let started = Instant::now();
    let files = open_files(options).map_err(PublishError::Unreadable)?;
    let judged = judge(&files, options, stop, progress).map_err(PublishError::Unreadable)?;
    let (outlet, layout) = Outlet::open(&options.target, options.wanted)?;
    let oldest = judged.as_ref().and_then(|judged| judged.judge.oldest());
    let mut producer = Producer::new(options, layout, outlet, stop, oldest);
    let mut reports = Vec::new();
    let reordered = judged.as_ref().map_or(0, |judged| judged.behind);
    let read = match &judged {
        None => Ok(files.first().map(|file| RecordPlace::new(file.path(), file.format(), 1))),
        Some(Judged { judge, behind: 0 }) => read_all(&files, judge, &mut producer, progress, &mut reports),
        Some(Judged { judge, .. }) => read_sorted(&files, judge, &mut producer, progress, &mut reports),
    };
    // A clock event at the end of the input has no later time than its events.
    let (counts, finished) = producer.finish(read.is_ok());
    let tally = finished?;
    let published = tally.events;
    let interrupted_at = read.map_err(|error| match error {
        ReadError::Source(source) => PublishError::Source { published, source },
        ReadError::Sort(source) => PublishError::Sort { published, source },
    })?;
    let Counts { passed_on, clocks, behind_horizon, refused } = counts;
    Ok(Summary {
        published,
        passed_on,
        entries: tally.entries,
        clocks,
        behind_horizon,
        reordered,
        horizon_ms: options.limits.horizon_ms,
        refused,
        layout,
        interrupted_at,
        files: reports,
        elapsed: started.elapsed(),
    })
}

/// A missing file is reported before anything is published. A pipe is read to its end.
fn open_files(options: &Options) -> Result<Vec<InputFile>, SourceError> {
    let files = inputs::in_order(&options.geofences, &options.positions, &options.events);
    for (path, _) in files {
        let readable = std::fs::metadata(path).and_then(|file| match file.is_file() {
            true => std::fs::File::open(path).map(drop),
            false => Ok(()),
        });
        readable.map_err(|source| SourceError::Open { path: path.to_owned(), source })?;
    }
    let files = inputs::in_order(&options.geofences, &options.positions, &options.events);
    files.map(|(path, format)| InputFile::new(path, format, &options.reading)).collect()
}

/// Reads the files for the first time; nothing if it was interrupted.
fn judge(
    files: &[InputFile],
    options: &Options,
    stop: &AtomicBool,
    progress: &mut Watcher<'_>,
) -> Result<Option<Judged>, SourceError> {
    let limits = &options.limits;
    let mut go_on = |path: &Path, at| {
        progress(path, at, 0);
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut order = OrderCheck::new(limits);
    let Some(judge) = first_reading(files, limits, options.present, &mut go_on, |event| order.observe(event))? else {
        return Ok(None);
    };
    if order.behind() > 0 && judge.has_isolated() {
        // Behind rows that are refused themselves?
        order = OrderCheck::new(limits);
        let observe = |event: &Event<'_>| {
            if judge.check(event).is_ok() {
                order.observe(event);
            }
        };
        if first_reading(files, limits, options.present, &mut go_on, observe)?.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(Judged { judge, behind: order.behind() }))
}

/// Publishes the files in their own order to the end, or up to the record that is returned.
fn read_all(
    files: &[InputFile],
    judge: &FileJudge,
    producer: &mut Producer<'_>,
    progress: &mut Watcher<'_>,
    reports: &mut Vec<FileReport>,
) -> Result<Option<RecordPlace>, ReadError> {
    let (mut records, mut told) = (0u64, Instant::now());
    for file in files {
        let (path, format) = (file.path(), file.format());
        let mut source = file.open(producer.limits())?;
        let mut report = FileReport::new(path, format);
        while let Some(mut record) = source.next_record()? {
            let position = record.position;
            let is_event = record.result.is_ok();
            record.result = record.result.and_then(|event| judge.check(&event).map(|()| event));
            report.count(&record);
            match producer.take(path, format, record, is_event) {
                ControlFlow::Continue(()) => records += 1,
                ControlFlow::Break(End::Interrupted) => return Ok(Some(RecordPlace::new(path, format, position))),
                ControlFlow::Break(End::Broken) => return Ok(None),
            }
            let slow = producer.is_paced() && told.elapsed() >= PROGRESS_EVERY;
            if slow || records.is_multiple_of(PROGRESS_EVERY_RECORDS) {
                told = Instant::now();
                progress(path, source.progress(), records);
            }
        }
        progress(path, source.progress(), records);
        report.finish(source.as_ref());
        reports.push(report);
    }
    Ok(None)
}

/// Publishes the events of all files in order of their times, or up to the record that is returned. What is refused is
/// appended first.
fn read_sorted(
    files: &[InputFile],
    judge: &FileJudge,
    producer: &mut Producer<'_>,
    progress: &mut Watcher<'_>,
    reports: &mut Vec<FileReport>,
) -> Result<Option<RecordPlace>, ReadError> {
    let (mut sorter, mut records) = (Sorter::new(), 0u64);
    for (index, file) in files.iter().enumerate() {
        let (path, format) = (file.path(), file.format());
        let mut source = file.open(producer.limits())?;
        let mut report = FileReport::new(path, format);
        while let Some(mut record) = source.next_record()? {
            let position = record.position;
            let is_event = record.result.is_ok();
            record.result = record.result.and_then(|event| judge.check(&event).map(|()| event));
            report.count(&record);
            if let Ok(event) = &record.result {
                sorter.push(sort_key(event), format!("{index} {position} {}", json::encode(event)))?;
                continue;
            }
            match producer.take(path, format, record, is_event) {
                ControlFlow::Continue(()) => records += 1,
                ControlFlow::Break(End::Interrupted) => return Ok(Some(RecordPlace::new(path, format, position))),
                ControlFlow::Break(End::Broken) => return Ok(None),
            }
        }
        progress(path, source.progress(), records);
        report.finish(source.as_ref());
        reports.push(report);
    }
    let mut sorted = sorter.finish()?;
    while let Some(line) = sorted.next()? {
        let (file, position, text) = sorted_line(&line).ok_or_else(|| io::Error::other("a sorted line is broken"))?;
        let event = json::decode(text.as_bytes(), &Limits { max_entry_bytes: usize::MAX, ..producer.limits().clone() });
        let event = event.map_err(|rejection| io::Error::other(rejection.to_string()))?;
        match producer.publish(event) {
            ControlFlow::Continue(()) => {}
            ControlFlow::Break(End::Interrupted) => {
                return Ok(files.get(file).map(|file| RecordPlace::new(file.path(), file.format(), position)));
            }
            ControlFlow::Break(End::Broken) => return Ok(None),
        }
    }
    Ok(None)
}

/// The number of the file, the place in it, and the event.
fn sorted_line(line: &str) -> Option<(usize, u64, &str)> {
    let (file, rest) = line.split_once(' ')?;
    let (position, text) = rest.split_once(' ')?;
    Some((file.parse().ok()?, position.parse().ok()?, text))
}

//! Files in, streams out: what `watchtower publish` and `watchtower geofences` do.
//!
//! The events of files go to the streams of a pipeline, in Redis or in a file, in the order in which a replay reads them:
//! the features of the geofence files, the rows of the position files, the lines of the event files.
//! A position goes to the stream that its vehicle's id names, a geofence or vehicle to the control
//! stream, a clock to all of them. What one stream gets stays in order, whichever shape entries have.
//!
//! **Arrival.** A daemon judges an event by its arrival, so history needs one: `received_at` is set
//! on every event that has none, to the running maximum of the log's time, its own included. What
//! counts for that are the `ts` of positions, the `now` of clocks, and the `received_at` of events
//! that have one; those keep it. An event further ahead of its own `received_at` than a daemon
//! tolerates counts by that alone. Geofences and vehicles published before anything has said what
//! time it is arrive at their `valid_from`, so that they hold from then on and nothing is raised;
//! if they name none, at the `ts` of the first position of the files, so that they hold from there;
//! if there is none, at the time of the machine.
//!
//! So one position from the far future makes everything after it look old, as it would have when
//! it happened: a daemon refuses what is farther behind than its horizon. It is counted and told.
//!
//! **Clocks.** If the pipeline's clock is the log, clocks with that running maximum are appended to
//! every stream whenever it has gone on by a second, but not more often than every 1000 events, or,
//! when events are paced, ten times a second; and one at the end. As in a replay, the `ts` of a
//! withdrawal does not count for them.
//!
//! **What is no event.** A refused line of an event file is appended as it is, in the field `json`,
//! for the daemon to refuse and keep. Refused rows and features have no such shape: they are counted
//! and told, and the rest is published.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use watchtower_inputs::{self as inputs, FileReport, Progress, Reading, SourceError};
use watchtower_log::append::{AppendError, Format, LayoutError, LinkError, OpenError, Outlet, Target, Wanted};
use watchtower_log::file::LogError;

mod args;
mod arrival;
mod command;
mod pace;
mod producer;
mod summary;

pub use args::{ClockArg, EXAMPLE, FormatArg, PublishArgs};
pub use command::run;
pub use pace::Pace;
pub use summary::counted;
pub use summary::{RecordPlace, Refused, Summary};

pub use producer::now_ms;

use producer::{Counts, End, Producer};

/// What to publish, where, and how.
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
    /// Where to.
    pub target: Target,
    /// What the pipeline should look like; its daemon knows better.
    pub wanted: Wanted,
    /// How fast.
    pub pace: Pace,
    /// How an entry holds events.
    pub format: Format,
    /// The most events of an entry in the shapes that hold several.
    pub batch: u32,
}

/// Why publishing stopped, or did not begin.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
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
    /// The result could not be told.
    #[error("cannot write what was done")]
    Output(#[source] io::Error),
}

impl PublishError {
    /// Whether the command was used wrongly, so that trying again as it is makes no sense.
    pub fn is_wrong_use(&self) -> bool {
        match self {
            Self::Open(OpenError::Link(LinkError::Url) | OpenError::Log(LogError::Streams { .. })) => true,
            Self::Open(OpenError::Layout(LayoutError::Streams { .. } | LayoutError::Clock { .. })) => true,
            Self::Open(_) | Self::Append(_) | Self::Unreadable(_) | Self::Source { .. } | Self::Output(_) => false,
        }
    }
}

/// Records between two calls of `progress`, unless they come slowly.
const PROGRESS_EVERY_RECORDS: u64 = 4096;

/// When events are paced, `progress` is called this often.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Publishes until all is in the streams or `stop` is set. `progress` hears, now and then, how far
/// the current file has been read, and how many records so far in all.
///
/// # Errors
/// If a file cannot be read, Redis is not there or takes no more, or the pipeline is not what
/// `options` say. A refused record is no error.
pub fn publish(
    options: &Options,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(&Path, Progress, u64),
) -> Result<Summary, PublishError> {
    let started = Instant::now();
    check_files(options)?;
    let (outlet, layout) = Outlet::open(&options.target, options.wanted)?;
    let mut producer = Producer::new(options, layout, outlet, stop);
    let mut files = Vec::new();
    let read = read_all(options, &mut producer, progress, &mut files);
    // A clock at the end of what was read says no more than its events did.
    let (counts, finished) = producer.finish(read.is_ok());
    let tally = finished?;
    let interrupted_at = read.map_err(|source| PublishError::Source { published: tally.events, source })?;
    let Counts { passed_on, clocks, behind_horizon, refused } = counts;
    Ok(Summary {
        published: tally.events,
        passed_on,
        entries: tally.entries,
        clocks,
        behind_horizon,
        refused,
        layout,
        interrupted_at,
        files,
        elapsed: started.elapsed(),
    })
}

/// Reads the files to their end, or up to the record that is returned.
fn read_all(
    options: &Options,
    producer: &mut Producer<'_>,
    progress: &mut dyn FnMut(&Path, Progress, u64),
    files: &mut Vec<FileReport>,
) -> Result<Option<RecordPlace>, SourceError> {
    let (mut records, mut told) = (0u64, Instant::now());
    for (path, format) in inputs::in_order(&options.geofences, &options.positions, &options.events) {
        let mut source = inputs::open_with(path, format, &options.reading, producer.limits())?;
        let mut report = FileReport::new(path, format);
        while let Some(record) = source.next_record()? {
            let position = record.position;
            report.count(&record);
            match producer.take(path, format, record)? {
                ControlFlow::Continue(()) => records += 1,
                ControlFlow::Break(End::Interrupted) => return Ok(Some(RecordPlace::new(path, format, position))),
                ControlFlow::Break(End::Broken) => return Ok(None),
            }
            let slow = options.pace != Pace::Unpaced && told.elapsed() >= PROGRESS_EVERY;
            if slow || records.is_multiple_of(PROGRESS_EVERY_RECORDS) {
                told = Instant::now();
                progress(path, source.progress(), records);
            }
        }
        progress(path, source.progress(), records);
        report.finish(source.as_ref());
        files.push(report);
    }
    Ok(None)
}

/// A file that is missing is told before anything is published. Pipes are not touched.
fn check_files(options: &Options) -> Result<(), PublishError> {
    for (path, _) in inputs::in_order(&options.geofences, &options.positions, &options.events) {
        let readable = std::fs::metadata(path).and_then(|file| match file.is_file() {
            true => std::fs::File::open(path).map(drop),
            false => Ok(()),
        });
        readable.map_err(|source| PublishError::Unreadable(SourceError::Open { path: path.to_owned(), source }))?;
    }
    Ok(())
}

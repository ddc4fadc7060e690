//! A daemon whose log and tables are in one file.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, info};

use super::committer::Committed;
use super::core::{Core, Ends};
use super::file_reader::FileReader;
use super::saving::Trimmer;
use super::{DaemonError, Running};
use crate::Options;
use crate::checkpoint::Shelf;
use crate::telemetry::health::Health;
use crate::telemetry::metrics;
use watchtower_core::Cursor;
use watchtower_core::crash;
use watchtower_core::plan;
use watchtower_geopackage::{GeoPackage, Lease};
use watchtower_log::ClockSource;
use watchtower_log::file::{Appender, LogError, Reader, stream_names};
use watchtower_store::geopackage::{EmbeddedError, claim, commit, lagging};
use watchtower_store::{Claim, LaggingWriter, Writer};

/// The log hears what time it is this often.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// The lag is told this often.
const LAG_EVERY: Duration = Duration::from_secs(2);
/// How often whoever has taken over looks whether its predecessor is gone.
const LEASE_EVERY: Duration = Duration::from_millis(500);

/// What such a daemon runs for.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Where the tables go.
    pub(super) tables: GeoPackage,
    /// Where the log is: in the same file, unless tables are computed anew beside.
    pub(super) log: GeoPackage,
    /// Whether a daemon that still runs is to be fenced.
    pub(super) takeover: bool,
}

impl Job {
    /// Whether it keeps the tables of its own log.
    fn is_public(&self) -> bool {
        self.tables == self.log
    }
}

/// Refuses a file that another daemon writes, unless that one is to be fenced: before anything else is begun.
pub(super) fn refuse_occupied(job: &Job) -> Result<(), EmbeddedError> {
    if job.takeover || !job.tables.path().exists() || Lease::take(&job.tables)?.is_some() {
        return Ok(());
    }
    Err(occupied(&job.tables)?)
}

/// The refusal of a file that another daemon writes.
fn occupied(file: &GeoPackage) -> Result<EmbeddedError, EmbeddedError> {
    let owner = claim::owner(file, &file.connect_to_read()?)?;
    let owner = owner.map_or_else(|| "another process".to_owned(), |owner| owner.name);
    Ok(EmbeddedError::Occupied { path: file.path().to_owned(), owner })
}

/// Claims the file and starts everything.
pub(super) async fn start(options: &Options, job: Job, health: &Health) -> Result<Running, DaemonError> {
    let plan = plan::of(&options.limits, &options.rules);
    let Opened { lease, log, writer, claim, lagging } = tokio::task::block_in_place(|| open(options, &job, &plan))?;
    let layout = log.layout();
    let clock = options.embedded.clock.or(layout.clock).unwrap_or(ClockSource::Wall);
    let keys = stream_names(layout.streams);
    let stored = keys.iter().map(|key| match claim.cursors.iter().find(|cursor| cursor.stream == *key) {
        Some(cursor) => cursor.clone(),
        None => Cursor::start(key, 0),
    });
    let ends = Ends {
        stored: stored.collect(),
        keys,
        clock,
        plan,
        shelf: Shelf::Inside(job.tables.clone()),
        writer: Writer::Embedded(writer),
        lagging: LaggingWriter::Embedded(lagging),
        trimmer: Trimmer::File { file: job.log.clone(), keep: options.embedded.log_keep.filter(|_| job.is_public()) },
        claim,
    };
    let mut core = Core::start(options, ends, health).await?;
    let reader = FileReader {
        log: job.log.clone(),
        known: core.known.clone(),
        stored: core.stored.clone(),
        input: core.input.clone(),
        budget: core.budget.clone(),
        health: health.clone(),
    };
    let reader = core.parts.spawn(reader.run());
    core.guard = Some(tokio::spawn(hold(lease, job.tables.clone())));
    core.side.push(tokio::spawn(tell_the_lag(job.log.clone(), core.committed.clone())));
    if job.is_public() && clock == ClockSource::Wall {
        core.side.push(tokio::spawn(tell_the_time(log)));
    }
    Ok(core.running(reader))
}

/// What a daemon has in hand once the file is its own.
struct Opened {
    lease: Option<Lease>,
    log: Appender,
    writer: commit::Writer,
    claim: Claim,
    lagging: lagging::LaggingWriter,
}

/// Makes the file if it is missing, and takes over.
fn open(options: &Options, job: &Job, plan: &str) -> Result<Opened, DaemonError> {
    let file = &job.tables;
    let mut log = Appender::open(&job.log, options.embedded.streams)?;
    let mut connection = file.connect_or_create().map_err(EmbeddedError::from)?;
    let lease = Lease::take(file).map_err(EmbeddedError::from)?;
    if lease.is_none() && !job.takeover {
        return Err(occupied(file)?.into());
    }
    let claim = claim::claim(file, &mut connection, plan)?;
    crash::point("after-claim");
    let layout = log.layout();
    let clock = options.embedded.clock.or(layout.clock).unwrap_or(ClockSource::Wall);
    if job.is_public() {
        log.set_clock(clock)?;
    }
    info!(
        file = %file.path().display(),
        streams = layout.streams,
        clock = if clock == ClockSource::Wall { "wall" } else { "log" },
        term = claim.term,
        commit_seq = claim.commit_seq,
        "opened the file"
    );
    let lagging = lagging::LaggingWriter::new(file, &claim)?;
    let writer = commit::Writer::new(file.clone(), connection, &claim);
    Ok(Opened { lease, log, writer, claim, lagging })
}

/// Holds the lease until this is aborted; one who has taken over gets it when its predecessor has ended.
async fn hold(mut lease: Option<Lease>, file: GeoPackage) {
    loop {
        if lease.is_none() {
            lease = Lease::take(&file).ok().flatten();
        }
        sleep(LEASE_EVERY).await;
    }
}

/// Appends the machine's time to every stream, for ever.
async fn tell_the_time(mut log: Appender) {
    let mut ticks = interval(TICK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = tokio::task::block_in_place(|| log.tick()) {
            debug!(%error, "the time could not be told");
        }
    }
}

/// Says how far the tables are behind the log, for ever.
async fn tell_the_lag(log: GeoPackage, committed: watch::Receiver<Committed>) {
    let mut ticks = interval(LAG_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = tokio::task::block_in_place(|| lag(&log, &committed.borrow())) {
            debug!(%error, "the lag could not be told");
        }
    }
}

fn lag(log: &GeoPackage, committed: &Committed) -> Result<(), LogError> {
    let now = jiff::Timestamp::now().as_millisecond();
    for end in Reader::open(log)?.ends()? {
        let cursor = committed.iter().find(|cursor| cursor.stream == end.name);
        let behind = end.entries - cursor.map_or(0, |cursor| cursor.position.entries);
        let since = if behind == 0 { 0 } else { now.saturating_sub(end.last.instant()).max(0) };
        metrics::set_lag(&end.name, Duration::from_millis(since.unsigned_abs()), behind);
    }
    Ok(())
}

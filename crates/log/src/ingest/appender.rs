//! The thread that appends groups of requests.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use watchtower_core::events::{Event, Raw, stream_of};

use super::submission::{Delivery, Entry, Outcome, Submission};
use super::{EVENTS_PER_ENTRY, IngestError};
use crate::append::{Batches, Chunk, Format, Layout, OpenError, Outlet, PipelineName, Place, Target, Wanted};
use crate::redis::{self, Server};
use crate::{ClockSource, Options};

/// Requests of one append.
const MAX_GROUP: usize = 512;
/// An append of more events takes no further request.
const MAX_GROUP_EVENTS: usize = 16_384;
/// After this time without an append the connection is tried before it is used: the server may have closed it.
const IDLE: Duration = Duration::from_secs(1);

/// Appends groups of requests to the log; reconnects after a failure.
pub(super) struct Appender {
    log: Options,
    open: Option<OpenLog>,
}

/// A connection to the log.
struct OpenLog {
    outlet: Outlet,
    layout: Layout,
    target: Target,
    opened: Instant,
    used: Instant,
}

impl Appender {
    /// Without a connection.
    pub(super) fn new(log: Options) -> Self {
        Self { log, open: None }
    }

    /// Appends until all handles are dropped.
    pub(super) fn run(mut self, mut waiting: mpsc::Receiver<Submission>) {
        while let Some(first) = waiting.blocking_recv() {
            let mut events = first.entries.len();
            let mut group = vec![first];
            while group.len() < MAX_GROUP
                && events < MAX_GROUP_EVENTS
                && let Ok(next) = waiting.try_recv()
            {
                events += next.entries.len();
                group.push(next);
            }
            self.append(group);
        }
    }

    /// Appends a group and sends each outcome. A receiver that was dropped has timed out.
    fn append(&mut self, group: Vec<Submission>) {
        let outcomes = self.open().and_then(|log| log.append(&group));
        match outcomes {
            Ok(outcomes) => {
                for (submission, outcome) in group.into_iter().zip(outcomes) {
                    let _ = submission.done.send(Ok(outcome));
                }
            }
            Err(fault) => {
                self.open = None;
                for submission in group {
                    let _ = submission.done.send(Err(IngestError::Refused(fault.clone())));
                }
            }
        }
    }

    /// The connection; a new one if there is none or the old one does not answer.
    fn open(&mut self) -> Result<&mut OpenLog, String> {
        let usable = match &mut self.open {
            // A daemon may announce another layout any moment.
            Some(log) if !log.layout.by_daemon => log.opened.elapsed() < IDLE,
            Some(log) => log.used.elapsed() < IDLE || log.outlet.answers(),
            None => false,
        };
        if !usable {
            self.open = None;
            self.open = Some(OpenLog::open(&self.log).map_err(|error| text(&error))?);
        }
        Ok(self.open.as_mut().expect("it was opened above"))
    }
}

/// The text of an error and of its causes.
fn text(error: &OpenError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl OpenLog {
    fn open(log: &Options) -> Result<Self, OpenError> {
        let (outlet, layout, target) = match log {
            Options::Redis { redis, pipeline, .. } => open_redis(redis, pipeline)?,
            Options::File { file, streams, .. } => {
                let appender = crate::file::Appender::open(file, *streams)?;
                let known = appender.layout();
                // Who appends clocks is fixed by the first daemon or publisher; until then it will be the daemon.
                let clock = known.clock.unwrap_or(ClockSource::Wall);
                let layout = Layout { streams: known.streams, clock, by_daemon: known.clock.is_some() };
                (Outlet::Embedded(appender), layout, Target::Embedded(file.clone()))
            }
        };
        let now = Instant::now();
        Ok(Self { outlet, layout, target, opened: now, used: now })
    }

    /// Appends the entries of a group in one transaction. Returns an outcome for each.
    fn append(&mut self, group: &[Submission]) -> Result<Vec<Outcome>, String> {
        let keys: Vec<Option<String>> = group.iter().map(|one| one.delivery.as_ref().map(key)).collect();
        let asked: Vec<&str> = keys.iter().flatten().map(String::as_str).collect();
        let prefix = self.prefix();
        let remembered = self.outlet.remembered(&prefix, &asked);
        let mut known: HashSet<String> = remembered.map_err(|fault| fault.to_string())?;
        let mut chunk = self.outlet.empty_chunk();
        let mut batches = Batches::new(self.target.keys(self.layout.streams), Format::Bin, EVENTS_PER_ENTRY);
        let (mut outcomes, mut new) = (Vec::with_capacity(group.len()), Vec::new());
        for (Submission { entries, delivery, .. }, key) in group.iter().zip(keys) {
            if key.as_ref().is_some_and(|key| known.contains(key)) {
                outcomes.push(Outcome::Repeated);
                continue;
            }
            let clock = |entry: &Entry| matches!(entry, Entry::Event(Event::Clock(_)));
            if self.layout.clock == ClockSource::Wall && entries.iter().any(clock) {
                outcomes.push(Outcome::ClockOfDaemon);
                continue;
            }
            entries.iter().for_each(|entry| self.push(entry, &mut batches, &mut chunk));
            if let (Some(key), Some(Delivery { keep, .. })) = (key, delivery) {
                known.insert(key.clone());
                new.push((key, *keep));
            }
            outcomes.push(Outcome::Appended);
        }
        batches.places().for_each(|place| batches.flush(place, &mut chunk));
        if !chunk.is_empty() || !new.is_empty() {
            self.outlet.append_whole(&chunk, &prefix, &new).map_err(|fault| fault.to_string())?;
        }
        self.used = Instant::now();
        Ok(outcomes)
    }

    fn push(&self, entry: &Entry, batches: &mut Batches, chunk: &mut Chunk) {
        let positions = |id: &str| Place::Positions(stream_of(id, self.layout.streams));
        match entry {
            Entry::Event(event @ Event::Position(report)) => {
                batches.push(positions(&report.vehicle_id), event, true, chunk);
            }
            Entry::Event(event @ (Event::Geofence(_) | Event::Vehicle(_) | Event::Rule(_))) => {
                batches.push(Place::Control, event, true, chunk);
            }
            Entry::Event(event @ Event::Clock(_)) => {
                batches.places().for_each(|place| batches.push(place, event, false, chunk));
            }
            Entry::Refused { rejection, bytes, vehicle_id } => {
                let place = vehicle_id.as_deref().map_or(Place::Control, positions);
                batches.refuse(place, rejection, &Raw::complete(bytes), chunk);
            }
        }
    }

    /// What the keys of deliveries begin with in Redis; the file has a table of its own.
    fn prefix(&self) -> String {
        match &self.target {
            Target::Redis { pipeline, .. } => pipeline.delivery_prefix(),
            Target::Embedded(_) => String::new(),
        }
    }
}

fn open_redis(options: &redis::Options, pipeline: &str) -> Result<(Outlet, Layout, Target), OpenError> {
    let pipeline = PipelineName::parse(pipeline).expect("the configuration refuses other names");
    let target = Target::Redis { url: options.url.clone(), pipeline };
    let server = Server::new(options).map_err(OpenError::Server)?;
    let wanted = Wanted { streams: Some(options.streams), clock: None };
    let (outlet, layout) = Outlet::open_on(&server, &target, wanted)?;
    Ok((outlet, layout, target))
}

/// The key of a delivery: 64 hexadecimal digits, whatever its identifier holds.
fn key(Delivery { source, id, .. }: &Delivery) -> String {
    let digest = Sha256::new().chain_update(source).chain_update([0]).chain_update(id).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

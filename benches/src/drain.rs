//! `bench drain`: the daemon turns a backlog in Redis into rows in PostGIS.
//!
//! The daemon runs, knows all vehicles and geofences, and is frozen while the backlog is appended. Measured is the time
//! from its continuation until another session has seen the commit with the last entry.
//!
//! Two baselines are measured in the same turns: reading the same entries without decoding them; and writing the same
//! rows from change sets in memory, without Redis and engine.

use std::time::Instant;

use super::engine::realistic_workload;
use super::loader::{Loader, Shape};
use super::measure::{Sample, Samples, Scope, Timer, median};
use super::observer::Observer;
use super::report::{Measure, Outcome, Report};
use super::stage::{Pipeline, Servers, ServersCpu, Setup, Urls};
use super::workload::Workload;
use super::{BenchError, Context};
use watchtower_core::Commit;
use watchtower_core::EntryId;
use watchtower_daemon as daemon;
use watchtower_engine::Flow;
use watchtower_engine::flow::{ClosedEpoch, Settings};
use watchtower_log::redis::{Reader, Reply, Server, stream_keys};
use watchtower_store::postgres::claim;
use watchtower_store::postgres::commit::Writer;
use watchtower_store::postgres::{Database, schema};

/// Parameters of the measurement.
#[derive(Clone, Debug)]
pub struct Options {
    /// Formats of entries.
    pub shapes: Vec<Shape>,
    /// Setup of the daemon.
    pub setup: Setup,
    /// Servers to use instead of starting some.
    pub urls: Urls,
}

/// Name of the baseline that only reads entries.
const RAW: &str = "xread";
/// Name of the baseline that only writes rows.
const PREPARED: &str = "prepared-rows";

/// Number of epochs that the daemon commits together when PostgreSQL is the bottleneck.
const EPOCHS_PER_COMMIT: usize = 8;

/// Results of one format, with or without the archive.
#[derive(Default)]
struct Turns {
    drain: Samples,
    raw: Samples,
    prepared: Samples,
    servers: Vec<ServersCpu>,
}

/// Runs the benchmark.
///
/// # Errors
/// If servers or the daemon fail, or Ctrl-C was pressed.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    context.step(|| "starting Redis and PostgreSQL".to_owned())?;
    let servers = Servers::start(&options.urls)?;
    context.step(|| "making a backlog".to_owned())?;
    let mut workload = realistic_workload(context);
    workload.end_now();
    for &shape in &options.shapes {
        for archive in [false, true] {
            let name = format!(
                "{}/{}/archive={}",
                options.setup.views.name(),
                shape.name(),
                if archive { "on" } else { "off" }
            );
            let mut turns = Turns::default();
            for turn in 1..=context.settings.turns() {
                context.step(|| format!("{name}, turn {turn}"))?;
                let setup = Setup { archive, ..options.setup };
                turns.measure(&servers, &workload, shape, setup, context)?;
            }
            turns.report(&name, workload.measured(), report);
        }
    }
    Ok(())
}

impl Turns {
    fn measure(
        &mut self,
        servers: &Servers,
        workload: &Workload,
        shape: Shape,
        setup: Setup,
        context: &mut Context<'_>,
    ) -> Result<(), BenchError> {
        let pipeline = Pipeline::new(servers, "drain", setup)?;
        let daemon = pipeline.start_ready(context)?;
        let observer = Observer::start(&pipeline)?;
        let mut loader = Loader::connect(&pipeline, shape, workload.vehicles)?;
        let (warm, measured) = workload.events.split_at(workload.warm);
        loader.geofences(&workload.geofences, workload.begins())?;
        warm.iter().try_for_each(|event| loader.position(event))?;
        loader.flush()?;
        let warm = loader.last();
        observer.wait_for(warm, context)?;
        daemon.freeze(true)?;
        for events in measured.chunks(100_000) {
            context.check()?;
            events.iter().try_for_each(|event| loader.position(event))?;
        }
        loader.flush()?;
        let (cpu_s, servers_cpu) = (daemon.cpu_s(), servers.cpu());
        let started = Instant::now();
        daemon.freeze(false)?;
        let seen = observer.wait_for(loader.last(), context)?;
        let wall_s = seen.at.saturating_duration_since(started).as_secs_f64();
        self.drain.push(Sample { wall_s, cpu_s: daemon.cpu_s() - cpu_s });
        self.servers.push(servers.cpu().since(servers_cpu));
        drop(daemon);
        let config = pipeline.load()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (replies, raw) = runtime.block_on(read_all(&config, warm, loader.last()))?;
        self.raw.push(raw);
        context.check()?;
        let prepared = Prepared::compute(&config, &replies)?;
        context.check()?;
        self.prepared.push(runtime.block_on(prepared.write(&config))?);
        Ok(())
    }

    fn report(&self, name: &str, events: usize, report: &mut Report) {
        let server = |part: fn(&ServersCpu) -> Option<f64>| {
            let seconds: Option<Vec<f64>> = self.servers.iter().map(part).collect();
            seconds.map(|seconds| median(seconds.into_iter()))
        };
        let mut outcome = Outcome::new(name).timed(&self.drain, events).with(Measure::EngineCpuS, self.drain.cpu_s());
        if let Some(seconds) = server(|cpu| cpu.redis_s) {
            outcome = outcome.with(Measure::RedisCpuS, seconds);
        }
        if let Some(seconds) = server(|cpu| cpu.postgres_s) {
            outcome = outcome.with(Measure::PostgresCpuS, seconds);
        }
        report.results.push(outcome.as_fast_as(PREPARED, &self.drain, &self.prepared));
        report.results.push(Outcome::new(format!("{name}/{PREPARED}")).timed(&self.prepared, events));
        report.results.push(Outcome::new(format!("{name}/{RAW}")).timed(&self.raw, events));
    }
}

/// Entries as Redis sent them, with the index of their stream.
struct Replies {
    /// The control stream, then the streams of the vehicles' first positions.
    first: Vec<(usize, Reply)>,
    /// The entries whose processing is measured.
    backlog: Vec<(usize, Reply)>,
}

/// Reads all entries of the pipeline; the sample is the reading of the backlog.
async fn read_all(config: &daemon::Options, warm: EntryId, until: EntryId) -> Result<(Replies, Sample), BenchError> {
    let keys = stream_keys(&config.pipeline, 1);
    let mut reader = Reader::connect(&Server::new(&config.redis)?).await?;
    let mut first = read(&mut reader, &keys, 1, EntryId::ZERO, EntryId::MAX).await?;
    first.extend(read(&mut reader, &keys, 0, EntryId::ZERO, warm).await?);
    let timer = Timer::start(Scope::Process);
    let backlog = read(&mut reader, &keys, 0, warm, until).await?;
    Ok((Replies { first, backlog }, timer.stop()))
}

/// Reads one stream after the entry `after`, up to the reply that has the entry `until`, or to the end.
pub(super) async fn read(
    reader: &mut Reader,
    keys: &[String],
    stream: usize,
    mut after: EntryId,
    until: EntryId,
) -> Result<Vec<(usize, Reply)>, BenchError> {
    let mut replies = Vec::new();
    while after < until {
        let reply = reader.range(keys, stream, after, until).await?;
        let (mut last, mut fields) = (None, Vec::new());
        let mut entries = reply.entries(keys)?;
        while let Some((_, id)) = entries.next(&mut fields)? {
            last = Some(id);
        }
        let Some(last) = last else { break };
        after = last;
        replies.push((stream, reply));
    }
    Ok(replies)
}

/// The rows that the daemon writes, computed before the measurement.
struct Prepared {
    first: Vec<Commit>,
    backlog: Vec<Commit>,
}

impl Prepared {
    fn compute(config: &daemon::Options, replies: &Replies) -> Result<Self, BenchError> {
        let keys = stream_keys(&config.pipeline, 1);
        let settings = Settings {
            keys: keys.clone(),
            limits: config.limits.clone(),
            rules: config.rules.clone(),
            workers: usize::from(config.engine.workers),
            archive: config.store.archive,
            rejected_keep_ms: config.store.rejected_keep.as_millis() as i64,
        };
        let mut flow = Flow::start(settings, &[0, 0], false);
        let first = commits(&mut flow, &keys, &replies.first)?;
        let backlog = commits(&mut flow, &keys, &replies.backlog)?;
        Ok(Self { first, backlog })
    }

    /// Writes them into tables of its own.
    async fn write(&self, config: &daemon::Options) -> Result<Sample, BenchError> {
        let store = watchtower_store::postgres::Options {
            schema: format!("{}_prepared", config.store.schema),
            ..config.store.clone()
        };
        let database = Database::new(&config.pipeline, &store)?;
        let mut client = database.connect().await?;
        schema::migrate(&mut client, &database, None).await?;
        let claim = claim::claim(&mut client, &database, 1, "bench", store.archive).await?;
        let mut writer = Writer::new(database, client, &claim);
        for commit in &self.first {
            writer.commit(commit).await?;
        }
        let timer = Timer::start(Scope::Process);
        for commit in &self.backlog {
            writer.commit(commit).await?;
        }
        Ok(timer.stop())
    }
}

/// The changes that the entries cause, in commits as large as the daemon's.
fn commits(flow: &mut Flow<()>, keys: &[String], replies: &[(usize, Reply)]) -> Result<Vec<Commit>, BenchError> {
    let mut commits = Vec::new();
    for (_, reply) in replies {
        let mut fields = Vec::new();
        let mut entries = reply.entries(keys)?;
        while let Some((stream, id)) = entries.next(&mut fields)? {
            let full = flow.take(stream, id, &fields).map_err(|error| BenchError::Setup(error.to_string()))?;
            if full {
                flow.close_epoch(None);
            }
            while flow.is_full() {
                commits.extend(flow.wait().map(|ClosedEpoch { commit, .. }| commit));
            }
        }
    }
    flow.close_epoch(None);
    while let Some(ClosedEpoch { commit, .. }) = flow.wait() {
        commits.push(commit);
    }
    let mut joined: Vec<Commit> = Vec::new();
    for (index, commit) in commits.into_iter().enumerate() {
        match joined.last_mut().filter(|_| !index.is_multiple_of(EPOCHS_PER_COMMIT)) {
            Some(last) => join(last, commit),
            None => joined.push(commit),
        }
    }
    Ok(joined)
}

/// Appends a later commit to an earlier one.
fn join(earlier: &mut Commit, later: Commit) {
    let Commit { changes, alerts, archive, edits, cursors, now, events, expired, note } = later;
    earlier.changes.then(changes);
    earlier.alerts.then(alerts);
    earlier.archive.extend(archive);
    earlier.edits.extend(edits);
    (earlier.cursors, earlier.now) = (cursors, now);
    earlier.events += events;
    earlier.expired.extend(expired);
    earlier.note = note.or(earlier.note.take());
}

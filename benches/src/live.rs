//! `bench live`: events come at a fixed rate, whether the daemon keeps up or not.
//!
//! Each event is due at an instant that depends on the rate alone, and its latency counts from then: a delay of the
//! producer, by a slow Redis or a busy processor, does not shorten it. It ends when another session sees the commit
//! that has the event. Events due at the same time are appended together, so that no entry waits for a later event.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use watchtower_model::{Millis, PositionEvent};

use super::engine::realistic_workload;
use super::loader::{Loader, Shape};
use super::observer::{ObservedCommit, Observer};
use super::report::{Latencies, Measure, Outcome, Report};
use super::stage::{Pipeline, Servers, Setup, Urls};
use super::workload::{Workload, now_ms};
use super::{BenchError, Context};
use watchtower_core::EntryId;

/// Parameters of the measurement.
#[derive(Clone, Debug)]
pub struct Options {
    /// Events per second, one measurement for each.
    pub rates: Vec<f64>,
    /// Duration of the measurement after the warm-up, seconds.
    pub seconds: u64,
    /// Format of entries.
    pub shape: Shape,
    /// Setup of the daemon.
    pub setup: Setup,
    /// Servers to use instead of starting some.
    pub urls: Urls,
}

/// Events due in this time at the beginning are not measured.
const WARM_UP: Duration = Duration::from_secs(3);
/// Clock events come every second, and entries without other events are committed within another.
const CLOCK_GOES_ON_MS: u64 = 2_000;
/// Events due within this time are appended together.
const TICK: Duration = Duration::from_millis(1);
/// Limit of events per append, so that a large append does not delay those after it.
const MAX_TOGETHER: u64 = 8192;

/// Runs the benchmark.
///
/// # Errors
/// If servers or the daemon fail, or Ctrl-C was pressed.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    context.step(|| "starting Redis and PostgreSQL".to_owned())?;
    let servers = Servers::start(&options.urls)?;
    context.step(|| "making tracks".to_owned())?;
    let workload = realistic_workload(context);
    let quick = context.settings.quick;
    let seconds = Duration::from_secs(if quick { options.seconds.min(QUICK_SECONDS) } else { options.seconds });
    for &rate in &options.rates {
        context.step(|| format!("{rate:.0} events/s for {} s", (WARM_UP + seconds).as_secs()))?;
        let pipeline = Pipeline::new(&servers, "live", options.setup)?;
        let outcome = measure(&servers, &pipeline, &workload, options.shape, rate, seconds, context)?;
        report.results.push(outcome);
    }
    Ok(())
}

/// Limit of the duration with `--quick`, seconds.
const QUICK_SECONDS: u64 = 8;

fn measure(
    servers: &Servers,
    pipeline: &Pipeline<'_>,
    workload: &Workload,
    shape: Shape,
    rate: f64,
    seconds: Duration,
    context: &Context<'_>,
) -> Result<Outcome, BenchError> {
    let daemon = pipeline.start_ready(context)?;
    let observer = Observer::start(pipeline)?;
    let mut loader = Loader::connect(pipeline, shape, workload.vehicles)?;
    let (warm, moves) = workload.events.split_at(workload.warm);
    let now = now_ms();
    loader.geofences(&workload.geofences, now)?;
    warm.iter().try_for_each(|event| loader.position(&at(event, now)))?;
    loader.flush()?;
    // Waits for the next clock, too: it confirms every vehicle's first visits, all in one epoch.
    observer.wait_for(EntryId { ms: loader.last().ms + CLOCK_GOES_ON_MS, seq: 0 }, context)?;
    servers.settle();

    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let (producer, cpu) = std::thread::scope(|scope| {
        let producing = scope.spawn(|| produce(&mut loader, moves, rate, started, WARM_UP + seconds, &stop));
        let cpu = wait_and_count(servers, &daemon, started, seconds, context);
        stop.store(true, Ordering::Relaxed);
        (producing.join(), cpu)
    });
    let produced = producer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let cpu = cpu?;
    let last = produced.back().map_or(EntryId::ZERO, |sent| sent.until);
    let mut commits = Vec::new();
    while commits.last().is_none_or(|seen: &ObservedCommit| seen.last < last) {
        commits.push(observer.next(context)?);
    }
    Ok(outcome(rate, produced, &commits, started, seconds).with_cpu(cpu))
}

/// A copy of an event with another `ts`.
fn at(event: &PositionEvent, ts: Millis) -> PositionEvent {
    let mut event = *event;
    event.position.ts = ts;
    event
}

/// An append: all events due before `due` that were not appended before.
#[derive(Clone, Copy, Debug)]
struct Append {
    /// Numbers of its first event, and of the first event after it.
    first: u64,
    end: u64,
    /// The last entry that holds any of them.
    until: EntryId,
}

/// Appends due events until the end; the events of the track are used cyclically.
fn produce(
    loader: &mut Loader,
    track: &[PositionEvent],
    rate: f64,
    started: Instant,
    length: Duration,
    stop: &AtomicBool,
) -> Result<VecDeque<Append>, BenchError> {
    let started_ms = now_ms() - started.elapsed().as_millis() as Millis;
    let mut sent = VecDeque::new();
    let mut next = 0u64;
    let total = (length.as_secs_f64() * rate) as u64;
    let mut track = Circular::new(track);
    while next < total && !stop.load(Ordering::Relaxed) {
        let due = (started.elapsed().as_secs_f64() * rate) as u64;
        let end = due.min(total).min(next + MAX_TOGETHER);
        for number in next..end {
            let due_ms = started_ms + (number as f64 / rate * 1000.0) as Millis;
            loader.position(&at(track.next(), due_ms))?;
        }
        if end > next {
            loader.flush()?;
            sent.push_back(Append { first: next, end, until: loader.last() });
        }
        next = end;
        if end == due {
            std::thread::sleep(TICK);
        }
    }
    Ok(sent)
}

/// A track that is traversed back and forth, so that no vehicle jumps.
struct Circular<'a> {
    track: &'a [PositionEvent],
    index: usize,
    forward: bool,
}

impl<'a> Circular<'a> {
    fn new(track: &'a [PositionEvent]) -> Self {
        Self { track, index: 0, forward: true }
    }

    fn next(&mut self) -> &'a PositionEvent {
        let event = &self.track[self.index];
        let end = if self.forward { self.track.len() - 1 } else { 0 };
        match (self.index == end, self.forward) {
            (true, _) => self.forward = !self.forward,
            (false, true) => self.index += 1,
            (false, false) => self.index -= 1,
        }
        event
    }
}

/// Processor time during the measured time, seconds.
#[derive(Clone, Copy, Debug)]
struct Cpu {
    daemon_s: f64,
    redis_s: Option<f64>,
    postgres_s: Option<f64>,
}

fn wait_and_count(
    servers: &Servers,
    daemon: &super::stage::Daemon,
    started: Instant,
    seconds: Duration,
    context: &Context<'_>,
) -> Result<Cpu, BenchError> {
    let sleep_until = |until: Duration| {
        while started.elapsed() < until {
            context.check()?;
            daemon.check()?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok::<_, BenchError>(())
    };
    sleep_until(WARM_UP)?;
    let (daemon_s, before) = (daemon.cpu_s(), servers.cpu());
    sleep_until(WARM_UP + seconds)?;
    let since = servers.cpu().since(before);
    Ok(Cpu { daemon_s: daemon.cpu_s() - daemon_s, redis_s: since.redis_s, postgres_s: since.postgres_s })
}

/// Latencies of the events that were due in the measured time.
fn outcome(
    rate: f64,
    sent: VecDeque<Append>,
    commits: &[ObservedCommit],
    started: Instant,
    seconds: Duration,
) -> Outcome {
    let mut latencies = Latencies::default();
    let mut seen = commits.iter();
    let mut commit = seen.next();
    let from = (WARM_UP.as_secs_f64() * rate) as u64;
    for Append { first, end, until } in sent {
        while commit.is_some_and(|seen| seen.last < until) {
            commit = seen.next();
        }
        let Some(seen) = commit else { break };
        for number in first.max(from)..end.max(from) {
            let due = started + Duration::from_secs_f64(number as f64 / rate);
            latencies.push(seen.at.saturating_duration_since(due));
        }
    }
    Outcome::new(format!("rate={rate:.0}"))
        .with(Measure::RatePerS, rate)
        .with(Measure::EventsPerS, latencies.len() as f64 / seconds.as_secs_f64())
        .latencies(&latencies)
        .with(Measure::Commits, commits.len() as f64)
}

impl Outcome {
    fn with_cpu(self, Cpu { daemon_s, redis_s, postgres_s }: Cpu) -> Self {
        let outcome = self.with(Measure::EngineCpuS, daemon_s);
        let outcome = redis_s.map_or(outcome.clone(), |seconds| outcome.with(Measure::RedisCpuS, seconds));
        postgres_s.map_or(outcome.clone(), |seconds| outcome.with(Measure::PostgresCpuS, seconds))
    }
}

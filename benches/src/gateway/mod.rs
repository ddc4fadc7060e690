//! `bench gateway`: positions over HTTP, in batches as fast as they are accepted, and one by one at a fixed rate.
//!
//! The requests are made before they are measured. Each turn measures the gateway and its baseline, which get the same
//! requests over as many connections; the one that begins changes from turn to turn. After each measurement the log must
//! hold what was acknowledged.
//!
//! At a fixed rate each position is due at an instant that depends on the rate alone, and its latency counts from then:
//! if all connections wait for answers, the wait for a free one counts, too.

mod args;
pub mod bare;
mod client;
mod servers;

use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use watchtower_core::events::json;

use super::loader::{report as event, vehicle_id};
use super::measure::{Sample, Samples, median};
use super::report::{Latencies, Measure, Outcome, Report};
use super::stage::Daemon;
use super::workload::fixes;
use super::{BenchError, Context};
use client::Client;
use servers::Servers;

pub use args::{BareHandlerArgs, GatewayArgs};

/// Parameters of the measurement.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections of the client.
    pub connections: usize,
    /// Positions per batch.
    pub batch: usize,
    /// Single positions per second.
    pub rate: f64,
    /// Duration of a turn with single positions, seconds.
    pub seconds: u64,
}

/// Name of the baseline in results.
const BASELINE: &str = "axum+xadd";
/// Positions of a turn with batches.
const POSITIONS: usize = 500_000;
/// Number of vehicles.
const VEHICLES: u32 = 10_000;
/// Limit of the duration of a turn with single positions with `--quick`, seconds.
const QUICK_SECONDS: u64 = 3;
/// Single positions due in this time are sent before a measurement.
const WARM_UP: Duration = Duration::from_secs(1);

const SEED: u64 = 20_260_101;

/// Runs the benchmark.
///
/// # Errors
/// If a server fails or answers other than 2xx, the log does not hold what was acknowledged, or Ctrl-C was pressed.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    context.step(|| "starting Redis, the gateway and its baseline".to_owned())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bench = &mut Bench { connections: options.connections, runtime, servers: Servers::start(context)? };
    for load in [batches(options, context), singles(options, context)] {
        let (mut gateway, mut bare) = (Measured::default(), Measured::default());
        for turn in 1..=context.settings.turns() {
            let mut sides = [(Side::Gateway, &mut gateway), (Side::Bare, &mut bare)];
            if turn % 2 == 0 {
                sides.reverse();
            }
            for (side, measured) in sides {
                context.step(|| format!("{}, turn {turn}, {}", load.name, bench.server(side).name()))?;
                bench.measure(side, &load, measured, context)?;
            }
        }
        load.report(&gateway, &bare, report);
    }
    Ok(())
}

/// The requests of a measurement.
struct Load {
    name: String,
    requests: Vec<Vec<u8>>,
    /// Number of requests at the beginning that are not measured.
    warm: usize,
    /// Positions per request.
    batch: usize,
    /// Requests per second; `None`: as fast as they are accepted.
    rate: Option<f64>,
}

/// Batches as fast as they are accepted. One batch for each connection warms up.
fn batches(options: &Options, context: &Context<'_>) -> Load {
    let &Options { connections: warm, batch, .. } = options;
    let batches = context.settings.scaled(POSITIONS, 10).div_ceil(batch);
    Load { name: format!("batch={batch}"), requests: requests(warm + batches, batch, context), warm, batch, rate: None }
}

/// Single positions at a fixed rate.
fn singles(options: &Options, context: &Context<'_>) -> Load {
    let &Options { rate, seconds, .. } = options;
    let seconds = if context.settings.quick { seconds.min(QUICK_SECONDS) } else { seconds };
    let due_in = |duration: Duration| (duration.as_secs_f64() * rate).ceil() as usize;
    let (warm, measured) = (due_in(WARM_UP), due_in(Duration::from_secs(seconds)));
    let requests = requests(warm + measured, 1, context);
    Load { name: format!("single/rate={rate:.0}"), requests, warm, batch: 1, rate: Some(rate) }
}

/// Requests with `batch` positions each, in the order of the vehicles' tracks.
fn requests(count: usize, batch: usize, context: &Context<'_>) -> Vec<Vec<u8>> {
    let vehicles = context.settings.vehicles(VEHICLES, 1);
    let times = (count * batch).div_ceil(vehicles as usize);
    let mut events = fixes(vehicles, times, SEED).map(|fix| json::encode(&event(&fix, &vehicle_id(fix.vehicle.0))));
    let body = |_| match batch {
        1 => events.next().expect("there are enough fixes"),
        _ => format!("[{}]", events.by_ref().take(batch).collect::<Vec<_>>().join(",")),
    };
    (0..count).map(body).map(|body| client::request(&body)).collect()
}

/// The running servers, and the runtime of the client.
struct Bench {
    connections: usize,
    runtime: Runtime,
    servers: Servers,
}

/// The two sides of the comparison.
#[derive(Clone, Copy, Debug)]
enum Side {
    Gateway,
    Bare,
}

/// What was measured of one side.
#[derive(Default)]
struct Measured {
    samples: Samples,
    /// Processor time of Redis in each turn, seconds.
    redis_s: Vec<f64>,
    /// Latencies of all turns.
    latencies: Latencies,
}

impl Bench {
    fn server(&self, side: Side) -> &Daemon {
        match side {
            Side::Gateway => &self.servers.gateway,
            Side::Bare => &self.servers.bare,
        }
    }

    /// One turn of one side.
    fn measure(
        &mut self,
        side: Side,
        load: &Load,
        measured: &mut Measured,
        context: &Context<'_>,
    ) -> Result<(), BenchError> {
        self.servers.empty(context)?;
        let server = self.server(side);
        let (warm, requests) = load.requests.split_at(load.warm);
        let sent = self.runtime.block_on(async {
            let mut client = Client::connect(server.port(), self.connections).await?;
            client.send(warm, load.rate, context).await?;
            let (cpu_s, redis_s, started) = (server.cpu_s(), self.servers.redis_cpu_s(), Instant::now());
            let latencies = client.send(requests, load.rate, context).await?;
            let wall_s = started.elapsed().as_secs_f64();
            let sample = Sample { wall_s, cpu_s: server.cpu_s() - cpu_s };
            Ok::<_, BenchError>((sample, self.servers.redis_cpu_s() - redis_s, latencies))
        });
        // A server that has ended explains a failed request.
        let (sample, redis_s, latencies) = sent.map_err(|error| server.check().err().unwrap_or(error))?;
        measured.samples.push(sample);
        measured.redis_s.push(redis_s);
        measured.latencies.extend(latencies);
        let acknowledged = load.requests.len() as u64;
        match side {
            Side::Gateway => self.runtime.block_on(self.servers.check_gateway(acknowledged * load.batch as u64)),
            Side::Bare => self.servers.check_bare(acknowledged),
        }
    }
}

impl Load {
    fn report(&self, gateway: &Measured, bare: &Measured, report: &mut Report) {
        let positions = (self.requests.len() - self.warm) * self.batch;
        let outcome = |name: &str, measured: &Measured| {
            let outcome = Outcome::new(name)
                .timed(&measured.samples, positions)
                .with(Measure::RedisCpuS, median(measured.redis_s.iter().copied()));
            match self.rate {
                Some(rate) => outcome.with(Measure::RatePerS, rate).latencies(&measured.latencies),
                None => outcome,
            }
        };
        let ours = outcome(&self.name, gateway);
        report.results.push(match self.rate {
            Some(_) => ours.against(BASELINE, &gateway.samples, &bare.samples),
            None => ours.as_fast_as(BASELINE, &gateway.samples, &bare.samples),
        });
        report.results.push(outcome(&format!("{}/{BASELINE}", self.name), bare));
    }
}

//! Whole epochs: the fold alone, as far as it can be alone, and views over a stream of them.

use criterion::{BatchSize, Criterion, Throughput};
use watchtower_bench::workload::{REALISTIC, Step, realistic, walk};
use watchtower_dataflows::control::Control;
use watchtower_engine::{Batch, EPOCH_EVENTS, Engine};
use watchtower_model::{Millis, PositionEvent, Rules, ViewSet};

const SEED: u64 = 7;

fn epochs(events: &[PositionEvent]) -> Vec<Batch> {
    let epoch = |events: &[PositionEvent]| {
        let mut positions = events.to_vec();
        (0..).zip(&mut positions).for_each(|(seq, event)| event.seq = seq);
        let now = positions.iter().map(|event| event.position.ts).fold(Millis::MIN, Millis::max);
        Batch { positions, control: vec![Control::Now(now)], restored: None }
    };
    events.chunks(EPOCH_EVENTS).map(epoch).collect()
}

fn run(rules: &Rules, batches: Vec<Batch>) -> usize {
    let mut engine = Engine::start(1, rules.clone());
    let mut rows = 0;
    for batch in batches {
        engine.submit(batch);
        while engine.in_flight() > 4 {
            rows += engine.next().map_or(0, |(_, completed)| completed.deltas.visits.len());
        }
    }
    while let Some((_, completed)) = engine.next() {
        rows += completed.deltas.visits.len();
    }
    engine.finish();
    rows
}

fn of(views: ViewSet) -> Rules {
    Rules { views, ..Rules::default() }
}

/// Steps of the fold where there are no geofences: what a position costs in any case.
pub(crate) fn fold(criterion: &mut Criterion) {
    let batches = epochs(&walk(1_000, 50_000, REALISTIC, Step::Metres(10.0), SEED));
    let mut group = criterion.benchmark_group("fold");
    group.throughput(Throughput::Elements(51_000)).sample_size(10);
    for (name, views) in ViewSet::NAMES {
        let rules = of(views);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| batches.clone(), |batches| run(&rules, batches), BatchSize::LargeInput);
        });
    }
    group.finish();
}

/// Occupancy with `membership`, `geofence_hourly` and all else with `all`, over a stream of epochs.
pub(crate) fn epochs_of_views(criterion: &mut Criterion) {
    let workload = realistic(1_000, 2_000, 30, SEED);
    let mut batches = vec![Batch { control: workload.controls(), ..Batch::default() }];
    batches.extend(epochs(&workload.events));
    let mut group = criterion.benchmark_group("views");
    group.throughput(Throughput::Elements(workload.events.len() as u64)).sample_size(10);
    for (name, views) in ViewSet::NAMES {
        let rules = of(views);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| batches.clone(), |batches| run(&rules, batches), BatchSize::LargeInput);
        });
    }
    group.finish();
}

//! What is done for every event: decoding it, finding the geofences around it, asking whether they cover it.

use std::borrow::Cow;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput};
use watchtower_bench::workload::{REALISTIC, Step, edits, stars, walk};
use watchtower_core::events::{Event, Fix, Limits, Measured, PositionReport, binary, json};
use watchtower_dataflows::catalogue::{Catalogue, View};
use watchtower_dataflows::cells::SafeRegion;
use watchtower_model::PositionEvent;

const SEED: u64 = 7;
const EVENTS: usize = 10_000;

fn places() -> Vec<PositionEvent> {
    walk(EVENTS as u32, 0, REALISTIC, Step::Teleport, SEED)
}

/// Whether one polygon covers a place, somewhere in its box.
pub(crate) fn covers(criterion: &mut Criterion) {
    let star = &stars(1, REALISTIC, 0.3, SEED)[0].shape;
    let places = places();
    let mut group = criterion.benchmark_group("covers");
    group.throughput(Throughput::Elements(places.len() as u64));
    group.bench_function("star of 40 corners", |bencher| {
        bencher.iter(|| places.iter().filter(|event| star.covers(black_box(event.position.place))).count());
    });
    group.finish();
}

/// Which of many geofences cover a place.
pub(crate) fn lookup(criterion: &mut Criterion) {
    let places = places();
    let mut group = criterion.benchmark_group("lookup");
    group.throughput(Throughput::Elements(places.len() as u64));
    for count in [100, 10_000] {
        let mut catalogue = Catalogue::default();
        catalogue.prepare(edits(&stars(count, REALISTIC, 3.0, SEED)).collect());
        catalogue.commit();
        group.bench_function(format!("{count} geofences"), |bencher| {
            bencher.iter(|| {
                let mut found = 0;
                for event in &places {
                    let position = event.position;
                    catalogue.covering(black_box(position.place), position.ts, View::New, &SafeRegion::NONE, |_, _| {
                        found += 1
                    });
                }
                found
            });
        });
    }
    group.finish();
}

/// Events out of their shapes.
pub(crate) fn decode(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut batch = binary::Batch::default();
    let mut texts = Vec::new();
    for event in places().iter().take(64) {
        let PositionEvent { vehicle, position, .. } = *event;
        let measured = Measured {
            place: position.place,
            speed: position.speed,
            heading: position.heading,
            accuracy_m: None,
            altitude_m: None,
            ignition: None,
            attributes: None,
        };
        let vehicle_id = Cow::Owned(format!("V{:06}", vehicle.0));
        let report = PositionReport { vehicle_id, ts: position.ts, received_at: None, fix: Fix::At(measured) };
        let event = Event::Position(report);
        batch.push(&event);
        texts.push(json::encode(&event));
    }
    let bytes = batch.take();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(64));
    group.bench_function("binary", |bencher| {
        bencher.iter(|| binary::decode(black_box(&bytes), &limits, |decoded| assert!(decoded.result.is_ok())).unwrap());
    });
    group.bench_function("json", |bencher| {
        bencher.iter_batched(
            || texts.iter(),
            |texts| texts.for_each(|text| assert!(json::decode(black_box(text.as_bytes()), &limits).is_ok())),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

//! Several streams, read in whatever order the network delivers them: the tables do not notice.
//!
//! A random log is published into P event streams and the control stream as a producer would, clocks
//! into all of them. It is then read twice, the streams interleaved and cut into epochs differently,
//! on different numbers of workers. Each stream is admitted by itself; late, future and misplaced
//! events are among them.

use std::collections::BTreeSet;

use watchtower_core::admission::{Accepted, Admission, Stream, retention_ms};
use watchtower_core::events::{Limits, json, stream_of};
use watchtower_core::tables::{Lookup, Materialized};
use watchtower_dataflows::control::Control;
use watchtower_engine::{Batch, Engine};
use watchtower_model::{BEGINNING, Rules};

use crate::support::cases;
use crate::support::rng::Rng;

const CASES: u64 = 60;
const MINUTE: i64 = 60_000;
const START: i64 = 1_795_435_200_000;

/// An entry of a stream: when it arrived, and the event.
type Entry = (i64, String);

/// The event streams, then the control stream.
fn published(rng: &mut Rng, streams: u16) -> Vec<Vec<Entry>> {
    let mut log = vec![Vec::new(); usize::from(streams) + 1];
    let control = usize::from(streams);
    let mut arrival = START;
    for _ in 0..60 + rng.below(200) {
        arrival += rng.below(4) as i64 * MINUTE / 2;
        let vehicle = format!("truck-{}", rng.below(5));
        let (lon, lat) = (3.47 + rng.below(5) as f64 * 0.001, 6.55 + rng.below(5) as f64 * 0.001);
        match rng.below(10) {
            0 => {
                let clock = format!(r#"{{"type":"clock","now":{arrival}}}"#);
                log.iter_mut().for_each(|stream| stream.push((arrival, clock.clone())));
            }
            1 => {
                let valid_from = arrival - rng.below(90) as i64 * MINUTE + 20 * MINUTE;
                let id = rng.below(3);
                let event = match rng.below(4) {
                    0 => format!(
                        r#"{{"type":"geofence","geofence_id":"{id}","valid_from":{valid_from},"deleted":true}}"#
                    ),
                    _ => format!(
                        r#"{{"type":"geofence","geofence_id":"{id}","valid_from":{valid_from},"min_dwell_s":120,
                        "geometry":{{"type":"Point","coordinates":[{lon},{lat}]}},"radius_m":{}}}"#,
                        100 + rng.below(200)
                    ),
                };
                log[control].push((arrival, event));
            }
            kind => {
                let ts = arrival - if kind < 5 { rng.below(60) as i64 * MINUTE } else { 0 };
                let event = match rng.below(12) {
                    0 => format!(r#"{{"type":"position","vehicle_id":"{vehicle}","ts":{ts},"deleted":true}}"#),
                    _ => format!(r#"{{"type":"position","vehicle_id":"{vehicle}","ts":{ts},"lon":{lon},"lat":{lat}}}"#),
                };
                let own = stream_of(&vehicle, streams);
                let stream = if rng.below(40) == 0 { rng.below(usize::from(streams)) as u16 } else { own };
                log[usize::from(stream)].push((arrival, event));
            }
        }
    }
    let end = format!(r#"{{"type":"clock","now":{arrival}}}"#);
    log.iter_mut().for_each(|stream| stream.push((arrival, end.clone())));
    log
}

/// The rows of every table as text, and how many events each stream refused.
fn read(log: &[Vec<Entry>], rng: &mut Rng, workers: usize) -> (BTreeSet<String>, Vec<usize>) {
    let limits = Limits { lateness_ms: Some(30 * MINUTE), ..Limits::default() };
    let streams = (log.len() - 1) as u16;
    let of = |index| if index == streams { Stream::Control } else { Stream::Positions { index, streams } };
    let mut admissions: Vec<_> = (0..=streams).map(|index| Admission::new(of(index), limits.clone())).collect();
    let mut lookup = Lookup::default();
    let rules = Rules { retention_ms: retention_ms(&limits), ..Rules::default() };
    let (mut engine, mut batch, mut tables) =
        (Engine::start(workers, rules), Batch::default(), Materialized::default());
    let (mut next, mut refused) = (vec![0; log.len()], vec![0; log.len()]);
    while next.iter().zip(log).any(|(at, stream)| *at < stream.len()) {
        let stream = rng.below(log.len());
        for _ in 0..1 + rng.below(20) {
            let Some((arrival, text)) = log[stream].get(next[stream]) else { break };
            next[stream] += 1;
            let event = json::decode(text.as_bytes(), &limits).unwrap();
            match admissions[stream].admit(&event, *arrival, &mut lookup.names) {
                Ok(Accepted::Position(mut position)) => {
                    position.seq = batch.positions.len() as u32;
                    batch.positions.push(position);
                }
                Ok(Accepted::Geofence(edit)) => {
                    lookup.remember_geofence(&edit);
                    batch.control.push(Control::Geofence(edit));
                }
                Ok(Accepted::Vehicle(edit)) => batch.control.push(Control::Vehicle(edit)),
                Ok(Accepted::Rule(edit)) => {
                    lookup.remember_rule(&edit);
                    batch.control.push(Control::Rule(edit));
                }
                Ok(Accepted::Clock) => {}
                Err(_) => refused[stream] += 1,
            }
        }
        if rng.below(3) == 0 || next.iter().zip(log).all(|(at, stream)| *at == stream.len()) {
            let now = admissions.iter().map(Admission::now).min().unwrap_or(BEGINNING);
            batch.control.push(Control::Now(now));
            engine.submit(std::mem::take(&mut batch));
            let (_, completed) = engine.next().unwrap();
            tables.apply(completed.deltas);
        }
    }
    engine.finish();
    let tables = tables.tables(&lookup);
    let rows = tables.iter().flat_map(|(table, rows)| rows.iter().map(|row| format!("{} {row:?}", table.name)));
    (rows.collect(), refused)
}

#[test]
fn how_streams_interleave_changes_nothing() {
    let (mut rows, mut refusals) = (0, 0);
    for seed in 1..=cases(CASES, 10) {
        let mut rng = Rng::new(seed);
        let streams = 1 + rng.below(4) as u16;
        let log = published(&mut rng, streams);
        let (expected, refused) = read(&log, &mut rng, 1);
        rows += expected.len();
        refusals += refused.iter().sum::<usize>();
        for workers in [1, 2, 4] {
            let (found, refused_too) = read(&log, &mut rng, workers);
            assert_eq!(refused, refused_too, "seed {seed}, {workers} workers: refusals by stream");
            let missing: Vec<_> = expected.difference(&found).collect();
            let unexpected: Vec<_> = found.difference(&expected).collect();
            assert!(
                missing.is_empty() && unexpected.is_empty(),
                "seed {seed}, {streams} streams, {workers} workers: missing {missing:#?}, unexpected {unexpected:#?}"
            );
        }
    }
    assert!(rows > 1000 && refusals > 100, "the logs are worth reading: {rows} rows, {refusals} refusals");
}

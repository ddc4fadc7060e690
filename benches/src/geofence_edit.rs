//! `bench geofence-edit`: a geofence is redrawn while events keep coming; measures the time until all its changes have
//! left the engine.
//!
//! Events come at a fixed rate in epochs of five milliseconds. At a fixed interval one of the epochs also redraws a
//! geofence that contains about a hundredth of all vehicles. Latency counts from the submission of that epoch to its
//! completion, including the time that earlier epochs take.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::{Duration, Instant};

use watchtower_dataflows::control::Control;
use watchtower_model::geometry::Shape;
use watchtower_model::{Edit, GeofenceId, Millis, ViewSet};

use super::engine::{Epochs, drain, realistic_workload, rules};
use super::report::{Latencies, Measure, Outcome, Report};
use super::tally::Tally;
use super::workload::{REALISTIC, Region, Workload, geofence};
use super::{BenchError, Context};
use watchtower_engine::{Batch, Completed, Engine};

/// Parameters of the measurement.
#[derive(Clone, Debug)]
pub struct Options {
    /// Events per second.
    pub rate: f64,
    /// Duration, seconds.
    pub seconds: u64,
    /// The set of views to compute.
    pub views: ViewSet,
    /// Worker threads of the engine.
    pub workers: usize,
}

/// Duration of the events in one epoch.
const EPOCH: Duration = Duration::from_millis(5);
/// One in this many epochs redraws: twice per second. The engine keeps all versions of the geofence, and vehicles pass
/// through those since their last fix.
const EDIT_EVERY: u64 = 100;
/// Share of the region, and so of the vehicles, that the geofence covers.
const SHARE: f64 = 0.01;
/// Share of the track that the engine has processed before.
const KNOWN: f64 = 0.5;
/// Corners of the geofence.
const CORNERS: usize = 40;
/// Limit of the duration with `--quick`, seconds.
const QUICK_SECONDS: u64 = 5;

/// Runs the benchmark: edits valid from now, and from a minute ago.
///
/// # Errors
/// If Ctrl-C was pressed.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    context.step(|| "making tracks".to_owned())?;
    let mut workload = realistic_workload(context);
    workload.warm = (workload.events.len() as f64 * KNOWN) as usize;
    for (name, ago_ms) in [("valid-now", 0), ("valid-a-minute-ago", 60_000)] {
        context.step(|| format!("{name}: {:.0} events/s for {} s", options.rate, options.seconds))?;
        let Measured { edits, others, concerned } = measure(options, &workload, ago_ms, context)?;
        let rate = |outcome: Outcome| outcome.with(Measure::RatePerS, options.rate);
        let vehicles = concerned as f64 / edits.len().max(1) as f64;
        let outcome = rate(Outcome::new(format!("{name}/edits"))).with(Measure::VehiclesConcerned, vehicles);
        report.results.push(outcome.latencies(&edits));
        report.results.push(rate(Outcome::new(format!("{name}/other-epochs"))).latencies(&others));
    }
    Ok(())
}

/// Latencies, and the number of visits that the edits changed.
struct Measured {
    edits: Latencies,
    others: Latencies,
    concerned: usize,
}

fn measure(
    options: &Options,
    workload: &Workload,
    ago_ms: Millis,
    context: &Context<'_>,
) -> Result<Measured, BenchError> {
    let size = (options.rate * EPOCH.as_secs_f64()).round().max(1.0) as usize;
    let epochs = Epochs::new(workload, size);
    let mut engine = Engine::start(options.workers, rules(options.views));
    let mut tally = Tally::default();
    let edited = GeofenceId(workload.geofences.len() as u32);
    let mut first = epochs.geofences.clone();
    first.control.push(redrawn(edited, 0, watchtower_model::BEGINNING));
    drain(&mut engine, vec![first], &mut tally, context)?;
    drain(&mut engine, epochs.warm.clone(), &mut tally, context)?;

    let seconds = if context.settings.quick { options.seconds.min(QUICK_SECONDS) } else { options.seconds };
    let wanted = (seconds as f64 / EPOCH.as_secs_f64()) as usize;
    let (_keep, never) = crossbeam_channel::bounded::<()>(1);
    let mut measured = Measured { edits: Latencies::default(), others: Latencies::default(), concerned: 0 };
    let mut under_way = std::collections::VecDeque::new();
    let started = Instant::now();
    for (number, batch) in (0u64..).zip(epochs.measured.iter().take(wanted)) {
        context.check()?;
        let due = started + EPOCH * number as u32;
        loop {
            receive(&mut engine, &mut under_way, &mut measured);
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Nothing is ever received: the sender is kept and never used.
            let _ = engine.wait_or_receive(&never, left);
        }
        let is_edit = number % EDIT_EVERY == EDIT_EVERY / 2;
        let mut batch = batch.clone();
        if is_edit {
            batch.control.insert(0, redrawn(edited, number, now(&batch) - ago_ms));
        }
        under_way.push_back((is_edit, Instant::now()));
        engine.submit(batch);
    }
    while let Some((_, completed)) = engine.next() {
        finish(&completed, &mut under_way, &mut measured);
    }
    engine.finish();
    Ok(measured)
}

/// Log time at the end of an epoch.
fn now(batch: &Batch) -> Millis {
    let said = batch.control.iter().map(|control| match control {
        Control::Now(now) => *now,
        Control::Geofence(_) | Control::Vehicle(_) | Control::Rule(_) | Control::Snapshot | Control::Restored => {
            Millis::MIN
        }
    });
    said.max().unwrap_or(Millis::MIN)
}

type UnderWay = std::collections::VecDeque<(bool, Instant)>;

fn receive(engine: &mut Engine, under_way: &mut UnderWay, measured: &mut Measured) {
    while let Some((_, completed)) = engine.try_next() {
        finish(&completed, under_way, measured);
    }
}

fn finish(completed: &Completed, under_way: &mut UnderWay, measured: &mut Measured) {
    let Some((is_edit, since)) = under_way.pop_front() else { return };
    if is_edit {
        measured.edits.push(since.elapsed());
        let mut vehicles: Vec<_> = completed.deltas.visits.iter().map(|(visit, _)| visit.vehicle).collect();
        vehicles.sort_unstable();
        vehicles.dedup();
        measured.concerned += vehicles.len();
    } else {
        measured.others.push(since.elapsed());
    }
}

/// The geofence, at a slightly different place each time: half of its vehicles leave, and as many enter.
fn redrawn(key: GeofenceId, number: u64, from: Millis) -> Control {
    let Region { west, east, south, north } = REALISTIC;
    let radius = (SHARE * (east - west) * (north - south) / std::f64::consts::PI).sqrt();
    let shift = if (number / EDIT_EVERY).is_multiple_of(2) { 0.0 } else { 0.8 * radius };
    let center = [(west + east) / 2.0 + shift, (south + north) / 2.0];
    let mut ring: Vec<[f64; 2]> = (0..CORNERS)
        .map(|corner| {
            let angle = corner as f64 * TAU / CORNERS as f64;
            [center[0] + radius * angle.cos(), center[1] + radius * angle.sin()]
        })
        .collect();
    ring.push(ring[0]);
    let shape = Shape::from_polygons(vec![vec![ring]]).expect("a regular polygon does not cross itself");
    let definition = Some(Arc::clone(&geofence("edited", shape)));
    let seq = u64::from(key.0) + number;
    Control::Geofence(Edit { key, valid_from: from, effective_from: from, seq, definition })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_edit_moves_the_geofence() {
        let shape = |edit: u64| match redrawn(GeofenceId(7), edit * EDIT_EVERY + EDIT_EVERY / 2, 0) {
            Control::Geofence(edit) => edit.definition.map(|definition| Arc::clone(&definition.shape)),
            Control::Vehicle(_) | Control::Rule(_) | Control::Now(_) | Control::Snapshot | Control::Restored => None,
        };
        assert_ne!(shape(0), shape(1));
        assert_ne!(shape(1), shape(2));
    }
}

//! `bench geofence-edit`: a geofence is redrawn while events keep coming. How long until all that it changes
//! has left the engine?
//!
//! Events come at a fixed rate in epochs of five milliseconds. Every so often one of them also redraws a
//! geofence in which about a hundredth of all vehicles are. Its latency is from when it was handed in to when
//! its changes were handed out, whatever was before it in the engine included.

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

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Events a second.
    pub rate: f64,
    /// For so long.
    pub seconds: u64,
    /// Which views are computed.
    pub views: ViewSet,
    /// Worker threads.
    pub workers: usize,
}

/// How much of the time is one epoch.
const EPOCH: Duration = Duration::from_millis(5);
/// One of so many epochs redraws: twice a second. All versions of the geofence are remembered, and vehicles pass
/// through those since their last fix.
const EDIT_EVERY: u64 = 100;
/// The share of the region, and so of the vehicles, that the geofence covers.
const SHARE: f64 = 0.01;
/// So much of the track is known before it begins.
const KNOWN: f64 = 0.5;
/// Corners of the geofence.
const CORNERS: usize = 40;
/// The longest that is enough for `--quick`.
const QUICK_SECONDS: u64 = 5;

/// Measures: redrawn as of now, and as of earlier.
///
/// # Errors
/// If it was interrupted.
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

/// Latencies, and how many changes of visits the edits made.
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
            take_in(&mut engine, &mut under_way, &mut measured);
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // Nothing ever comes from the other end, which is kept.
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

/// The log's time at an epoch's end.
fn now(batch: &Batch) -> Millis {
    let said = batch.control.iter().map(|control| match control {
        Control::Now(now) => *now,
        Control::Geofence(_) | Control::Vehicle(_) | Control::Snapshot | Control::Restored => Millis::MIN,
    });
    said.max().unwrap_or(Millis::MIN)
}

type UnderWay = std::collections::VecDeque<(bool, Instant)>;

fn take_in(engine: &mut Engine, under_way: &mut UnderWay, measured: &mut Measured) {
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

/// The geofence, a little elsewhere each time: half of its vehicles leave, as many enter.
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
            Control::Vehicle(_) | Control::Now(_) | Control::Snapshot | Control::Restored => None,
        };
        assert_ne!(shape(0), shape(1));
        assert_ne!(shape(1), shape(2));
    }
}

//! `bench late`: the cost of events that arrive up to an hour after later events of their vehicle.
//!
//! The same events in another order must result in the same tables; the benchmark fails otherwise.

use watchtower_model::{Millis, PositionEvent, ViewSet};

use super::engine::{Epochs, GEOFENCES, SEED, engine_turn, rules};
use super::measure::Samples;
use super::report::{Measure, Outcome, Report};
use super::tally::Tally;
use super::workload::{Workload, realistic};
use super::{BenchError, Context};
use watchtower_core::random::SplitMix;

/// Parameters of the measurement.
#[derive(Clone, Debug)]
pub struct Options {
    /// Percentages of late events, one measurement for each.
    pub percents: Vec<f64>,
    /// The set of views to compute.
    pub views: ViewSet,
    /// Worker threads of the engine.
    pub workers: usize,
    /// Events per epoch.
    pub epoch: usize,
}

/// Vehicles, and fixes per vehicle: more than an hour.
const TRACK: (u32, usize) = (5_000, 400);
/// Greatest lateness of an event.
const MAX_LATE_MS: u64 = 3_600_000;
/// Name of the result that the others are compared with.
const ON_TIME: &str = "late=0%";

/// Runs the benchmark.
///
/// # Errors
/// If Ctrl-C was pressed, or another order results in other tables.
pub fn run(options: &Options, context: &mut Context<'_>, report: &mut Report) -> Result<(), BenchError> {
    context.step(|| "making tracks of more than an hour".to_owned())?;
    let (vehicles, fixes) = TRACK;
    let workload = realistic(GEOFENCES, context.settings.vehicles(vehicles, 8), fixes, SEED);
    let on_time = Epochs::new(&workload, options.epoch);
    let delayed: Vec<Epochs> =
        options.percents.iter().map(|&percent| Epochs::new(&late(&workload, percent), options.epoch)).collect();
    let rules = rules(options.views);
    let mut theirs = Samples::default();
    let mut mine = vec![Samples::default(); delayed.len()];
    let mut expected = Tally::default();
    for turn in 1..=context.settings.turns() {
        context.step(|| format!("{ON_TIME}, turn {turn}"))?;
        let (sample, counted) = engine_turn(&on_time, &rules, options.workers, context)?;
        theirs.push(sample);
        expected = counted.all;
        for (index, epochs) in delayed.iter().enumerate() {
            let name = name(options.percents[index]);
            context.step(|| format!("{name}, turn {turn}"))?;
            let (sample, counted) = engine_turn(epochs, &rules, options.workers, context)?;
            mine[index].push(sample);
            if counted.all != expected {
                return Err(BenchError::Disagree { name, found: counted.all, baseline: ON_TIME, expected });
            }
        }
    }
    let tallied = |outcome: Outcome| {
        outcome.with(Measure::Enters, expected.enters as f64).with(Measure::Exits, expected.exits as f64)
    };
    let events = workload.measured();
    report.results.push(tallied(Outcome::new(ON_TIME).timed(&theirs, events)));
    for (&percent, samples) in options.percents.iter().zip(&mine) {
        let outcome = Outcome::new(name(percent)).timed(samples, events).against(ON_TIME, samples, &theirs);
        report.results.push(tallied(outcome));
    }
    Ok(())
}

fn name(percent: f64) -> String {
    format!("late={percent}%")
}

/// The same events, each late with the given probability, by a uniformly distributed time up to the greatest.
fn late(workload: &Workload, percent: f64) -> Workload {
    let mut random = SplitMix::new(SEED);
    let (first, rest) = workload.events.split_at(workload.warm);
    let mut arriving: Vec<(Millis, PositionEvent)> = rest
        .iter()
        .map(|event| {
            let is_late = random.between(0.0, 100.0) < percent;
            let by = if is_late { random.below(MAX_LATE_MS) as Millis } else { 0 };
            (event.position.ts + by, *event)
        })
        .collect();
    arriving.sort_by_key(|(arrival, _)| *arrival);
    let events = first.iter().copied().chain(arriving.into_iter().map(|(_, event)| event)).collect();
    Workload { events, geofences: workload.geofences.clone(), ..*workload }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_events_are_the_same_events() {
        let on_time = realistic(10, 20, 400, 1);
        let late = late(&on_time, 10.0);
        let behind = |events: &[PositionEvent]| {
            let mut newest = [Millis::MIN; 20];
            let mut behind = 0;
            for event in events {
                let newest = &mut newest[event.vehicle.0 as usize];
                behind += usize::from(event.position.ts < *newest);
                *newest = event.position.ts.max(*newest);
            }
            behind
        };
        assert_eq!(behind(&on_time.events), 0);
        let share = behind(&late.events) as f64 / late.measured() as f64;
        assert!((0.05..0.11).contains(&share), "{share}");
        let sorted = |workload: &Workload| {
            let mut keys: Vec<_> = workload.events.iter().map(|event| (event.vehicle, event.position)).collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(sorted(&late), sorted(&on_time));
    }
}

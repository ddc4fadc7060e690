//! Runs a case through the timelines of one worker and holds every fact, after every epoch, against the
//! oracle: those that are tables, and those that aggregates are made of.

use watchtower_dataflows::control::Control;
use watchtower_dataflows::naive::FactSums;
use watchtower_dataflows::timeline::{Arrivals, Timelines};
use watchtower_dataflows::views::Snapshots;
use watchtower_engine::Batch;
use watchtower_model::BEGINNING;

use crate::support::harness::{Expected, Failure};
use crate::support::log::Case;

/// Runs the case; it is resumed from snapshots where it says so.
pub(crate) fn check(case: &Case, expected: &Expected) -> Result<(), Failure> {
    let mut timelines = Timelines::new(case.rules.clone(), 0, 1);
    let mut facts = FactSums::default();
    for epoch in 0..case.epochs.len() {
        let changes = timelines.advance(arrivals(case.batch(epoch)));
        facts.apply(changes.facts);
        if let Some(wanted) = expected.get(&epoch) {
            let what = facts.differences(wanted);
            if !what.is_empty() {
                return Err(Failure { epoch, what });
            }
        }
        if case.restarts_after == Some(epoch) {
            let snapshots = Snapshots { timelines: timelines.snapshots().collect(), groups: Vec::new() };
            timelines = Timelines::new(case.rules.clone(), 0, 1);
            timelines.advance(arrivals(case.resumed(epoch, &snapshots)));
        }
    }
    Ok(())
}

fn arrivals(batch: Batch) -> Arrivals {
    let Batch { positions, control, restored } = batch;
    let restored = restored.unwrap_or_default().timelines;
    let mut arrivals = Arrivals { positions, edits: Vec::new(), vehicles: Vec::new(), restored, now: BEGINNING };
    for said in control {
        match said {
            Control::Geofence(edit) => arrivals.edits.push(edit),
            Control::Vehicle(edit) => arrivals.vehicles.push(edit),
            Control::Now(t) => arrivals.now = arrivals.now.max(t),
            Control::Rule(_) | Control::Snapshot | Control::Restored => {}
        }
    }
    arrivals
}

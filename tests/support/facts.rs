//! Runs a case through the timelines of one worker and holds every fact, after every epoch, against the
//! oracle: those that are tables, and those that aggregates are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};

use watchtower_dataflows::control::Control;
use watchtower_dataflows::naive::Tables;
use watchtower_dataflows::timeline::deltas::FactDeltas;
use watchtower_dataflows::timeline::{Arrivals, Timelines};
use watchtower_dataflows::views::Snapshots;
use watchtower_engine::Batch;
use watchtower_model::BEGINNING;

use crate::support::harness::{Expected, Failure};
use crate::support::log::Case;

/// Runs the case; it is resumed from snapshots where it says so.
pub(crate) fn check(case: &Case, expected: &Expected) -> Result<(), Failure> {
    let mut timelines = Timelines::new(case.rules.clone(), 0, 1);
    let mut facts = Facts::default();
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
            Control::Snapshot | Control::Restored => {}
        }
    }
    arrivals
}

/// Rows, and how often they are there.
type Multiset<R> = BTreeMap<R, i64>;

macro_rules! facts {
    ($($name:ident: $row:ident,)*) => {
        use watchtower_model::facts::{$($row), *};

        /// The sums of all deltas so far.
        #[derive(Debug, Default)]
        struct Facts {
            $($name: Multiset<$row>,)*
        }

        impl Facts {
            fn apply(&mut self, deltas: FactDeltas) {
                let FactDeltas { visits: _, offlines: _, kind_visits: _, fleet_facts: _, legs: _, marks: _, $($name),* } = deltas;
                $(add(&mut self.$name, $name);)*
            }

            fn differences(&self, wanted: &Tables) -> String {
                let mut differences = String::new();
                $(compare(stringify!($name), &self.$name, &wanted.$name, &mut differences);)*
                differences
            }
        }
    };
}

facts! {
    stops: Stop,
    idlings: Idling,
    overspeeds: Overspeed,
    moves_off: MovesOff,
    towings: Towing,
    trips: Trip,
    turnarounds: Turnaround,
    motions: Motion,
    presences: Presence,
    spells: Spell,
}

fn add<R: Ord>(rows: &mut Multiset<R>, deltas: Vec<(R, i64)>) {
    for (row, diff) in deltas {
        *rows.entry(row).or_default() += diff;
    }
    rows.retain(|_, times| *times != 0);
}

fn compare<R: Ord + Debug>(table: &str, rows: &Multiset<R>, wanted: &BTreeSet<R>, out: &mut String) {
    for row in wanted.iter().filter(|row| !rows.contains_key(row)) {
        let _ = writeln!(out, "{table}: missing {row:?}");
    }
    for (row, times) in rows.iter().filter(|(row, times)| !wanted.contains(row) || **times != 1) {
        let _ = writeln!(out, "{table}: unexpected {times} times {row:?}");
    }
}

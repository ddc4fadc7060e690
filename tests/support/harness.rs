//! Runs a case through the engine and holds every table, after every epoch, against the oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use watchtower_core::tables::Deltas;
use watchtower_dataflows::control::Control;
use watchtower_dataflows::naive::Tables;
use watchtower_engine::{Batch, Engine};

use watchtower_model::{VehicleId, VehicleState, computed_tables};

use crate::support::log::Case;

/// What went wrong, for people.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Tables or deltas after this epoch are wrong.
    pub(crate) epoch: usize,
    pub(crate) what: String,
}

/// The tables that are wanted, by the epoch after which they are.
pub(crate) type Expected = BTreeMap<usize, Tables>;

/// Tables recomputed after every epoch.
pub(crate) fn expected(case: &Case) -> Expected {
    (0..case.epochs.len()).map(|epoch| (epoch, case.expected(epoch + 1))).collect()
}

/// Runs the case on so many workers.
pub(crate) fn check(case: &Case, workers: usize, expected: &Expected) -> Result<(), Failure> {
    let mut answered = 0;
    let run = AssertUnwindSafe(|| run(case, workers, expected, &mut answered));
    catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("of unknown kind");
        Err(Failure { epoch: answered, what: format!("a panic: {text}") })
    })
}

fn run(case: &Case, workers: usize, expected: &Expected, answered: &mut usize) -> Result<(), Failure> {
    let mut engine = Engine::start(workers, case.rules.clone());
    let mut tables = Accumulated::default();
    let epochs = case.epochs.len();
    let mut submitted = 0;
    // Epochs that the engine numbers otherwise, since it was started anew.
    let mut renumbered = 0;
    for epoch in 0..epochs {
        *answered = epoch;
        let fail = |what: String| Err(Failure { epoch, what });
        let restarts = case.restarts_after == Some(epoch) && !case.ahead;
        while submitted < epochs && (case.ahead || submitted <= epoch) {
            let mut batch = case.batch(submitted);
            batch.control.extend(restarts.then_some(Control::Snapshot));
            let number = engine.submit(batch) + renumbered;
            if number != submitted as u64 {
                return fail(format!("submit number {submitted} says it is epoch {number}"));
            }
            submitted += 1;
        }
        let Some((number, completed)) = engine.next() else {
            return fail("there is no next epoch, though it was submitted".to_owned());
        };
        if number + renumbered != epoch as u64 {
            return fail(format!("the next epoch is {number}"));
        }
        let problems = tables.apply(completed.deltas)
            + &expected.get(&epoch).map_or_else(String::new, |wanted| tables.differences(wanted));
        if !problems.is_empty() {
            engine.finish();
            return fail(problems);
        }
        if restarts {
            engine.finish();
            engine = Engine::start(workers % 3 + 1, case.rules.clone());
            let problems = resume(&mut engine, case.resumed(epoch, &completed.snapshots), &tables);
            if !problems.is_empty() {
                return fail(problems);
            }
            renumbered = epoch as u64; // the resumption was epoch 0
        }
    }
    *answered = epochs;
    if let Some((number, _)) = engine.next() {
        return Err(Failure { epoch: epochs, what: format!("epoch {number} was never submitted") });
    }
    engine.finish();
    Ok(())
}

/// Feeds an engine what another one held; says how its tables differ from what they were there. Of facts it
/// knows those that have not ended.
fn resume(engine: &mut Engine, batch: Batch, before: &Accumulated) -> String {
    engine.submit(batch);
    let Some((_, completed)) = engine.next() else { return "nothing is resumed".to_owned() };
    let mut resumed = Accumulated::default();
    let problems = resumed.apply(completed.deltas);
    let open = Accumulated {
        visits: before.visits.iter().filter(|(v, _)| v.exited_at.is_none()).map(|(v, n)| (*v, *n)).collect(),
        offlines: before.offlines.iter().filter(|(o, _)| o.ended_at.is_none()).map(|(o, n)| (*o, *n)).collect(),
        stops: before.stops.iter().filter(|(f, _)| f.ended_at.is_none()).map(|(f, n)| (*f, *n)).collect(),
        idlings: before.idlings.iter().filter(|(f, _)| f.ended_at.is_none()).map(|(f, n)| (*f, *n)).collect(),
        overspeeds: before.overspeeds.iter().filter(|(f, _)| f.ended_at.is_none()).map(|(f, n)| (*f, *n)).collect(),
        trips: before.trips.iter().filter(|(t, _)| t.arrival.is_none()).map(|(t, n)| (*t, *n)).collect(),
        marks: BTreeMap::new(),
        alerts: BTreeMap::new(),
        moves_off: BTreeMap::new(),
        turnarounds: BTreeMap::new(),
        vehicle_daily: BTreeMap::new(),
        geofence_hourly: BTreeMap::new(),
        od_daily: BTreeMap::new(),
        fleet_daily: BTreeMap::new(),
        kind_daily: BTreeMap::new(),
        ..before.clone()
    };
    if resumed == open { problems } else { format!("{problems}resumed: {resumed:?}\nbefore: {open:?}\n") }
}

macro_rules! accumulated {
    ($($(#[$doc:meta])* $name:ident: $row:ty,)*) => {
        /// The sums of all deltas so far.
        #[derive(Clone, Debug, Default, PartialEq)]
        struct Accumulated {
            $($name: BTreeMap<$row, i64>,)*
            vehicle_state: BTreeMap<VehicleId, VehicleState>,
        }

        impl Accumulated {
            /// Adds the changes of one epoch; returns what is wrong with them in themselves.
            fn apply(&mut self, deltas: Deltas) -> String {
                let Deltas { $($name,)* vehicle_state } = deltas;
                let problems = [
                    $(add(stringify!($name), &mut self.$name, $name),)*
                    upsert("vehicle_state", &mut self.vehicle_state, vehicle_state),
                ];
                problems.concat()
            }

            /// How the tables differ from the expected ones.
            fn differences(&self, wanted: &Tables) -> String {
                let Tables { $($name,)* vehicle_state, towings: _, motions: _, presences: _, spells: _ } = wanted;
                let states = self.vehicle_state.values().map(|row| (row.clone(), 1)).collect();
                let differences = [
                    $(compare(stringify!($name), &self.$name, $name),)*
                    compare("vehicle_state", &states, vehicle_state),
                ];
                differences.concat()
            }
        }
    };
}

computed_tables!(accumulated);

/// Adds consolidated changes to a multiset; what is there once afterwards remains.
fn add<R: Clone + Ord + Debug>(table: &str, rows: &mut BTreeMap<R, i64>, deltas: Vec<(R, i64)>) -> String {
    let mut problems = String::new();
    let mut changed = BTreeSet::new();
    for (row, diff) in deltas {
        if diff == 0 || !changed.insert(row.clone()) {
            let _ = writeln!(problems, "{table}: the deltas are not consolidated: {diff:+} {row:?}");
        }
        let multiplicity = rows.entry(row).or_default();
        *multiplicity += diff;
    }
    for row in changed {
        match rows.get(&row) {
            Some(1) | None => {}
            Some(0) => {
                rows.remove(&row);
            }
            Some(multiplicity) => {
                let _ = writeln!(problems, "{table}: there {multiplicity} times: {row:?}");
            }
        }
    }
    problems
}

/// Puts rows in the places of others.
fn upsert<K: Ord + Debug, R: PartialEq + Debug>(
    table: &str,
    rows: &mut BTreeMap<K, R>,
    changes: Vec<(K, Option<R>)>,
) -> String {
    let mut problems = String::new();
    for (key, row) in changes {
        if rows.get(&key) == row.as_ref() {
            let _ = writeln!(problems, "{table}: said again or twice: {key:?} {row:?}");
        }
        match row {
            Some(row) => rows.insert(key, row),
            None => rows.remove(&key),
        };
    }
    problems
}

fn compare<R: Ord + Debug>(table: &str, rows: &BTreeMap<R, i64>, wanted: &BTreeSet<R>) -> String {
    let mut differences = String::new();
    for row in wanted.iter().filter(|row| !rows.contains_key(row)) {
        let _ = writeln!(differences, "{table}: missing {row:?}");
    }
    for row in rows.keys().filter(|row| !wanted.contains(row)) {
        let _ = writeln!(differences, "{table}: unexpected {row:?}");
    }
    differences
}

/// Says which case it was, and ends the process, if one never ends.
#[derive(Debug)]
pub(crate) struct Watchdog(Sender<String>);

impl Watchdog {
    /// No case takes this long, nor a case made small.
    const LIMIT: Duration = Duration::from_secs(120);

    pub(crate) fn new() -> Self {
        let (cases, begun) = mpsc::channel::<String>();
        std::thread::spawn(move || {
            let mut current = String::new();
            loop {
                match begun.recv_timeout(Self::LIMIT) {
                    Ok(case) => current = case,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        // Written past the capture of test output, which would die with the process.
                        let _ = writeln!(std::io::stderr(), "{current} does not end");
                        std::process::abort();
                    }
                }
            }
        });
        Self(cases)
    }

    /// The next case begins.
    pub(crate) fn begin(&self, case: String) {
        let _ = self.0.send(case);
    }
}

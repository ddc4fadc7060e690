//! The sums of the deltas of timelines, held against the tables recomputed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};

use super::Tables;
use crate::timeline::deltas::FactDeltas;
use watchtower_model::facts::{Idling, Motion, MovesOff, Overspeed, Presence, Spell, Stop, Towing, Trip, Turnaround};
use watchtower_model::{Marked, Offline, Visit};

/// Rows, and how often they are there.
type Multiset<R> = BTreeMap<R, i64>;

macro_rules! fact_sums {
    ($($name:ident: $row:ident,)*) => {
        /// The sums of all deltas so far, of the facts that [`Tables`] has.
        #[derive(Debug, Default)]
        pub struct FactSums {
            $($name: Multiset<$row>,)*
        }

        impl FactSums {
            /// Adds the deltas of an epoch.
            pub fn apply(&mut self, deltas: FactDeltas) {
                // `kind_daily` and `fleet_daily` show what these come to; legs have become facts.
                let FactDeltas { kind_visits: _, fleet_facts: _, pins: _, legs: _, $($name),* } = deltas;
                $(add(&mut self.$name, $name);)*
            }

            /// A line for every row that is missing, or there though it should not be, or more than once.
            pub fn differences(&self, wanted: &Tables) -> String {
                let mut differences = String::new();
                $(compare(stringify!($name), &self.$name, &wanted.$name, &mut differences);)*
                differences
            }
        }
    };
}

fact_sums! {
    marks: Marked,
    visits: Visit,
    offlines: Offline,
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

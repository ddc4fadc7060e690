//! The computed tables in memory, for sinks without a database.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rustc_hash::FxBuildHasher;
use watchtower_model::{Marked, VehicleId, VehicleState, Visit, computed_tables};

use crate::tables::{Deltas, Lookup, Row, Table, TableRow, Visitor};

macro_rules! materialized {
    ($($(#[$doc:meta])* $name:ident: $row:ty,)*) => {
        /// The rows of every computed table.
        #[derive(Debug, Default)]
        pub struct Materialized {
            $($name: Rows<$row>,)*
            vehicle_state: HashMap<VehicleId, VehicleState, FxBuildHasher>,
        }

        impl Materialized {
            /// Applies the changes of an epoch.
            ///
            /// # Panics
            /// If a row would be present twice, or a negative number of times: the dataflow would be wrong.
            pub fn apply(&mut self, deltas: Deltas) {
                let Deltas { $($name,)* vehicle_state } = deltas;
                $(self.$name.apply($name);)*
                for (vehicle, state) in vehicle_state {
                    match state {
                        Some(state) => self.vehicle_state.insert(vehicle, state),
                        None => self.vehicle_state.remove(&vehicle),
                    };
                }
            }

            /// All tables with their rows: tables in the order of [`TABLES`](super::TABLES), rows in no order.
            pub fn tables(&self, lookup: &Lookup) -> Vec<(&'static Table, Vec<Row>)> {
                let states = self.vehicle_state.values().map(|state| state.cells(lookup)).collect();
                vec![(VehicleState::TABLE, states), $(self.$name.table(lookup),)*]
            }
        }
    };
}

computed_tables!(materialized);

impl Materialized {
    /// The rows of `vehicle_state`, in no order.
    pub fn vehicle_states(&self) -> impl Iterator<Item = &VehicleState> {
        self.vehicle_state.values()
    }

    /// The marks of positions, in no order.
    pub fn marks(&self) -> impl Iterator<Item = &Marked> {
        self.marks.0.keys()
    }

    /// The rows of `visits`, in no order.
    pub fn visits(&self) -> impl Iterator<Item = &Visit> {
        self.visits.0.keys()
    }
}

/// The changes of an epoch in transactional tables, as rows: +1 for a new row, -1 for a removed one.
pub fn transactional_changes(deltas: &Deltas, lookup: &Lookup) -> Vec<(&'static Table, Row, i64)> {
    let mut changes = Transactional { lookup, changes: Vec::new() };
    deltas.visit(&mut changes);
    changes.changes
}

/// Collects the rows of transactional tables.
struct Transactional<'a> {
    lookup: &'a Lookup,
    changes: Vec<(&'static Table, Row, i64)>,
}

impl Visitor for Transactional<'_> {
    fn rows<R: TableRow>(&mut self, changes: &[(R, i64)]) {
        self.changes.extend(changes.iter().map(|(row, diff)| (R::TABLE, row.cells(self.lookup), *diff)));
    }

    fn states(&mut self, _: &[(VehicleId, Option<VehicleState>)]) {} // a lagging table: see `vehicle_state`
}

/// The rows of one table, each with multiplicity one.
#[derive(Debug)]
struct Rows<D>(HashMap<D, i64, FxBuildHasher>);

impl<D> Default for Rows<D> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<D: TableRow> Rows<D> {
    /// Applies the changes of an epoch. Their order is irrelevant, so a multiplicity may pass through any value.
    fn apply(&mut self, changes: Vec<(D, i64)>) {
        for (row, diff) in changes {
            match self.0.entry(row) {
                Entry::Occupied(mut entry) => {
                    *entry.get_mut() += diff;
                    if *entry.get() == 0 {
                        entry.remove();
                    } else {
                        panic!("a row has multiplicity {}: {:?}", entry.get(), entry.key());
                    }
                }
                Entry::Vacant(entry) => {
                    assert!(diff == 1, "a row appears {diff} times: {:?}", entry.key());
                    entry.insert(diff);
                }
            }
        }
    }

    /// The table with all its rows, in no order.
    fn table(&self, lookup: &Lookup) -> (&'static Table, Vec<Row>) {
        (D::TABLE, self.0.keys().map(|row| row.cells(lookup)).collect())
    }
}

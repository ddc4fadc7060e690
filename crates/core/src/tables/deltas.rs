//! The changes of an epoch, table by table.

use watchtower_model::{VehicleId, VehicleState, computed_tables};

use crate::tables::TableRow;

/// Receives the changes of every computed table, one after the other: see [`Deltas::visit`].
pub trait Visitor {
    /// Differences of one table: rows with the change of their multiplicity.
    fn rows<R: TableRow>(&mut self, changes: &[(R, i64)]);

    /// New rows of `vehicle_state` by vehicle; `None` deletes the row.
    fn states(&mut self, changes: &[(VehicleId, Option<VehicleState>)]);
}

macro_rules! deltas {
    ($($(#[$doc:meta])* $name:ident: $row:ty,)*) => {
        /// The changes of one epoch: rows with the change of their multiplicity, consolidated.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Deltas {
            $($(#[$doc])* pub $name: Vec<($row, i64)>,)*
            /// New rows of `vehicle_state` by vehicle, each vehicle at most once; `None` deletes the row.
            pub vehicle_state: Vec<(VehicleId, Option<VehicleState>)>,
        }

        impl Deltas {
            /// Adds the share of another worker. Rows are distributed to workers by key, so the shares need no
            /// consolidation.
            pub fn append(&mut self, share: Self) {
                let Self { $($name,)* vehicle_state } = share;
                $(self.$name.extend($name);)*
                self.vehicle_state.extend(vehicle_state);
            }

            /// Passes every table's changes to `visitor`, in the order of [`TABLES`](super::TABLES).
            pub fn visit(&self, visitor: &mut impl Visitor) {
                let Self { $($name,)* vehicle_state } = self;
                visitor.states(vehicle_state);
                $(visitor.rows($name);)*
            }
        }
    };
}

computed_tables!(deltas);

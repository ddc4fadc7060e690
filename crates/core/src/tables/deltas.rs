//! The changes of an epoch, table by table.

use watchtower_model::{VehicleId, VehicleState, computed_tables};

use crate::tables::TableRow;

/// Receives the changes of every computed table, one after the other: see [`Deltas::visit`].
pub trait Visitor {
    /// Rows of one table and how many more (or fewer) there are of each.
    fn rows<R: TableRow>(&mut self, changes: &[(R, i64)]);

    /// Rows of `vehicle_state` that replace the one before, by vehicle; None where there is no row any more.
    fn states(&mut self, changes: &[(VehicleId, Option<VehicleState>)]);
}

macro_rules! deltas {
    ($($(#[$doc:meta])* $name:ident: $row:ty,)*) => {
        /// The changes of one epoch: rows and how many more (or fewer) there are of each, consolidated.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Deltas {
            $($(#[$doc])* pub $name: Vec<($row, i64)>,)*
            /// Rows of `vehicle_state` that replace the one before, by vehicle, each vehicle once; None where there is
            /// no row any more.
            pub vehicle_state: Vec<(VehicleId, Option<VehicleState>)>,
        }

        impl Deltas {
            /// Adds the share of another worker: rows are spread over workers by their keys, so nothing in it cancels
            /// against what is here.
            pub fn append(&mut self, share: Self) {
                let Self { $($name,)* vehicle_state } = share;
                $(self.$name.extend($name);)*
                self.vehicle_state.extend(vehicle_state);
            }

            /// Shows every table's changes to `visitor`, in the order in which tables are listed to people.
            pub fn visit(&self, visitor: &mut impl Visitor) {
                let Self { $($name,)* vehicle_state } = self;
                visitor.states(vehicle_state);
                $(visitor.rows($name);)*
            }
        }
    };
}

computed_tables!(deltas);

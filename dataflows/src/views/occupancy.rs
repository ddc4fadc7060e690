//! `geofence_occupancy`: how many vehicles are inside each geofence.
//!
//! The sum lives in the difference: a vehicle inside weighs `(1, 0)`, a geofence that exists
//! `(0, 1)`. Their sum is not zero while either is there, so an empty geofence keeps a row that says
//! 0, and a change costs the same however many vehicles are inside.

use differential_dataflow::operators::CountTotal;

use crate::model::{GeofenceId, Membership, Occupancy};
use crate::views::Rows;

/// Vehicles per geofence, for the `present` geofences and those with a vehicle inside.
pub fn occupancy<'s>(membership: Rows<'s, Membership>, present: Rows<'s, GeofenceId>) -> Rows<'s, Occupancy> {
    let vehicles = membership.explode(|m| Some((m.geofence, (1i64, 0i64))));
    let empty = present.explode(|geofence| Some((geofence, (0i64, 1i64))));
    vehicles
        .concat(empty)
        .count_total_core::<i64>()
        .map(|(geofence, (vehicles, _present))| Occupancy { geofence, vehicles })
}

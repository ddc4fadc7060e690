//! `geofence_membership`: the visits that last.
//!
//! A filter, so linear: its changes are those of the visits. Nothing is remembered here.

use crate::model::{Membership, Visit};
use crate::views::Rows;

/// The visits without an end.
pub fn membership(visits: Rows<'_, Visit>) -> Rows<'_, Membership> {
    visits.flat_map(|Visit { vehicle, geofence, entered_at, exited_at, confirmed: _ }| {
        exited_at.is_none().then_some(Membership { vehicle, geofence, entered_at })
    })
}

//! `geofence_occupancy`: how many vehicles are inside each geofence.
//!
//! Two numbers a geofence: vehicles inside, and whether it exists. As long as either is not zero there is a
//! row, so that an empty geofence says 0. A change adds to a number in an array, however many vehicles are
//! inside; the two rows that an epoch replaces are told once for each geofence that it touched.

use std::collections::BTreeMap;

use differential_dataflow::AsCollection;
use timely::dataflow::channels::pact::Exchange;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;

use crate::control::Epoch;
use crate::views::Rows;
use watchtower_model::{GeofenceId, Membership, Occupancy};

/// State of a geofence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Inside {
    vehicles: i64,
    /// It exists, once.
    present: i64,
}

impl Inside {
    fn row(self, geofence: GeofenceId) -> Option<Occupancy> {
        (self != Self::default()).then_some(Occupancy { geofence, vehicles: self.vehicles })
    }
}

/// How many are inside, by geofence.
#[derive(Debug, Default)]
struct Counts {
    inside: Vec<Inside>,
    /// Of the geofences that an epoch touches: what they were before it.
    before: Vec<(GeofenceId, Inside)>,
    /// By geofence: the epoch touches it.
    touched: Vec<bool>,
}

impl Counts {
    /// Takes in an epoch's changes of either number, in any order; returns the rows that become others.
    fn advance(&mut self, changes: &[(GeofenceId, Inside)], peers: usize) -> Vec<(Occupancy, i64)> {
        for &(geofence, Inside { vehicles, present }) in changes {
            let slot = geofence.0 as usize / peers;
            if self.inside.len() <= slot {
                self.inside.resize(slot + 1, Inside::default());
                self.touched.resize(slot + 1, false);
            }
            let inside = &mut self.inside[slot];
            if !std::mem::replace(&mut self.touched[slot], true) {
                self.before.push((geofence, *inside));
            }
            inside.vehicles += vehicles;
            inside.present += present;
        }
        let mut rows = Vec::new();
        for (geofence, was) in self.before.drain(..) {
            let slot = geofence.0 as usize / peers;
            self.touched[slot] = false;
            let is = self.inside[slot];
            if was.row(geofence) != is.row(geofence) {
                rows.extend(was.row(geofence).map(|row| (row, -1)));
                rows.extend(is.row(geofence).map(|row| (row, 1)));
            }
        }
        rows
    }
}

/// Changes by epoch, each with the capability to produce its output.
type Pending = BTreeMap<Epoch, (Capability<Epoch>, Vec<(GeofenceId, Inside)>)>;

/// Vehicles per geofence, for the `present` geofences and those with a vehicle inside.
pub fn occupancy<'s>(membership: Rows<'s, Membership>, present: Rows<'s, GeofenceId>) -> Rows<'s, Occupancy> {
    let peers = membership.inner.scope().peers();
    let by_geofence = Exchange::new(|(member, _, _): &(Membership, Epoch, i64)| u64::from(member.geofence.0));
    let by_id = Exchange::new(|(geofence, _, _): &(GeofenceId, Epoch, i64)| u64::from(geofence.0));
    membership
        .inner
        .binary_frontier(present.inner, by_geofence, by_id, "Occupancy", move |initial, _info| {
            drop(initial);
            let mut counts = Counts::default();
            let mut pending = Pending::new();
            move |(members, members_frontier), (present, present_frontier), output| {
                let port = output.output_index();
                members.for_each_stamp(|cap, containers| {
                    for batch in containers {
                        for run in batch.chunk_by(|a, b| a.1 == b.1) {
                            let epoch = run[0].1;
                            let (_, changes) =
                                pending.entry(epoch).or_insert_with(|| (cap.delayed(&epoch, port), Vec::new()));
                            let change = |vehicles| Inside { vehicles, present: 0 };
                            changes.extend(run.iter().map(|(member, _, diff)| (member.geofence, change(*diff))));
                        }
                        batch.clear();
                    }
                });
                present.for_each_stamp(|cap, containers| {
                    for (geofence, epoch, present) in containers.flat_map(|batch| batch.drain(..)) {
                        let (_, changes) =
                            pending.entry(epoch).or_insert_with(|| (cap.delayed(&epoch, port), Vec::new()));
                        changes.push((geofence, Inside { vehicles: 0, present }));
                    }
                });
                while let Some(first) = pending.first_entry() {
                    let epoch = *first.key();
                    if members_frontier.less_equal(&epoch) || present_frontier.less_equal(&epoch) {
                        break;
                    }
                    let (answer, changes) = first.remove();
                    let rows = counts.advance(&changes, peers);
                    output.session(&answer).give_iterator(rows.into_iter().map(|(row, diff)| (row, epoch, diff)));
                }
            }
        })
        .as_collection()
}

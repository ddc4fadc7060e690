//! `geofences`, `vehicles` and `rules`: which version is in force from when until when.
//!
//! One edit can change the intervals of the versions around it. An epoch's answer is the difference
//! between the rows of the edited things after it and before it.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use differential_dataflow::consolidation::consolidate_updates;
use differential_dataflow::{AsCollection, Data};
use rustc_hash::FxBuildHasher;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::Operator;

use crate::control::{Control, Epoch};
use crate::versions::History;
use crate::views::Rows;
use watchtower_model::{Edit, GeofenceId, InForce, RuleId, VehicleId};

/// The edits of one epoch, and the right to answer at it.
type Arrivals<K, D> = BTreeMap<Epoch, (Capability<Epoch>, Vec<Edit<K, D>>)>;

/// An edit with the dense number of what it edits, if it is one of the kind looked for.
type Numbered<K, D> = Option<(u32, Edit<K, D>)>;

/// The versions of geofences.
pub fn geofences(control: StreamVec<'_, Epoch, Control>) -> Rows<'_, InForce<GeofenceId>> {
    in_force(control, |control| match control {
        Control::Geofence(edit) => Some((edit.key.0, edit)),
        Control::Vehicle(_) | Control::Rule(_) | Control::Now(_) | Control::Snapshot | Control::Restored => None,
    })
}

/// The versions of vehicles' metadata.
pub fn vehicles(control: StreamVec<'_, Epoch, Control>) -> Rows<'_, InForce<VehicleId>> {
    in_force(control, |control| match control {
        Control::Vehicle(edit) => Some((edit.key.0, edit)),
        Control::Geofence(_) | Control::Rule(_) | Control::Now(_) | Control::Snapshot | Control::Restored => None,
    })
}

/// The versions of alert rules.
pub fn rules(control: StreamVec<'_, Epoch, Control>) -> Rows<'_, InForce<RuleId>> {
    in_force(control, |control| match control {
        Control::Rule(edit) => Some((edit.key.0, edit)),
        Control::Geofence(_) | Control::Vehicle(_) | Control::Now(_) | Control::Snapshot | Control::Restored => None,
    })
}

/// The versions of everything that `select` finds in the control stream (which every worker hears),
/// each with its dense number; a worker answers for its share of the numbers.
fn in_force<K, D>(control: StreamVec<'_, Epoch, Control>, select: fn(Control) -> Numbered<K, D>) -> Rows<'_, InForce<K>>
where
    K: Data + Copy + Hash,
    D: 'static,
{
    let scope = control.scope();
    let (index, peers) = (scope.index() as u32, scope.peers() as u32);
    control
        .unary_frontier(Pipeline, "InForce", move |initial, _info| {
            drop(initial);
            let mut histories: HashMap<K, History<K, D>, FxBuildHasher> = HashMap::default();
            let mut pending = Arrivals::<K, D>::new();
            move |(input, frontier), output| {
                let port = output.output_index();
                input.for_each_stamp(|cap, containers| {
                    let Some(&epoch) = cap.least() else { return };
                    let edits = containers.flat_map(|batch| batch.drain(..)).filter_map(select);
                    let mine = edits.filter(|(number, _)| number % peers == index).map(|(_, edit)| edit);
                    pending.entry(epoch).or_insert_with(|| (cap.delayed(&epoch, port), Vec::new())).1.extend(mine);
                });
                while let Some(first) = pending.first_entry() {
                    let epoch = *first.key();
                    if frontier.less_equal(&epoch) {
                        break;
                    }
                    let (capability, edits) = first.remove();
                    let mut delta = Vec::new();
                    for edit in edits {
                        let history = histories.entry(edit.key).or_default();
                        delta.extend(history.in_force().map(|row| (row, epoch, -1)));
                        history.insert(edit);
                        delta.extend(history.in_force().map(|row| (row, epoch, 1)));
                    }
                    consolidate_updates(&mut delta);
                    output.session(&capability).give_iterator(delta.into_iter());
                }
            }
        })
        .as_collection()
}

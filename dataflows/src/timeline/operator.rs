//! The timelines as a timely operator: positions exchanged by vehicle, control heard by every
//! worker, both taken in the order of their epochs once no more of an epoch can come.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use differential_dataflow::AsCollection;
use differential_dataflow::VecCollection;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::dataflow::{Scope, StreamVec};

use crate::control::{Control, Epoch};
use crate::timeline::deltas::{FactDeltas, facts};
use crate::timeline::{Arrivals, Changes, Stats, TimelineSnapshot, Timelines};
use watchtower_model::{BEGINNING, Membership, PositionEvent, Rules, VehicleId, VehicleState};

/// Input of an epoch at this worker, with the capability to produce its output.
struct Pending {
    answer: Vec<Capability<Epoch>>,
    arrivals: Arrivals,
    snapshot: bool,
}

type Updates<D> = CapacityContainerBuilder<Vec<(D, Epoch, i64)>>;

/// An output, and which of the operator's it is.
struct Port<D: Clone + 'static> {
    number: usize,
    output: OutputBuilder<Epoch, Updates<D>>,
}

impl<D: Clone + 'static> Port<D> {
    /// One more output.
    fn new<'s>(builder: &mut OperatorBuilder<'s, Epoch>) -> (Self, Rows<'s, D>) {
        let number = builder.shape().outputs();
        let (output, stream) = builder.new_output();
        (Self { number, output: OutputBuilder::from(output) }, stream.as_collection())
    }

    fn give(&mut self, answer: &[Capability<Epoch>], rows: impl IntoIterator<Item = (D, i64)>) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_some() {
            let at = &answer[self.number];
            let epoch = *at.time();
            self.output.activate().session(at).give_iterator(rows.map(|(row, diff)| (row, epoch, diff)));
        }
    }
}

/// Rows that come and go: dataflow time is the epoch, the difference how many more there are.
pub type Rows<'s, D> = VecCollection<'s, Epoch, D, i64>;

/// The rows of `vehicle_state` that are others than before, each with its vehicle, or that there is none any more. In
/// an epoch a vehicle has at most one. They are no differences: what a row was before nobody asks, and to
/// remember it would take as much memory as all else that is known of most vehicles.
pub type States<'s> = StreamVec<'s, Epoch, (VehicleId, Option<VehicleState>)>;

/// The outputs, of which every kind of fact has one of the same name.
macro_rules! outputs {
    ($($(#[$what:meta])* $fact:ident: $row:ty,)*) => {
        /// Facts that the timelines produce.
        pub struct Facts<'s> {
            $($(#[$what])* pub $fact: Rows<'s, $row>,)*
            /// The visits that last: who is where.
            pub membership: Rows<'s, Membership>,
            /// Where vehicles are and what they do.
            pub vehicle_state: States<'s>,
            /// The timelines themselves, in the epochs in which they were asked for.
            pub snapshots: Rows<'s, TimelineSnapshot>,
            /// About this worker's timelines, as of the last epoch they have done.
            pub stats: Rc<Cell<Stats>>,
        }

        /// Where the operator says things.
        struct Outputs {
            $($fact: Port<$row>,)*
            membership: Port<Membership>,
            /// The number of the port, and the output.
            states: (usize, OutputBuilder<Epoch, CapacityContainerBuilder<Vec<(VehicleId, Option<VehicleState>)>>>),
            snapshots: Port<TimelineSnapshot>,
        }

        impl Outputs {
            fn new<'s>(builder: &mut OperatorBuilder<'s, Epoch>, stats: Rc<Cell<Stats>>) -> (Self, Facts<'s>) {
                $(let $fact = Port::new(builder);)*
                let membership = Port::new(builder);
                let states_port = builder.shape().outputs();
                let (states, vehicle_state) = builder.new_output();
                let snapshots = Port::new(builder);
                let outputs = Self {
                    $($fact: $fact.0,)*
                    membership: membership.0,
                    states: (states_port, OutputBuilder::from(states)),
                    snapshots: snapshots.0,
                };
                let facts = Facts {
                    $($fact: $fact.1,)*
                    membership: membership.1,
                    vehicle_state,
                    snapshots: snapshots.1,
                    stats,
                };
                (outputs, facts)
            }

            /// Takes out of `changes` all but its memory.
            fn say(&mut self, answer: &[Capability<Epoch>], changes: &mut Changes) {
                let Changes { facts, fleet_days, membership, states } = changes;
                facts.fleet_facts.extend(fleet_days.drain());
                let FactDeltas { $($fact,)* legs: _ } = facts; // legs have become facts
                $(self.$fact.give(answer, $fact.drain(..));)*
                self.membership.give(answer, membership.drain(..));
                if !states.is_empty() {
                    let (port, output) = &mut self.states;
                    output.activate().session(&answer[*port]).give_iterator(states.drain(..));
                }
            }
        }
    };
}

facts!(outputs);

/// The facts of all vehicles' timelines. `control` must carry the same to every worker.
pub fn timelines<'s>(
    scope: Scope<'s, Epoch>,
    positions: StreamVec<'s, Epoch, PositionEvent>,
    control: StreamVec<'s, Epoch, Control>,
    restored: StreamVec<'s, Epoch, TimelineSnapshot>,
    rules: Rules,
) -> Facts<'s> {
    let (index, peers) = (scope.index() as u32, scope.peers() as u32);
    let mut builder = OperatorBuilder::new("Timelines".to_owned(), scope);
    let by_vehicle = Exchange::new(|event: &PositionEvent| u64::from(event.vehicle.0));
    let mut positions = builder.new_input(positions, by_vehicle);
    let mut control = builder.new_input(control, Pipeline);
    let by_vehicle = Exchange::new(|snapshot: &TimelineSnapshot| u64::from(snapshot.vehicle.0));
    let mut restored = builder.new_input(restored, by_vehicle);
    let stats = Rc::new(Cell::new(Stats::default()));
    let (mut outputs, facts) = Outputs::new(&mut builder, Rc::clone(&stats));
    let ports = builder.shape().outputs();
    builder.build(move |initial| {
        drop(initial); // a kept capability would hold every view at epoch 0
        let mut timelines = Timelines::new(rules, index, peers);
        let mut pending = BTreeMap::<Epoch, Pending>::new();
        move |frontiers| {
            positions.for_each_stamp(|cap, containers| {
                let Some(&epoch) = cap.least() else { return };
                let entry = pending
                    .entry(epoch)
                    .or_insert_with(|| Pending::new((0..ports).map(|port| cap.delayed(&epoch, port)).collect()));
                containers.for_each(|batch| append(&mut entry.arrivals.positions, batch));
            });
            control.for_each_stamp(|cap, containers| {
                let Some(&epoch) = cap.least() else { return };
                let entry = pending
                    .entry(epoch)
                    .or_insert_with(|| Pending::new((0..ports).map(|port| cap.delayed(&epoch, port)).collect()));
                containers.for_each(|batch| batch.drain(..).for_each(|c| entry.take(c)));
            });
            restored.for_each_stamp(|cap, containers| {
                let Some(&epoch) = cap.least() else { return };
                let entry = pending
                    .entry(epoch)
                    .or_insert_with(|| Pending::new((0..ports).map(|port| cap.delayed(&epoch, port)).collect()));
                containers.for_each(|batch| entry.arrivals.restored.append(batch));
            });
            while let Some(first) = pending.first_entry() {
                let epoch = *first.key();
                if frontiers.iter().any(|frontier| frontier.less_equal(&epoch)) {
                    break;
                }
                let Pending { answer, arrivals, snapshot } = first.remove();
                let is_restored = !arrivals.restored.is_empty();
                let mut changes = timelines.advance(arrivals);
                stats.set(timelines.stats());
                outputs.say(&answer, &mut changes);
                // All there is says something in the epoch of a checkpoint, and hardly anything in others.
                if !is_restored {
                    timelines.reuse(changes);
                }
                if snapshot {
                    outputs.snapshots.give(&answer, timelines.snapshots().map(|taken| (taken, 1)));
                }
            }
        }
    });
    facts
}

/// Takes everything out of `batch`, without a copy if it is the first.
fn append<D>(all: &mut Vec<D>, batch: &mut Vec<D>) {
    if all.is_empty() { std::mem::swap(all, batch) } else { all.append(batch) }
}

impl Pending {
    fn new(answer: Vec<Capability<Epoch>>) -> Self {
        let arrivals = Arrivals {
            positions: Vec::new(),
            edits: Vec::new(),
            vehicles: Vec::new(),
            restored: Vec::new(),
            now: BEGINNING,
        };
        Self { answer, arrivals, snapshot: false }
    }

    fn take(&mut self, control: Control) {
        match control {
            Control::Geofence(edit) => self.arrivals.edits.push(edit),
            Control::Now(now) => self.arrivals.now = self.arrivals.now.max(now),
            Control::Vehicle(edit) => self.arrivals.vehicles.push(edit),
            Control::Rule(_) | Control::Restored => {}
            Control::Snapshot => self.snapshot = true,
        }
    }
}

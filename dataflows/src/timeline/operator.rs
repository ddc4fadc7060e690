//! The timelines as a timely operator: positions exchanged by vehicle, control heard by every
//! worker, both taken in the order of their epochs once no more of an epoch can come.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use differential_dataflow::AsCollection;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::dataflow::{Scope, StreamVec};

use crate::model::{BEGINNING, Control, Epoch, Offline, PositionEvent, Rules, VehicleState, Visit};
use crate::timeline::{Arrivals, Changes, Stats, TimelineSnapshot, Timelines};
use crate::views::Facts;

/// What an epoch brought to this worker, and the right to answer at it.
struct Pending {
    answer: [Capability<Epoch>; 4],
    arrivals: Arrivals,
    snapshot: bool,
}

type Rows<D> = CapacityContainerBuilder<Vec<(D, Epoch, i64)>>;

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
    let (visits, visits_stream) = builder.new_output();
    let (offlines, offlines_stream) = builder.new_output();
    let (states, states_stream) = builder.new_output();
    let (snapshots, snapshots_stream) = builder.new_output();
    let mut visits = OutputBuilder::<_, Rows<Visit>>::from(visits);
    let mut offlines = OutputBuilder::<_, Rows<Offline>>::from(offlines);
    let mut states = OutputBuilder::<_, Rows<VehicleState>>::from(states);
    let mut snapshots = OutputBuilder::<_, Rows<TimelineSnapshot>>::from(snapshots);

    let stats = Rc::new(Cell::new(Stats::default()));
    let told = Rc::clone(&stats);
    builder.build(move |initial| {
        drop(initial); // a kept capability would hold every view at epoch 0
        let mut timelines = Timelines::new(rules, index, peers);
        let mut pending = BTreeMap::<Epoch, Pending>::new();
        move |frontiers| {
            positions.for_each_stamp(|cap, containers| {
                let Some(&epoch) = cap.least() else { return };
                let entry = pending.entry(epoch).or_insert_with(|| Pending::new(|port| cap.delayed(&epoch, port)));
                containers.for_each(|batch| entry.arrivals.positions.append(batch));
            });
            control.for_each_stamp(|cap, containers| {
                let Some(&epoch) = cap.least() else { return };
                let entry = pending.entry(epoch).or_insert_with(|| Pending::new(|port| cap.delayed(&epoch, port)));
                containers.for_each(|batch| batch.drain(..).for_each(|c| entry.take(c)));
            });
            restored.for_each_stamp(|cap, containers| {
                let Some(&epoch) = cap.least() else { return };
                let entry = pending.entry(epoch).or_insert_with(|| Pending::new(|port| cap.delayed(&epoch, port)));
                containers.for_each(|batch| entry.arrivals.restored.append(batch));
            });
            while let Some(first) = pending.first_entry() {
                let epoch = *first.key();
                if frontiers.iter().any(|frontier| frontier.less_equal(&epoch)) {
                    break;
                }
                let Pending { answer, arrivals, snapshot } = first.remove();
                let Changes { facts, states: rows } = timelines.advance(arrivals);
                told.set(timelines.stats());
                let [visits_at, offlines_at, states_at, snapshots_at] = &answer;
                give(&mut visits, visits_at, facts.visits);
                give(&mut offlines, offlines_at, facts.offlines);
                give(&mut states, states_at, rows);
                if snapshot {
                    give(&mut snapshots, snapshots_at, timelines.snapshots().map(|taken| (taken, 1)).collect());
                }
            }
        }
    });
    Facts {
        visits: visits_stream.as_collection(),
        offlines: offlines_stream.as_collection(),
        vehicle_state: states_stream.as_collection(),
        snapshots: snapshots_stream.as_collection(),
        stats,
    }
}

fn give<D: Clone + 'static>(output: &mut OutputBuilder<Epoch, Rows<D>>, at: &Capability<Epoch>, rows: Vec<(D, i64)>) {
    if !rows.is_empty() {
        let epoch = *at.time();
        output.activate().session(at).give_iterator(rows.into_iter().map(|(row, diff)| (row, epoch, diff)));
    }
}

impl Pending {
    fn new(capability: impl Fn(usize) -> Capability<Epoch>) -> Self {
        let arrivals = Arrivals { positions: Vec::new(), edits: Vec::new(), restored: Vec::new(), now: BEGINNING };
        Self { answer: [0, 1, 2, 3].map(capability), arrivals, snapshot: false }
    }

    fn take(&mut self, control: Control) {
        match control {
            Control::Geofence(edit) => self.arrivals.edits.push(edit),
            Control::Now(now) => self.arrivals.now = self.arrivals.now.max(now),
            Control::Vehicle(_) | Control::Restored => {} // metadata never affects a timeline
            Control::Snapshot => self.snapshot = true,
        }
    }
}

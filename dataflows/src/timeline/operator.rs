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

use crate::control::{Control, Epoch};
use crate::timeline::deltas::FactDeltas;
use crate::timeline::{Arrivals, Changes, Stats, TimelineSnapshot, Timelines};
use crate::views::{Facts, Rows};
use watchtower_model::{BEGINNING, PositionEvent, Rules};

/// What an epoch brought to this worker, and the right to answer at it.
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
    let (mut marks, marks_rows) = Port::new(&mut builder);
    let (mut visits, visits_rows) = Port::new(&mut builder);
    let (mut offlines, offlines_rows) = Port::new(&mut builder);
    let (mut stops, stops_rows) = Port::new(&mut builder);
    let (mut idlings, idlings_rows) = Port::new(&mut builder);
    let (mut overspeeds, overspeeds_rows) = Port::new(&mut builder);
    let (mut moves_off, moves_off_rows) = Port::new(&mut builder);
    let (mut towings, towings_rows) = Port::new(&mut builder);
    let (mut trips, trips_rows) = Port::new(&mut builder);
    let (mut turnarounds, turnarounds_rows) = Port::new(&mut builder);
    let (mut motions, motions_rows) = Port::new(&mut builder);
    let (mut presences, presences_rows) = Port::new(&mut builder);
    let (mut spells, spells_rows) = Port::new(&mut builder);
    let (mut kind_visits, kind_visits_rows) = Port::new(&mut builder);
    let (mut fleet_facts, fleet_facts_rows) = Port::new(&mut builder);
    let (mut membership, membership_rows) = Port::new(&mut builder);
    let states_port = builder.shape().outputs();
    let (states, states_stream) = builder.new_output();
    let mut states = OutputBuilder::<_, CapacityContainerBuilder<Vec<_>>>::from(states);
    let (mut snapshots, snapshots_rows) = Port::new(&mut builder);
    let ports = builder.shape().outputs();

    let stats = Rc::new(Cell::new(Stats::default()));
    let told = Rc::clone(&stats);
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
                told.set(timelines.stats());
                let Changes { facts, fleet_days, membership: membership_said, states: states_said } = &mut changes;
                let FactDeltas {
                    marks: marks_said,
                    visits: visits_said,
                    offlines: offlines_said,
                    stops: stops_said,
                    idlings: idlings_said,
                    overspeeds: overspeeds_said,
                    moves_off: moves_off_said,
                    towings: towings_said,
                    trips: trips_said,
                    turnarounds: turnarounds_said,
                    motions: motions_said,
                    presences: presences_said,
                    spells: spells_said,
                    kind_visits: kind_visits_said,
                    fleet_facts: fleet_facts_said,
                    legs: _, // they have become facts
                } = facts;
                marks.give(&answer, marks_said.drain(..));
                visits.give(&answer, visits_said.drain(..));
                offlines.give(&answer, offlines_said.drain(..));
                stops.give(&answer, stops_said.drain(..));
                idlings.give(&answer, idlings_said.drain(..));
                overspeeds.give(&answer, overspeeds_said.drain(..));
                moves_off.give(&answer, moves_off_said.drain(..));
                towings.give(&answer, towings_said.drain(..));
                trips.give(&answer, trips_said.drain(..));
                turnarounds.give(&answer, turnarounds_said.drain(..));
                motions.give(&answer, motions_said.drain(..));
                presences.give(&answer, presences_said.drain(..));
                spells.give(&answer, spells_said.drain(..));
                kind_visits.give(&answer, kind_visits_said.drain(..));
                fleet_facts.give(&answer, fleet_facts_said.drain(..).chain(fleet_days.drain()));
                membership.give(&answer, membership_said.drain(..));
                if !states_said.is_empty() {
                    states.activate().session(&answer[states_port]).give_iterator(states_said.drain(..));
                }
                // All there is says something in the epoch of a checkpoint, and hardly anything in others.
                if !is_restored {
                    timelines.reuse(changes);
                }
                if snapshot {
                    snapshots.give(&answer, timelines.snapshots().map(|taken| (taken, 1)));
                }
            }
        }
    });
    Facts {
        marks: marks_rows,
        visits: visits_rows,
        offlines: offlines_rows,
        stops: stops_rows,
        idlings: idlings_rows,
        overspeeds: overspeeds_rows,
        moves_off: moves_off_rows,
        towings: towings_rows,
        trips: trips_rows,
        turnarounds: turnarounds_rows,
        motions: motions_rows,
        presences: presences_rows,
        spells: spells_rows,
        kind_visits: kind_visits_rows,
        fleet_facts: fleet_facts_rows,
        membership: membership_rows,
        vehicle_state: states_stream,
        snapshots: snapshots_rows,
        stats,
    }
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
            Control::Restored => {}
            Control::Snapshot => self.snapshot = true,
        }
    }
}

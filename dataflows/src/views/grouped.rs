//! Aggregates as a timely operator: facts exchanged by group, each epoch taken in one go.
//!
//! What it maintains is one state a group, which its facts add up to ([`Group`]). That is enough because
//! the state is a function of their multiset: how an epoch is cut, and in which order and how often a fact
//! comes and goes, leaves no trace. Per epoch and touched group it says at most one row that is
//! no longer true and one that is.
//!
//! Differential's own operators do less here. `reduce` hands the whole group to a closure at each
//! change (milliseconds for a hundred thousand facts), and keeps its input, output and both their
//! histories. `count_total` keeps a sum in the difference at constant cost, but a maximum, a percentile
//! or a number of distinct vehicles is no sum. Neither can forget a group without retracting its
//! row, nor hand out its state.
//!
//! **Checkpoints.** In an epoch with [`Control::Snapshot`] the groups are handed out as they are after it,
//! those included that it did not touch. In an epoch with [`Control::Restored`] groups are put back, into
//! any number of workers. The timelines restored in the same epoch say once more what is open; the groups
//! hold it already, so in such an epoch facts are dropped, and nothing is said: the rows stand. That goes
//! for a checkpoint without any group as well, which is why a control tells and not the groups.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::AsCollection;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder, operator::empty};
use timely::dataflow::operators::vec::Map;
use timely::dataflow::{Scope, StreamVec};

use crate::control::{Control, Epoch};
use crate::views::epochs::EpochControl;
use crate::views::groups::{Fact, Group, GroupStats, Groups, Key};
use crate::views::{GroupSnapshot, Rows};
use watchtower_model::Rules;
use watchtower_model::facts::Pin;
use watchtower_model::local_time::LocalTime;

/// Input that every aggregate has besides its facts.
#[derive(Clone)]
pub struct Given<'s> {
    /// The same on every worker.
    pub control: StreamVec<'s, Epoch, Control>,
    /// The groups of a checkpoint, of all aggregates, in an epoch with [`Control::Restored`].
    pub restored: StreamVec<'s, Epoch, GroupSnapshot>,
    /// Days whose groups may still change however long ago they were.
    pub pins: Rows<'s, Pin>,
    /// Time zone of days and hours.
    pub local_time: Arc<LocalTime>,
    /// How long after its end a group leaves memory: see [`Given::new`]. Milliseconds.
    pub sealed_after_ms: Option<i64>,
}

impl std::fmt::Debug for Given<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Given").finish_non_exhaustive()
    }
}

impl<'s> Given<'s> {
    /// A group leaves memory `slack_ms` more than the horizon after its end. The slack covers how far behind
    /// the horizon an accepted event can still change a fact: see [`crate::views::groups::reach_ms`].
    pub fn new(
        control: StreamVec<'s, Epoch, Control>,
        restored: StreamVec<'s, Epoch, GroupSnapshot>,
        pins: Rows<'s, Pin>,
        rules: &Rules,
        slack_ms: i64,
    ) -> Self {
        let sealed_after_ms = rules.horizon_ms.map(|horizon_ms| horizon_ms.saturating_add(slack_ms));
        Self { control, restored, pins, local_time: Arc::clone(&rules.local_time), sealed_after_ms }
    }
}

/// Outputs of the operator of an aggregate.
pub struct Grouped<'s, R: 'static> {
    /// Rows of the table.
    pub rows: Rows<'s, R>,
    /// Its groups, in the epochs in which they were asked for.
    pub snapshots: Rows<'s, GroupSnapshot>,
    /// About this worker's groups, as of the last epoch they have done.
    pub stats: Rc<Cell<GroupStats>>,
}

impl<'s, R: Clone + 'static> Grouped<'s, R> {
    /// An aggregate that is not computed: no rows and no groups.
    pub fn none(scope: Scope<'s, Epoch>) -> Self {
        Self { rows: empty(scope).as_collection(), snapshots: empty(scope).as_collection(), stats: Rc::default() }
    }
}

impl<R: 'static> std::fmt::Debug for Grouped<'_, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grouped").field("stats", &self.stats).finish_non_exhaustive()
    }
}

/// Input of an epoch at this worker, with the capability to produce its output.
struct Pending<G: Group> {
    answer: [Capability<Epoch>; 2],
    facts: Vec<(Fact<G>, i64)>,
    restored: Vec<(G::Key, Arc<G>)>,
    pins: Vec<(Pin, i64)>,
    control: EpochControl,
}

type Out<D> = CapacityContainerBuilder<Vec<(D, Epoch, i64)>>;

/// The rows of all groups of `facts`.
pub fn grouped<'s, G: Group>(name: &'static str, facts: Rows<'s, Fact<G>>, given: &Given<'s>) -> Grouped<'s, G::Row> {
    let Given { control, restored, pins, local_time, sealed_after_ms } = given.clone();
    let restored = restored.flat_map(G::restored);
    let mut builder = OperatorBuilder::new(name.to_owned(), facts.inner.scope());
    let by_group = Exchange::new(|((key, _), _, _): &(Fact<G>, Epoch, i64)| key.route());
    let mut facts = builder.new_input(facts.inner, by_group);
    let mut control = builder.new_input(control, Pipeline);
    let by_group = Exchange::new(|(key, _): &(G::Key, Arc<G>)| key.route());
    let mut restored = builder.new_input(restored, by_group);
    let mut pins = builder.new_input(to_all_workers(pins), Exchange::new(|(worker, _, _): &(u64, Pin, i64)| *worker));
    let (rows, rows_stream) = builder.new_output();
    let (snapshots, snapshots_stream) = builder.new_output();
    let mut rows = OutputBuilder::<_, Out<G::Row>>::from(rows);
    let mut snapshots = OutputBuilder::<_, Out<GroupSnapshot>>::from(snapshots);

    let stats = Rc::new(Cell::new(GroupStats::default()));
    let told = Rc::clone(&stats);
    builder.build(move |initial| {
        drop(initial); // a kept capability would hold every view at epoch 0
        let mut groups = Groups::<G>::new(local_time, sealed_after_ms);
        let mut pending = BTreeMap::<Epoch, Pending<G>>::new();
        let mut spare = Vec::new(); // what facts were in, for those to come
        move |frontiers| {
            facts.for_each_stamp(|cap, containers| {
                for batch in containers {
                    take_facts(batch, &mut pending, &mut spare, |epoch, port| cap.delayed(epoch, port));
                }
            });
            control.for_each_stamp(|cap, containers| {
                let Some(&epoch) = cap.least() else { return };
                let entry = pending.entry(epoch).or_insert_with(|| Pending::new(|port| cap.delayed(&epoch, port)));
                containers.for_each(|batch| batch.drain(..).for_each(|control| entry.control.take(control)));
            });
            restored.for_each_stamp(|cap, containers| {
                let Some(&epoch) = cap.least() else { return };
                let entry = pending.entry(epoch).or_insert_with(|| Pending::new(|port| cap.delayed(&epoch, port)));
                containers.for_each(|batch| entry.restored.append(batch));
            });
            pins.for_each_stamp(|cap, containers| {
                let Some(&epoch) = cap.least() else { return };
                let entry = pending.entry(epoch).or_insert_with(|| Pending::new(|port| cap.delayed(&epoch, port)));
                let all = containers.flat_map(|batch| batch.drain(..));
                entry.pins.extend(all.map(|(_, pin, diff)| (pin, diff)));
            });
            while let Some(first) = pending.first_entry() {
                let epoch = *first.key();
                if frontiers.iter().any(|frontier| frontier.less_equal(&epoch)) {
                    break;
                }
                let pending = first.remove();
                spare = take_epoch(&mut groups, pending, &told, &mut rows, &mut snapshots);
                debug_assert_eq!(told.get().late_updates, 0, "{name}: nothing accepted touches a sealed group");
            }
        }
    });
    Grouped { rows: rows_stream.as_collection(), snapshots: snapshots_stream.as_collection(), stats }
}

/// Takes in one epoch and emits what has changed. Returns what its facts were in, emptied, for those to come.
fn take_epoch<G: Group>(
    groups: &mut Groups<G>,
    pending: Pending<G>,
    told: &Cell<GroupStats>,
    rows: &mut OutputBuilder<Epoch, Out<G::Row>>,
    snapshots: &mut OutputBuilder<Epoch, Out<GroupSnapshot>>,
) -> Vec<(Fact<G>, i64)> {
    let Pending { answer: [rows_at, snapshots_at], mut facts, restored, pins, control } = pending;
    let EpochControl { geofences, now, dwell_ms, silence_ms, snapshot, is_restored, vehicles: _, rules: _ } = control;
    groups.keep_for(dwell_ms, silence_ms);
    debug_assert!(is_restored || restored.is_empty(), "groups are restored where a control says so");
    restored.into_iter().for_each(|(key, group)| groups.restore(key, group));
    groups.edit(geofences.iter().map(|edit| (edit.effective_from, edit.key)));
    groups.pin(&pins);
    let changed = groups.advance(if is_restored { &[] } else { &facts });
    groups.unpin(&pins);
    groups.seal(now);
    told.set(groups.stats());
    give(rows, &rows_at, changed.into_iter());
    if snapshot {
        give(snapshots, &snapshots_at, groups.snapshots().map(|group| (group, 1)));
    }
    facts.clear();
    if is_restored { Vec::new() } else { facts }
}

/// Pins for each worker, with its number: they come in any epoch, and a worker has groups of any vehicle.
pub fn to_all_workers<'s>(pins: Rows<'s, Pin>) -> StreamVec<'s, Epoch, (u64, Pin, i64)> {
    let workers = pins.inner.scope().peers() as u64;
    pins.inner.flat_map(move |(pin, _, diff)| (0..workers).map(move |worker| (worker, pin, diff)))
}

/// Takes the facts of a batch, each to its epoch. `spare` is what the facts of an epoch were in.
fn take_facts<G: Group>(
    batch: &mut Vec<(Fact<G>, Epoch, i64)>,
    pending: &mut BTreeMap<Epoch, Pending<G>>,
    spare: &mut Vec<(Fact<G>, i64)>,
    capability: impl Fn(&Epoch, usize) -> Capability<Epoch>,
) {
    let mut batch = batch.drain(..).peekable();
    while let Some(&(_, epoch, _)) = batch.peek() {
        let entry = pending.entry(epoch).or_insert_with(|| Pending::new(|port| capability(&epoch, port)));
        if entry.facts.capacity() == 0 {
            entry.facts = std::mem::take(spare);
        }
        while let Some((fact, _, diff)) = batch.next_if(|(_, at, _)| *at == epoch) {
            entry.facts.push((fact, diff));
        }
    }
}

fn give<D: Clone + 'static>(
    output: &mut OutputBuilder<Epoch, Out<D>>,
    at: &Capability<Epoch>,
    rows: impl Iterator<Item = (D, i64)>,
) {
    let epoch = *at.time();
    output.activate().session(at).give_iterator(rows.map(|(row, diff)| (row, epoch, diff)));
}

impl<G: Group> Pending<G> {
    fn new(capability: impl Fn(usize) -> Capability<Epoch>) -> Self {
        Self {
            answer: [0, 1].map(capability),
            facts: Vec::new(),
            restored: Vec::new(),
            pins: Vec::new(),
            control: EpochControl::default(),
        }
    }
}

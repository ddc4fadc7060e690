//! `alerts`: facts exchanged by owner, control and pins as they come, epoch by epoch. See [`crate::alerts`].

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::AsCollection;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder, operator::empty};
use timely::dataflow::operators::vec::Map;
use timely::dataflow::{Scope, StreamVec};

use crate::alerts::crowds::Stay;
use crate::alerts::fact::{Fact, Owner};
use crate::alerts::owners::{AlertState, Arrivals, Changes, Owners};
use crate::control::Epoch;
use crate::timeline::operator::Facts;
use crate::views::crowds::crowds;
use crate::views::epochs::EpochControl;
use crate::views::grouped::Given;
use crate::views::{GroupSnapshot, Rows};
use watchtower_model::facts::Pin;
use watchtower_model::{Alert, GeofenceId, Rules, ViewSet};

/// Input of an epoch at this worker, with the capabilities to produce its output.
struct Pending {
    answer: [Capability<Epoch>; 3],
    facts: Vec<((Owner, Fact), i64)>,
    control: EpochControl,
    pins: Vec<(Pin, i64)>,
    restored: Vec<(Owner, Arc<AlertState>)>,
}

type Out<D> = CapacityContainerBuilder<Vec<(D, Epoch, i64)>>;

/// Outputs of the operator, in the order of its ports.
struct Outputs {
    rows: OutputBuilder<Epoch, Out<Alert>>,
    snapshots: OutputBuilder<Epoch, Out<GroupSnapshot>>,
    stays: OutputBuilder<Epoch, Out<(GeofenceId, Stay)>>,
}

/// Rows of `alerts`, and the states of all owners in the epochs in which they were requested.
pub struct Alerts<'s> {
    /// Rows of the table.
    pub rows: Rows<'s, Alert>,
    /// States, for checkpoints.
    pub snapshots: Rows<'s, GroupSnapshot>,
}

impl<'s> Alerts<'s> {
    /// Alerts, if the set of views has them.
    pub fn of(scope: Scope<'s, Epoch>, facts: &Facts<'s>, given: &Given<'s>, rules: &Rules) -> Self {
        match rules.views {
            ViewSet::Membership => Self { rows: empty(scope).as_collection(), snapshots: empty(scope).as_collection() },
            ViewSet::All => {
                let (alerts, stays) = alerts(scope, facts, given, rules);
                let (rows, snapshots) = crowds(stays, given, rules);
                Self { rows: alerts.rows.concat(rows), snapshots: alerts.snapshots.concat(snapshots) }
            }
        }
    }
}

impl std::fmt::Debug for Alerts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alerts").finish_non_exhaustive()
    }
}

/// A fact, to be exchanged.
type Owned = ((Owner, Fact), Epoch, i64);

/// All facts that alerts may be about, in one stream.
fn owned<'s>(facts: &Facts<'s>) -> StreamVec<'s, Epoch, Owned> {
    macro_rules! of {
        ($($rows:ident),*) => {
            [$(facts.$rows.inner.clone().map(|(fact, epoch, diff)| {
                let owner = Owner::Vehicle(fact.vehicle);
                ((owner, Fact::from(fact)), epoch, diff)
            }),)*]
        };
    }
    let [visits, others @ ..] = of!(visits, offlines, stops, idlings, overspeeds, trips, turnarounds);
    use timely::dataflow::operators::Concatenate;
    visits.scope().concatenate(std::iter::once(visits).chain(others))
}

/// Visits that alerts about occupancy count.
type Stays<'s> = Rows<'s, (GeofenceId, Stay)>;

/// The alerts of facts, and the visits that other alerts count.
fn alerts<'s>(scope: Scope<'s, Epoch>, facts: &Facts<'s>, given: &Given<'s>, rules: &Rules) -> (Alerts<'s>, Stays<'s>) {
    let Given { control, restored, pins, local_time: _, sealed_after_ms } = given.clone();
    let (index, peers) = (scope.index() as u64, scope.peers() as u64);
    let mut builder = OperatorBuilder::new("Alerts".to_owned(), scope);
    let mut facts = builder.new_input(owned(facts), Exchange::new(|((owner, _), _, _): &Owned| owner.route()));
    let mut control = builder.new_input(control, Pipeline);
    let by_owner = Exchange::new(|(owner, _): &(Owner, Arc<AlertState>)| owner.route());
    let mut restored = builder.new_input(restored.flat_map(state), by_owner);
    let by_vehicle = Exchange::new(|(pin, _, _): &(Pin, Epoch, i64)| u64::from(pin.vehicle.0));
    let mut pins = builder.new_input(pins.inner, by_vehicle);
    let (rows, rows_stream) = builder.new_output();
    let (snapshots, snapshots_stream) = builder.new_output();
    let (stays, stays_stream) = builder.new_output();
    let mut outputs = Outputs {
        rows: OutputBuilder::from(rows),
        snapshots: OutputBuilder::from(snapshots),
        stays: OutputBuilder::from(stays),
    };
    let rules = rules.clone();
    builder.build(move |initial| {
        drop(initial); // a kept capability would hold every view at epoch 0
        let mut owners = Owners::new(rules, sealed_after_ms, index, peers);
        let mut pending = BTreeMap::<Epoch, Pending>::new();
        move |frontiers| {
            facts.for_each_stamp(|cap, containers| {
                for (fact, epoch, diff) in containers.flat_map(|batch| batch.drain(..)) {
                    let entry = pending.entry(epoch).or_insert_with(|| Pending::new(|port| cap.delayed(&epoch, port)));
                    entry.facts.push((fact, diff));
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
                for (pin, epoch, diff) in containers.flat_map(|batch| batch.drain(..)) {
                    let entry = pending.entry(epoch).or_insert_with(|| Pending::new(|port| cap.delayed(&epoch, port)));
                    entry.pins.push((pin, diff));
                }
            });
            while let Some(first) = pending.first_entry() {
                if frontiers.iter().any(|frontier| frontier.less_equal(first.key())) {
                    break;
                }
                take_epoch(&mut owners, first.remove(), &mut outputs);
            }
        }
    });
    let alerts = Alerts { rows: rows_stream.as_collection(), snapshots: snapshots_stream.as_collection() };
    (alerts, stays_stream.as_collection())
}

/// The state of an owner in a checkpoint.
fn state(snapshot: GroupSnapshot) -> Option<(Owner, Arc<AlertState>)> {
    let GroupSnapshot::Alerts(owner, state) = snapshot else { return None };
    Some((owner, state))
}

/// Takes in one epoch and emits what has changed.
fn take_epoch(owners: &mut Owners, pending: Pending, outputs: &mut Outputs) {
    let Pending { answer: [rows_at, snapshots_at, stays_at], facts, control, pins, restored } = pending;
    let EpochControl { geofences, vehicles, rules, now, dwell_ms, silence_ms, snapshot, is_restored } = control;
    let epoch = *rows_at.time();
    owners.keep_for(dwell_ms, silence_ms);
    debug_assert!(is_restored || restored.is_empty(), "states are restored where a control says so");
    let restored = is_restored.then_some(restored);
    let arrivals = Arrivals { facts, geofences, vehicles, rules, pins, now, restored };
    let Changes { alerts, stays } = owners.advance(arrivals);
    if !alerts.is_empty() {
        let alerts = alerts.into_iter().map(|(alert, diff)| (alert, epoch, diff));
        outputs.rows.activate().session(&rows_at).give_iterator(alerts);
    }
    if !stays.is_empty() {
        let stays = stays.into_iter().map(|(stay, diff)| (stay, epoch, diff));
        outputs.stays.activate().session(&stays_at).give_iterator(stays);
    }
    if snapshot {
        let states = owners.states().map(|(owner, state)| (GroupSnapshot::Alerts(owner, state), epoch, 1));
        outputs.snapshots.activate().session(&snapshots_at).give_iterator(states);
    }
}

impl Pending {
    fn new(capability: impl Fn(usize) -> Capability<Epoch>) -> Self {
        Self {
            answer: [0, 1, 2].map(capability),
            facts: Vec::new(),
            control: EpochControl::default(),
            pins: Vec::new(),
            restored: Vec::new(),
        }
    }
}

//! Alerts about how many vehicles geofences hold: visits exchanged by geofence, control as it comes, epoch by epoch. See
//! [`crate::alerts::crowds`].

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::AsCollection;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::{OutputBuilder, builder_rc::OperatorBuilder};
use timely::dataflow::operators::vec::Map;

use crate::alerts::CrowdState;
use crate::alerts::crowds::{Arrivals, Crowds, Stay};
use crate::control::Epoch;
use crate::views::epochs::EpochControl;
use crate::views::grouped::{Given, to_all_workers};
use crate::views::pins::Pins;
use crate::views::{GroupSnapshot, Rows};
use watchtower_model::facts::Pin;
use watchtower_model::local_time::Day;
use watchtower_model::{Alert, BEGINNING, GeofenceId, Millis, Rules};

/// A visit to be exchanged.
type Counted = ((GeofenceId, Stay), Epoch, i64);
type Out<D> = CapacityContainerBuilder<Vec<(D, Epoch, i64)>>;

/// Input of an epoch at this worker, with the capabilities to produce its output.
struct Pending {
    answer: [Capability<Epoch>; 2],
    stays: Vec<((GeofenceId, Stay), i64)>,
    control: EpochControl,
    pins: Vec<(Pin, i64)>,
    restored: Vec<(GeofenceId, Arc<CrowdState>)>,
}

/// What decides which alerts can still change.
struct Sealing {
    /// Alerts so long before the log's time change no more, unless days are pinned; `None`: any may.
    sealed_after_ms: Option<i64>,
    /// The longest dwell of a geofence and the reach of the longest silence of a vehicle, milliseconds.
    slack_ms: (i64, i64),
    pins: Pins,
    now: Millis,
}

impl Sealing {
    /// Edits may make facts change so much longer afterwards. Milliseconds.
    fn keep_for(&mut self, dwell_ms: i64, silence_ms: i64) {
        self.slack_ms = (self.slack_ms.0.max(dwell_ms), self.slack_ms.1.max(silence_ms));
    }

    /// Alerts before this instant change no more.
    fn sealed_before(&self, rules: &Rules) -> Option<Millis> {
        let (dwell_ms, silence_ms) = self.slack_ms;
        let kept_ms = self.sealed_after_ms?.saturating_add(dwell_ms).saturating_add(silence_ms);
        let sealed_before = self.now.saturating_sub(kept_ms);
        let undecided = match self.pins.since(None) {
            Day(i32::MAX) => sealed_before,
            day => rules.local_time.day_spans(day).next().map_or(BEGINNING, |span| span.from.saturating_sub(dwell_ms)),
        };
        Some(sealed_before.min(undecided))
    }
}

/// The alerts, from the visits that [`crate::views::alerts`] passes on, and the states of all geofences in the epochs in which
/// they are requested.
pub fn crowds<'s>(
    stays: Rows<'s, (GeofenceId, Stay)>,
    given: &Given<'s>,
    rules: &Rules,
) -> (Rows<'s, Alert>, Rows<'s, GroupSnapshot>) {
    let Given { control, restored, pins, local_time: _, sealed_after_ms } = given.clone();
    let scope = stays.inner.scope();
    let (index, peers) = (scope.index() as u64, scope.peers() as u64);
    let mut builder = OperatorBuilder::new("Crowds".to_owned(), scope);
    let by_geofence = Exchange::new(|((geofence, _), _, _): &Counted| u64::from(geofence.0));
    let mut stays = builder.new_input(stays.inner, by_geofence);
    let mut control = builder.new_input(control, Pipeline);
    let by_geofence = Exchange::new(|(geofence, _): &(GeofenceId, Arc<CrowdState>)| u64::from(geofence.0));
    let mut restored = builder.new_input(restored.flat_map(state), by_geofence);
    let mut pins = builder.new_input(to_all_workers(pins), Exchange::new(|(worker, _, _): &(u64, Pin, i64)| *worker));
    let (rows, rows_stream) = builder.new_output();
    let (snapshots, snapshots_stream) = builder.new_output();
    let mut rows = OutputBuilder::<_, Out<Alert>>::from(rows);
    let mut snapshots = OutputBuilder::<_, Out<GroupSnapshot>>::from(snapshots);
    let rules = rules.clone();
    builder.build(move |initial| {
        drop(initial); // a kept capability would hold every view at epoch 0
        let mut crowds = Crowds::new(rules.clone(), index, peers);
        let mut sealing = Sealing { sealed_after_ms, slack_ms: (0, 0), pins: Pins::default(), now: BEGINNING };
        let mut pending = BTreeMap::<Epoch, Pending>::new();
        move |frontiers| {
            stays.for_each_stamp(|cap, containers| {
                for (stay, epoch, diff) in containers.flat_map(|batch| batch.drain(..)) {
                    let entry = pending.entry(epoch).or_insert_with(|| Pending::new(|port| cap.delayed(&epoch, port)));
                    entry.stays.push((stay, diff));
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
                entry.pins.extend(containers.flat_map(|batch| batch.drain(..)).map(|(_, pin, diff)| (pin, diff)));
            });
            while let Some(first) = pending.first_entry() {
                if frontiers.iter().any(|frontier| frontier.less_equal(first.key())) {
                    break;
                }
                take_epoch(&mut crowds, first.remove(), &mut sealing, &rules, &mut rows, &mut snapshots);
            }
        }
    });
    (rows_stream.as_collection(), snapshots_stream.as_collection())
}

/// The state of a geofence in a checkpoint.
fn state(snapshot: GroupSnapshot) -> Option<(GeofenceId, Arc<CrowdState>)> {
    let GroupSnapshot::Crowds(geofence, state) = snapshot else { return None };
    Some((geofence, state))
}

/// Takes in one epoch and emits what has changed.
fn take_epoch(
    crowds: &mut Crowds,
    pending: Pending,
    sealing: &mut Sealing,
    parameters: &Rules,
    rows: &mut OutputBuilder<Epoch, Out<Alert>>,
    snapshots: &mut OutputBuilder<Epoch, Out<GroupSnapshot>>,
) {
    let Pending { answer: [rows_at, snapshots_at], stays, control, pins, restored } = pending;
    let EpochControl { geofences, vehicles, rules, now, dwell_ms, silence_ms, snapshot, is_restored } = control;
    let epoch = *rows_at.time();
    sealing.keep_for(dwell_ms, silence_ms);
    // What the epoch brings may change what could change before its pins and its time.
    let sealed_before = sealing.sealed_before(parameters);
    sealing.now = sealing.now.max(now);
    pins.iter().for_each(|(pin, diff)| sealing.pins.add(pin, *diff, false));
    sealing.pins.settle();
    let sealed_before = sealed_before.min(sealing.sealed_before(parameters));
    let restored = is_restored.then_some(restored);
    let arrivals = Arrivals { stays, geofences, vehicles, rules, now, restored };
    let changes = crowds.advance(arrivals, sealed_before);
    if !changes.is_empty() {
        rows.activate().session(&rows_at).give_iterator(changes.into_iter().map(|(alert, diff)| (alert, epoch, diff)));
    }
    if snapshot {
        let states =
            crowds.states(sealed_before).map(|(geofence, state)| (GroupSnapshot::Crowds(geofence, state), epoch, 1));
        snapshots.activate().session(&snapshots_at).give_iterator(states);
    }
}

impl Pending {
    fn new(capability: impl Fn(usize) -> Capability<Epoch>) -> Self {
        Self {
            answer: [0, 1].map(capability),
            stays: Vec::new(),
            control: EpochControl::default(),
            pins: Vec::new(),
            restored: Vec::new(),
        }
    }
}

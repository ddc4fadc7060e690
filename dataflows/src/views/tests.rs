//! The aggregates through their operators: facts come and go, late and replaced, and after every epoch the
//! tables are those of a plain search.

mod facts;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use differential_dataflow::AsCollection;
use differential_dataflow::consolidation::consolidate;
use proptest::prelude::*;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::operators::generic::operator::empty;
use timely::dataflow::operators::{Input as _, Probe};
use timely::dataflow::{InputHandle, ProbeHandle, Scope};

use super::geofence_hourly::geofence_hourly;
use super::grouped::{Given, Grouped};
use super::groups::{GroupStats, Groups, reach_ms};
use super::od_daily::od_daily;
use super::vehicle_daily::{MotionOfDay, Part, VehicleDailyGroup, VehicleDay, VehicleFacts, vehicle_daily};
use super::{GroupSnapshot, Rows};
use crate::control::{Control, Epoch};
use facts::{arb_epochs, batches, by_plain_search};
use watchtower_model::aggregates::{GeofenceHourly, OdDaily, VehicleDaily};
use watchtower_model::facts::{Motion, Overspeed, Pin, Pinned, Presence, Spell, Stop, Towing, Trip};
use watchtower_model::local_time::{Day, LocalTime};
use watchtower_model::{GeofenceId, Millis, Rules, Speed, VehicleId, Visit};

const MINUTE: Millis = 60_000;
const HOUR: Millis = 60 * MINUTE;
const DAY: Millis = 24 * HOUR;
const START: Millis = 20_000 * DAY;
const HORIZON: Millis = 2 * DAY;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
enum Fact {
    Motion(Motion),
    Towing(Towing),
    Spell(Spell),
    Overspeed(Overspeed),
    Stop(Stop),
    Visit(Visit),
    Trip(Trip),
    Presence(Presence),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Row {
    Vehicle(VehicleDaily),
    Geofence(GeofenceHourly),
    Od(OdDaily),
}

#[derive(Clone, Debug, Default)]
struct Batch {
    facts: Vec<(Fact, i64)>,
    control: Vec<Control>,
    restored: Vec<GroupSnapshot>,
}

#[derive(Clone, Debug, Default)]
struct Said {
    rows: Vec<(Row, i64)>,
    groups: Vec<GroupSnapshot>,
}

/// A zone whose clocks go back over midnight in the third night.
fn zone() -> LocalTime {
    LocalTime::new("zone", -2 * HOUR, [(START + 2 * DAY + 2 * HOUR + MINUTE, -3 * HOUR)])
}

fn rules() -> Rules {
    Rules { local_time: Arc::new(zone()), horizon_ms: Some(HORIZON), ..Rules::default() }
}

struct Tables<'s> {
    rows: Rows<'s, Row>,
    groups: Rows<'s, GroupSnapshot>,
    stats: Box<dyn Fn() -> [GroupStats; 3]>,
}

fn tables<'s>(facts: Rows<'s, Fact>, given: &Given<'s>) -> Tables<'s> {
    macro_rules! of {
        ($kind:ident) => {
            facts.clone().flat_map(|fact| if let Fact::$kind(fact) = fact { Some(fact) } else { None })
        };
    }
    let parts = VehicleFacts {
        motions: of!(Motion),
        towings: of!(Towing),
        spells: of!(Spell),
        overspeeds: of!(Overspeed),
        stops: of!(Stop),
        visits: of!(Visit),
        trips: of!(Trip),
    };
    let Grouped { rows: vehicles, snapshots: a, stats: of_vehicles } = vehicle_daily(parts, given);
    let Grouped { rows: geofences, snapshots: b, stats: of_geofences } =
        geofence_hourly(of!(Visit), of!(Presence), given);
    let Grouped { rows: ods, snapshots: c, stats: of_ods } = od_daily(of!(Trip), given);
    let rows = vehicles.map(Row::Vehicle).concatenate([geofences.map(Row::Geofence), ods.map(Row::Od)]);
    let stats = Box::new(move || [of_vehicles.get(), of_geofences.get(), of_ods.get()]);
    Tables { rows, groups: a.concatenate([b, c]), stats }
}

type Handle<D> = InputHandle<Epoch, CapacityContainerBuilder<Vec<D>>>;

struct Inputs {
    facts: Handle<(Fact, Epoch, i64)>,
    control: Handle<Control>,
    restored: Handle<GroupSnapshot>,
}

impl Inputs {
    fn build<'s>(scope: Scope<'s, Epoch>) -> (Self, Rows<'s, Fact>, Given<'s>) {
        let (facts, facts_stream) = scope.new_input();
        let (control, control_stream) = scope.new_input();
        let (restored, restored_stream) = scope.new_input();
        let given = Given::new(control_stream, restored_stream, empty(scope).as_collection(), &rules(), 0);
        (Self { facts, control, restored }, facts_stream.as_collection(), given)
    }

    fn advance_to(&mut self, epoch: Epoch) {
        self.facts.advance_to(epoch);
        self.control.advance_to(epoch);
        self.restored.advance_to(epoch);
    }
}

/// Tells the other workers, who would wait for ever, that one has panicked.
struct Alarm(Arc<AtomicBool>);

impl Drop for Alarm {
    fn drop(&mut self) {
        self.0.fetch_or(std::thread::panicking(), Ordering::Relaxed);
    }
}

/// What the operators say in each epoch, and how many groups they have in the end.
fn run(workers: usize, batches: &[Batch]) -> (Vec<Said>, u64) {
    let batches: Arc<[Batch]> = batches.into();
    let said = Arc::new(Mutex::new(vec![Said::default(); batches.len()]));
    let (heard, panicked) = (Arc::clone(&said), Arc::default());
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let (index, peers, alarm) = (worker.index(), worker.peers(), Alarm(Arc::clone(&panicked)));
        let probe = ProbeHandle::new();
        let (mut inputs, stats) = worker.dataflow::<Epoch, _, _>(|scope| {
            let (inputs, facts, given) = Inputs::build(scope);
            let Tables { rows, groups, stats } = tables(facts, &given);
            let (rows_heard, groups_heard) = (Arc::clone(&heard), Arc::clone(&heard));
            rows.inspect(move |(row, epoch, diff)| {
                rows_heard.lock().unwrap()[*epoch as usize].rows.push((*row, *diff));
            })
            .inner
            .probe_with(&probe);
            groups
                .inspect(move |(group, epoch, _)| {
                    groups_heard.lock().unwrap()[*epoch as usize].groups.push(group.clone());
                })
                .inner
                .probe_with(&probe);
            (inputs, stats)
        });
        for (epoch, batch) in batches.iter().enumerate() {
            let mine = |at: &usize| (at + epoch) % peers == index;
            for (_, (fact, diff)) in batch.facts.iter().enumerate().filter(|(at, _)| mine(at)) {
                inputs.facts.send((*fact, epoch as Epoch, *diff));
            }
            for (_, group) in batch.restored.iter().enumerate().filter(|(at, _)| mine(at)) {
                inputs.restored.send(group.clone());
            }
            batch.control.iter().for_each(|control| inputs.control.send(control.clone()));
            inputs.advance_to(epoch as Epoch + 1);
            if epoch % 3 == 0 {
                worker.step(); // else epochs pile up
            }
        }
        drop(inputs);
        while !probe.done() {
            assert!(!alarm.0.load(Ordering::Relaxed), "another worker has panicked");
            worker.step_or_park(Some(Duration::from_millis(10)));
        }
        stats().iter().map(|stats| stats.groups).sum::<u64>()
    })
    .unwrap();
    let groups = guards.join().into_iter().map(Result::unwrap).sum();
    let said = std::mem::take(&mut *said.lock().unwrap());
    (said, groups)
}

/// What a checkpoint's file would give back.
fn stored(groups: &[GroupSnapshot]) -> Vec<GroupSnapshot> {
    serde_json::from_slice(&serde_json::to_vec(groups).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn after_every_epoch_the_rows_are_those_of_a_plain_search(
        epochs in arb_epochs(),
        workers in prop::sample::select(vec![1usize, 2, 4]),
        other_workers in 1..4usize,
        taken in any::<prop::sample::Index>(),
    ) {
        let (mut batches, after) = batches(epochs);
        let taken = taken.index(batches.len());
        batches[taken].control.push(Control::Snapshot);
        let (said, groups) = run(workers, &batches);
        let mut rows = Vec::new();
        for (epoch, said) in said.iter().enumerate() {
            let mut once = said.rows.clone();
            consolidate(&mut once);
            prop_assert_eq!(once.len(), said.rows.len(), "nothing is said that is taken back at once");
            rows.extend(once);
            consolidate(&mut rows);
            prop_assert_eq!(&rows, &by_plain_search(&after[epoch]), "after epoch {}", epoch);
        }

        let now = batches[..=taken].iter().flat_map(|batch| &batch.control).filter_map(|control| match control {
            Control::Now(now) => Some(*now),
            _ => None,
        }).max().unwrap_or(START);
        let again = Batch {
            facts: after[taken].iter().map(|fact| (*fact, 1)).collect(),
            control: vec![Control::Now(now), Control::Restored],
            restored: stored(&said[taken].groups),
        };
        let resumed: Vec<_> = [again].into_iter().chain(batches[taken + 1..].iter().cloned()).collect();
        let (resumed, resumed_groups) = run(other_workers, &resumed);
        prop_assert!(resumed[0].rows.is_empty(), "the rows of a checkpoint stand");
        for (one, other) in said[taken + 1..].iter().zip(&resumed[1..]) {
            let (mut one, mut other) = (one.rows.clone(), other.rows.clone());
            one.sort();
            other.sort();
            prop_assert_eq!(one, other);
        }
        prop_assert_eq!(groups, resumed_groups);
    }
}

/// A fleet of constant size says one motion a vehicle and epoch, and is in geofences.
#[test]
fn with_a_constant_fleet_memory_stays_flat() {
    const EPOCHS: u64 = 20_000;
    const STEP: Millis = 5 * MINUTE;
    let live = timely::execute_directly(move |worker| {
        let probe = ProbeHandle::new();
        let (mut inputs, stats) = worker.dataflow::<Epoch, _, _>(|scope| {
            let (inputs, facts, given) = Inputs::build(scope);
            let Tables { rows, groups: _, stats } = tables(facts, &given);
            rows.inner.probe_with(&probe);
            (inputs, stats)
        });
        let mut live = BTreeMap::<u64, Vec<_>>::new();
        for epoch in 0..EPOCHS {
            let now = START + epoch as Millis * STEP;
            for vehicle in 0..5 {
                for (fact, diff) in drive(VehicleId(vehicle), now, STEP) {
                    inputs.facts.send((fact, epoch, diff));
                }
            }
            inputs.control.send(Control::Now(now));
            inputs.advance_to(epoch + 1);
            while probe.less_than(&(epoch + 1)) {
                worker.step();
            }
            live.entry(epoch / (EPOCHS / 4)).or_default().push(stats());
        }
        let most = |quarter: &Vec<[GroupStats; 3]>| {
            [0, 1, 2].map(|view| quarter.iter().map(|stats| stats[view].groups).max().unwrap())
        };
        live.values().map(most).collect::<Vec<_>>()
    });
    assert_eq!(live[1], live[3], "live groups by quarter: {live:?}");
    assert!(live[3][0] <= 5 * 5 && live[3][1] <= 3 * 50, "{live:?}");
}

/// What becomes of a vehicle's facts between two instants of a grid.
fn drive(vehicle: VehicleId, now: Millis, step: Millis) -> Vec<(Fact, i64)> {
    let geofence = GeofenceId(vehicle.0 % 3);
    let before = now - step;
    let motion = |t: Millis| {
        let day = zone().day(t);
        let positions = (t - zone().day_spans(day).next().unwrap().from) / step + 1;
        let (distance_mm, moved) = (positions * 1_000, Some((t - t.rem_euclid(DAY), t)));
        let (gap_mm, moving_ms, stopped_ms, offline_ms, max_speed) = (0, 0, 0, 0, Speed::NONE);
        Motion { vehicle, day, distance_mm, gap_mm, moving_ms, stopped_ms, offline_ms, max_speed, moved, positions }
    };
    let presence = |until: Millis| {
        let from = zone().hour_span(until).from;
        Presence { vehicle, geofence, from, until }
    };
    let mut facts = vec![(Fact::Motion(motion(now)), 1), (Fact::Presence(presence(now)), 1)];
    if now > START && zone().day(before) == zone().day(now) {
        facts.push((Fact::Motion(motion(before)), -1));
    }
    if now > START && zone().hour_span(before) == zone().hour_span(now) {
        facts.push((Fact::Presence(presence(before)), -1));
    }
    facts
}

fn motion(positions: i64) -> Part {
    let motion = serde_json::json!({
        "distance_mm": 0, "gap_mm": 0, "moving_ms": 0, "stopped_ms": 0, "offline_ms": 0, "positions": positions,
        "moved": null, "max_speed": Speed::NONE,
    });
    Part::Motion(serde_json::from_value::<MotionOfDay>(motion).unwrap())
}

fn on(day: i32) -> VehicleDay {
    VehicleDay { vehicle: VehicleId(0), day: Day(20_000 + day) }
}

#[test]
fn pinned_days_stay_until_the_vehicle_is_heard_of_again() {
    let pin = Pin { vehicle: VehicleId(0), first: Day(20_001), last: Day(20_001), groups: Pinned::All };
    let mut groups = Groups::<VehicleDailyGroup>::new(Arc::new(LocalTime::utc()), Some(HORIZON));
    groups.advance(&[((on(0), motion(1)), 1), ((on(1), motion(1)), 1), ((on(2), motion(0)), 1)]);
    groups.pin(&[(pin, 1)]);
    groups.seal(START + 30 * DAY);
    assert_eq!(groups.stats().groups, 1, "days before and after the pinned one are final");
    let rows = groups.advance(&[((on(1), Part::Stop), 1), ((on(30), motion(1)), 1)]);
    assert_eq!((rows.len(), groups.stats().late_updates), (3, 0));
    groups.unpin(&[(pin, -1)]);
    groups.seal(START + 30 * DAY);
    assert_eq!(groups.stats().groups, 1, "what it waited for has come");
    assert!(groups.advance(&[((on(1), Part::Stop), -1)]).is_empty());
    assert_eq!(groups.stats().late_updates, 1);
}

#[test]
fn changes_that_cancel_do_not_concern_a_group_that_has_left() {
    let mut groups = Groups::<VehicleDailyGroup>::new(Arc::new(LocalTime::utc()), Some(HORIZON));
    groups.seal(START + 30 * DAY);
    assert!(groups.advance(&[((on(0), Part::Stop), 1), ((on(0), Part::Stop), -1)]).is_empty());
    assert!(groups.advance(&[((on(29), Part::Stop), 1), ((on(29), Part::Stop), -1)]).is_empty());
    assert_eq!(groups.stats(), GroupStats::default());
}

#[test]
fn an_outlier_is_told_by_the_next_position_within_four_days() {
    let days = reach_ms(&Rules::default()) / DAY;
    assert_eq!(days, 3, "80 hours at 250 km/h, and less than an hour of least durations");
    let still = Rules { max_plausible: Speed::from_kmh(0.0), ..Rules::default() };
    assert_eq!(reach_ms(&still), i64::MAX);
}

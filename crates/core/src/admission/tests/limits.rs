//! Which positions are accepted, and how many of how many vehicles: against the same rules computed from everything
//! that was accepted before.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::random::SplitMix;

const MINUTE: Millis = 60_000;
/// Of lateness 10 min.
const WINDOW: Millis = 70 * MINUTE;
const SEEDS: u64 = 300;

fn limits(max_vehicles: u32, max_retained_positions: u32) -> Limits {
    Limits { lateness_ms: Some(10 * MINUTE), max_vehicles, max_retained_positions, ..Limits::default() }
}

fn rig(stream: Stream, limits: &Limits) -> Rig {
    Rig { admission: Admission::new(stream, limits.clone()), names: Names::default() }
}

const ONE: Stream = Stream::Positions { index: 0, streams: 1 };

/// A position event: when, whether it is a position and no withdrawal, when it arrives, and the
/// clock then.
#[derive(Clone, Copy, Debug)]
struct Sent {
    ts: Millis,
    is_kept: bool,
    arrival: Millis,
    now: Millis,
}

/// What the rules remember of a vehicle: everything.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Where it holds positions, and how far back its track is whole.
    held: BTreeSet<Millis>,
    kept_from: Option<Millis>,
    /// The positions that count, and the window that the clock had reached when it last was not behind.
    counted: Vec<Millis>,
    reached: Option<Millis>,
}

fn window(ts: Millis) -> Millis {
    ts.div_euclid(WINDOW)
}

impl Known {
    fn newest(&self) -> Option<Millis> {
        self.held.last().copied()
    }

    /// What the rules say of an event of this vehicle, one of `vehicles` that are known.
    fn judge(&self, event: Sent, (is_new, vehicles): (bool, usize), limits: &Limits) -> Result<(), Reason> {
        let Sent { ts, is_kept, arrival, now, .. } = event;
        let reach = |newest: Millis| (newest - 10 * MINUTE).max(self.kept_from.unwrap_or(Millis::MIN));
        let is_repair = self.held.contains(&ts) && self.newest().is_some_and(|newest| ts >= reach(newest));
        if !is_repair {
            if ts > arrival + limits.future_tolerance_ms {
                return Err(Reason::Future);
            }
            if ts < arrival.max(now.saturating_sub(ARRIVAL_SLACK_MS)) - limits.horizon_ms {
                return Err(Reason::Horizon);
            }
            let floor = self.newest().map(|newest| newest - 10 * MINUTE).max(self.kept_from);
            if floor.is_some_and(|floor| ts < floor) {
                return Err(Reason::Late);
            }
        }
        if is_new && vehicles >= limits.max_vehicles as usize {
            return Err(Reason::TooManyVehicles);
        }
        if !is_kept {
            return Ok(());
        }
        let mut after = self.clone();
        after.take(event);
        let in_windows = |range: std::ops::RangeInclusive<Millis>| {
            after.counted.iter().filter(|ts| range.contains(&window(**ts))).count()
        };
        let from = after.reached.unwrap_or(Millis::MIN + 1) - 1;
        let too_many = in_windows(window(ts)..=window(ts)) > limits.max_retained_positions as usize / 2
            || in_windows(from..=Millis::MAX) > limits.max_retained_positions as usize;
        if too_many { Err(Reason::TooManyPositions) } else { Ok(()) }
    }

    /// Remembers an accepted event.
    fn take(&mut self, Sent { ts, is_kept, now, .. }: Sent) {
        let before = self.newest();
        if is_kept {
            self.held.insert(ts);
            self.counted.push(ts);
        } else if self.held.remove(&ts) && before == Some(ts) {
            self.kept_from = self.kept_from.max(Some(ts.min(now).saturating_sub(WINDOW)));
            self.counted = self.held.iter().copied().collect();
            self.reached = Some(window(now) + 1);
        } else {
            return;
        }
        let Some(newest) = self.newest() else { return };
        if window(now) >= window(newest) {
            self.reached = Some(window(newest));
        } else if before.is_none() {
            self.reached = None;
        }
    }
}

#[test]
fn every_event_is_judged_as_the_rules_say() {
    let mut refused = BTreeMap::<Reason, usize>::new();
    let (mut went_back, mut repairs) = (0, 0);
    for seed in 0..SEEDS {
        let mut random = SplitMix::new(seed);
        let mut below = |bound: usize| random.below(bound as u64) as usize;
        let limits = limits(2 + below(3) as u32, 2 + below(30) as u32);
        let limits = Limits { horizon_ms: 10 * MINUTE + below(4) as Millis * WINDOW, ..limits };
        let mut rig = rig(ONE, &limits);
        let mut known: BTreeMap<usize, Known> = BTreeMap::new();
        let (mut clock, mut at) = (NOW - NOW % WINDOW, [NOW - NOW % WINDOW; 4]);
        let lags = below(3) == 0;
        for step in 0..400 {
            let vehicle = below(4);
            at[vehicle] += match below(40) {
                0 => WINDOW * below(4) as Millis,
                1 => WINDOW,
                _ => below(8) as Millis * MINUTE,
            };
            let of = known.get(&vehicle).cloned().unwrap_or_default();
            let (is_kept, known_key) = (below(6) > 0, below(2) == 0);
            let late = if below(3) == 0 { below(24) as Millis * MINUTE } else { 0 };
            let ts = match of.held.iter().rev().nth([0, 0, 1, 5][below(4)]) {
                Some(held) if !is_kept && known_key => *held,
                Some(newest) if below(30) == 0 => newest + 3 * WINDOW, // a mistaken clock
                Some(_) | None => at[vehicle] - late,
            };
            let arrival = ts + [0, 0, 0, -61_000, 60 * MINUTE][below(5)];
            let event = Sent { ts, is_kept, arrival, now: rig.admission.now() };
            let is_new = !known.contains_key(&vehicle);
            let expected = of.judge(event, (is_new, known.len()), &limits);
            let (id, deleted) =
                (format!("v{vehicle}"), if is_kept { r#""lon":1,"lat":2"# } else { r#""deleted":true"# });
            let json = format!(r#"{{"type":"position","vehicle_id":"{id}","ts":{ts},{deleted}}}"#);
            let found = rig.admit(&json, arrival).map(|_| ());
            assert_eq!(found, expected, "seed {seed}, step {step}: {event:?} of {of:?}");
            match expected {
                Ok(()) => {
                    known.entry(vehicle).or_default().take(event);
                    went_back += usize::from(known[&vehicle].newest() < of.newest());
                    repairs += usize::from(ts > arrival + limits.future_tolerance_ms);
                }
                Err(reason) => *refused.entry(reason).or_default() += 1,
            }
            if below(if lags { 60 } else { 4 }) == 0 {
                clock = clock.max(at[below(4)] - below(90) as Millis * MINUTE);
                rig.clock(clock, clock).unwrap();
            }
            if below(20) == 0 {
                let memory = rig.admission.memory();
                rig.admission = Admission::resume(ONE, limits.clone(), memory.clone());
                assert_eq!(rig.admission.memory(), memory);
            }
        }
    }
    println!("{refused:?}, {went_back} times a newest went back, {repairs} repairs");
    let reasons = [Reason::Future, Reason::Horizon, Reason::Late, Reason::TooManyVehicles, Reason::TooManyPositions];
    assert!(reasons.iter().all(|reason| refused[reason] > 500), "{refused:?}");
    assert!(went_back > 500 && repairs > 500, "{went_back} times a newest went back, {repairs} repairs");
}

#[test]
fn half_of_what_may_be_held_is_accepted_in_each_window() {
    let limits = limits(10, 6);
    let mut rig = rig(ONE, &limits);
    let start = NOW - NOW % WINDOW;
    rig.clock(start + 5 * WINDOW, start + 5 * WINDOW).unwrap();
    let mut at = |ts| rig.arriving("a", ts, ts).map(|_| ());
    for i in 0..3 {
        assert_eq!(at(start + WINDOW - 10 * MINUTE + i), Ok(()));
    }
    assert_eq!(at(start + WINDOW - 1), Err(Reason::TooManyPositions));
    assert_eq!(at(start + WINDOW), Ok(()), "the next window has room of its own");
    assert_eq!(at(start + WINDOW - 1), Err(Reason::TooManyPositions), "the one before stays full");
    assert_eq!((at(start + WINDOW), at(start + WINDOW)), (Ok(()), Ok(())), "the same instant again counts too");
    assert_eq!(at(start + WINDOW + 1), Err(Reason::TooManyPositions));
    assert_eq!(at(start + 2 * WINDOW), Ok(()));
    let last = start + 2 * WINDOW;
    assert_eq!((at(last), at(last), at(last)), (Ok(()), Ok(()), Err(Reason::TooManyPositions)));
    let withdrawal = format!(r#"{{"type":"position","vehicle_id":"a","ts":{last},"deleted":true}}"#);
    assert!(rig.admit(&withdrawal, last).is_ok(), "what keeps nothing is not counted");
}

#[test]
fn a_vehicle_ahead_of_the_clock_is_bounded_in_all() {
    let limits = limits(10, 6);
    let mut rig = rig(ONE, &limits);
    let start = NOW - NOW % WINDOW;
    rig.clock(start, start).unwrap();
    for i in 0..6 {
        assert!(rig.arriving("a", start + i * WINDOW, start + i * WINDOW).is_ok());
    }
    let next = start + 6 * WINDOW;
    assert_eq!(rig.arriving("a", next, next), Err(Reason::TooManyPositions));
    rig.clock(next - 1, next).unwrap();
    assert_eq!(rig.arriving("a", next, next), Err(Reason::TooManyPositions), "the clock has not reached it");
    rig.clock(next, next).unwrap();
    assert!(rig.arriving("a", next, next).is_ok());
}

#[test]
fn each_stream_has_its_share_of_vehicles() {
    let limits = limits(5, 1_000);
    let ids: Vec<String> = (0..100).map(|i| format!("v{i}")).filter(|id| stream_of(id, 2) == 1).collect();
    let mut rig = rig(Stream::Positions { index: 1, streams: 2 }, &limits);
    // What another stream has accepted gives a number, and takes no room.
    rig.names.intern_vehicle("another");
    rig.names.intern_vehicle(&ids[3]);
    for id in &ids[..3] {
        assert!(rig.at(id, NOW).is_ok());
    }
    let numbers = rig.names.vehicle_ids().len();
    assert_eq!(rig.at(&ids[3], NOW), Err(Reason::TooManyVehicles));
    assert_eq!(rig.withdraw(&ids[4], NOW), Err(Reason::TooManyVehicles));
    assert!(rig.at(&ids[0], NOW + 1).is_ok());
    assert_eq!(rig.names.vehicle_ids().len(), numbers, "the refused have no number");
}

#[test]
fn so_many_vehicles_have_metadata() {
    let limits = limits(2, 1_000);
    let mut rig = rig(Stream::Control, &limits);
    let vehicle = |id: &str| format!(r#"{{"type":"vehicle","vehicle_id":"{id}","name":"x"}}"#);
    let mut admit = |id| rig.admit(&vehicle(id), NOW).map(|_| ());
    assert_eq!((admit("a"), admit("b"), admit("a")), (Ok(()), Ok(()), Ok(())));
    assert_eq!(admit("c"), Err(Reason::TooManyVehicles));
    rig.names.intern_vehicle("c");
    assert_eq!(rig.admit(&vehicle("c"), NOW), Err(Reason::TooManyVehicles), "whoever knows it besides");
    let memory = rig.admission.memory();
    rig.admission = Admission::resume(Stream::Control, limits, memory);
    assert_eq!(rig.admit(&vehicle("c"), NOW), Err(Reason::TooManyVehicles));
    assert!(rig.admit(&vehicle("b"), NOW).is_ok());
}

#[test]
fn nothing_is_too_much_in_a_replay() {
    let mut rig = rig(Stream::Files, &limits(1, 2));
    for i in 0..20 {
        assert!(rig.at("a", NOW + i).is_ok() && rig.at(&format!("v{i}"), NOW).is_ok());
    }
}

#[test]
fn four_a_second_are_never_too_many_by_default() {
    for lateness_ms in [0, 6 * HOUR, 14 * 24 * HOUR] {
        let most = i64::from(crate::events::default_max_retained_positions(lateness_ms));
        let sent = (lateness_ms + ARRIVAL_SLACK_MS) / 250;
        // Two windows, and a minute ahead of the clock.
        assert!(most / 2 >= sent && most >= 2 * sent + 240, "{lateness_ms}: {most} for {sent} a window");
    }
}

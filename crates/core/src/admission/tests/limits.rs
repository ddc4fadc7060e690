//! How many vehicles, and how many positions of each: against the same rules computed from everything that
//! was accepted before.

use std::collections::BTreeSet;

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

/// An accepted position event: whose, when, whether it is kept, and the clock then.
type Admitted = (usize, Millis, bool, Millis);

fn window(ts: Millis) -> Millis {
    ts.div_euclid(WINDOW)
}

/// What the rules say of an event after these.
fn by_the_book(before: &[Admitted], event: Admitted, limits: &Limits) -> Result<(), Reason> {
    let (vehicle, ts, is_kept, _) = event;
    let of_vehicle: Vec<&Admitted> = before.iter().filter(|(of, ..)| *of == vehicle).collect();
    match of_vehicle.iter().map(|(_, ts, ..)| *ts).max() {
        Some(newest) if newest - ts > 10 * MINUTE => return Err(Reason::Late),
        Some(_) => {}
        None => {
            let vehicles: BTreeSet<usize> = before.iter().map(|(of, ..)| *of).collect();
            if vehicles.len() >= limits.max_vehicles as usize {
                return Err(Reason::TooManyVehicles);
            }
        }
    }
    if !is_kept {
        return Ok(());
    }
    let with_it: Vec<Admitted> = of_vehicle.into_iter().copied().chain([event]).collect();
    let kept = |in_window: &dyn Fn(Millis) -> bool| {
        with_it.iter().filter(|(_, ts, is_kept, _)| *is_kept && in_window(window(*ts))).count()
    };
    if kept(&|of| of == window(ts)) > limits.max_retained_positions as usize / 2 {
        return Err(Reason::TooManyPositions);
    }
    // The newest window after each event; the clock had last reached it then.
    let mut newest = Millis::MIN;
    let mut reached = None;
    for (_, ts, _, now) in &with_it {
        newest = newest.max(window(*ts));
        if window(*now) >= newest {
            reached = Some(newest);
        }
    }
    let from = reached.unwrap_or(Millis::MIN + 1) - 1;
    match kept(&|of| of >= from) > limits.max_retained_positions as usize {
        true => Err(Reason::TooManyPositions),
        false => Ok(()),
    }
}

#[test]
fn what_is_too_much_is_what_the_rules_say() {
    let mut refused = std::collections::BTreeMap::<Reason, usize>::new();
    for seed in 0..SEEDS {
        let mut random = SplitMix::new(seed);
        let mut below = |bound: usize| random.below(bound as u64) as usize;
        let limits = limits(2 + below(3) as u32, 2 + below(30) as u32);
        let mut rig = rig(ONE, &limits);
        let mut before: Vec<Admitted> = Vec::new();
        let (mut clock, mut at) = (NOW - NOW % WINDOW, [NOW - NOW % WINDOW; 4]);
        let lags = below(3) == 0;
        for step in 0..400 {
            let vehicle = below(4);
            at[vehicle] += match below(40) {
                0 => WINDOW * below(4) as Millis,
                1 => WINDOW,
                _ => below(8) as Millis * MINUTE,
            };
            let late = if below(3) == 0 { below(24) as Millis * MINUTE } else { 0 };
            let (ts, is_kept, id) = (at[vehicle] - late, below(8) > 0, format!("v{vehicle}"));
            let event = (vehicle, ts, is_kept, rig.admission.now());
            let expected = by_the_book(&before, event, &limits);
            let found = match is_kept {
                true => rig.arriving(&id, ts, ts),
                false => {
                    let json = format!(r#"{{"type":"position","vehicle_id":"{id}","ts":{ts},"deleted":true}}"#);
                    rig.admit(&json, ts)
                }
            };
            assert_eq!(found.map(|_| ()), expected, "seed {seed}, step {step}: {event:?} after {before:?}");
            match expected {
                Ok(()) => before.push(event),
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
    println!("{refused:?}");
    let reasons = [Reason::Late, Reason::TooManyVehicles, Reason::TooManyPositions];
    assert!(reasons.iter().all(|reason| refused[reason] > 1_000), "{refused:?}");
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

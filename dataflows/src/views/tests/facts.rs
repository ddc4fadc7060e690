//! Facts that come and go at random, and the tables by a plain search of all there are.

use proptest::prelude::*;

use super::{Batch, DAY, Fact, HORIZON, HOUR, MINUTE, Row, START, zone};
use crate::control::Control;
use crate::views::plain::{self, PlainFacts};
use watchtower_model::facts::{
    Arrival, Motion, Overspeed, OverspeedMeasures, Presence, Spell, SpellKind, Stop, Towing, Trip, TripMeasures,
};
use watchtower_model::{GeofenceId, Millis, Place, Speed, VehicleId, Visit};

fn arb_fact(now: Millis) -> impl Strategy<Value = Fact> {
    let at = (now - HORIZON / 2) / MINUTE..now / MINUTE;
    let longest = prop_oneof![0..3i64, 0..200i64, 0..2_000i64];
    let numbers = (0..4u32, 0..3u32, 0..3u32, 0..200i64, any::<bool>());
    (0..8u8, at, longest, numbers).prop_map(move |(kind, at, length, (v, g, h, n, flag))| {
        let (vehicle, geofence) = (VehicleId(v), GeofenceId(g));
        let (from, until) = (at * MINUTE, ((at + length) * MINUTE).min(now));
        let ended_at = flag.then_some(until);
        let speed = if n < 100 { Speed::NONE } else { Speed::from_kmh(n as f64) };
        match kind {
            0 => Fact::Motion(Motion {
                vehicle,
                day: zone().day(from),
                distance_mm: n,
                gap_mm: n % 5,
                moving_ms: n * 3,
                stopped_ms: length,
                offline_ms: n % 7,
                max_speed: speed,
                moved: flag.then_some((from, until)),
                positions: n + 1,
            }),
            1 => {
                let kind = if flag { SpellKind::Idling } else { SpellKind::Overspeed };
                Fact::Spell(Spell { vehicle, kind, from, until })
            }
            2 => {
                let measures = flag.then_some(OverspeedMeasures { max_speed: speed, distance_mm: n });
                let (geofence, limit) = (None, Speed::from_kmh(50.0));
                Fact::Overspeed(Overspeed { vehicle, started_at: from, ended_at, geofence, limit, measures })
            }
            3 => {
                let place = Place { lon: 0, lat: 0 };
                Fact::Stop(Stop { vehicle, started_at: from, ended_at, place, geofence: Some(geofence) })
            }
            4 => Fact::Visit(Visit { vehicle, geofence, entered_at: from, exited_at: ended_at, confirmed: n < 100 }),
            5 => {
                let distance_mm = n;
                let (moving_ms, stopped_ms, max_speed) = (0, 0, Speed::NONE);
                let measures = TripMeasures { distance_mm, gap_mm: 0, moving_ms, stopped_ms, stops: 0, max_speed };
                let arrival = Arrival { destination: GeofenceId(h), arrived_at: until, measures };
                Fact::Trip(Trip { vehicle, origin: geofence, departed_at: from, arrival: flag.then_some(arrival) })
            }
            6 => Fact::Towing(Towing { vehicle, day: zone().day(from), started_at: from, distance_mm: n + 1 }),
            _ => {
                let until = until.min(zone().hour_span(from).until);
                Fact::Presence(Presence { vehicle, geofence, from, until })
            }
        }
    })
}

/// The first instant whose row a fact changes.
fn begin(fact: &Fact) -> Millis {
    match fact {
        Fact::Motion(motion) => zone().day_spans(motion.day).next().unwrap().from,
        Fact::Towing(towing) => zone().day_spans(towing.day).next().unwrap().from,
        Fact::Spell(spell) => spell.from,
        Fact::Overspeed(overspeed) => overspeed.started_at,
        Fact::Stop(stop) => stop.started_at,
        Fact::Visit(visit) => visit.entered_at,
        Fact::Trip(trip) => trip.departed_at,
        Fact::Presence(presence) => presence.from,
    }
}

/// Whether its end is still to come.
fn is_open(fact: &Fact) -> bool {
    match fact {
        Fact::Overspeed(overspeed) => overspeed.ended_at.is_none(),
        Fact::Stop(stop) => stop.ended_at.is_none(),
        Fact::Visit(visit) => visit.exited_at.is_none(),
        Fact::Motion(_) | Fact::Towing(_) | Fact::Spell(_) | Fact::Trip(_) | Fact::Presence(_) => false,
    }
}

/// How a generated step changes the facts.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Add(Fact),
    Remove(prop::sample::Index),
    Replace(prop::sample::Index, i64),
}

/// How far each epoch's time is from the next, and its steps: facts are said as of [`START`].
pub(super) fn arb_epochs() -> impl Strategy<Value = Vec<(Millis, Vec<Step>)>> {
    let step = prop_oneof![
        5 => arb_fact(START).prop_map(Step::Add),
        2 => any::<prop::sample::Index>().prop_map(Step::Remove),
        3 => (any::<prop::sample::Index>(), 0..100i64).prop_map(|(at, by)| Step::Replace(at, by)),
    ];
    let tick = prop_oneof![5 => 0..HOUR, 2 => 0..DAY, 1 => 0..5 * DAY];
    prop::collection::vec((tick, prop::collection::vec(step, 0..12)), 1..25)
}

/// A fact as it would be `by` later.
fn later(fact: Fact, by: Millis) -> Fact {
    match fact {
        Fact::Motion(m) => {
            let from = begin(&fact) + by + 6 * HOUR;
            Fact::Motion(Motion { day: zone().day(from), moved: m.moved.map(|(a, b)| (a + by, b + by)), ..m })
        }
        Fact::Towing(t) => {
            let from = begin(&fact) + by + 6 * HOUR;
            Fact::Towing(Towing { day: zone().day(from), started_at: t.started_at + by, ..t })
        }
        Fact::Spell(s) => Fact::Spell(Spell { from: s.from + by, until: s.until + by, ..s }),
        Fact::Overspeed(o) => {
            Fact::Overspeed(Overspeed { started_at: o.started_at + by, ended_at: o.ended_at.map(|t| t + by), ..o })
        }
        Fact::Stop(s) => Fact::Stop(Stop { started_at: s.started_at + by, ended_at: s.ended_at.map(|t| t + by), ..s }),
        Fact::Visit(v) => {
            Fact::Visit(Visit { entered_at: v.entered_at + by, exited_at: v.exited_at.map(|t| t + by), ..v })
        }
        Fact::Trip(t) => {
            let arrival = t.arrival.map(|arrival| Arrival { arrived_at: arrival.arrived_at + by, ..arrival });
            Fact::Trip(Trip { departed_at: t.departed_at + by, arrival, ..t })
        }
        Fact::Presence(p) => {
            let (from, until) = (p.from + by, p.until + by);
            Fact::Presence(Presence { from, until: until.min(zone().hour_span(from).until), ..p })
        }
    }
}

/// A fact that goes on or ends otherwise, at most `by` minutes later and not after `now`.
fn replaced(fact: Fact, by: i64, now: Millis) -> Fact {
    let end = |t: Millis| (t + by * MINUTE).min(now).max(t);
    match fact {
        Fact::Motion(m) => {
            Fact::Motion(Motion { moving_ms: m.moving_ms + by, max_speed: Speed::from_kmh(by as f64), ..m })
        }
        Fact::Towing(t) => Fact::Towing(Towing { distance_mm: t.distance_mm + by, ..t }),
        Fact::Spell(s) => Fact::Spell(Spell { until: end(s.until), ..s }),
        Fact::Overspeed(o) => Fact::Overspeed(Overspeed { ended_at: Some(end(now - HOUR)), ..o }),
        Fact::Stop(s) => Fact::Stop(Stop { ended_at: Some(end(now - HOUR)), ..s }),
        Fact::Visit(v) => {
            Fact::Visit(Visit { exited_at: Some(end(now - HOUR).max(v.entered_at)), confirmed: true, ..v })
        }
        Fact::Trip(t) => Fact::Trip(t),
        Fact::Presence(p) => Fact::Presence(Presence { until: end(p.until).min(zone().hour_span(p.from).until), ..p }),
    }
}

/// Batches for the operators, and all facts there are after each.
pub(super) fn batches(epochs: Vec<(Millis, Vec<Step>)>) -> (Vec<Batch>, Vec<Vec<Fact>>) {
    let (mut now, mut there) = (START, Vec::<Fact>::new());
    let (mut batches, mut after) = (Vec::new(), Vec::new());
    for (tick, steps) in epochs {
        let mut batch = Batch::default();
        // What lies behind the horizon no longer changes; what is open may end, however old.
        let fixed = now - HORIZON;
        for step in steps {
            match step {
                Step::Add(fact) => {
                    let fact = later(fact, now - START);
                    there.push(fact);
                    batch.facts.push((fact, 1));
                }
                Step::Remove(at) if !there.is_empty() => {
                    let at = at.index(there.len());
                    if begin(&there[at]) > fixed {
                        batch.facts.push((there.swap_remove(at), -1));
                    }
                }
                Step::Replace(at, by) if !there.is_empty() => {
                    let at = at.index(there.len());
                    if begin(&there[at]) > fixed || is_open(&there[at]) {
                        let new = replaced(there[at], by, now);
                        batch.facts.extend([(there[at], -1), (new, 1)]);
                        there[at] = new;
                    }
                }
                Step::Remove(_) | Step::Replace(..) => {}
            }
        }
        now += tick;
        batch.control.push(Control::Now(now));
        batches.push(batch);
        after.push(there.clone());
    }
    (batches, after)
}

pub(super) fn by_plain_search(facts: &[Fact]) -> Vec<(Row, i64)> {
    let mut all = PlainFacts::default();
    for fact in facts {
        match *fact {
            Fact::Motion(fact) => all.motions.push(fact),
            Fact::Towing(fact) => all.towings.push(fact),
            Fact::Spell(fact) => all.spells.push(fact),
            Fact::Overspeed(fact) => all.overspeeds.push(fact),
            Fact::Stop(fact) => all.stops.push(fact),
            Fact::Visit(fact) => all.visits.push(fact),
            Fact::Trip(fact) => all.trips.push(fact),
            Fact::Presence(fact) => all.presences.push(fact),
        }
    }
    let vehicles = plain::vehicle_daily(&all, &zone()).into_iter().map(Row::Vehicle);
    let geofences = plain::geofence_hourly(&all, &zone()).into_iter().map(Row::Geofence);
    let ods = plain::od_daily(&all, &zone()).into_iter().map(Row::Od);
    vehicles.chain(geofences).chain(ods).map(|row| (row, 1)).collect()
}

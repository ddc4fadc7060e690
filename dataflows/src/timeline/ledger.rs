//! What has been said of a vehicle with numbers that may still change: the facts that were measured, and
//! its days.
//!
//! The fold tells when an interval comes or goes. That a late position lies inside of one it does not
//! tell: states hold no sums, or they would never meet again. So what was said is kept as long as it can
//! become wrong, and measured again where the track has changed.

use serde::{Deserialize, Serialize};

use crate::timeline::deltas::{FactDeltas, Leg, Measured};
use crate::timeline::fold::Fold;
use crate::timeline::silences::Silences;
use crate::timeline::state::days_of_way;
use crate::timeline::sums::{DaySums, Days, Measures};
use crate::timeline::track::Track;
use watchtower_model::Span;
use watchtower_model::facts::{Motion, Pin, Pinned};
use watchtower_model::local_time::Day;
use watchtower_model::{Millis, Rules, Speed, VehicleId};

/// Facts with measures that were reported of a vehicle and may still change.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Legs in order of their ends.
    legs: Vec<(Leg, Measured)>,
    /// No leg ends later.
    last_end: Millis,
    /// Ascending by day.
    motions: Vec<Motion>,
    /// The silences around which facts may still change.
    pub(super) silences: Silences,
    /// Emitted pins of days on which the vehicle moved with its ignition off. Emitted anew after a restart.
    #[serde(skip)]
    pins: Vec<Pin>,
}

impl Ledger {
    /// The facts with measures.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.legs.iter().map(|(leg, _)| leg)
    }

    /// Days of movement that were reported, in order.
    pub fn motions(&self) -> &[Motion] {
        &self.motions
    }

    /// Something of its own lines in memory.
    pub fn peek_near(&self) -> i64 {
        self.last_end ^ self.motions.len() as i64
    }

    /// Something of all behind these that is looked at where only a day goes on.
    pub fn peek(&self) -> i64 {
        self.motions.last().map_or(0, |motion| motion.positions)
    }

    /// The intervals whose sums were reported: see [`Track::measure`].
    pub fn measured(&self, rules: &Rules) -> Vec<Span> {
        let spans = |leg: &Leg| match leg {
            Leg::Overspeed { .. } | Leg::Trip { .. } | Leg::Turnaround { .. } => vec![leg.span()],
            Leg::MovesOff { started_at, ended_at } => {
                days_of_way(*started_at, *ended_at, rules).map(|(_, span)| span).collect()
            }
        };
        self.legs().flat_map(spans).collect()
    }

    /// Turns the legs of `facts`, consolidated, into facts with measures, and corrects those said before
    /// that overlap `changed`.
    pub fn measure(&mut self, track: &Track, changed: Span, fold: &Fold<'_>, facts: &mut FactDeltas) {
        if facts.legs.is_empty() && (changed.is_empty() || changed.from > self.last_end) {
            return;
        }
        let Fold { vehicle, rules, .. } = *fold;
        let legs = std::mem::take(&mut facts.legs);
        for (leg, _) in legs.iter().filter(|(_, diff)| *diff < 0) {
            let said = self.legs.binary_search_by(|(said, _)| said.cmp(leg));
            debug_assert!(said.is_ok(), "what is taken back was said: {leg:?}");
            if let Ok(said) = said {
                let (leg, measures) = self.legs.remove(said);
                leg.say(vehicle, &measures, -1, rules, facts);
            }
        }
        for (leg, measures) in &mut self.legs {
            let span = leg.span();
            if span.from <= changed.until && changed.from <= span.until {
                let now = measured(leg, track, fold);
                if now != *measures {
                    leg.say(vehicle, measures, -1, rules, facts);
                    leg.say(vehicle, &now, 1, rules, facts);
                    *measures = now;
                }
            }
        }
        for (leg, _) in legs.into_iter().filter(|(_, diff)| *diff > 0) {
            let measures = measured(&leg, track, fold);
            self.last_end = self.last_end.max(leg.span().until);
            leg.say(vehicle, &measures, 1, rules, facts);
            let at = self.legs.partition_point(|(said, _)| *said < leg);
            self.legs.insert(at, (leg, measures));
        }
        self.pin(vehicle, rules, facts);
        // Not every fact says all measures: some have been taken back and said again as they were.
        facts.consolidate();
    }

    /// Emits which of the vehicle's days are pinned, where that has changed. How far it went with its ignition off counts
    /// on each day on which it did once it is far enough, which may be weeks later.
    pub fn pin(&mut self, vehicle: VehicleId, rules: &Rules, facts: &mut FactDeltas) {
        if rules.horizon_ms.is_none() {
            return; // all groups stay
        }
        let moves_off = self.legs.iter().filter(|(leg, _)| matches!(leg, Leg::MovesOff { .. }));
        let days = moves_off.flat_map(|(_, measured)| &measured.days);
        let mut pins: Vec<Pin> =
            days.map(|&(day, _)| Pin { vehicle, first: day, last: day, groups: Pinned::OwnDays }).collect();
        pins.dedup();
        if pins != self.pins {
            facts.pins.extend(self.pins.drain(..).map(|pin| (pin, -1)));
            facts.pins.extend(pins.iter().map(|pin| (*pin, 1)));
            self.pins = pins;
        }
    }

    /// Says anew what has changed of the days from `first` on. `silence` is the one that lasts; `days` holds what is not
    /// settled, and is left with all.
    pub fn tell_days(
        &mut self,
        fold: &Fold<'_>,
        track: &Track,
        silence: Option<Span>,
        first: Day,
        days: &mut Days,
        facts: &mut FactDeltas,
    ) {
        let Fold { vehicle, rules, .. } = *fold;
        days.add_all(track.days_since(first));
        if let Some(silence) = silence {
            days.add_silence(silence, &rules.local_time);
        }
        let motions = || days.since(first).iter().map(|sums| motion(vehicle, sums)).filter(is_something);
        let same_until = self.motions.partition_point(|motion| motion.day < first);
        if !motions().eq(self.motions[same_until..].iter().copied()) {
            facts.motions.extend(self.motions.drain(same_until..).map(|motion| (motion, -1)));
            facts.motions.extend(motions().map(|motion| (motion, 1)));
            self.motions.extend(motions());
        }
    }

    /// Drops what can change no more.
    pub fn forget(&mut self, vehicle: VehicleId, track: &Track, rules: &Rules, facts: &mut FactDeltas) {
        let end = track.first_end();
        self.legs.retain(|(leg, _)| leg.span().until >= end);
        if let Some(first) = track.first_day(rules) {
            self.motions.retain(|motion| motion.day >= first);
        }
        self.pin(vehicle, rules, facts);
    }
}

fn measured(leg: &Leg, track: &Track, fold: &Fold<'_>) -> Measured {
    let span = leg.span();
    match leg {
        Leg::Overspeed { .. } | Leg::Trip { .. } | Leg::Turnaround { .. } => {
            Measured { sum: track.measure(span, fold), days: Vec::new() }
        }
        Leg::MovesOff { .. } => {
            let mut measured = Measured::default();
            for (day, span) in days_of_way(span.from, span.until, fold.rules) {
                let distance_mm = track.measure(span, fold).distance_mm;
                measured.sum.distance_mm += distance_mm;
                match measured.days.iter_mut().find(|(known, _)| *known == day) {
                    Some((_, sum_mm)) => *sum_mm += distance_mm,
                    None if distance_mm > 0 => measured.days.push((day, distance_mm)),
                    None => {}
                }
            }
            measured
        }
    }
}

fn motion(vehicle: VehicleId, sums: &DaySums) -> Motion {
    let DaySums { day, measures, offline_ms, positions, moved } = *sums;
    let Measures { distance_mm, gap_mm, moving_ms, stopped_ms, stops: _, max_speed } = measures;
    let max_speed = max_speed.unwrap_or(Speed::NONE);
    Motion { vehicle, day, distance_mm, gap_mm, moving_ms, stopped_ms, offline_ms, max_speed, moved, positions }
}

/// Whether there is anything to say of the day.
fn is_something(motion: &Motion) -> bool {
    motion.positions > 0 || motion.moving_ms + motion.stopped_ms + motion.offline_ms > 0
}

//! What has been said of a vehicle with numbers that may still change: the facts that were measured, and
//! its days.
//!
//! The fold tells when an interval comes or goes. That a late position lies inside of one it does not
//! tell: states hold no sums, or they would never meet again. So what was said is kept as long as it can
//! become wrong, and measured again where the track has changed.

use serde::{Deserialize, Serialize};

use crate::timeline::deltas::{FactDeltas, Leg};
use crate::timeline::sums::{DaySums, Days, Measures};
use crate::timeline::track::Track;
use watchtower_model::Span;
use watchtower_model::facts::Motion;
use watchtower_model::local_time::Day;
use watchtower_model::{Millis, Rules, Speed, VehicleId};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Ascending.
    legs: Vec<(Leg, Measures)>,
    /// No leg ends later.
    last_end: Millis,
    /// Ascending by day.
    motions: Vec<Motion>,
}

impl Ledger {
    /// The facts with measures.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.legs.iter().map(|(leg, _)| leg)
    }

    /// The days.
    pub fn motions(&self) -> &[Motion] {
        &self.motions
    }

    /// Something of all that is looked at where only a day goes on.
    pub fn peek(&self) -> i64 {
        self.last_end ^ self.motions.last().map_or(0, |motion| motion.positions)
    }

    /// Turns the legs of `facts`, consolidated, into facts with measures, and corrects those said before
    /// that overlap `changed`.
    pub fn measure(&mut self, vehicle: VehicleId, track: &Track, changed: Span, rules: &Rules, facts: &mut FactDeltas) {
        if facts.legs.is_empty() && (changed.is_empty() || changed.from > self.last_end) {
            return;
        }
        let legs = std::mem::take(&mut facts.legs);
        for (leg, _) in legs.iter().filter(|(_, diff)| *diff < 0) {
            let said = self.legs.binary_search_by(|(said, _)| said.cmp(leg));
            debug_assert!(said.is_ok(), "what is taken back was said: {leg:?}");
            if let Ok(said) = said {
                let (leg, measures) = self.legs.remove(said);
                leg.say(vehicle, &measures, -1, facts);
            }
        }
        for (leg, measures) in &mut self.legs {
            let span = leg.span();
            if span.from <= changed.until && changed.from <= span.until {
                let now = track.measure(span, rules);
                if now != *measures {
                    leg.say(vehicle, measures, -1, facts);
                    leg.say(vehicle, &now, 1, facts);
                    *measures = now;
                }
            }
        }
        for (leg, _) in legs.into_iter().filter(|(_, diff)| *diff > 0) {
            let measures = track.measure(leg.span(), rules);
            self.last_end = self.last_end.max(leg.span().until);
            leg.say(vehicle, &measures, 1, facts);
            let at = self.legs.partition_point(|(said, _)| *said < leg);
            self.legs.insert(at, (leg, measures));
        }
        // Not every fact says all measures: some have been taken back and said again as they were.
        facts.consolidate();
    }

    /// Says anew what has changed of the days from `first` on. `silence` is the one that lasts.
    pub fn tell_days(
        &mut self,
        vehicle: VehicleId,
        track: &Track,
        silence: Option<Span>,
        first: Day,
        rules: &Rules,
        facts: &mut FactDeltas,
    ) {
        let mut days: Days = track.days_since(first).iter().copied().collect();
        if let Some(last) = &track.head().last {
            days.add_segment(&track.head().odometer().last(last, false), rules);
        }
        if let Some(silence) = silence {
            days.add_silence(silence, &rules.local_time);
        }
        let motions = days.iter().filter(|sums| sums.day >= first).map(|sums| motion(vehicle, sums));
        let motions: Vec<Motion> = motions.filter(is_something).collect();
        let same_until = self.motions.partition_point(|motion| motion.day < first);
        if self.motions[same_until..] != motions[..] {
            facts.motions.extend(self.motions.drain(same_until..).map(|motion| (motion, -1)));
            facts.motions.extend(motions.iter().map(|motion| (*motion, 1)));
            self.motions.extend(motions);
        }
    }

    /// Drops what can change no more.
    pub fn forget(&mut self, track: &Track, rules: &Rules) {
        let end = track.first_end();
        self.legs.retain(|(leg, _)| leg.span().until >= end);
        if let Some(first) = track.first_day(rules) {
            self.motions.retain(|motion| motion.day >= first);
        }
    }
}

fn motion(vehicle: VehicleId, sums: &DaySums) -> Motion {
    let DaySums { day, measures, positions, moved } = *sums;
    let Measures { distance_mm, moving_ms, stopped_ms, offline_ms, stops: _, max_speed } = measures;
    let max_speed = max_speed.unwrap_or(Speed::NONE);
    Motion { vehicle, day, distance_mm, moving_ms, stopped_ms, offline_ms, max_speed, moved, positions }
}

/// Whether there is anything to say of the day.
fn is_something(motion: &Motion) -> bool {
    motion.positions > 0 || motion.moving_ms + motion.stopped_ms + motion.offline_ms > 0
}

//! Speed and distance along a track.
//!
//! What a position says of speed and distance is known for good only when the next one is there: it may
//! turn out to be an outlier, and for how long its speed held is told by the next. So the odometer stands
//! at the last position, and hands out the [`Segment`] of that position when it moves on.

use serde::{Deserialize, Serialize};

use watchtower_model::geometry::geodesic::distance_mm;
use watchtower_model::{Millis, Place, Position, Rules, Speed};

/// A position and the time until the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The position's instant.
    pub at: Millis,
    /// The next one's; `at` of the last position of a track.
    pub until: Millis,
    /// Nothing was heard in between for longer than `offline_after`.
    pub gap: bool,
    /// Distance from the position before, millimetres.
    pub step_mm: i64,
    /// What held from `at` on, through no gap.
    pub speed: Speed,
    /// It did.
    pub ignition: bool,
    /// The position is one that no vehicle can have been at.
    pub outlier: bool,
}

impl Segment {
    /// Whether the position is the last one: its speed has held for no time yet.
    pub fn is_last(&self) -> bool {
        self.at == self.until
    }

    /// Whether the vehicle was at least as fast as `idle_speed`.
    pub fn is_moving(&self, rules: &Rules) -> bool {
        self.speed.micro_kmh().is_some() && self.speed >= rules.idle_speed
    }
}

/// What is remembered of the way to the last position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Odometer {
    /// The last position before it that is no outlier: distance is measured from there.
    from: Option<Place>,
    /// A gap lies in between.
    broken: bool,
    /// Distance from there; 0 through a gap. Millimetres.
    step_mm: i64,
    /// The mean speed since the position just before is not plausible.
    leap: bool,
    /// Its speed.
    speed: Speed,
}

impl Default for Odometer {
    fn default() -> Self {
        Self { from: None, broken: false, step_mm: 0, leap: false, speed: Speed::NONE }
    }
}

impl Odometer {
    /// At the first position of a track.
    pub fn start(first: &Position, rules: &Rules) -> Self {
        Self { speed: plausible(first.speed, rules), ..Self::default() }
    }

    /// Goes on from `last`, where it stands, to `next`.
    pub fn step(&mut self, last: &Position, next: &Position, rules: &Rules) -> Segment {
        let elapsed_ms = next.ts - last.ts;
        let gap = elapsed_ms > rules.offline_after_ms;
        let hop_mm = if last.place == next.place { 0 } else { distance_mm(last.place, next.place) };
        let mean = Speed::mean(hop_mm, elapsed_ms);
        let leap = mean > rules.max_plausible;
        let segment = self.segment(last, next.ts, gap, self.leap && leap);

        let (from, broken) = if segment.outlier { (self.from, self.broken || gap) } else { (Some(last.place), gap) };
        let step_mm = match from {
            Some(from) if !broken && segment.outlier => distance_mm(from, next.place),
            Some(_) if !broken => hop_mm,
            _ => 0,
        };
        let reported = plausible(next.speed, rules);
        let speed = if reported == Speed::NONE && !gap && !leap { mean } else { reported };
        *self = Self { from, broken, step_mm, leap, speed };
        segment
    }

    /// What is known of the last position while it is the last.
    pub fn last(&self, last: &Position, gap: bool) -> Segment {
        self.segment(last, last.ts, gap, false)
    }

    fn segment(&self, last: &Position, until: Millis, gap: bool, outlier: bool) -> Segment {
        let (step_mm, speed) = if outlier { (0, Speed::NONE) } else { (self.step_mm, self.speed) };
        Segment { at: last.ts, until, gap, step_mm, speed, ignition: last.ignition, outlier }
    }
}

/// Whether a vehicle moves at `next`, its last position, that was at `last` before: as [`Odometer::last`] says
/// after [`Odometer::step`].
pub fn moves(last: Option<&Position>, next: &Position, rules: &Rules) -> bool {
    let reported = plausible(next.speed, rules);
    let speed = match last {
        Some(last) if reported == Speed::NONE && next.ts - last.ts <= rules.offline_after_ms => {
            let hop_mm = if last.place == next.place { 0 } else { distance_mm(last.place, next.place) };
            plausible(Speed::mean(hop_mm, next.ts - last.ts), rules)
        }
        _ => reported,
    };
    speed != Speed::NONE && speed >= rules.idle_speed
}

/// The speed, if it is one that a vehicle can have.
fn plausible(speed: Speed, rules: &Rules) -> Speed {
    if speed <= rules.max_plausible { speed } else { Speed::NONE }
}

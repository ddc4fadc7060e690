//! Where a vehicle stands: runs around an anchor, and the stops that long ones are.
//!
//! The *run* of an anchor is the usable positions that follow it within the radius of a stop, and a single one
//! outside if the next is back in time. The position after a run is the next anchor. A run that is long enough
//! is a *stop*, or continues the stop before it.
//!
//! Whether a position belongs to a stop is known late: when its run has become long enough, or when it is over;
//! behind a stop, when nothing can continue that any more. [`Standing::settled`] is the first instant of which
//! it is not known. What lies behind is at most `stop_min` and a few minutes long, and a vehicle that drives has
//! its last two positions there. As long as it is not known, nothing but the stop so far is one.

use serde::{Deserialize, Serialize};

use watchtower_model::geometry::geodesic::is_within_m;
use watchtower_model::{Millis, Place, Rules, STOP_RETURN_MS};

/// A stop, as far as it has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// Its anchor's instant.
    pub from: Millis,
    /// Its anchor's place.
    pub place: Place,
    /// Its last position.
    pub until: Millis,
    /// The run that lasts is a part of it; else a later one may continue it.
    is_run: bool,
}

impl Stopped {
    /// Whether a position at `t` belongs to it.
    pub fn holds(&self, t: Millis) -> bool {
        self.from <= t && t <= self.until
    }
}

/// The run that lasts, and the stop before it or that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The anchor's instant.
    anchor_at: Millis,
    /// The anchor's place.
    anchor: Place,
    /// The last position of the run.
    inside: Millis,
    /// The last usable position is one after it, and outside.
    is_outside: bool,
    /// If the run becomes long enough, it continues the stop.
    returns: bool,
    /// A stop that is not over for good.
    stop: Option<Stopped>,
}

/// Facts that a step made certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// A stop that is over for good.
    pub ended: Option<Stopped>,
    /// A stop has begun.
    pub began: bool,
}

impl Standing {
    /// At the first usable position of a track.
    pub fn start(ts: Millis, place: Place) -> Self {
        Self { anchor_at: ts, anchor: place, inside: ts, is_outside: false, returns: false, stop: None }
    }

    /// The first instant of which it is not known for good whether it belongs to a stop; a usable position's.
    pub fn settled(&self) -> Millis {
        self.stop.map_or(self.anchor_at, |stop| stop.until)
    }

    /// The stop that lasts or may be continued.
    pub fn stop(&self) -> Option<Stopped> {
        self.stop
    }

    /// The anchor's instant: no stop to come starts earlier.
    pub fn anchor_at(&self) -> Millis {
        self.anchor_at
    }

    /// Goes on from the last usable position to the next.
    pub fn step(&mut self, last: (Millis, Place), next: (Millis, Place), rules: &Rules) -> Settled {
        let (ts, place) = next;
        let is_back = is_near(self.anchor, place, rules) && (!self.is_outside || ts - last.0 <= STOP_RETURN_MS);
        if is_back {
            (self.inside, self.is_outside) = (ts, false);
        } else if self.is_outside {
            self.drop_anchor(last, rules);
            let is_near = is_near(self.anchor, place, rules);
            self.is_outside = !is_near;
            if is_near {
                self.inside = ts;
            }
        } else {
            self.is_outside = true;
        }
        let mut settled = Settled::default();
        let is_long = self.inside > self.anchor_at && self.inside - self.anchor_at >= rules.stop_min_ms;
        match &mut self.stop {
            Some(stop) if stop.is_run => stop.until = self.inside,
            Some(stop) if is_long && self.returns => (stop.until, stop.is_run) = (self.inside, true),
            stop if is_long => {
                settled = Settled { ended: *stop, began: true };
                *stop = Some(Stopped { from: self.anchor_at, place: self.anchor, until: self.inside, is_run: true });
            }
            // No position to come is an anchor early enough.
            Some(stop) if !self.returns && ts - stop.until > STOP_RETURN_MS => settled.ended = self.stop.take(),
            Some(_) | None => {}
        }
        settled
    }

    /// The run is over, and the position behind it the next anchor.
    fn drop_anchor(&mut self, (ts, place): (Millis, Place), rules: &Rules) {
        let returns = self.stop.is_some_and(|stop| {
            (stop.is_run || ts - stop.until <= STOP_RETURN_MS)
                && is_within_m(stop.place, place, 2.0 * rules.stop_radius_m)
        });
        self.stop.iter_mut().for_each(|stop| stop.is_run = false);
        *self = Self { anchor_at: ts, anchor: place, inside: ts, is_outside: false, returns, stop: self.stop };
    }
}

/// Whether two places are within the radius of a stop.
pub fn is_near(a: Place, b: Place, rules: &Rules) -> bool {
    a == b || is_within_m(a, b, rules.stop_radius_m)
}

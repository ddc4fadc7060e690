//! What adds up along a track: over any interval, and by local day.
//!
//! Only integers, so that sums of parts are the sum of the whole whichever way it is cut.

use serde::{Deserialize, Serialize};

use crate::timeline::odometer::Segment;
use watchtower_model::Span;
use watchtower_model::local_time::{Day, LocalTime};
use watchtower_model::{END, Millis, Rules, Speed};

/// Sums over an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measures {
    /// Steps to positions after its start, up to its end. Millimetres.
    pub distance_mm: i64,
    /// Time at `idle_speed` or faster.
    pub moving_ms: i64,
    /// Time slower, or at a speed that cannot be told; without gaps.
    pub stopped_ms: i64,
    /// Time in gaps.
    pub offline_ms: i64,
    /// Stops that began and ended in it.
    pub stops: i64,
    /// The greatest speed known.
    pub max_speed: Option<Speed>,
}

impl Measures {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        let Self { distance_mm, moving_ms, stopped_ms, offline_ms, stops, max_speed } = other;
        self.distance_mm += distance_mm;
        self.moving_ms += moving_ms;
        self.stopped_ms += stopped_ms;
        self.offline_ms += offline_ms;
        self.stops += stops;
        self.max_speed = self.max_speed.max(*max_speed);
    }

    /// The part of a segment that lies in an interval.
    pub fn add_segment(&mut self, segment: &Segment, span: Span, rules: &Rules) {
        if span.from < segment.at && segment.at <= span.until {
            self.distance_mm += segment.step_mm;
        }
        let (from, until) = (segment.at.max(span.from), segment.until.min(span.until));
        let overlap_ms = (until - from).max(0);
        if segment.gap {
            self.offline_ms += overlap_ms;
        } else if segment.is_moving(rules) {
            self.moving_ms += overlap_ms;
        } else {
            self.stopped_ms += overlap_ms;
        }
        if span.from == segment.at || span.contains(segment.at) || (overlap_ms > 0 && !segment.gap) {
            self.max_speed = self.max_speed.max(known(segment.speed));
        }
    }

    /// A stop that has ended.
    pub fn add_stop(&mut self, stop: Span, span: Span) {
        self.stops += i64::from(span.from <= stop.from && stop.until <= span.until);
    }
}

fn known(speed: Speed) -> Option<Speed> {
    speed.micro_kmh().map(|_| speed)
}

/// Sums of one local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySums {
    /// Which.
    pub day: Day,
    /// Steps to positions of the day, time, and the greatest speed.
    pub measures: Measures,
    /// How many positions.
    pub positions: i64,
    /// The first and the last of them that was moving.
    pub moved: Option<(Millis, Millis)>,
}

/// Sums of the local days of a track or a part of it, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days(Vec<DaySums>);

impl FromIterator<DaySums> for Days {
    /// Of ascending days.
    fn from_iter<I: IntoIterator<Item = DaySums>>(days: I) -> Self {
        Self(days.into_iter().collect())
    }
}

impl Days {
    /// Something of all that is looked at to add a segment.
    pub fn peek(&self) -> i64 {
        self.0.last().map_or(0, |sums| sums.positions ^ i64::from(sums.day.0))
    }

    /// Those from a day on.
    pub fn since(&self, first: Day) -> &[DaySums] {
        &self.0[self.0.partition_point(|sums| sums.day < first)..]
    }

    /// All of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &DaySums> {
        self.0.iter()
    }

    /// Adds those of another part of the track.
    pub fn add(&mut self, other: &Self) {
        for theirs in &other.0 {
            let DaySums { day, measures, positions, moved } = theirs;
            let mine = self.entry(*day);
            mine.measures.add(measures);
            mine.positions += positions;
            mine.moved = match (mine.moved, *moved) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (one, other) => one.or(other),
            };
        }
    }

    /// Adds a segment, cut at midnight.
    pub fn add_segment(&mut self, segment: &Segment, rules: &Rules) {
        let zone = &*rules.local_time;
        // The step is counted at once: a part of the segment that begins where its day does has none.
        let timed = Segment { step_mm: 0, ..*segment };
        let mut at = segment.at;
        loop {
            let (day, span) = zone.day_and_span(at);
            let sums = self.entry(day);
            if at == segment.at {
                sums.positions += 1;
                sums.measures.distance_mm += segment.step_mm;
                if segment.is_moving(rules) {
                    let (from, until) = sums.moved.unwrap_or((at, at));
                    sums.moved = Some((from.min(at), until.max(at)));
                }
            }
            sums.measures.add_segment(&timed, span, rules);
            if segment.until <= span.until {
                return;
            }
            at = span.until;
        }
    }

    /// Adds silence, cut at midnight.
    pub fn add_silence(&mut self, silence: Span, zone: &LocalTime) {
        let mut from = silence.from;
        while from < silence.until {
            let (day, span) = zone.day_and_span(from);
            let until = span.until.min(silence.until);
            self.entry(day).measures.offline_ms += until - from;
            from = until;
        }
    }

    /// Drops the days before one.
    pub fn forget_before(&mut self, day: Day) {
        let old = self.0.partition_point(|sums| sums.day < day);
        self.0.drain(..old);
    }

    fn entry(&mut self, day: Day) -> &mut DaySums {
        // What is added last is of the last day, nearly always.
        let after = match self.0.last() {
            Some(last) if last.day == day => self.0.len() - 1,
            Some(last) if last.day < day => self.0.len(),
            _ => self.0.partition_point(|sums| sums.day < day),
        };
        if self.0.get(after).is_none_or(|sums| sums.day != day) {
            self.0.insert(after, DaySums { day, measures: Measures::default(), positions: 0, moved: None });
        }
        &mut self.0[after]
    }
}

/// What the fold through a chunk added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// All of it.
    pub total: Measures,
    /// By day.
    pub days: Days,
    /// The stops it found the end of.
    pub stops: Vec<(Millis, Millis)>,
}

impl Sums {
    /// Something of all that is looked at to add a segment.
    pub fn peek(&self) -> i64 {
        self.total.distance_mm ^ self.days.peek()
    }

    /// Adds what one step of the fold settled.
    pub fn add(&mut self, segment: &Segment, stop: Option<Span>, rules: &Rules) {
        self.total.add_segment(segment, EVER, rules);
        self.days.add_segment(segment, rules);
        self.stops.extend(stop.map(|stop| (stop.from, stop.until)));
    }
}

/// All instants.
const EVER: Span = Span { from: Millis::MIN, until: END };

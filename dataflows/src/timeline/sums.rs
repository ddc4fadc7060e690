//! Sums along a track: over any interval, and by local day.
//!
//! Only integers, so that sums of parts are the sum of the whole whichever way it is cut.

use serde::{Deserialize, Serialize};

use crate::timeline::movement::Segment;
use watchtower_model::Span;
use watchtower_model::local_time::{Day, LocalTime};
use watchtower_model::{END, Millis, Rules, Speed};

/// Sums over an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measures {
    /// Legs that end after its start, up to its end. Millimetres.
    pub distance_mm: i64,
    /// Straight ways across offlines that count from its start up to its end. Millimetres.
    pub gap_mm: i64,
    /// Time at `idle_speed` or faster.
    pub moving_ms: i64,
    /// Time slower, or at an unknown speed; without offlines.
    pub stopped_ms: i64,
    /// Stops that start in it.
    pub stops: i64,
    /// The greatest speed known.
    pub max_speed: Option<Speed>,
}

impl Measures {
    /// Adds `other`, of another part of the way.
    pub fn add(&mut self, other: &Self) {
        let Self { distance_mm, gap_mm, moving_ms, stopped_ms, stops, max_speed } = other;
        self.distance_mm += distance_mm;
        self.gap_mm += gap_mm;
        self.moving_ms += moving_ms;
        self.stopped_ms += stopped_ms;
        self.stops += stops;
        self.max_speed = self.max_speed.max(*max_speed);
    }

    /// A whole segment.
    pub fn of(segment: &Segment<'_>, rules: &Rules) -> Self {
        let mut measures = Self { distance_mm: segment.leg_mm, gap_mm: segment.gap_mm, ..Self::default() };
        measures.add_time(segment, EVER, rules);
        measures
    }

    /// The part of a segment that lies in an interval.
    pub fn add_segment(&mut self, segment: &Segment<'_>, span: Span, rules: &Rules) {
        let at = segment.at();
        if span.from < at && at <= span.until {
            self.distance_mm += segment.leg_mm;
        }
        if span.from <= segment.gap_at && segment.gap_at <= span.until {
            self.gap_mm += segment.gap_mm;
        }
        self.add_time(segment, span, rules);
    }

    /// The time of it, and its speeds.
    fn add_time(&mut self, segment: &Segment<'_>, span: Span, rules: &Rules) {
        if span.contains(segment.at()) {
            self.max_speed = self.max_speed.max(known(segment.outside_speed()));
        }
        let is_moving = segment.is_moving(rules);
        for (from, until) in segment.parts() {
            let overlap_ms = until.min(span.until) - from.max(span.from);
            if overlap_ms <= 0 {
                continue;
            }
            self.max_speed = self.max_speed.max(known(segment.speed));
            if is_moving {
                self.moving_ms += overlap_ms;
            } else {
                self.stopped_ms += overlap_ms;
            }
        }
    }
}

fn known(speed: Speed) -> Option<Speed> {
    (speed != Speed::NONE).then_some(speed)
}

/// Sums of one local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySums {
    /// Local day, by `[rules] time_zone`.
    pub day: Day,
    /// Legs that end on the day, time, and the greatest speed.
    pub measures: Measures,
    /// Time in offlines.
    pub offline_ms: i64,
    /// How many positions.
    pub positions: i64,
    /// The first and the last usable one of them that was moving.
    pub moved: Option<(Millis, Millis)>,
}

impl DaySums {
    /// The first and last moving position, with one that a segment of the day begins at.
    fn note_moved(&mut self, segment: &Segment<'_>, rules: &Rules) {
        if segment.is_moving(rules) {
            let at = segment.at();
            let (first, last) = self.moved.unwrap_or((at, at));
            self.moved = Some((first.min(at), last.max(at)));
        }
    }
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

    /// Sums of all days, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &DaySums> {
        self.0.iter()
    }

    /// Forgets all, but not the memory for others.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds those of another part of the track.
    pub fn add(&mut self, other: &Self) {
        self.add_all(&other.0);
    }

    /// Adds sums of days.
    pub fn add_all(&mut self, others: &[DaySums]) {
        for theirs in others {
            let DaySums { day, measures, offline_ms, positions, moved } = theirs;
            let mine = self.entry(*day);
            mine.measures.add(measures);
            mine.offline_ms += offline_ms;
            mine.positions += positions;
            mine.moved = match (mine.moved, *moved) {
                (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
                (one, other) => one.or(other),
            };
        }
    }

    /// Counts a position.
    pub fn add_position(&mut self, day: Day) {
        self.entry(day).positions += 1;
    }

    /// Adds a segment, cut at midnight.
    pub fn add_segment(&mut self, segment: &Segment<'_>, rules: &Rules) {
        let (day, span) = rules.local_time.day_and_span(segment.at());
        if lies_in(segment, span) {
            self.add_whole(segment, day, &Measures::of(segment, rules), rules);
        } else {
            self.add_cut(segment, (day, span), rules);
        }
    }

    /// Adds a segment that lies within a day, and what it comes to.
    fn add_whole(&mut self, segment: &Segment<'_>, day: Day, measures: &Measures, rules: &Rules) {
        let sums = self.entry(day);
        sums.measures.add(measures);
        sums.note_moved(segment, rules);
    }

    /// Adds a segment that begins in a day and ends in a later one.
    fn add_cut(&mut self, segment: &Segment<'_>, (mut day, mut span): (Day, Span), rules: &Rules) {
        let (zone, until) = (&*rules.local_time, segment.until());
        let sums = self.entry(day);
        sums.measures.distance_mm += segment.leg_mm;
        sums.measures.add_time(segment, span, rules);
        sums.note_moved(segment, rules);
        if segment.gap_mm != 0 {
            self.entry(zone.day(segment.gap_at)).measures.gap_mm += segment.gap_mm;
        }
        while span.until < until {
            (day, span) = zone.day_and_span(span.until);
            if segment.parts().any(|part| part.0 < span.until && span.from < part.1) {
                self.entry(day).measures.add_time(segment, span, rules);
            }
        }
    }

    /// Adds silence, cut at midnight.
    pub fn add_silence(&mut self, silence: Span, zone: &LocalTime) {
        let mut from = silence.from;
        while from < silence.until {
            let (day, span) = zone.day_and_span(from);
            let until = span.until.min(silence.until);
            self.entry(day).offline_ms += until - from;
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
            self.0.insert(
                after,
                DaySums { day, measures: Measures::default(), offline_ms: 0, positions: 0, moved: None },
            );
        }
        &mut self.0[after]
    }
}

/// Sums of the fold through a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Of the segments it settled, all of it.
    pub total: Measures,
    /// By day; of all its positions, and the silence before them.
    pub days: Days,
    /// The starts of the stops that turned out to be some.
    pub stops: Vec<Millis>,
}

impl Sums {
    /// Something of all that is looked at to add a segment.
    pub fn peek(&self) -> i64 {
        self.total.distance_mm ^ self.days.peek()
    }
}

/// Where a fold adds up what it settles.
#[derive(Debug)]
pub struct Tally<'t> {
    /// Of the chunk that the position stepped to is in.
    pub sums: Option<&'t mut Sums>,
    /// Of the whole track.
    pub days: Option<&'t mut Days>,
    /// Parameters of the rules.
    pub rules: &'t Rules,
}

impl<'t> Tally<'t> {
    /// A tally that keeps nothing.
    pub fn none(rules: &'t Rules) -> Self {
        Self { sums: None, days: None, rules }
    }

    /// Adds a settled segment.
    pub fn segment(&mut self, segment: &Segment<'_>) {
        if self.sums.is_none() && self.days.is_none() {
            return;
        }
        let (measures, rules) = (Measures::of(segment, self.rules), self.rules);
        let (day, span) = rules.local_time.day_and_span(segment.at());
        self.sums.iter_mut().for_each(|sums| sums.total.add(&measures));
        let of_chunk = self.sums.as_deref_mut().map(|sums| &mut sums.days);
        for days in of_chunk.into_iter().chain(self.days.as_deref_mut()) {
            if lies_in(segment, span) {
                days.add_whole(segment, day, &measures, rules);
            } else {
                days.add_cut(segment, (day, span), rules);
            }
        }
    }

    /// Adds the start of a stop.
    pub fn stop(&mut self, started_at: Millis) {
        self.sums.iter_mut().for_each(|sums| sums.stops.push(started_at));
    }

    /// Adds a position of any kind.
    pub fn position(&mut self, ts: Millis) {
        if self.sums.is_some() || self.days.is_some() {
            let day = self.rules.local_time.day(ts);
            self.each_day(|days, _| days.add_position(day));
        }
    }

    /// Adds the silence before it.
    pub fn silence(&mut self, silence: Span) {
        self.each_day(|days, zone| days.add_silence(silence, zone));
    }

    fn each_day(&mut self, mut add: impl FnMut(&mut Days, &LocalTime)) {
        let zone = &*self.rules.local_time;
        self.sums.iter_mut().for_each(|sums| add(&mut sums.days, zone));
        self.days.iter_mut().for_each(|days| add(days, zone));
    }
}

/// Whether all that a segment adds counts in the interval in which it begins.
fn lies_in(segment: &Segment<'_>, span: Span) -> bool {
    segment.until() <= span.until && (segment.gap_mm == 0 || segment.gap_at < span.until)
}

/// Span of all instants.
const EVER: Span = Span { from: Millis::MIN, until: END };

//! Local days and hours.
//!
//! A pipeline's time zone reaches this crate as a list of offsets, so that nothing here looks a time zone
//! up. A local day is a date: `(t AT TIME ZONE z)::date` in SQL. It is not always 24 hours, nor, where
//! clocks go back over midnight, one interval. A local hour is an instant: counted in elapsed hours from
//! the last change of the local date, so that a day of 24 and a half hours ends with half an hour.

use serde::{Deserialize, Serialize};

use crate::units::{BEGINNING, END, Millis, Span};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A local date: days since 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(pub i32);

/// The local time of a zone at every instant.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalTime {
    name: String,
    /// From when which offset to UTC holds, in milliseconds; ascending, the first since ever.
    offsets: Vec<(Millis, i64)>,
}

impl std::fmt::Debug for LocalTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LocalTime").field(&self.name).finish()
    }
}

impl LocalTime {
    /// Local time is UTC.
    pub fn utc() -> Self {
        Self::new("UTC", 0, [])
    }

    /// A zone whose offset to UTC is `first`, until the first of `changes` (ascending: instant and offset from then
    /// on). Milliseconds.
    pub fn new(name: &str, first: i64, changes: impl IntoIterator<Item = (Millis, i64)>) -> Self {
        let mut offsets = vec![(BEGINNING, first)];
        for (t, offset) in changes {
            let (last, holds) = offsets[offsets.len() - 1];
            debug_assert!(last < t, "offsets change in the order of time");
            if offset != holds {
                offsets.push((t, offset));
            }
        }
        Self { name: name.to_owned(), offsets }
    }

    /// What the zone is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Difference of local time to UTC at `t`, milliseconds, and the interval in which it is that.
    pub fn offset_and_span(&self, t: Millis) -> (i64, Span) {
        let at = self.offset(t);
        let (from, offset) = self.offsets[at];
        (offset, Span { from, until: self.offsets.get(at + 1).map_or(END, |&(until, _)| until) })
    }

    /// The local date at `t`.
    pub fn day(&self, t: Millis) -> Day {
        let (_, offset) = self.offsets[self.offset(t)];
        date(t, offset)
    }

    /// The longest interval around `t` during which the local date is the same.
    pub fn day_span(&self, t: Millis) -> Span {
        self.day_and_span(t).1
    }

    /// The local date at `t`, and the longest interval around it during which it is that.
    pub fn day_and_span(&self, t: Millis) -> (Day, Span) {
        let at = self.offset(t);
        let day = date(t, self.offsets[at].1);
        let mut span = self.day_within(at, day);
        for earlier in (0..at).rev() {
            let before = self.day_within(earlier, day);
            if before.is_empty() || before.until != span.from {
                break;
            }
            span.from = before.from;
        }
        for later in at + 1..self.offsets.len() {
            let after = self.day_within(later, day);
            if after.is_empty() || after.from != span.until {
                break;
            }
            span.until = after.until;
        }
        (day, span)
    }

    /// The intervals that have the date `day`, in order: one, unless clocks went back over midnight.
    pub fn day_spans(&self, day: Day) -> impl Iterator<Item = Span> {
        let midnight = i64::from(day.0) * DAY_MS;
        let (first, last) = (self.offset(midnight - DAY_MS), self.offset(midnight + 2 * DAY_MS));
        let mut spans =
            (first..=last).map(move |at| self.day_within(at, day)).filter(|span| !span.is_empty()).peekable();
        std::iter::from_fn(move || {
            let mut span = spans.next()?;
            while let Some(next) = spans.next_if(|next| next.from == span.until) {
                span.until = next.until;
            }
            Some(span)
        })
    }

    /// The first instant after all that have the date `day`, which has some.
    pub fn day_end(&self, day: Day) -> Millis {
        self.day_spans(day).last().map_or(END, |span| span.until)
    }

    /// The local hour around `t`.
    pub fn hour_span(&self, t: Millis) -> Span {
        let day = self.day_span(t);
        let from = day.from + (t - day.from).div_euclid(HOUR_MS) * HOUR_MS;
        Span { from, until: (from + HOUR_MS).min(day.until) }
    }

    /// Which of the offsets holds at `t`.
    fn offset(&self, t: Millis) -> usize {
        self.offsets.partition_point(|&(from, _)| from <= t) - 1
    }

    /// When the date is `day` while the offset with this number holds.
    fn day_within(&self, number: usize, day: Day) -> Span {
        let (holds_from, offset) = self.offsets[number];
        let holds_until = self.offsets.get(number + 1).map_or(END, |&(until, _)| until);
        let midnight = i64::from(day.0) * DAY_MS - offset;
        Span { from: midnight.max(holds_from), until: (midnight + DAY_MS).min(holds_until) }
    }
}

fn date(t: Millis, offset: i64) -> Day {
    Day((t + offset).div_euclid(DAY_MS) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every instant in steps of `step` agrees with the definition of date and of hour.
    fn check(zone: &LocalTime, from: Millis, until: Millis, step: i64) {
        let mut hour = zone.hour_span(from);
        for t in (from..until).step_by(step as usize) {
            let day = zone.day_span(t);
            assert!(day.contains(t));
            assert_eq!(zone.day(day.from), zone.day(t));
            assert_eq!(zone.day(day.until - 1), zone.day(t));
            assert_ne!(zone.day(day.until), zone.day(t));
            assert_ne!(zone.day(day.from - 1), zone.day(t));
            let spans: Vec<_> = zone.day_spans(zone.day(t)).collect();
            assert!(spans.contains(&day) && spans.is_sorted_by(|a, b| a.until < b.from));
            let here = zone.hour_span(t);
            assert!(here.contains(t) && here.until - here.from <= HOUR_MS);
            assert!(here == hour || here.from == hour.until, "hours follow each other");
            assert_eq!((here.from - day.from) % HOUR_MS, 0);
            hour = here;
        }
    }

    #[test]
    fn days_and_hours_follow_the_clocks() {
        let day = 20_000 * DAY_MS;
        check(&LocalTime::utc(), day, day + 3 * DAY_MS, HOUR_MS / 4);
        let lord_howe = LocalTime::new("lord_howe", 11 * HOUR_MS, [(day + 15 * HOUR_MS, 10 * HOUR_MS + HOUR_MS / 2)]);
        check(&lord_howe, day - DAY_MS, day + 3 * DAY_MS, HOUR_MS / 4);
        let span = lord_howe.day_span(day + 15 * HOUR_MS);
        assert_eq!(span.until - span.from, DAY_MS + HOUR_MS / 2);
        // At midnight clocks go forward: the day begins at one o'clock.
        let havana = LocalTime::new("havana", -5 * HOUR_MS, [(day + 5 * HOUR_MS, -4 * HOUR_MS)]);
        check(&havana, day - DAY_MS, day + 3 * DAY_MS, HOUR_MS / 4);
        let span = havana.day_span(day + 6 * HOUR_MS);
        assert_eq!(span, Span { from: day + 5 * HOUR_MS, until: day + 28 * HOUR_MS });
        // At midnight clocks go back to 23 o'clock: the date stays.
        let cairo = LocalTime::new("cairo", 3 * HOUR_MS, [(day + 21 * HOUR_MS, 2 * HOUR_MS)]);
        check(&cairo, day - DAY_MS, day + 3 * DAY_MS, HOUR_MS / 4);
        let span = cairo.day_span(day + 21 * HOUR_MS);
        assert_eq!(span, Span { from: day - 3 * HOUR_MS, until: day + 22 * HOUR_MS });
        // A minute past midnight clocks go back to 23:01: the new date comes twice.
        let st_johns = LocalTime::new("st_johns", -2 * HOUR_MS, [(day + 2 * HOUR_MS + 60_000, -3 * HOUR_MS)]);
        check(&st_johns, day - DAY_MS, day + 3 * DAY_MS, 30_000);
        assert_eq!(st_johns.day(day + 2 * HOUR_MS), st_johns.day(day + 4 * HOUR_MS));
        assert_eq!(st_johns.day_spans(st_johns.day(day + 2 * HOUR_MS)).count(), 2);
    }
}

//! Which rows of files cannot be from when they say: the judgement of a first reading over all files.
//!
//! A row later than the present is `future`. The UTC days of all others, over all files, fall into groups with more than
//! `isolated_after` of empty days between them. A group of few rows far from a large one is `isolated_time`: a
//! receiver that lost 1 024 weeks, a day written for a month.

use std::collections::BTreeMap;

use watchtower_core::events::{Event, Fix, Limits, Reason, Rejection};
use watchtower_model::Millis;

const DAY_MS: Millis = 24 * 60 * 60 * 1000;

/// A group of so many rows is small, whatever the others are.
const FEW_ROWS: u64 = 5;
/// One in so many of all rows makes a small group.
const ONE_IN: u64 = 100;
/// The largest group has at least so many times the rows of a small one.
const TIMES_FEWER: u64 = 8;

/// The rows of files by their UTC days.
#[derive(Clone, Debug, Default)]
pub struct Days {
    rows: BTreeMap<i64, DayRows>,
}

/// The rows of a day.
#[derive(Clone, Copy, Debug)]
struct DayRows {
    rows: u64,
    oldest: Millis,
    newest: Millis,
}

/// Days with rows, none of them far from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    /// First and last day, counted from 1970.
    days: (i64, i64),
    rows: u64,
    oldest: Millis,
    newest: Millis,
}

/// Decides on the rows of files, once all of them have been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileJudge {
    /// The present, and how far beyond it a row may be.
    now: Millis,
    future_tolerance_ms: Millis,
    /// The groups that are refused, ascending.
    isolated: Vec<Group>,
    /// Rows that were judged, `future` ones left out.
    rows: u64,
    oldest: Option<Millis>,
}

impl Days {
    /// Counts a row on the UTC day of `ts`.
    pub fn add(&mut self, ts: Millis) {
        let day = self.rows.entry(ts.div_euclid(DAY_MS)).or_insert(DayRows { rows: 0, oldest: ts, newest: ts });
        day.rows += 1;
        (day.oldest, day.newest) = (day.oldest.min(ts), day.newest.max(ts));
    }

    /// The judgement, now that all rows that are not from the future have been counted. `now` is the present.
    pub fn judge(&self, now: Millis, limits: &Limits) -> FileJudge {
        let groups = self.groups(limits.isolated_after_ms);
        let rows = groups.iter().map(|group| group.rows).sum();
        let largest = groups.iter().map(|group| group.rows).max().unwrap_or(0);
        let is_isolated = |group: &Group| {
            let is_small = group.rows <= FEW_ROWS || group.rows.saturating_mul(ONE_IN) <= rows;
            let is_recent = group.newest >= now.saturating_sub(limits.isolated_after_ms);
            is_small && group.rows.saturating_mul(TIMES_FEWER) <= largest && !is_recent
        };
        let (isolated, others): (Vec<Group>, Vec<Group>) = match limits.isolated_after_ms {
            0 => (Vec::new(), groups),
            _ => groups.into_iter().partition(is_isolated),
        };
        let oldest = others.first().map(|group| group.oldest);
        FileJudge { now, future_tolerance_ms: limits.future_tolerance_ms, isolated, rows, oldest }
    }

    fn groups(&self, isolated_after_ms: Millis) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for (&day, &DayRows { rows, oldest, newest }) in &self.rows {
            match groups.last_mut() {
                Some(group) if (day - group.days.1 - 1) * DAY_MS <= isolated_after_ms => {
                    (group.days.1, group.newest) = (day, newest);
                    group.rows += rows;
                }
                Some(_) | None => groups.push(Group { days: (day, day), rows, oldest, newest }),
            }
        }
        groups
    }
}

impl FileJudge {
    /// Whether a row of this instant is later than the present.
    pub fn is_future(&self, ts: Millis) -> bool {
        ts.saturating_sub(self.now) > self.future_tolerance_ms
    }

    /// Whether any day is refused.
    pub fn has_isolated(&self) -> bool {
        !self.isolated.is_empty()
    }

    /// Number of rows on the days that are refused.
    pub fn isolated_rows(&self) -> u64 {
        self.isolated.iter().map(|group| group.rows).sum()
    }

    /// The least instant of the rows that are left.
    pub fn oldest(&self) -> Option<Millis> {
        self.oldest
    }

    /// Refuses a position that cannot be from when it says. Withdrawals are not judged.
    ///
    /// # Errors
    /// `future` or `isolated_time`.
    pub fn check(&self, event: &Event<'_>) -> Result<(), Rejection> {
        match event {
            Event::Position(report) if report.fix != Fix::Withdrawn => self.check_ts(report.ts),
            Event::Position(_) | Event::Geofence(_) | Event::Vehicle(_) => Ok(()),
            Event::Rule(_) | Event::Clock(_) => Ok(()),
        }
    }

    fn check_ts(&self, ts: Millis) -> Result<(), Rejection> {
        if self.is_future(ts) {
            let detail = format!("ts: {} is later than the present, {}", shown(ts), shown(self.now));
            return Err(Rejection::new(Reason::Future, detail));
        }
        if self.isolated.is_empty() {
            return Ok(());
        }
        let day = ts.div_euclid(DAY_MS);
        match self.isolated.iter().find(|group| (group.days.0..=group.days.1).contains(&day)) {
            Some(group) => {
                let detail = format!("ts: {} is far from all rows but {} of {}", shown(ts), group.rows, self.rows);
                Err(Rejection::new(Reason::IsolatedTime, detail))
            }
            None => Ok(()),
        }
    }
}

fn shown(ts: Millis) -> String {
    watchtower_model::rfc3339::format(ts)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use watchtower_core::random::SplitMix;

    const NOW: Millis = 1_795_996_800_000;

    fn limits(isolated_after_ms: Millis) -> Limits {
        Limits { isolated_after_ms, ..Limits::default() }
    }

    fn reasons(rows: &[Millis], now: Millis, limits: &Limits) -> Vec<Option<Reason>> {
        let mut days = Days::default();
        let future = Days::default().judge(now, limits);
        rows.iter().filter(|ts| !future.is_future(**ts)).for_each(|ts| days.add(*ts));
        let judge = days.judge(now, limits);
        rows.iter().map(|ts| judge.check_ts(*ts).err().map(|rejection| rejection.reason)).collect()
    }

    /// The words of the rule, row by row: the group of a row is whatever is connected to it.
    fn by_the_book(rows: &[Millis], now: Millis, limits: &Limits) -> Vec<Option<Reason>> {
        let judged: Vec<Millis> = rows.iter().copied().filter(|ts| ts - now <= limits.future_tolerance_ms).collect();
        let day = |ts: Millis| ts.div_euclid(DAY_MS);
        let days: BTreeSet<i64> = judged.iter().map(|ts| day(*ts)).collect();
        let group_of = |first: i64| -> Vec<Millis> {
            let mut reached = vec![first];
            loop {
                let near = |of: i64| reached.iter().any(|d| ((d - of).abs() - 1) * DAY_MS <= limits.isolated_after_ms);
                let Some(more) = days.iter().copied().find(|of| !reached.contains(of) && near(*of)) else { break };
                reached.push(more);
            }
            judged.iter().copied().filter(|ts| reached.contains(&day(*ts))).collect()
        };
        let groups: BTreeMap<i64, Vec<Millis>> = days.iter().map(|day| (*day, group_of(*day))).collect();
        let largest = groups.values().map(Vec::len).max().unwrap_or(0);
        rows.iter()
            .map(|&ts| {
                if ts - now > limits.future_tolerance_ms {
                    return Some(Reason::Future);
                }
                let group = &groups[&day(ts)];
                let small = group.len() <= 5 || group.len() * 100 <= judged.len();
                let recent = group.iter().any(|ts| now - ts <= limits.isolated_after_ms);
                let isolated = limits.isolated_after_ms > 0 && small && group.len() * 8 <= largest && !recent;
                isolated.then_some(Reason::IsolatedTime)
            })
            .collect()
    }

    #[test]
    fn every_row_is_judged_as_the_rule_says() {
        let (mut isolated, mut future) = (0, 0);
        for seed in 0..600 {
            let mut random = SplitMix::new(seed);
            let mut below = |bound: u64| random.below(bound) as Millis;
            let limits = limits([0, DAY_MS, 36 * 3_600_000, 30 * DAY_MS][below(4) as usize]);
            let mut rows = Vec::new();
            for _ in 0..1 + below(5) {
                let start = NOW - below(80) * DAY_MS + below(3) * 40 * DAY_MS - below(2) * 7_168 * DAY_MS;
                let (most, spread) = ([1, 4, 9, 40, 600][below(5) as usize], 1 + below(8));
                rows.extend((0..most).map(|_| start + below(spread as u64 * 86_400) * 1_000));
            }
            let now = NOW + below(2) * below(90_000);
            let (found, expected) = (reasons(&rows, now, &limits), by_the_book(&rows, now, &limits));
            assert_eq!(found, expected, "seed {seed}: {rows:?}");
            isolated += found.iter().filter(|reason| **reason == Some(Reason::IsolatedTime)).count();
            future += found.iter().filter(|reason| **reason == Some(Reason::Future)).count();
        }
        assert!(isolated > 500 && future > 500, "{isolated} isolated, {future} future");
    }

    #[test]
    fn each_bound_on_both_sides() {
        let month = limits(30 * DAY_MS);
        let base = NOW - 200 * DAY_MS;
        let isolated = |few: usize, apart: i64, many: usize, now: Millis| {
            let rows: Vec<Millis> = (0..many as i64)
                .map(|i| base + i % 1_000)
                .chain((0..few as i64).map(|i| base + apart * DAY_MS + i))
                .collect();
            reasons(&rows, now, &month)[many..].iter().all(|reason| *reason == Some(Reason::IsolatedTime))
        };
        assert!(isolated(1, 32, 8, NOW), "31 empty days between");
        assert!(!isolated(1, 31, 8, NOW), "30 empty days between");
        assert!(!isolated(1, 32, 7, NOW), "more than an eighth of the largest");
        assert!(isolated(5, 32, 40, NOW) && !isolated(6, 32, 48, NOW), "at most five rows");
        assert!(isolated(6, 32, 594, NOW) && !isolated(6, 32, 593, NOW), "or one in a hundred");
        let reaches = base + 32 * DAY_MS + 30 * DAY_MS;
        assert!(isolated(1, 32, 8, reaches + 1) && !isolated(1, 32, 8, reaches), "it reaches close to now");
    }

    #[test]
    fn the_future_begins_behind_the_tolerance() {
        let rows = [NOW + 60_000, NOW + 60_001];
        assert_eq!(reasons(&rows, NOW, &limits(0)), [None, Some(Reason::Future)]);
    }
}

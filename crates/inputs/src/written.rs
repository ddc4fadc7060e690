//! Times taken apart: a day, a time of day, a zone, in whatever order and with whatever between them.

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use watchtower_model::Millis;

use super::reading::{DateOrder, offset_minutes};

/// What times mean that do not say it themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimeRules {
    /// The zone of times that name none.
    pub(crate) zone: Option<TimeZone>,
    /// The order of the parts of dates.
    pub(crate) order: Option<DateOrder>,
    /// What years of two digits are nearest to, in epoch milliseconds.
    pub(crate) now: Millis,
    /// Where the person who reads a refusal can give what is missing.
    pub(crate) given_by: GivenBy,
}

/// Where zone and order of dates are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum GivenBy {
    /// Flags of a command that reads files.
    #[default]
    Flags,
    /// The settings of a source of messages.
    Source,
}

/// Why a text is no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeFault {
    /// It is no time that is known here.
    Unreadable,
    /// It names no zone, and none was given.
    NoZone,
    /// Day and month could be either way round.
    NoOrder,
    /// A day without a time.
    NoTime,
}

impl TimeFault {
    /// What was expected, and the flag that helps.
    pub(crate) fn advice(self) -> &'static str {
        self.advice_for(GivenBy::Flags)
    }

    /// What was expected, and how what is missing is given.
    pub(crate) fn advice_for(self, given_by: GivenBy) -> &'static str {
        match (self, given_by) {
            (Self::Unreadable, _) => "expected a time, as in 2026-11-23T06:00:00Z",
            (Self::NoZone, GivenBy::Flags) => "no zone: give --time-zone Area/City",
            (Self::NoZone, GivenBy::Source) => {
                "no zone: send epoch seconds or an offset, as in 2026-11-23T06:00:00Z, or set time_zone of the source"
            }
            (Self::NoOrder, GivenBy::Flags) => "day or month first: give --date-order dmy or mdy",
            (Self::NoOrder, GivenBy::Source) => "day or month first: send the year first, as in 2026-11-23T06:00:00Z",
            (Self::NoTime, _) => "expected a time of day, too",
        }
    }
}

/// The zone that a time names.
#[derive(Clone, Debug)]
pub(crate) enum Zone {
    Offset(i32),
    Named(TimeZone),
}

/// A time taken apart.
pub(crate) struct Written {
    pub(crate) date: Date,
    pub(crate) time: Option<Time>,
    pub(crate) zone: Option<Zone>,
}

impl Written {
    pub(crate) fn read(text: &str, rules: &TimeRules) -> Result<Self, TimeFault> {
        // Nothing that is a time is longer, with a zone's name behind it.
        if text.len() > 96 || !text.is_ascii() {
            return Err(TimeFault::Unreadable);
        }
        let (text, named) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            Some((text, name)) => (text, Some(TimeZone::get(name).map_err(|_| TimeFault::Unreadable)?)),
            None => (text, None),
        };
        let mut scan = Scan { text: text.as_bytes(), at: 0 };
        let date = scan.date(rules)?;
        scan.between();
        let time = if scan.rest().is_empty() { None } else { Some(scan.time().ok_or(TimeFault::Unreadable)?) };
        let zone = scan.zone().ok_or(TimeFault::Unreadable)?;
        Ok(Self { date, time, zone: zone.or(named.map(Zone::Named)) })
    }
}

/// A text being read from left to right.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a [u8] {
        &self.text[self.at.min(self.text.len())..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let is = self.peek().is_some_and(wanted);
        self.at += usize::from(is);
        is
    }

    /// Up to `most` digits: the number, and how many there were.
    fn digits(&mut self, most: usize) -> Option<(i64, usize)> {
        let count = self.rest().iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        let number = self.rest()[..count].iter().fold(0, |number, byte| number * 10 + i64::from(byte - b'0'));
        self.at += count;
        (count > 0).then_some((number, count))
    }

    fn word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let count = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        self.at += count;
        &rest[..count]
    }

    /// What stands between a date and a time.
    fn between(&mut self) {
        self.skip(|byte| matches!(byte, b'T' | b't' | b','));
        while self.skip(|byte| matches!(byte, b' ' | b'_')) {}
    }

    fn date(&mut self, rules: &TimeRules) -> Result<Date, TimeFault> {
        let spelt = |scan: &mut Self| {
            while scan.skip(|byte| matches!(byte, b' ' | b'-' | b'/' | b'.' | b',')) {}
        };
        let mut month = None;
        if self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            let word = self.word();
            month = month_of(word);
            if month.is_none() && !is_weekday(word) {
                return Err(TimeFault::Unreadable);
            }
            spelt(self);
            if month.is_none() && self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
                month = month_of(self.word());
                spelt(self);
            }
        }
        let first = self.digits(14).ok_or(TimeFault::Unreadable)?;
        if month.is_none() && matches!(first.1, 6 | 8 | 12 | 14) {
            return self.run_together(first, rules);
        }
        if first.1 > 4 {
            return Err(TimeFault::Unreadable);
        }
        let separator = self.peek();
        spelt(self);
        if month.is_none() && self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            month = month_of(self.word());
            if month.is_none() {
                return Err(TimeFault::Unreadable);
            }
            spelt(self);
        }
        let second = self.digits(4).ok_or(TimeFault::Unreadable)?;
        if let Some(month) = month {
            return date(year_of(second, rules)?, month, first.0);
        }
        self.skip(|byte| matches!(byte, b'-' | b'/' | b'.'));
        let third = self.digits(4).ok_or(TimeFault::Unreadable)?;
        numeric(first, second, third, separator, rules)
    }

    /// A date without separators, perhaps with the time behind it; that is read again.
    fn run_together(&mut self, (number, count): (i64, usize), rules: &TimeRules) -> Result<Date, TimeFault> {
        if count != 6 {
            self.at -= count - 8;
            let day = number / 10i64.pow(count as u32 - 8);
            return date(day / 10_000, day / 100 % 100, day % 100);
        }
        let parts = [number / 10_000, number / 100 % 100, number % 100];
        let two = |part: i64| (part, 2);
        match rules.order {
            None => Err(TimeFault::NoOrder),
            Some(_) => numeric(two(parts[0]), two(parts[1]), two(parts[2]), None, rules),
        }
    }

    fn time(&mut self) -> Option<Time> {
        let (hour, count) = self.digits(6)?;
        let (hour, minute, second) = match count {
            1 | 2 => {
                if !self.skip(|byte| byte == b':') {
                    return None;
                }
                let minute = self.digits(2)?;
                let second = if self.skip(|byte| byte == b':') { self.digits(2)?.0 } else { 0 };
                (hour, minute.0, second)
            }
            4 => (hour / 100, hour % 100, 0),
            6 => (hour / 10_000, hour / 100 % 100, hour % 100),
            _ => return None,
        };
        let mut nanos = 0;
        if self.skip(|byte| matches!(byte, b'.' | b',')) {
            let (fraction, count) = self.digits(9)?;
            nanos = fraction * 10i64.pow(9 - count as u32);
            while self.skip(|byte| byte.is_ascii_digit()) {}
        }
        let hour = self.meridiem(hour)?;
        let second = second.min(if second == 60 { 59 } else { 60 });
        Time::new(hour as i8, minute.try_into().ok()?, second.try_into().ok()?, nanos as i32).ok()
    }

    /// The hour of the day, with what AM or PM make of it.
    fn meridiem(&mut self, hour: i64) -> Option<i64> {
        let rest = self.rest().trim_ascii_start();
        let skipped = self.rest().len() - rest.len();
        let half = match rest.get(..2).map(<[u8]>::to_ascii_lowercase).as_deref() {
            Some(b"am") => 0,
            Some(b"pm") => 12,
            _ => return (0..24).contains(&hour).then_some(hour),
        };
        self.at += skipped + 2;
        (1..=12).contains(&hour).then_some(hour % 12 + half)
    }

    /// The zone at the end, if one is named; `None` if it is none, or more follows.
    fn zone(&mut self) -> Option<Option<Zone>> {
        let rest = std::str::from_utf8(self.rest()).ok()?.trim();
        Some(match rest {
            "" => None,
            _ if ["z", "utc", "gmt"].iter().any(|zone| rest.eq_ignore_ascii_case(zone)) => Some(Zone::Offset(0)),
            _ => {
                let offset = rest.strip_prefix("UTC").or(rest.strip_prefix("GMT")).unwrap_or(rest);
                Some(Zone::Offset(offset_minutes(offset)?))
            }
        })
    }
}

fn numeric(
    first: (i64, usize),
    second: (i64, usize),
    third: (i64, usize),
    separator: Option<u8>,
    rules: &TimeRules,
) -> Result<Date, TimeFault> {
    if first.1 >= 3 {
        return date(first.0, second.0, third.0);
    }
    let order = match rules.order {
        Some(order) if order != DateOrder::YearMonthDay || third.1 <= 2 => order,
        _ if separator == Some(b'.') => DateOrder::DayMonthYear,
        _ => order_of(first.0, second.0).ok_or(TimeFault::NoOrder)?,
    };
    match order {
        DateOrder::DayMonthYear => date(year_of(third, rules)?, second.0, first.0),
        DateOrder::MonthDayYear => date(year_of(third, rules)?, first.0, second.0),
        DateOrder::YearMonthDay => date(year_of(first, rules)?, second.0, third.0),
    }
}

/// Day and month, where the numbers decide it: no month is above 12.
fn order_of(first: i64, second: i64) -> Option<DateOrder> {
    match (first > 12, second > 12) {
        (true, false) => Some(DateOrder::DayMonthYear),
        (false, true) => Some(DateOrder::MonthDayYear),
        (false, false) if first == second => Some(DateOrder::DayMonthYear),
        _ => None,
    }
}

/// The order that the dates of a text decide, if all that decide one decide the same.
pub(crate) fn decided_order<'a>(cells: impl Iterator<Item = &'a str>) -> Option<DateOrder> {
    let mut decided = None;
    for cell in cells {
        let mut scan = Scan { text: cell.trim().as_bytes(), at: 0 };
        let Some((first, 1..=2)) = scan.digits(4) else { continue };
        if !scan.skip(|byte| matches!(byte, b'/' | b'-')) {
            continue;
        }
        let Some((second, 1..=2)) = scan.digits(4) else { continue };
        if first == second {
            continue;
        }
        match (decided, order_of(first, second)) {
            (_, None) => {}
            (None, order) => decided = order,
            (Some(earlier), Some(order)) if earlier != order => return None,
            (Some(_), Some(_)) => {}
        }
    }
    decided
}

/// A year of four digits, or the one of two that is nearest to now.
fn year_of((year, digits): (i64, usize), rules: &TimeRules) -> Result<i64, TimeFault> {
    match digits {
        4 => Ok(year),
        1 | 2 => Ok(nearest_year(year, rules.now)),
        _ => Err(TimeFault::Unreadable),
    }
}

/// The year with these last two digits that is nearest to the year of `now`.
pub(crate) fn nearest_year(two_digits: i64, now: Millis) -> i64 {
    let this = jiff::Timestamp::from_millisecond(now).map_or(2026, |now| i64::from(now.to_zoned(TimeZone::UTC).year()));
    let year = this - this.rem_euclid(100) + two_digits;
    let candidates = [year - 100, year, year + 100];
    candidates.into_iter().min_by_key(|year| (year - this).abs()).unwrap_or(year)
}

fn date(year: i64, month: i64, day: i64) -> Result<Date, TimeFault> {
    let narrow = |part: i64| i8::try_from(part).map_err(|_| TimeFault::Unreadable);
    let year = i16::try_from(year).map_err(|_| TimeFault::Unreadable)?;
    Date::new(year, narrow(month)?, narrow(day)?).map_err(|_| TimeFault::Unreadable)
}

fn month_of(word: &[u8]) -> Option<i64> {
    const MONTHS: [&[u8]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let head = word.get(..3)?.to_ascii_lowercase();
    MONTHS.iter().position(|month| **month == head[..]).map(|month| month as i64 + 1)
}

fn is_weekday(word: &[u8]) -> bool {
    const DAYS: [&[u8]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];
    word.get(..3).is_some_and(|head| DAYS.iter().any(|day| head.eq_ignore_ascii_case(day)))
}

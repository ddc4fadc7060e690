//! Times as people and devices write them.
//!
//! A local time that the clocks went through twice is its first passage; one that they skipped is the same time
//! after the skip, as if the clock had not been changed yet (what jiff and RFC 5545 call "compatible").

use jiff::civil::{DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use watchtower_model::Millis;

pub(crate) use super::written::{GivenBy, TimeFault, TimeRules, decided_order, nearest_year};
use super::written::{Written, Zone};

/// An instant, and what had to be decided to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant {
    /// Epoch milliseconds.
    pub(crate) ms: Millis,
    /// What had to be decided.
    pub(crate) remark: Option<&'static str>,
}

pub(crate) const EPOCH_SECONDS: &str = "numbers taken for epoch seconds by their size";
pub(crate) const EPOCH_MICROSECONDS: &str = "numbers taken for epoch microseconds by their size";
pub(crate) const EPOCH_NANOSECONDS: &str = "numbers taken for epoch nanoseconds by their size";
pub(crate) const LOCAL_TWICE: &str = "local times that the clocks showed twice: the first of the two";
pub(crate) const LOCAL_SKIPPED: &str = "local times that the clocks skipped: taken as before the change";

/// Reads an instant.
pub(crate) fn parse(text: &str, rules: &TimeRules) -> Result<Instant, TimeFault> {
    let text = text.trim();
    if let Some(ms) = strict(text) {
        return Ok(Instant { ms, remark: None });
    }
    if let Some(instant) = epoch(text) {
        return Ok(instant);
    }
    let written = Written::read(text, rules)?;
    let Some(time) = written.time else { return Err(TimeFault::NoTime) };
    resolve(DateTime::from_parts(written.date, time), written.zone, rules)
}

/// Whether a text is how our own tables write that there is no known beginning, in PostgreSQL and in the one file.
pub(crate) fn is_beginning(text: &str) -> bool {
    text == "-infinity" || text.starts_with("0001-01-01")
}

/// Reads an instant, or the beginning of a day.
pub(crate) fn parse_day(text: &str, rules: &TimeRules) -> Result<Instant, TimeFault> {
    match parse(text, rules) {
        Err(TimeFault::NoTime) => {
            let written = Written::read(text.trim(), rules)?;
            resolve(DateTime::from_parts(written.date, Time::midnight()), written.zone, rules)
        }
        known => known,
    }
}

/// RFC 3339, which is most of it.
fn strict(text: &str) -> Option<Millis> {
    // Whole numbers are epoch times of some unit: see `epoch`.
    text.as_bytes().get(4).filter(|&&byte| byte == b'-').and_then(|_| watchtower_core::events::parse_time(text))
}

/// A number by its size: the years that are accepted, 1980 to 2100, overlap in no two units.
fn epoch(text: &str) -> Option<Instant> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'e' | b'E' | b'+'));
    let whole = digits.split(['.', ',']).next().unwrap_or_default();
    // 20261120, 202611200600 and 20261120060001 are dates.
    let is_date = matches!(whole.len(), 8 | 12 | 14) && (whole.starts_with("19") || whole.starts_with("20"));
    if !is_number || is_date {
        return None;
    }
    let number = super::values::number(text)?;
    let exact = text.parse::<i64>().ok();
    let (ms, remark) = match number.abs() {
        size if size < 1e11 => (exact.map_or((number * 1e3).floor(), |n| n as f64 * 1e3), Some(EPOCH_SECONDS)),
        size if size < 1e14 => return Some(Instant { ms: exact.unwrap_or(number.floor() as Millis), remark: None }),
        size if size < 1e17 => ((number / 1e3).floor(), Some(EPOCH_MICROSECONDS)),
        size if size < 1e20 => ((number / 1e6).floor(), Some(EPOCH_NANOSECONDS)),
        _ => (number, None),
    };
    Some(Instant { ms: ms as Millis, remark })
}

fn resolve(local: DateTime, zone: Option<Zone>, rules: &TimeRules) -> Result<Instant, TimeFault> {
    let zone = match zone {
        Some(Zone::Offset(minutes)) => {
            let utc = local.to_zoned(TimeZone::UTC).map_err(|_| TimeFault::Unreadable)?;
            let ms = utc.timestamp().as_millisecond() - i64::from(minutes) * 60_000;
            return Ok(Instant { ms, remark: None });
        }
        Some(Zone::Named(zone)) => zone,
        None => rules.zone.clone().ok_or(TimeFault::NoZone)?,
    };
    let ambiguous = zone.to_ambiguous_zoned(local);
    let remark = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Fold { .. } => Some(LOCAL_TWICE),
        AmbiguousOffset::Gap { .. } => Some(LOCAL_SKIPPED),
    };
    let zoned = ambiguous.compatible().map_err(|_| TimeFault::Unreadable)?;
    Ok(Instant { ms: zoned.timestamp().as_millisecond(), remark })
}

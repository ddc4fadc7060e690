//! Times on the wire: RFC 3339 with any offset, or epoch milliseconds; inside, UTC milliseconds.

use watchtower_model::Millis;

/// An RFC 3339 time or a whole number of epoch milliseconds. Fractions of a millisecond are cut
/// off, a leap second counts as the second before it, and a number no `Millis` can hold is the
/// nearest one that can. `None`: neither of the two.
pub fn parse(text: &str) -> Option<Millis> {
    let text = text.trim_ascii();
    rfc3339(text.as_bytes()).or_else(|| whole(text))
}

/// A JSON number of epoch milliseconds, rounded down.
pub fn parse_number(text: &str) -> Option<Millis> {
    // The conversion saturates, which the check of the range wants.
    whole(text).or_else(|| text.parse::<f64>().ok().map(|ms| ms.floor() as Millis))
}

/// As RFC 3339 in UTC, or the bare number outside the range of dates.
pub fn format(ms: Millis) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |instant| instant.to_string())
}

fn whole(text: &str) -> Option<Millis> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let overflow = if digits.len() < text.len() { Millis::MIN } else { Millis::MAX };
    Some(text.parse().unwrap_or(overflow))
}

/// `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`, in lower case too, or with a space for the `T`.
fn rfc3339(text: &[u8]) -> Option<Millis> {
    let (fixed, rest) = text.split_first_chunk::<19>()?;
    if fixed[4] != b'-' || fixed[7] != b'-' || fixed[13] != b':' || fixed[16] != b':' {
        return None;
    }
    if !matches!(fixed[10], b'T' | b't' | b' ') {
        return None;
    }
    let year = two(fixed, 0)? * 100 + two(fixed, 2)?;
    let (month, day) = (two(fixed, 5)?, two(fixed, 8)?);
    let (hour, minute, second) = (two(fixed, 11)?, two(fixed, 14)?, two(fixed, 17)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction_ms, rest) = fraction(rest)?;
    let offset_min = offset(rest)?;
    let minutes = (days_since_1970(year, month, day) * 24 + hour) * 60 + minute - offset_min;
    Some((minutes * 60 + second.min(59)) * 1000 + fraction_ms)
}

/// Two digits at `at`.
fn two(text: &[u8], at: usize) -> Option<i64> {
    let (tens, units) = (text.get(at)?.wrapping_sub(b'0'), text.get(at + 1)?.wrapping_sub(b'0'));
    (tens <= 9 && units <= 9).then(|| i64::from(tens) * 10 + i64::from(units))
}

/// Whole milliseconds of an optional fraction, and what follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let digit = |at: usize| if at < length { i64::from(text[at] - b'0') } else { 0 };
    Some((digit(0) * 100 + digit(1) * 10 + digit(2), &text[length..]))
}

/// Minutes east of UTC.
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, text) = match text {
        b"Z" | b"z" => return Some(0),
        [b'+', text @ ..] => (1, text),
        [b'-', text @ ..] => (-1, text),
        _ => return None,
    };
    if text.len() != 5 || text[2] != b':' {
        return None;
    }
    let (hours, minutes) = (two(text, 0)?, two(text, 3)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 60 + minutes))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar, counted in years that begin in March so that the leap
/// day is their last (Hinnant, "chrono-compatible low-level date algorithms"). `year >= 0`.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_it_should() {
        let noon = 1_795_435_200_000;
        for text in [
            "2026-11-23T12:00:00Z",
            "2026-11-23t12:00:00z",
            "2026-11-23 12:00:00Z",
            "2026-11-23T12:00:00.0009Z",
            "2026-11-23T13:00:00+01:00",
            "2026-11-23T06:30:00-05:30",
            "1795435200000",
            " 1795435200000 ",
        ] {
            assert_eq!(parse(text), Some(noon), "{text}");
        }
        assert_eq!(parse("2026-11-23T12:00:00.25Z"), Some(noon + 250));
        assert_eq!(parse("2016-12-31T23:59:60Z"), parse("2016-12-31T23:59:59Z"));
        assert_eq!(parse_number("1795435200000.9"), Some(noon));
        assert_eq!(parse_number("1.7954352e12"), Some(noon));
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "-",
            "now",
            "12.5",
            "2026-11-23",
            "2026-11-23T12:00:00",
            "2026-11-23T12:00Z",
            "2026-02-29T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-11-23T24:00:00Z",
            "2026-11-23T12:00:00.Z",
            "2026-11-23T12:00:00+0100",
            "2026-11-23T12:00:00Zulu",
            "2026-11-23T12:00:00+1é:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_far_away_saturates() {
        assert_eq!(parse("99999999999999999999999"), Some(Millis::MAX));
        assert_eq!(parse("-99999999999999999999999"), Some(Millis::MIN));
        assert_eq!(parse_number("1e400"), Some(Millis::MAX));
        assert_eq!(parse("0001-01-01T00:00:00Z"), Some(-62_135_596_800_000));
        assert_eq!(parse("9999-12-31T23:59:59.999Z"), Some(253_402_300_799_999));
        assert!(parse("0000-01-01T00:00:00+23:59").is_some());
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(ms in -62_135_596_800_000i64..253_402_207_200_000) {
            prop_assert_eq!(parse(&format(ms)), Some(ms));
        }

        #[test]
        fn never_panics(text in ".{0,40}") {
            parse(&text);
            parse_number(&text);
        }
    }
}

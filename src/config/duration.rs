//! Durations in people's notation: `90s`, `6h`, `1h 30m`, `14d`, `250ms`.
//!
//! `humantime` parses them. They are formatted here, because that library has months of 30.44 days and would format 400
//! days as a year, a month, four days and seven hours.

use std::time::Duration;

use watchtower_model::Millis;

pub(super) const SECOND_MS: Millis = 1000;
pub(super) const MINUTE_MS: Millis = 60 * SECOND_MS;
pub(super) const HOUR_MS: Millis = 60 * MINUTE_MS;
pub(super) const DAY_MS: Millis = 24 * HOUR_MS;

/// The text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration; write whole numbers with units (ms, s, m, h, d), as in 90s, 6h or 1h30m")]
pub struct DurationError {
    text: String,
}

/// Reads a duration, in milliseconds.
///
/// # Errors
/// If the text is no sequence of numbers with units, has a part below a millisecond, or is too long.
pub fn parse_ms(text: &str) -> Result<Millis, DurationError> {
    let error = || DurationError { text: text.to_owned() };
    let duration: Duration = humantime::parse_duration(text.trim()).map_err(|_| error())?;
    if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        return Err(error());
    }
    Millis::try_from(duration.as_millis()).map_err(|_| error())
}

/// Prints a duration so that [`parse_ms`] reads it again: `1h30m`.
pub fn format_ms(ms: Millis) -> String {
    let mut rest = ms.unsigned_abs();
    let mut text = if ms < 0 { "-".to_owned() } else { String::new() };
    for (unit, unit_ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= unit_ms {
            text += &format!("{}{unit}", rest / unit_ms);
            rest %= unit_ms;
        }
    }
    if ms == 0 { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_again() {
        for (text, ms) in [
            ("0s", 0),
            ("250ms", 250),
            ("1m30s", 90_000),
            ("6h", 21_600_000),
            ("1d", 86_400_000),
            ("400d", 34_560_000_000),
            ("1d1h1m1s1ms", 90_061_001),
        ] {
            assert_eq!((parse_ms(text), format_ms(ms)), (Ok(ms), text.to_owned()));
        }
        assert_eq!(parse_ms("1h 30m"), Ok(5_400_000));
        assert_eq!(parse_ms(" 90s "), Ok(90_000));
        assert_eq!(parse_ms("6.5h"), Ok(23_400_000));
    }

    #[test]
    fn other_texts_are_no_durations() {
        for text in ["", "6", "h", "6x", "-6h", "1us", "99999999999999999999d"] {
            assert!(parse_ms(text).is_err(), "{text}");
        }
    }
}

//! Spans of time as people write them: `90s`, `6h`, `1h30m`, `14d`, `250ms`.

/// The text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a duration; write a whole number and a unit (ms, s, m, h, d), as in 90s, 6h or 1h30m")]
pub struct DurationError {
    text: String,
}

/// Milliseconds.
///
/// # Errors
/// If the text is no sequence of whole numbers with units, or too long to count in milliseconds.
pub fn parse_ms(text: &str) -> Result<i64, DurationError> {
    let error = || DurationError { text: text.to_owned() };
    let mut rest = text.trim();
    let mut total = 0i64;
    if rest.is_empty() {
        return Err(error());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let count: i64 = rest[..digits].parse().map_err(|_| error())?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" | "sec" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(error()),
        };
        rest = rest[letters..].trim_start();
        total = count.checked_mul(unit_ms).and_then(|ms| total.checked_add(ms)).ok_or_else(error)?;
    }
    Ok(total)
}

/// As [`parse_ms`] reads it, in the largest units that are exact: `1h30m`. A negative span, which no
/// text says, begins with `-`.
pub fn format_ms(ms: i64) -> String {
    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::from(if ms < 0 { "-" } else { "" });
    let mut rest = ms.unsigned_abs();
    for (unit, unit_ms) in UNITS {
        if rest >= unit_ms {
            text.push_str(&format!("{}{unit}", rest / unit_ms));
            rest %= unit_ms;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_written_in_the_largest_exact_units() {
        for (ms, text) in [
            (0, "0s"),
            (250, "250ms"),
            (5_400_000, "1h30m"),
            (86_400_000, "1d"),
            (90_061_001, "1d1h1m1s1ms"),
            (-60_000, "-1m"),
        ] {
            assert_eq!(format_ms(ms), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(ms in 0..=i64::MAX) {
            prop_assert_eq!(parse_ms(&format_ms(ms)), Ok(ms));
        }
    }

    #[test]
    fn numbers_with_units_add_up() {
        for (text, ms) in [("6h", 21_600_000), ("1h30m", 5_400_000), ("250ms", 250), ("14 d", 1_209_600_000), ("0s", 0)]
        {
            assert_eq!(parse_ms(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "6", "h", "6 hours", "-1h", "1.5h", "99999999999999d", "1h 2x"] {
            assert!(parse_ms(text).is_err(), "{text}");
        }
    }
}

//! The header `Retry-After` of HTTP.

use std::time::Duration;

/// The wait that `Retry-After` asks for: seconds, or a date (RFC 9110) as seen from `now`, epoch seconds. A date in the
/// past is no wait; None for any other text.
pub fn retry_after(value: &str, now: i64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    Some(Duration::from_secs(u64::try_from(date.timestamp().as_second() - now).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(" 120", 0), Some(Duration::from_secs(120)));
        let date = "Mon, 23 Nov 2026 12:00:00 GMT";
        assert_eq!(retry_after(date, 1_795_435_200 - 90), Some(Duration::from_secs(90)));
        assert_eq!(retry_after(date, 1_795_435_200 + 90), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", 0), None);
    }
}

//! Formats numbers and times for people.

use watchtower_model::Millis;

use watchtower_model::rfc3339;
use watchtower_simulator::MIDNIGHT;

const DAY_MS: Millis = 86_400_000;
/// Offset of Lagos from UTC, all year round.
const AHEAD_MS: Millis = 3_600_000;

/// Time of day in Lagos: `11:06`.
pub(super) fn clock(t: Millis) -> String {
    let minutes = (t - MIDNIGHT).rem_euclid(DAY_MS) / 60_000;
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

/// Date in Lagos: `Mon 2026-11-23`.
pub(super) fn date(t: Millis) -> String {
    let days = (t - MIDNIGHT).div_euclid(DAY_MS);
    let name = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"][days.rem_euclid(7) as usize];
    format!("{name} {}", &rfc3339::format(t + AHEAD_MS)[..10])
}

/// Groups digits: `114 110`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A number with its noun: `1 visit`, `2 visits`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(count), if count == 1 { "" } else { "s" })
}

/// A duration: `3h 12m`, or `41m`.
pub(super) fn span(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    if minutes < 60 { format!("{minutes}m") } else { format!("{}h {:02}m", minutes / 60, minutes % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_easy_to_read() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1 000", "1 234 567"]);
        assert_eq!([0, 1, 2_000].map(|n| counted(n, "visit")), ["0 visits", "1 visit", "2 000 visits"]);
        assert_eq!([0.0, 59.6 * 60.0, 11_520.0].map(span), ["0m", "1h 00m", "3h 12m"]);
        assert_eq!((date(MIDNIGHT), clock(MIDNIGHT - 60_000)), ("Mon 2026-11-23".to_owned(), "23:59".to_owned()));
        assert_eq!(date(MIDNIGHT - 1), "Sun 2026-11-22");
    }
}

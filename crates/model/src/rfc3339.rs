//! Instants as text: RFC 3339 in UTC with milliseconds, as every file and message has them.

use crate::local_time::Day;
use crate::units::{BEGINNING, Millis};

/// `2026-11-23T06:00:00.000Z`; the beginning of time is `-infinity`, as PostgreSQL spells it.
pub fn format(t: Millis) -> String {
    if t == BEGINNING {
        return "-infinity".to_owned();
    }
    let (days, ms) = (t.div_euclid(86_400_000), t.rem_euclid(86_400_000));
    let (year, month, day) = civil(days);
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{ms:03}Z", s / 3600, s / 60 % 60, s % 60)
}

/// A day as ISO 8601 writes it, as in `2026-11-23`.
pub fn format_day(day: Day) -> String {
    let (year, month, day) = civil(i64::from(day.0));
    format!("{year:04}-{month:02}-{day:02}")
}

/// The proleptic Gregorian date of a day counted from 1970-01-01. Source: Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_jiff_over_a_century() {
        for t in (315_532_800_000..4_102_444_800_000).step_by(7_919_777_123) {
            let expected = jiff::Timestamp::from_millisecond(t).expect("in range");
            assert_eq!(format(t), format!("{expected:.3}"));
            let day = Day(t.div_euclid(86_400_000) as i32);
            assert_eq!(format_day(day), expected.strftime("%F").to_string());
        }
        assert_eq!(format(BEGINNING), "-infinity");
    }
}

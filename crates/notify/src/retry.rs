//! When a delivery is attempted again.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use watchtower_core::random::SplitMix;
use watchtower_model::Millis;

/// Upper limit of the wait after the first failure; it doubles with each further one,
const FIRST_MS: Millis = 1_000;
/// up to this.
const LONGEST_MS: Millis = 3_600_000;
/// No wait is shorter, so that chance alone does not hammer an endpoint.
const SHORTEST_MS: Millis = 100;
/// A receiver may ask for a longer wait, up to this.
const LONGEST_ASKED_MS: Millis = 24 * 3_600_000;

/// The wait after so many failures (at least 1): by chance between nothing and a limit that doubles, so that those that
/// failed together do not come back together. At least as long as the receiver asks for.
pub(crate) fn wait_ms(failures: u32, asked: Option<Duration>, random: &mut SplitMix) -> Millis {
    let limit = FIRST_MS.checked_shl(failures.saturating_sub(1).min(20)).unwrap_or(LONGEST_MS).min(LONGEST_MS);
    let wait = random.below(limit.unsigned_abs() + 1) as Millis;
    let asked = asked.map_or(0, |asked| Millis::try_from(asked.as_millis()).unwrap_or(Millis::MAX));
    wait.max(SHORTEST_MS).max(asked.min(LONGEST_ASKED_MS))
}

/// The wait that a `Retry-After` asks for: seconds, or a date. One in the past asks for none.
pub(crate) fn retry_after(value: &str, now: Millis) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX / 1_000)));
    }
    // The dates of HTTP are those of mail with GMT for the zone.
    let date: Timestamp = DateTimeParser::new().parse_timestamp(value).ok()?;
    let ms = date.as_millisecond().saturating_sub(now).max(0);
    Some(Duration::from_millis(ms.unsigned_abs()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_an_hour_and_obey_the_receiver() {
        let mut random = SplitMix::new(1);
        for (failures, limit) in
            [(1, 1_000), (2, 2_000), (5, 16_000), (12, 2_048_000), (13, LONGEST_MS), (400, LONGEST_MS)]
        {
            let waits: Vec<Millis> = (0..200).map(|_| wait_ms(failures, None, &mut random)).collect();
            assert!(waits.iter().all(|wait| (SHORTEST_MS..=limit).contains(wait)), "{failures}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait > limit / 2) && waits.iter().any(|wait| *wait < limit / 2));
        }
        let asked = Some(Duration::from_secs(7_200));
        assert_eq!(wait_ms(1, asked, &mut random), 7_200_000);
        assert_eq!(wait_ms(1, Some(Duration::MAX), &mut random), LONGEST_ASKED_MS);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 1_795_413_600_000; // Mon, 23 Nov 2026 06:00:00 GMT
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(" 0 ", now), Some(Duration::ZERO));
        assert_eq!(retry_after("Mon, 23 Nov 2026 06:01:30 GMT", now), Some(Duration::from_secs(90)));
        assert_eq!(retry_after("Mon, 23 Nov 2026 05:00:00 GMT", now), Some(Duration::ZERO));
        for rubbish in ["", "soon", "-5", "1.5"] {
            assert_eq!(retry_after(rubbish, now), None, "{rubbish}");
        }
        assert!(retry_after("99999999999999999999999", now).is_some());
    }
}

//! How many requests each source may send: GCRA, the generic cell rate algorithm of ATM.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A source may be ahead of its rate by the requests of this time: devices send what they have buffered.
const BURST: Duration = Duration::from_secs(10);
/// Sources and tokens that are remembered; those whose time has passed are forgotten first.
const MAX_KEYS: usize = 100_000;

/// The theoretical arrival time of the next request of each source.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<String, Instant>>);

impl Rates {
    /// Counts a request of a source that may send `per_second` on average (0: any number). Returns how long it has to
    /// wait if that is too many.
    pub(crate) fn count(&self, source: &str, per_second: u32, now: Instant) -> Option<Duration> {
        if per_second == 0 {
            return None;
        }
        let interval = Duration::from_secs(1) / per_second;
        let mut due = self.0.lock().expect("nothing panics while it holds this");
        if due.len() >= MAX_KEYS && !due.contains_key(source) {
            due.retain(|_, due| *due > now);
        }
        let theirs = due.entry(source.to_owned()).or_insert(now);
        let next = (*theirs).max(now) + interval;
        // At least one request, however low the rate is.
        let wait = next.saturating_duration_since(now + BURST.max(interval));
        if wait.is_zero() {
            *theirs = next;
            return None;
        }
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_limited_to_its_rate_after_a_burst() {
        let (rates, start) = (Rates::default(), Instant::now());
        let accepted = (0..100).filter(|_| rates.count("a", 2, start).is_none()).count();
        assert_eq!(accepted, 20, "ten seconds of two");
        assert_eq!(rates.count("a", 2, start), Some(Duration::from_millis(500)));
        assert_eq!(rates.count("b", 2, start), None, "another source");
        assert_eq!(rates.count("a", 2, start + Duration::from_millis(500)), None);
        assert!(rates.count("a", 2, start + Duration::from_millis(500)).is_some());
        assert!((0..1000).all(|_| rates.count("c", 0, start).is_none()), "no limit");
    }
}

//! When events are due.

use std::time::{Duration, Instant};

use watchtower_model::Millis;

/// How fast events are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as Redis takes them.
    Unpaced,
    /// So many a second, whether Redis keeps up or not.
    Rate {
        /// Events per second, above 0.
        per_s: f64,
    },
    /// At their own times, counted from the first.
    Speedup {
        /// How many times as fast as it happened, above 0.
        factor: f64,
    },
}

/// Longest wait. Keeps sums of instants far from overflow.
const MAX_WAIT_S: f64 = 1e9;

/// Tells when events are due.
#[derive(Clone, Debug)]
pub(super) struct Pacer {
    pace: Pace,
    /// When the first event was due, and what time it spoke of.
    first: Option<(Instant, Millis)>,
    events: u64,
}

impl Pacer {
    /// Before the first event.
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, first: None, events: 0 }
    }

    /// When the next event, which speaks of `instant`, is due; nothing if at once. It is `now`.
    pub(super) fn due(&mut self, instant: Option<Millis>, now: impl FnOnce() -> Instant) -> Option<Instant> {
        let (spoken, per_s) = match self.pace {
            Pace::Unpaced => return None,
            Pace::Rate { per_s } => (0, per_s),
            Pace::Speedup { factor } => (instant?, factor * 1000.0),
        };
        let (started, first) = *self.first.get_or_insert_with(|| (now(), spoken));
        let steps = match self.pace {
            Pace::Unpaced | Pace::Rate { .. } => self.events as f64,
            Pace::Speedup { .. } => spoken.saturating_sub(first).max(0) as f64,
        };
        self.events += 1;
        Some(started + Duration::from_secs_f64((steps / per_s).min(MAX_WAIT_S)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_spreads_events_evenly() {
        let (mut pacer, start) = (Pacer::new(Pace::Rate { per_s: 50.0 }), Instant::now());
        for expected_ms in [0, 20, 40, 60] {
            assert_eq!(pacer.due(None, || start), Some(start + Duration::from_millis(expected_ms)));
        }
    }

    #[test]
    fn a_speedup_follows_the_events_own_time() {
        let (mut pacer, start) = (Pacer::new(Pace::Speedup { factor: 60.0 }), Instant::now());
        assert_eq!(pacer.due(None, || start), None);
        for (instant, expected_ms) in [(5_000_000, 0), (5_060_000, 1000), (1, 0), (5_000_600, 10)] {
            let due = pacer.due(Some(instant), || start);
            assert_eq!(due, Some(start + Duration::from_millis(expected_ms)), "{instant}");
        }
    }

    #[test]
    fn nothing_overflows() {
        let start = Instant::now();
        let mut pacer = Pacer::new(Pace::Speedup { factor: f64::MIN_POSITIVE });
        assert_eq!(pacer.due(Some(Millis::MIN), || start), Some(start));
        assert!(pacer.due(Some(Millis::MAX), || start).is_some());
        assert_eq!(Pacer::new(Pace::Unpaced).due(Some(0), || start), None);
    }
}

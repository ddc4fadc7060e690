//! How long to wait before a source is tried again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Wait after the first failure.
const SHORTEST: Duration = Duration::from_secs(1);
/// No wait of ours is longer than this and its chance, which is as much again.
const LONGEST: Duration = Duration::from_secs(120);
/// A server that asks for a longer wait is asked again after this.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// Waits that grow with each failure in a row.
#[derive(Debug)]
pub(super) struct Pace(ExponentialBackoff);

impl Default for Pace {
    fn default() -> Self {
        let builder = ExponentialBuilder::new().with_min_delay(SHORTEST).with_max_delay(LONGEST).with_jitter();
        Self(builder.without_max_times().build())
    }
}

impl Pace {
    /// The wait after one more failure: at least as long as the server asks for.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let own = self.0.next().unwrap_or(LONGEST);
        own.max(asked.unwrap_or_default().min(LONGEST_ASKED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_are_no_shorter_than_asked() {
        let mut pace = Pace::default();
        let waits: Vec<Duration> = (0..12).map(|_| pace.next(None)).collect();
        assert!(waits[0] >= SHORTEST && waits[0] <= 2 * SHORTEST, "{waits:?}");
        assert!(waits[11] >= LONGEST && waits[11] <= 2 * LONGEST, "{waits:?}");
        assert!(Pace::default().next(Some(Duration::from_secs(30))) == Duration::from_secs(30));
        assert_eq!(Pace::default().next(Some(Duration::from_secs(1_000_000))), LONGEST_ASKED);
    }
}

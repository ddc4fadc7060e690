//! How long to wait before trying again.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Wait after the first failure.
const SHORTEST: Duration = Duration::from_millis(50);
/// No wait is longer than this and its chance, which is as much again: what comes back is noticed soon.
const LONGEST: Duration = Duration::from_secs(2);

/// Waits that grow, without an end, with some chance in them so that many do not come at once.
#[derive(Debug)]
pub struct Backoff(ExponentialBackoff);

impl Default for Backoff {
    fn default() -> Self {
        let builder = ExponentialBuilder::new().with_min_delay(SHORTEST).with_max_delay(LONGEST).with_jitter();
        Self(builder.without_max_times().build())
    }
}

impl Backoff {
    /// How long to wait before the next attempt.
    pub fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(LONGEST)
    }
}

//! When a request may be sent without being refused for its rate: GCRA, the generic cell rate algorithm of ATM.
//!
//! Nothing here reads a clock or waits. The caller passes the instant, waits until [`Buckets::ready_at`], takes, sends.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Buckets that are remembered; those that are full again are forgotten first.
const MAX_BUCKETS: usize = 10_000;

/// A rate: one request per interval on average, and some at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    interval: Duration,
    burst: u32,
}

impl Rate {
    /// One request per `interval`, and up to `burst` (at least 1) at once after a silence.
    pub const fn new(interval: Duration, burst: u32) -> Self {
        Self { interval, burst: if burst == 0 { 1 } else { burst } }
    }

    /// At most `count` requests within any `period`, up to `burst` of them at once. `burst` has to be less than `count`.
    pub const fn within(count: u32, period: Duration, burst: u32) -> Self {
        assert!(burst < count, "a burst is a part of what a period allows");
        // What follows a burst within the period is count - burst at most.
        Self::new(Duration::from_nanos((period.as_nanos() / (count - burst) as u128) as u64 + 1), burst)
    }

    /// How far the theoretical arrival of the next request may be ahead of the present.
    fn tolerance(&self) -> Duration {
        self.interval * (self.burst - 1)
    }
}

/// The rates of the kinds of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// `chat.postMessage` and incoming webhooks, per channel.
    pub post: Rate,
    /// `chat.update`, per workspace.
    pub update: Rate,
}

impl Default for Rates {
    /// What Slack documents: one post per second and channel, "short bursts >1 allowed", taken as 3 here; `chat.update`
    /// is of tier 3, 50 per minute and workspace. Source: <https://docs.slack.dev/apis/web-api/rate-limits>.
    fn default() -> Self {
        Self { post: Rate::new(Duration::from_secs(1), 3), update: Rate::within(50, Duration::from_secs(60), 5) }
    }
}

/// What a rate applies to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Posts to a channel.
    Post {
        /// The workspace: `team_id` of [`Client::auth_test`](crate::Client::auth_test).
        workspace: String,
        /// The channel. A webhook posts to one channel: any name for it.
        channel: String,
    },
    /// Updates in a workspace.
    Update {
        /// The workspace: `team_id` of [`Client::auth_test`](crate::Client::auth_test).
        workspace: String,
    },
}

/// The buckets of a process. Several processes that share a token need a share of the rates each.
#[derive(Debug, Default)]
pub struct Buckets {
    rates: Rates,
    /// The theoretical arrival of the next request; a bucket that is not here is full.
    due: HashMap<Bucket, Instant>,
}

impl Buckets {
    /// Full buckets.
    pub fn new(rates: Rates) -> Self {
        Self { rates, due: HashMap::new() }
    }

    /// When the next request of a bucket may be sent: `now`, or later.
    pub fn ready_at(&self, bucket: &Bucket, now: Instant) -> Instant {
        let tolerance = self.rate(bucket).tolerance();
        let ready = self.due.get(bucket).and_then(|due| due.checked_sub(tolerance));
        ready.map_or(now, |ready| ready.max(now))
    }

    /// Counts a request that is sent now.
    ///
    /// # Errors
    /// The instant from which it may be sent, if that is later; nothing is counted then.
    pub fn take(&mut self, bucket: &Bucket, now: Instant) -> Result<(), Instant> {
        let ready = self.ready_at(bucket, now);
        if ready > now {
            return Err(ready);
        }
        let interval = self.rate(bucket).interval;
        self.set(bucket, now, |due| due.max(now) + interval);
        Ok(())
    }

    /// Slack has refused a request for its rate ([`Error::RateLimited`](crate::Error::RateLimited)): the bucket is empty
    /// until an instant, and has one request then, without a burst.
    pub fn limited(&mut self, bucket: &Bucket, now: Instant, until: Instant) {
        let tolerance = self.rate(bucket).tolerance();
        self.set(bucket, now, |due| due.max(until + tolerance));
    }

    fn rate(&self, bucket: &Bucket) -> Rate {
        match bucket {
            Bucket::Post { .. } => self.rates.post,
            Bucket::Update { .. } => self.rates.update,
        }
    }

    fn set(&mut self, bucket: &Bucket, now: Instant, next: impl FnOnce(Instant) -> Instant) {
        if let Some(due) = self.due.get_mut(bucket) {
            *due = next(*due);
            return;
        }
        if self.due.len() >= MAX_BUCKETS {
            self.due.retain(|_, due| *due > now);
        }
        self.due.insert(bucket.clone(), next(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn post(channel: &str) -> Bucket {
        Bucket::Post { workspace: "T1".to_owned(), channel: channel.to_owned() }
    }

    fn update() -> Bucket {
        Bucket::Update { workspace: "T1".to_owned() }
    }

    /// When requests are sent by a caller that always has one more, within a time.
    fn sent(buckets: &mut Buckets, bucket: &Bucket, start: Instant, within: Duration) -> Vec<Instant> {
        let mut sent = Vec::new();
        let mut now = start;
        while now < start + within {
            match buckets.take(bucket, now) {
                Ok(()) => sent.push(now),
                Err(ready) => {
                    assert_eq!(buckets.ready_at(bucket, now), ready);
                    now = ready;
                }
            }
        }
        sent
    }

    #[test]
    fn posts_come_in_a_burst_and_then_once_per_second_for_each_channel() {
        let (mut buckets, start) = (Buckets::default(), Instant::now());
        let first = sent(&mut buckets, &post("C1"), start, Duration::from_secs(10));
        let seconds: Vec<u64> = first.iter().map(|at| (*at - start).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(buckets.ready_at(&post("C2"), start), start, "another channel");
        assert_eq!(buckets.ready_at(&update(), start), start, "another kind");
        let later = start + MINUTE;
        assert_eq!(sent(&mut buckets, &post("C1"), later, Duration::from_nanos(1)).len(), 3, "full again, and no more");
    }

    #[test]
    fn no_minute_has_more_updates_than_its_tier_allows() {
        for pause in [0, 1, 7, 30, 59] {
            let (mut buckets, start) = (Buckets::default(), Instant::now());
            let mut all = sent(&mut buckets, &update(), start, MINUTE);
            assert!(all.len() > 45, "{} updates in a minute", all.len());
            all.extend(sent(&mut buckets, &update(), start + MINUTE + Duration::from_secs(pause), MINUTE));
            for first in &all {
                let within = all.iter().filter(|at| *at >= first && **at < *first + MINUTE).count();
                assert!(within <= 50, "{within} updates within a minute after a pause of {pause} s");
            }
        }
    }

    #[test]
    fn a_refusal_empties_the_bucket_until_its_instant() {
        let (mut buckets, start) = (Buckets::default(), Instant::now());
        let until = start + Duration::from_secs(30);
        buckets.take(&post("C1"), start).unwrap();
        buckets.limited(&post("C1"), start, until);
        assert_eq!(buckets.take(&post("C1"), start), Err(until));
        buckets.limited(&post("C1"), start, start + Duration::from_secs(5));
        assert_eq!(buckets.ready_at(&post("C1"), start), until, "a shorter wait does not end a longer one");
        buckets.take(&post("C1"), until).unwrap();
        assert_eq!(buckets.take(&post("C1"), until), Err(until + Duration::from_secs(1)), "no burst right after it");
    }

    #[test]
    fn buckets_that_are_full_are_forgotten() {
        let (mut buckets, start) = (Buckets::default(), Instant::now());
        for channel in 0..MAX_BUCKETS {
            buckets.take(&post(&channel.to_string()), start).unwrap();
        }
        buckets.take(&post("new"), start + MINUTE).unwrap();
        assert_eq!(buckets.due.len(), 1);
    }
}

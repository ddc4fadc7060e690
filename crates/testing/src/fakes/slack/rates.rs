//! The rate limits, by <https://docs.slack.dev/apis/web-api/rate-limits>: posts by a leaky bucket for each channel, other
//! methods by the number of requests in the minute before.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How many requests are accepted.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time in which a channel accepts one post on average [1 s].
    pub post_interval: Duration,
    /// Posts that a channel accepts at once [5]. Slack documents "short bursts >1" without a number.
    pub post_burst: u32,
    /// The time that the numbers of the tiers are of [60 s].
    pub window: Duration,
    /// Requests of each method of tier 3 in a window [50].
    pub tier_3: usize,
    /// Requests of each method of tier 4 in a window [100].
    pub tier_4: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            post_interval: Duration::from_secs(1),
            post_burst: 5,
            window: Duration::from_secs(60),
            tier_3: 50,
            tier_4: 100,
        }
    }
}

/// What was accepted lately.
#[derive(Debug)]
pub(super) struct Rates {
    limits: Limits,
    /// By channel, its level in posts, and when it had that level.
    posts: HashMap<String, (f64, Instant)>,
    /// By token and method, when its requests of the last window came.
    methods: HashMap<(String, String), VecDeque<Instant>>,
}

impl Rates {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, posts: HashMap::new(), methods: HashMap::new() }
    }

    /// Counts a post to a channel. Returns how long to wait if it comes too early, and is not counted.
    pub(super) fn post(&mut self, channel: &str, now: Instant) -> Option<Duration> {
        let interval_s = self.limits.post_interval.as_secs_f64();
        let (level, at) = self.posts.entry(channel.to_owned()).or_insert((0.0, now));
        *level = (*level - now.duration_since(*at).as_secs_f64() / interval_s).max(0.0);
        *at = now;
        let over = *level + 1.0 - f64::from(self.limits.post_burst);
        if over > 1e-9 {
            return Some(Duration::from_secs_f64(over * interval_s));
        }
        *level += 1.0;
        None
    }

    /// Counts a request of a method. Returns how long to wait if it comes too early, and is not counted.
    pub(super) fn method(&mut self, token: &str, method: &str, now: Instant) -> Option<Duration> {
        let most = match method {
            "chat.update" | "conversations.history" | "conversations.replies" => self.limits.tier_3,
            "files.getUploadURLExternal" | "files.completeUploadExternal" => self.limits.tier_4,
            _ => return None,
        };
        let window = self.limits.window;
        let recent = self.methods.entry((token.to_owned(), method.to_owned())).or_default();
        while recent.front().is_some_and(|at| now.duration_since(*at) >= window) {
            recent.pop_front();
        }
        if recent.len() >= most {
            return recent.front().map(|first| window.saturating_sub(now.duration_since(*first)));
        }
        recent.push_back(now);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_accepts_a_burst_and_then_one_post_per_second() {
        let (mut rates, start) = (Rates::new(Limits::default()), Instant::now());
        assert_eq!((0..8).filter(|_| rates.post("C1", start).is_none()).count(), 5);
        assert_eq!(rates.post("C1", start), Some(Duration::from_secs(1)));
        assert_eq!(rates.post("C2", start), None);
        let second = start + Duration::from_secs(1);
        assert_eq!((rates.post("C1", second), rates.post("C1", second).is_some()), (None, true));
    }

    #[test]
    fn a_tier_is_a_number_of_requests_per_minute() {
        let (mut rates, start) = (Rates::new(Limits::default()), Instant::now());
        assert_eq!((0..60).filter(|_| rates.method("xoxb", "chat.update", start).is_none()).count(), 50);
        let later = start + Duration::from_secs(59);
        assert_eq!(rates.method("xoxb", "chat.update", later), Some(Duration::from_secs(1)));
        assert_eq!(rates.method("xoxb", "chat.update", start + Duration::from_secs(60)), None);
    }
}

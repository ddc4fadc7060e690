//! The metrics of the gateway: names, descriptions, and a function to set each.
//!
//! The label `source` has names of the configuration and of formats alone: nothing that a sender chooses becomes a label.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::Options;

/// Counter: requests, by source and status of the answer.
pub const REQUESTS_TOTAL: &str = "watchtower_gateway_requests_total";
/// Histogram, seconds: from the headers of a request to its answer, by source.
pub const REQUEST_SECONDS: &str = "watchtower_gateway_request_seconds";
/// Counter: events of requests and feeds, by source and outcome: accepted, refused.
pub const EVENTS_TOTAL: &str = "watchtower_gateway_events_total";
/// Counter: deliveries that were acknowledged before, by source.
pub const REPEATED_TOTAL: &str = "watchtower_gateway_repeated_deliveries_total";
/// Gauge: open connections.
pub const CONNECTIONS: &str = "watchtower_gateway_connections";
/// Counter: connections closed because of the limit, by reason: replaced, full.
pub const CLOSED_TOTAL: &str = "watchtower_gateway_connections_closed_total";
/// Gauge: whether this process fetches the feed (1) or another one does (0), by source.
pub const FEED_HELD: &str = "watchtower_gateway_feed_held";
/// Gauge: whether the last attempt to fetch the feed, or the connection to its broker, is good (1), by source.
pub const FEED_UP: &str = "watchtower_gateway_feed_up";
/// Gauge, seconds since 1970: when the log last had all that the feed has sent, by source.
pub const FEED_LAST_SUCCESS_SECONDS: &str = "watchtower_gateway_feed_last_success_seconds";
/// Counter: fetches and connections of a feed that failed, by source.
pub const FEED_FAILURES_TOTAL: &str = "watchtower_gateway_feed_failures_total";

/// The label `source` of the addresses below `/v1`.
pub(crate) const NATIVE: &str = "v1";
/// The label `source` of all other addresses, and of sources that do not exist.
pub(crate) const OTHER: &str = "other";

/// Why a connection was closed for the limit of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// It was idle, and another one has its place.
    Replaced,
    /// It was new, and all others had a request in progress.
    Full,
}

impl Closed {
    fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Full => "full",
        }
    }
}

/// Registers the descriptions, and sets what is known at the start.
pub(crate) fn describe(options: &Options) {
    use Unit::{Count, Seconds};
    describe_counter!(REQUESTS_TOTAL, Count, "requests, by source and status of the answer");
    describe_histogram!(REQUEST_SECONDS, Seconds, "time from the headers of a request to its answer");
    describe_counter!(EVENTS_TOTAL, Count, "events of requests and feeds, by source and outcome");
    describe_counter!(REPEATED_TOTAL, Count, "deliveries that were acknowledged before and added nothing");
    describe_gauge!(CONNECTIONS, Count, "open connections");
    describe_counter!(CLOSED_TOTAL, Count, "connections closed because of [gateway] max_connections");
    describe_gauge!(FEED_HELD, Count, "whether this process fetches the feed: 1, or another one does: 0");
    describe_gauge!(FEED_UP, Count, "whether the last fetch, or the connection to the broker, is good: 1 or 0");
    describe_gauge!(FEED_LAST_SUCCESS_SECONDS, Seconds, "when the log last had all that the feed has sent, since 1970");
    describe_counter!(FEED_FAILURES_TOTAL, Count, "fetches and connections of a feed that failed");
    gauge!(CONNECTIONS).set(0.0);
    [Closed::Replaced, Closed::Full].into_iter().for_each(|reason| closed(reason, 0));
    let feeds = options.feeds.iter().map(|feed| feed.name.as_str());
    for name in options.sources.iter().map(|source| source.name.as_str()).chain(feeds.clone()).chain([NATIVE]) {
        events(name, 0, 0);
    }
    for name in feeds {
        feed_held(name, false);
        counter!(FEED_FAILURES_TOTAL, "source" => name.to_owned()).absolute(0);
    }
}

/// Counts a request and the time it took.
pub(crate) fn request(source: &str, status: u16, took: Duration) {
    counter!(REQUESTS_TOTAL, "source" => source.to_owned(), "status" => status.to_string()).increment(1);
    histogram!(REQUEST_SECONDS, "source" => source.to_owned()).record(took);
}

/// Counts a delivery that was acknowledged before.
pub(crate) fn repeated(source: &str) {
    counter!(REPEATED_TOTAL, "source" => source.to_owned()).increment(1);
}

/// Counts events that are in the log, by their outcome.
pub(crate) fn events(source: &str, accepted: u64, refused: u64) {
    counter!(EVENTS_TOTAL, "source" => source.to_owned(), "outcome" => "accepted").increment(accepted);
    counter!(EVENTS_TOTAL, "source" => source.to_owned(), "outcome" => "refused").increment(refused);
}

/// Sets the number of open connections.
pub(crate) fn set_connections(open: usize) {
    gauge!(CONNECTIONS).set(open as f64);
}

/// Counts connections that were closed because of the limit.
pub(crate) fn closed(reason: Closed, count: u64) {
    counter!(CLOSED_TOTAL, "reason" => reason.as_str()).increment(count);
}

/// Sets whether this process fetches a feed. One that it does not fetch is not up here.
pub(crate) fn feed_held(source: &str, held: bool) {
    gauge!(FEED_HELD, "source" => source.to_owned()).set(f64::from(u8::from(held)));
    if !held {
        gauge!(FEED_UP, "source" => source.to_owned()).set(0.0);
    }
}

/// Records that a feed answers, or that its broker has accepted the subscription.
pub(crate) fn feed_up(source: &str) {
    gauge!(FEED_UP, "source" => source.to_owned()).set(1.0);
}

/// Records that the log has all that a feed has sent.
pub(crate) fn feed_succeeded(source: &str) {
    feed_up(source);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!(FEED_LAST_SUCCESS_SECONDS, "source" => source.to_owned()).set(now.as_secs_f64());
}

/// Records that a fetch, or the connection to a broker, has failed.
pub(crate) fn feed_failed(source: &str) {
    gauge!(FEED_UP, "source" => source.to_owned()).set(0.0);
    counter!(FEED_FAILURES_TOTAL, "source" => source.to_owned()).increment(1);
}

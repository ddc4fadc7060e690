//! What Prometheus scrapes from a gateway, alone and within a daemon.

use crate::support::daemon::wait_until;
use crate::support::file::OneFile;
use crate::support::servers::free_port;

use super::feeds::server::{FeedServer, Reply};
use super::feeds::support::{Feeds, poll};
use super::support::{FileGateway, now_s, osmand, position, try_request};

fn scrape(port: u16) -> String {
    try_request(port, "GET", "/metrics", &[], b"").map(|answer| answer.body).unwrap_or_default()
}

/// The value of a metric with its labels, if it is there.
fn value(text: &str, metric: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')?.parse().ok())
}

fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|found| found == *line), "{line} in\n{text}");
    }
}

#[test]
fn requests_and_events_are_counted_by_source_and_outcome() {
    let source = "[[source]]\nname = \"phones\"\nformat = \"osmand\"\ntrust = \"path\"\n";
    let gateway = FileGateway::start("", source);
    let token = gateway.token(&["--role", "ingest"]);
    assert_eq!(gateway.request("GET", &osmand(&format!("/in/phones/{token}"), "T1"), &[], "").status, 200);
    assert_eq!(gateway.request("GET", "/in/phones/wt_wrong?id=T1&lat=1&lon=2", &[], "").status, 401);
    assert_eq!(gateway.request("GET", &osmand("/in/osmand", "T2"), &[], "").status, 200);
    let mixed = format!("[{},{},{{}}]", position("T3"), position("T4"));
    let headers = [("Idempotency-Key", "delivery-1")];
    assert_eq!(gateway.post("/v1/events", &headers, &mixed).status, 200);
    assert_eq!(gateway.post("/v1/events", &headers, &mixed).status, 200);
    assert_eq!(gateway.post("/v1/events", &[], "no JSON").status, 400);
    assert_eq!(gateway.request("GET", "/in/nonsense-7", &[], "").status, 404);
    assert_eq!(gateway.request("GET", "/nothing-7?secret=8", &[], "").status, 404);
    wait_until("the metrics are served", || !scrape(gateway.metrics).is_empty());
    let text = scrape(gateway.metrics);
    assert_lines(
        &text,
        &[
            "watchtower_gateway_requests_total{source=\"phones\",status=\"200\"} 1",
            "watchtower_gateway_requests_total{source=\"phones\",status=\"401\"} 1",
            "watchtower_gateway_requests_total{source=\"osmand\",status=\"200\"} 1",
            "watchtower_gateway_requests_total{source=\"v1\",status=\"200\"} 2",
            "watchtower_gateway_requests_total{source=\"v1\",status=\"400\"} 1",
            "watchtower_gateway_requests_total{source=\"other\",status=\"404\"} 2",
            "watchtower_gateway_events_total{source=\"phones\",outcome=\"accepted\"} 1",
            "watchtower_gateway_events_total{source=\"phones\",outcome=\"refused\"} 0",
            "watchtower_gateway_events_total{source=\"osmand\",outcome=\"accepted\"} 1",
            "watchtower_gateway_events_total{source=\"v1\",outcome=\"accepted\"} 2",
            "watchtower_gateway_events_total{source=\"v1\",outcome=\"refused\"} 2",
            "watchtower_gateway_repeated_deliveries_total{source=\"v1\"} 1",
            "watchtower_gateway_request_seconds_count{source=\"v1\"} 3",
            "watchtower_gateway_connections_closed_total{reason=\"full\"} 0",
        ],
    );
    assert!(text.contains("watchtower_gateway_request_seconds_bucket{source=\"osmand\",le=\"0.1\"} "), "{text}");
    assert!(value(&text, "watchtower_gateway_connections").is_some(), "{text}");
    for chosen_by_senders in [token.as_str(), "wt_wrong", "nonsense-7", "nothing-7", "T1", "delivery-1"] {
        assert!(!text.contains(chosen_by_senders), "{chosen_by_senders} in\n{text}");
    }
    let described = |line: &&str| line.starts_with("# HELP watchtower_gateway_");
    assert!(text.lines().filter(described).count() >= 6, "{text}");
}

#[test]
fn a_gateway_within_a_daemon_is_in_its_metrics() {
    let (port, http) = (free_port(), free_port());
    let one = OneFile::new(1, &format!("[gateway]\nenabled = true\nlisten = \"127.0.0.1:{port}\""));
    let daemon = one.spawn(&[], &[("WATCHTOWER_HTTP_LISTEN", &format!("127.0.0.1:{http}"))]);
    wait_until("the daemon is ready", || {
        try_request(http, "GET", "/readyz", &[], b"").is_some_and(|answer| answer.status == 200)
    });
    assert_eq!(try_request(port, "POST", "/v1/events", &[], position("T1").as_bytes()).unwrap().status, 200);
    let text = scrape(http);
    assert_lines(
        &text,
        &[
            "# TYPE watchtower_gateway_requests_total counter",
            "# TYPE watchtower_gateway_request_seconds histogram",
            "watchtower_gateway_events_total{source=\"v1\",outcome=\"accepted\"} 1",
            "# TYPE watchtower_commits_total counter",
        ],
    );
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn feeds_report_when_they_last_succeeded_and_that_they_fail() {
    let body = position("T1");
    let server = FeedServer::start(move |_| Reply::ok(body.clone()));
    let feeds = Feeds::new(&poll("state", "native", server.port, "/state?key=secret-8", ""));
    let (metrics, begun) = (free_port(), now_s() as f64);
    let (_gateway, _) = feeds.spawn(&[("WATCHTOWER_GATEWAY_METRICS", &format!("127.0.0.1:{metrics}"))]);
    let of = |metric: &str| value(&scrape(metrics), &format!("watchtower_gateway_feed_{metric}{{source=\"state\"}}"));
    wait_until("the feed is up", || of("up") == Some(1.0));
    assert_eq!(of("held"), Some(1.0));
    let last = || of("last_success_seconds").unwrap_or_default();
    assert!(last() >= begun, "{}", scrape(metrics));
    assert_eq!(
        value(&scrape(metrics), "watchtower_gateway_events_total{source=\"state\",outcome=\"accepted\"}"),
        Some(1.0)
    );
    server.answer(|_| Reply::status(500));
    wait_until("the feed is down", || of("up") == Some(0.0));
    assert!(of("failures_total") >= Some(1.0), "{}", scrape(metrics));
    let before = last();
    server.answer(|_| Reply::ok("[]"));
    wait_until("the feed is up again", || last() > before && of("up") == Some(1.0));
    assert!(!scrape(metrics).contains("secret-8"));
}

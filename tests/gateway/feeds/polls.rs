//! URLs that are polled, on a file: what is new is appended, once the log has it the cursor advances, and a server that
//! is slow, limited or broken is asked again at its pace.

use std::time::Duration;

use super::server::{FeedServer, Journal, Reply, Request, TOKEN};
use super::support::{Feeds, journal, poll};
use crate::gateway::support::{now_s, position};
use crate::support::daemon::wait_until;

/// Serves a body with validators, as servers of files do.
fn validated(body: &'static [u8]) -> impl FnMut(&Request) -> Reply + Send + 'static {
    move |request| {
        let etag = "\"feed-1\"".to_owned();
        if request.headers.get("if-none-match") == Some(&etag) {
            return Reply::status(304);
        }
        Reply { headers: vec![("ETag", etag)], ..Reply::ok(body) }
    }
}

/// Waits until the server has received so many more requests.
fn wait_for_requests(server: &FeedServer, more: usize) {
    let before = server.received().len();
    wait_until("it is fetched again", || server.received().len() >= before + more);
}

#[test]
fn a_feed_of_public_transport_is_appended_once() {
    const FEED: &[u8] = include_bytes!("../../../crates/inputs/testdata/vehicle_positions.pb");
    let server = FeedServer::start(validated(FEED));
    let feeds = Feeds::new(&poll("buses", "gtfs-realtime", server.port, "/vehicles.pb", ""));
    let _gateway = feeds.start();
    wait_until("the feed is in the log", || feeds.entries() > 0);
    let first = feeds.entries();
    wait_for_requests(&server, 3);
    assert!(server.received().last().unwrap().headers.contains_key("if-none-match"));
    assert_eq!(feeds.entries(), first, "unchanged by its validator");
    server.answer(|_| Reply::ok(FEED));
    wait_for_requests(&server, 3);
    assert_eq!(feeds.entries(), first, "unchanged by its content");
}

#[test]
fn a_corrected_record_with_the_same_time_passes() {
    let (one, other) = (position("T1"), position("T2"));
    let body = format!("[{one},{other}]");
    let first = body.clone();
    let server = FeedServer::start(move |_| Reply::ok(first.clone()));
    let feeds = Feeds::new(&poll("state", "native", server.port, "/state", ""));
    let gateway = feeds.start();
    wait_until("the state is in the log", || feeds.entries() > 0);
    wait_for_requests(&server, 2);
    assert_eq!(feeds.rows(), (2, 2));
    let before = feeds.entries();
    server.answer(move |_| Reply::ok(body.replacen("3.36", "3.37", 1)));
    wait_until("the correction is in the log", || feeds.entries() > before);
    wait_for_requests(&server, 2);
    assert_eq!(feeds.entries(), before + 1);
    drop(gateway);
    assert_eq!(feeds.rows(), (2, 2));
    assert_eq!(feeds.one.number("SELECT count(*) FROM positions WHERE vehicle_id = 'T1' AND lon > 3.365"), Some(1));
}

#[test]
fn a_cursor_advances_after_the_log_and_a_killed_process_loses_nothing() {
    let journal = Journal::new(2);
    let start = now_s() - 600;
    for minute in 0..7 {
        journal.add("T1", start + 60 * minute, 3.30 + minute as f64 / 100.0);
    }
    let shared = journal.clone();
    let server = FeedServer::start(move |request| shared.reply(request));
    let feeds = Feeds::new(&super::support::journal(server.port));
    let (mut killed, _) = feeds.spawn(&[("WATCHTOWER_CRASH_AT", "before-cursor:2")]);
    killed.wait();
    assert!(killed.log().contains("crash point before-cursor"), "{}", killed.log());
    assert_eq!((feeds.cursor("journal").as_str(), feeds.entries()), ("v2", 2), "of the second page only the events");
    let gateway = feeds.start();
    wait_until("all pages are in the log", || feeds.cursor("journal") == "v7");
    let paths: Vec<String> = server.received().into_iter().map(|request| request.path).collect();
    let path = |cursor: &str| format!("/v1/feed?after={cursor}");
    assert_eq!(paths[..4], ["/v1/feed".to_owned(), path("v2"), path("v2"), path("v4")], "{paths:?}");
    let entries = feeds.entries();
    journal.add("T1", start + 7 * 60, 3.40);
    wait_until("a further record is in the log", || feeds.cursor("journal") == "v8");
    wait_for_requests(&server, 3);
    assert_eq!(feeds.entries(), entries + 1, "an empty page costs nothing");
    assert!(!gateway.log().contains(TOKEN));
    drop(gateway);
    assert_eq!(feeds.rows(), (8, 8));
    assert_eq!(feeds.one.number("SELECT count(*) FROM positions WHERE speed_kmh BETWEEN 16.08 AND 16.11"), Some(8));
}

#[test]
fn a_server_is_asked_again_when_it_wants_to_be() {
    let mut answers = 0;
    let body = format!("[{}]", position("T1"));
    let server = FeedServer::start(move |_| {
        answers += 1;
        match answers {
            1 => Reply { headers: vec![("Retry-After", "4".to_owned())], ..Reply::status(429) },
            3 => Reply::status(500),
            4 => Reply { after: Duration::from_secs(3), ..Reply::ok("[]") },
            6 => Reply::ok("<html>"),
            7 => Reply::ok(vec![b' '; 2 << 20]),
            9 => Reply { headers: vec![("Location", "http://127.0.0.1:1/".to_owned())], ..Reply::status(302) },
            10 => Reply::ok(body.clone()),
            // The server is well, which ends the growth of the waits.
            _ => Reply::ok("[]"),
        }
    });
    let more = "timeout = \"1s\"\nheaders = { X-Api-Key = \"key-of-header-2291\" }";
    let feeds = Feeds::new(&poll("state", "native", server.port, "/state?key=key-of-query-7310", more));
    let (gateway, _) = feeds.spawn(&[("WATCHTOWER_GATEWAY_MAX_INFLATED", "1048576")]);
    wait_until("an answer is read at last", || feeds.entries() == 1);
    let received = server.received();
    assert!(received[1].at - received[0].at >= Duration::from_secs(4), "Retry-After");
    assert!(received[3].at - received[2].at >= Duration::from_secs(1), "backoff");
    assert_eq!(received[9].headers["x-api-key"], "key-of-header-2291");
    let log = gateway.log();
    for text in ["429", "status 500", "not a message of format native", "max_inflated", "redirects are not followed"] {
        assert!(log.contains(text), "{text}: {log}");
    }
    for secret in ["key-of-header-2291", "key-of-query-7310"] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[test]
fn one_process_fetches_and_another_takes_over() {
    let journal_feed = Journal::new(100);
    let shared = journal_feed.clone();
    let server = FeedServer::start(move |request| shared.reply(request));
    let feeds = Feeds::new(&journal(server.port));
    let first = feeds.start();
    wait_until("the first fetches", || first.log().contains("this process fetches the source"));
    let second = feeds.start();
    wait_until("the second waits", || second.log().contains("another process fetches the source"));
    journal_feed.add("T1", now_s(), 3.36);
    wait_until("the record is in the log", || feeds.entries() == 1);
    first.kill();
    journal_feed.add("T1", now_s() + 1, 3.36);
    wait_until("the second has taken over", || feeds.entries() == 2);
    wait_until("the cursor has followed the log", || feeds.cursor("journal") == "v2");
    assert_eq!(feeds.one.number("SELECT term FROM source_leases"), Some(2));
    // A process that stops as asked gives its lease back: the next one need not wait until it expires.
    assert_eq!(second.stop().code(), Some(0));
    assert_eq!(feeds.one.number("SELECT count(*) FROM source_leases WHERE owner = ''"), Some(1));
}

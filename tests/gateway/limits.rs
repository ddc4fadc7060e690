//! Every limit, at its border and beyond; whoever is beyond it harms nobody else.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::support::{FileGateway, osmand, position, read_answer, try_request};

#[test]
fn a_body_has_a_size_a_depth_and_a_number_of_events() {
    let gateway = FileGateway::start("max_body = 2048\nmax_inflated = 4096\nmax_json_depth = 8\nmax_events = 3", "");
    let post = |headers: &[(&str, &str)], body: &[u8]| {
        try_request(gateway.port, "POST", "/v1/events", headers, body).unwrap().status
    };
    let padded = |size: usize| {
        let event = position("T1");
        format!("{event}{}", " ".repeat(size - event.len())).into_bytes()
    };
    assert_eq!((post(&[], &padded(2048)), post(&[], &padded(2049))), (200, 413));
    let zipped = |size| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&padded(size)).unwrap();
        encoder.finish().unwrap()
    };
    let gzip = [("Content-Encoding", "gzip")];
    assert_eq!((post(&gzip, &zipped(4096)), post(&gzip, &zipped(4097))), (200, 413));
    assert_eq!(post(&gzip, &zipped(1_000_000)), 413, "a small body that becomes a large one");
    let nested = |depth: usize| {
        let arrays = format!("{}1{}", "[".repeat(depth - 2), "]".repeat(depth - 2));
        position("T1").replace("\"lon\"", &format!("\"attributes\":{{\"deep\":{arrays}}},\"lon\"")).into_bytes()
    };
    assert_eq!((post(&[], &nested(8)), post(&[], &nested(9)) / 100), (200, 4));
    let events = |count| format!("[{}]", vec![position("T1"); count].join(",")).into_bytes();
    assert_eq!((post(&[], &events(3)), post(&[], &events(4))), (200, 413));
}

#[test]
fn a_body_that_announces_too_much_is_refused_before_it_is_sent() {
    let gateway = FileGateway::start("max_body = 2048", "");
    let answer = try_request(gateway.port, "POST", "/v1/events", &[("Content-Length", "999999999")], b"").unwrap();
    assert_eq!(answer.status, 413);
}

#[test]
fn slow_headers_and_bodies_end_and_others_are_served() {
    let gateway = FileGateway::start("header_timeout = \"300ms\"\nread_timeout = \"300ms\"", "");
    let begun = Instant::now();
    let connect = || TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
    let (mut silent, mut headers, mut body) = (connect(), connect(), connect());
    headers.write_all(b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n").unwrap();
    body.write_all(b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{").unwrap();
    assert_eq!(gateway.request("GET", &osmand("/in/osmand", "T1"), &[], "").status, 200);
    assert!(read_answer(&mut silent).is_none());
    assert!(read_answer(&mut headers).is_none_or(|answer| answer.status == 408));
    body.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(read_answer(&mut body).map(|answer| answer.status), Some(408));
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn idle_connections_keep_nobody_out() {
    let gateway = FileGateway::start("max_connections = 20\nheader_timeout = \"1m\"", "");
    let idle: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(("127.0.0.1", gateway.port)).unwrap()).collect();
    for _ in 0..5 {
        assert_eq!(gateway.request("GET", &osmand("/in/osmand", "T1"), &[], "").status, 200);
    }
    drop(idle);
}

#[test]
fn a_source_has_a_rate_and_others_are_served() {
    let gateway = FileGateway::start(
        "max_rate = 1000",
        "[[source]]\nname = \"slow\"\nformat = \"osmand\"\ntrust = \"none\"\nmax_rate = 1\n",
    );
    let answers: Vec<_> = (0..15).map(|_| gateway.request("GET", &osmand("/in/slow", "T1"), &[], "")).collect();
    let accepted = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((10..15).contains(&accepted), "ten seconds of one a second, and those of the time it took: {accepted}");
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    let seconds: u64 = refused.headers["retry-after"].parse().unwrap();
    assert!((1..=2).contains(&seconds), "{refused:?}");
    assert_eq!(gateway.request("GET", &osmand("/in/osmand", "T1"), &[], "").status, 200);
}

#[test]
fn a_sender_names_so_many_vehicles() {
    let gateway = FileGateway::start("max_ids = 2", "");
    let status = |id| gateway.request("GET", &osmand("/in/osmand", id), &[], "").status;
    assert_eq!((status("T1"), status("T2"), status("T3"), status("T1")), (200, 200, 422, 200));
    assert!(gateway.log_text().contains("too_many_vehicles"));
    let long = "x".repeat(129);
    assert_eq!(status(&long) / 100, 4, "an identifier has at most 128 characters");
}

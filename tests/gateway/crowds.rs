//! Thousands of clients that do nothing, are slow, or send what becomes too large: others are served meanwhile.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::support::{FileGateway, osmand, try_request};

/// Clients that connect and send nothing.
const IDLE: usize = 10_000;
/// Clients that stop amid the headers, and as many that stop amid the body.
const SLOW: usize = 100;
/// Requests of the client that is to be served.
const REQUESTS: usize = 31;
/// What one of them usually takes at most.
const SOON: Duration = Duration::from_secs(1);

/// How many idle clients this process can be: each is an open file.
fn idle_clients() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // What cannot be raised is as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize);
    let possible = IDLE.min(limit.saturating_sub(2 * SLOW + 1000));
    if possible < IDLE {
        println!("{possible} idle clients instead of {IDLE}: this process may have {limit} open files (ulimit -Hn)");
    }
    possible
}

fn connect(gateway: &FileGateway) -> TcpStream {
    TcpStream::connect(("127.0.0.1", gateway.port)).unwrap()
}

/// How long requests took that were all served, the shortest first.
fn served(gateway: &FileGateway) -> Vec<Duration> {
    let serve = |_| {
        let begun = Instant::now();
        assert_eq!(gateway.request("GET", &osmand("/in/osmand", "T1"), &[], "").status, 200);
        begun.elapsed()
    };
    let mut times: Vec<Duration> = (0..REQUESTS).map(serve).collect();
    times.sort();
    times
}

/// Whether the other side has not closed the connection.
fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    stream.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn idle_and_slow_clients_and_bodies_that_inflate_leave_others_served() {
    let gateway = FileGateway::start(
        "max_connections = 12000\nheader_timeout = \"10m\"\nread_timeout = \"10m\"\nmax_inflated = 1000000",
        "",
    );
    let idle: Vec<TcpStream> = (0..idle_clients()).map(|_| connect(&gateway)).collect();
    let begin = |text: &[u8]| {
        let mut stream = connect(&gateway);
        stream.write_all(text).unwrap();
        stream
    };
    let headers = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    let body = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\n{";
    let slow: Vec<TcpStream> = (0..SLOW).flat_map(|_| [begin(headers), begin(body)]).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b' '; 50_000_000]).unwrap();
    let large = encoder.finish().unwrap();

    let (done, refused) = (AtomicBool::new(false), AtomicUsize::new(0));
    let times = std::thread::scope(|scope| {
        let send = || {
            let gzip = [("Content-Encoding", "gzip")];
            while !done.load(Ordering::Relaxed) {
                let answer = try_request(gateway.port, "POST", "/v1/events", &gzip, &large).unwrap();
                assert_eq!(answer.status, 413, "{answer:?}");
                refused.fetch_add(1, Ordering::Relaxed);
            }
        };
        scope.spawn(send);
        scope.spawn(send);
        let times = served(&gateway);
        while refused.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
        done.store(true, Ordering::Relaxed);
        times
    });
    println!(
        "{} idle clients; a request takes {:?}, at most {:?}",
        idle.len(),
        times[REQUESTS / 2],
        times[REQUESTS - 1]
    );
    assert!(times[REQUESTS / 2] < SOON, "{times:?}");
    assert!(idle.iter().chain(&slow).all(is_open), "the limit of connections is not reached");
}

#[test]
fn fewer_open_files_than_connections_keep_nobody_out() {
    let mut gateway = FileGateway::start("max_connections = 800\nheader_timeout = \"10m\"", "");
    gateway.restart_by(|command| {
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -n 300 && exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
        limited
    });
    assert!(gateway.log().contains("only 300 open files"), "{}", gateway.log());
    let idle: Vec<TcpStream> = (0..1000).map(|_| connect(&gateway)).collect();
    assert_eq!(served(&gateway).len(), REQUESTS);
    assert!(idle.iter().filter(|stream| is_open(stream)).count() < 300);
}

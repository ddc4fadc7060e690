//! What the daemon answers about itself, over TCP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tokio::sync::oneshot;
use watchtower_daemon::telemetry::health::Health;
use watchtower_daemon::telemetry::http::{Server, serve};
use watchtower_daemon::telemetry::metrics;

/// Status and all of the response.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let status = response.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
    (status, response)
}

/// What follows the head.
fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn health_readiness_and_metrics_are_served_until_the_end() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let recorder = metrics::builder().unwrap().build_recorder();
    ::metrics::with_local_recorder(&recorder, || metrics::commit(Duration::from_millis(3), 41));
    let health = Health::starting("connecting to redis");
    let server = runtime.block_on(Server::bind("127.0.0.1:0".parse().unwrap())).unwrap();
    let address = server.address();
    let (end, ended) = oneshot::channel::<()>();
    let running = runtime.spawn(server.run(health.clone(), recorder.handle(), async {
        let _ = ended.await;
    }));

    let (status, response) = get(address, "/healthz");
    assert_eq!((status, body(&response)), (200, "ok\n"));
    let (status, response) = get(address, "/readyz");
    assert_eq!((status, body(&response)), (503, "starting: connecting to redis\n"));
    health.set_ready();
    let (status, response) = get(address, "/readyz");
    assert_eq!((status, body(&response)), (200, "ready\n"));
    let (status, response) = get(address, "/metrics");
    assert_eq!(status, 200);
    assert!(response.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{response}");
    assert!(response.contains("watchtower_commit_seq 41"), "{response}");
    let (status, response) = get(address, "/");
    assert_eq!(status, 200);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(response.contains(path), "{response}");
    }
    assert_eq!(get(address, "/nothing").0, 404);

    health.set_halted("7 entries of wt:lagos:events:0 are lost");
    assert_eq!(get(address, "/healthz").0, 200, "restarting would not help");
    let (status, response) = get(address, "/readyz");
    assert_eq!((status, body(&response)), (503, "halted: 7 entries of wt:lagos:events:0 are lost\n"));

    let taken = runtime.block_on(serve(address, health, recorder.handle(), std::future::ready(()))).unwrap_err();
    assert_eq!(
        taken.to_string(),
        format!("cannot listen on {address} for http (does another daemon run here? [http] listen is the address)")
    );

    // A request that never ends does not keep it from ending.
    let mut endless = TcpStream::connect(address).unwrap();
    write!(endless, "GET /metrics HTTP/1.1\r\n").unwrap();
    assert_eq!(get(address, "/healthz").0, 200);
    end.send(()).unwrap();
    let ended = runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), running).await });
    ended.expect("it ends").unwrap().unwrap();
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

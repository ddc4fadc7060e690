//! A receiver of webhooks that does what a test asks for: it answers, hangs, drips, or goes away.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Event, subject and revision of our envelope.
    pub(super) fn event(&self) -> (String, String, i64) {
        let body = self.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&body["type"]), text(&body["data"]["subject"]), body["data"]["revision"].as_i64().unwrap())
    }
}

/// What it does with a request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A status, headers and a body.
    Status(u16, Vec<(&'static str, String)>, &'static str),
    /// It reads the request and never answers.
    Hang,
    /// A byte of the header at a time, without an end.
    Drip,
    /// A header without an end, as fast as it is read.
    EndlessHeader,
    /// A status, and a body without an end.
    EndlessBody(u16),
    /// It reads the request and closes the connection: the answer is lost.
    Lost,
}

pub(super) fn status(status: u16) -> Reply {
    Reply::Status(status, Vec::new(), "")
}

type Script = Box<dyn FnMut(usize, &Request) -> Reply + Send>;

/// Listens until the test process ends.
#[derive(Clone)]
pub(super) struct Receiver {
    port: u16,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// One that does what `script` says to each request, counted from 0.
    pub(super) fn start(script: impl FnMut(usize, &Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(script)));
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (seen, script) = (Arc::clone(&shared), Arc::clone(&script));
                // A client that goes away ends its thread.
                thread::spawn(move || drop(serve(&client, &seen, &script)));
            }
        });
        Self { port, seen }
    }

    /// One that accepts everything.
    pub(super) fn willing() -> Self {
        Self::start(|_, _| status(200))
    }

    pub(super) fn url(&self) -> String {
        self.url_at("127.0.0.1")
    }

    /// Its address by another name of this machine.
    pub(super) fn url_at(&self, host: &str) -> String {
        format!("http://{host}:{}/alerts", self.port)
    }

    /// All requests so far, whole ones.
    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// Events, subjects and revisions so far.
    pub(super) fn events(&self) -> Vec<(String, String, i64)> {
        self.seen().iter().map(Request::event).collect()
    }
}

fn serve(client: &TcpStream, seen: &Mutex<Vec<Request>>, script: &Mutex<Script>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    loop {
        let Some(request) = read(&mut reader)? else { return Ok(()) };
        let reply = {
            let mut seen = seen.lock().unwrap();
            let reply = script.lock().unwrap()(seen.len(), &request);
            seen.push(request);
            reply
        };
        answer(client, reply)?;
    }
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut headers = Vec::new();
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    assert!(line.starts_with("POST /alerts HTTP/1.1"), "{line}");
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { headers, body }))
}

fn answer(mut client: &TcpStream, reply: Reply) -> std::io::Result<()> {
    let gone = || std::io::Error::other("closed on purpose");
    match reply {
        Reply::Status(status, headers, body) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let length = body.len();
            write!(client, "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\n\r\n{body}")?;
            client.flush()
        }
        Reply::Hang => loop {
            thread::sleep(Duration::from_secs(1));
        },
        Reply::Drip => {
            client.write_all(b"HTTP/1.1 200 OK\r\nx-drip: ")?;
            loop {
                client.write_all(b"x")?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        Reply::EndlessHeader => {
            client.write_all(b"HTTP/1.1 200 OK\r\n")?;
            let lines = "x-big: 0123456789\r\n".repeat(1_000);
            loop {
                client.write_all(lines.as_bytes())?;
            }
        }
        Reply::EndlessBody(status) => {
            write!(client, "HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n\r\n")?;
            let chunk = format!("1000\r\n{}\r\n", "b".repeat(0x1000));
            loop {
                client.write_all(chunk.as_bytes())?;
            }
        }
        Reply::Lost => {
            client.shutdown(std::net::Shutdown::Both)?;
            Err(gone())
        }
    }
}

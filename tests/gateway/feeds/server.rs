//! A server of feeds, as those of fleets and of public transport are: with tokens, cursors, validators and limits.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A request as it was received.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Wait before the answer.
    pub(crate) after: Duration,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, body: body.into(), ..Self::default() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }
}

type Handler = Box<dyn FnMut(&Request) -> Reply + Send>;

/// Listens until the test ends.
#[derive(Clone)]
pub(crate) struct FeedServer {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<Request>>>,
    handler: Arc<Mutex<Handler>>,
}

impl FeedServer {
    pub(crate) fn start(handler: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server =
            Self { port, received: Arc::default(), handler: Arc::new(Mutex::new(Box::new(handler) as Handler)) };
        let shared = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || while shared.serve(&stream).is_some() {});
            }
        });
        server
    }

    /// Answers in another way from now on.
    pub(crate) fn answer(&self, handler: impl FnMut(&Request) -> Reply + Send + 'static) {
        *self.handler.lock().unwrap() = Box::new(handler);
    }

    /// All requests so far.
    pub(crate) fn received(&self) -> Vec<Request> {
        self.received.lock().unwrap().clone()
    }

    fn serve(&self, mut stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let request = Request { at: Instant::now(), path, headers };
        self.received.lock().unwrap().push(request.clone());
        let reply = (*self.handler.lock().unwrap())(&request);
        std::thread::sleep(reply.after);
        let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
        reply.headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        stream.write_all(&reply.body).ok()
    }
}

/// A feed of records with versions: `after` is the version of the last record that a client has; each answer has at
/// most `page` records. Without the token nothing is answered.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    records: Arc<Mutex<Vec<String>>>,
    page: usize,
}

/// The token of the journal.
pub(crate) const TOKEN: &str = "journal-token-8f1c";

impl Journal {
    pub(crate) fn new(page: usize) -> Self {
        Self { records: Arc::default(), page }
    }

    /// Adds a position of a vehicle.
    pub(crate) fn add(&self, vehicle_id: &str, ts_s: i64, lon: f64) {
        let ts = jiff::Timestamp::from_second(ts_s).unwrap();
        let record = format!(
            r#"{{"asset":{{"id":"{vehicle_id}"}},"time":"{ts}","longitude":{lon},"latitude":6.44,"speedMph":10}}"#
        );
        self.records.lock().unwrap().push(record);
    }

    /// The answer to a request.
    pub(crate) fn reply(&self, request: &Request) -> Reply {
        if request.headers.get("authorization").map(String::as_str) != Some(&format!("Bearer {TOKEN}")) {
            return Reply::status(401);
        }
        let records = self.records.lock().unwrap();
        let after = request.path.split_once("after=v").map_or(0, |(_, version)| version.parse().unwrap());
        let to = records.len().min(after + self.page);
        let data = records[after..to].join(",");
        let more = to < records.len();
        Reply::ok(format!(r#"{{"data":[{data}],"page":{{"cursor":"v{to}","more":{more}}}}}"#))
    }
}

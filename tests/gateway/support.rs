//! A gateway process on a file of its own, and a client of HTTP/1.1.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::daemon::{Daemon, wait_until};
use crate::support::file::OneFile;
use crate::support::servers::free_port;

/// An answer of HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends a request and reads the answer; None if the connection ends without one.
pub(crate) fn try_request(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str("Host: 127.0.0.1\r\n");
    }
    headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
    // A server that has already refused the request may have closed the connection.
    let _ = stream.write_all(body);
    read_answer(&mut stream)
}

/// Reads an answer until the connection ends.
pub(crate) fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    Some(Answer { status, headers: lines.filter_map(pair).collect(), body: body.to_owned() })
}

/// A gateway on a file, whose daemon does not run.
#[derive(Debug)]
pub(crate) struct FileGateway {
    /// Dropped first: its log is in the folder of the file.
    process: Option<Daemon>,
    pub(crate) one: OneFile,
    pub(crate) port: u16,
    /// Port of `/metrics`.
    pub(crate) metrics: u16,
}

impl FileGateway {
    /// `gateway` are keys of `[gateway]`, `more` further sections.
    pub(crate) fn start(gateway: &str, more: &str) -> Self {
        let port = free_port();
        let one = OneFile::new(1, &format!("[gateway]\nlisten = \"127.0.0.1:{port}\"\n{gateway}\n{more}"));
        let mut started = Self { one, port, metrics: free_port(), process: None };
        started.restart();
        started
    }

    /// Ends the process, if it runs, and starts it again.
    pub(crate) fn restart(&mut self) {
        self.restart_by(|command| command);
    }

    /// The same by another command, made of the usual one.
    pub(crate) fn restart_by(&mut self, make: impl FnOnce(Command) -> Command) {
        self.process = None;
        let mut command = make(self.one.command("gateway", &[]));
        command.env("WATCHTOWER_LOG_LEVEL", "trace");
        command.env("WATCHTOWER_GATEWAY_METRICS", format!("127.0.0.1:{}", self.metrics));
        self.process = Some(Daemon::spawn(command, self.port, self.one.path().parent().unwrap()));
        self.wait();
    }

    fn wait(&self) {
        wait_until("the gateway is ready", || {
            try_request(self.port, "GET", "/readyz", &[], b"").is_some_and(|answer| answer.status == 200)
        });
    }

    /// What it has written to its log.
    pub(crate) fn log(&self) -> String {
        self.process.as_ref().unwrap().log()
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        try_request(self.port, method, path, headers, body.as_bytes()).expect("an answer")
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.request("POST", path, headers, body)
    }

    /// Creates a token with these arguments.
    pub(crate) fn token(&self, arguments: &[&str]) -> String {
        let mut process = Command::new(env!("CARGO_BIN_EXE_watchtower"));
        process.args(["token", "create", "--name", "test", "--embedded"]).arg(self.one.path()).args(arguments);
        let output = process.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs `watchtower token` with these arguments.
    pub(crate) fn token_command(&self, arguments: &[&str]) -> std::process::Output {
        let mut process = Command::new(env!("CARGO_BIN_EXE_watchtower"));
        process.arg("token").args(arguments).arg("--embedded").arg(self.one.path()).output().unwrap()
    }

    /// Entries of all streams of the log.
    pub(crate) fn entries(&self) -> i64 {
        self.one.number("SELECT sum(entries) FROM streams").unwrap()
    }

    /// The fields of all entries, as text with what is not printed left out.
    pub(crate) fn log_text(&self) -> String {
        let connection = self.one.connection();
        let mut statement = connection.prepare("SELECT fields FROM log ORDER BY position").unwrap();
        let blobs = statement.query_map((), |row| row.get::<_, Vec<u8>>(0)).unwrap();
        blobs.map(|blob| String::from_utf8_lossy(&blob.unwrap()).into_owned() + "\n").collect()
    }
}

/// The time of this machine, epoch seconds.
pub(crate) fn now_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// The path of an OsmAnd request of now.
pub(crate) fn osmand(path: &str, vehicle_id: &str) -> String {
    format!("{path}?id={vehicle_id}&lat=6.44&lon=3.36&timestamp={}&speed=10", now_s())
}

/// A position event of now.
pub(crate) fn position(vehicle_id: &str) -> String {
    format!(r#"{{"type":"position","vehicle_id":"{vehicle_id}","ts":{},"lon":3.36,"lat":6.44}}"#, now_s() * 1000)
}

/// A geofence around the place of [`osmand`].
pub(crate) const YARD: &str = r#"{"type":"Feature","id":"yard","properties":{"kind":"depot"},"geometry":
    {"type":"Polygon","coordinates":[[[3.35,6.43],[3.37,6.43],[3.37,6.45],[3.35,6.45],[3.35,6.43]]]}}"#;

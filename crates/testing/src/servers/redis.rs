//! A throwaway Redis server.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Process, ServerError, on_a_free_port, on_the_same_port, program, temporary_folder, wait_for, write};

/// Setup of a server.
#[derive(Clone, Copy, Debug, Default)]
pub struct RedisOptions {
    /// Whether writes survive a restart.
    pub appendonly: bool,
    /// Password that clients must authenticate with.
    pub password: Option<&'static str>,
    /// More lines of its configuration.
    pub config: &'static [&'static str],
}

/// A server that ends with this value; its port stays the same over restarts.
#[derive(Debug)]
pub struct RedisServer {
    /// `None` while it is stopped. Dropped before the folder.
    process: Option<Process>,
    folder: tempfile::TempDir,
    port: u16,
    password: Option<&'static str>,
}

impl RedisServer {
    /// Starts a server and waits until it accepts clients.
    ///
    /// # Errors
    /// If it is not installed, or does not start.
    pub fn start(options: RedisOptions) -> Result<Self, ServerError> {
        let folder = temporary_folder("watchtower-redis-")?;
        let RedisOptions { appendonly, password, config } = options;
        let (port, process) = on_a_free_port(|port| {
            let mut text = format!(
                "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nappendonly {}\n",
                folder.path().display(),
                if appendonly { "yes" } else { "no" },
            );
            if let Some(password) = password {
                let _ = writeln!(text, "requirepass {password}");
            }
            for line in config {
                let _ = writeln!(text, "{line}");
            }
            write(&configuration(folder.path()), &text)?;
            run(folder.path(), port, password)
        })?;
        Ok(Self { process: Some(process), folder, port, password })
    }

    /// URL for clients.
    pub fn url(&self) -> String {
        let user = self.password.map_or_else(String::new, |password| format!(":{password}@"));
        format!("redis://{user}127.0.0.1:{}", self.port)
    }

    /// Stops the server with SIGTERM and waits until it has ended.
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    /// Kills the server, so that it writes nothing more.
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    fn end(&mut self, signal: &str) {
        if let Some(process) = self.process.take() {
            process.end(signal);
        }
    }

    /// Starts the server again on the same port with the same folder; stops it first if it runs.
    ///
    /// # Errors
    /// If it does not start.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.stop();
        self.process = Some(on_the_same_port(|| run(self.folder.path(), self.port, self.password))?);
        Ok(())
    }

    /// Reply to a command, in Redis's protocol (RESP 2).
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn command(&self, words: &[&str]) -> Result<String, ServerError> {
        ask(self.port, self.password, words).map_err(ServerError::io(format!("send {words:?} to redis-server")))
    }

    /// Process id of the server, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Folder of its data, configuration and output.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn configuration(folder: &Path) -> PathBuf {
    folder.join("redis.conf")
}

fn run(folder: &Path, port: u16, password: Option<&str>) -> Result<Process, ServerError> {
    let server = program("redis-server", "redis-server", &[])?;
    let process = Process::start(folder, "KILL", [server, configuration(folder)])?;
    // An answer alone is not enough: it must come from this server, after it has loaded its data.
    let here = folder.canonicalize().map_err(ServerError::io("find a temporary folder again"))?.display().to_string();
    let says = |words: &[&str], expected: &str| ask(port, password, words).is_ok_and(|said| said.contains(expected));
    let is_ready = || says(&["CONFIG", "GET", "dir"], &here) && says(&["PING"], "+PONG");
    wait_for("redis-server", process, folder, is_ready)
}

/// Sends one command on its own connection.
fn ask(port: u16, password: Option<&str>, words: &[&str]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = String::new();
    if let Some(password) = password {
        push(&mut request, &["AUTH", password]);
    }
    push(&mut request, words);
    push(&mut request, &["QUIT"]);
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let answer = if password.is_some() { answer.strip_prefix("+OK\r\n").unwrap_or(&answer) } else { &answer };
    Ok(answer.strip_suffix("+OK\r\n").unwrap_or(answer).to_owned())
}

fn push(request: &mut String, words: &[&str]) {
    let _ = write!(request, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(request, "${}\r\n{word}\r\n", word.len());
    }
}

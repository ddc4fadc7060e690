//! A Redis server of its own for a test.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Process, on_a_free_port, on_the_same_port, program, temporary_folder, wait_for};

/// How a server is set up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RedisOptions {
    /// Whether what is written is still there after a restart.
    pub(crate) appendonly: bool,
    /// What clients must say first.
    pub(crate) password: Option<&'static str>,
    /// More lines of its configuration.
    pub(crate) config: &'static [&'static str],
}

/// A server that ends with this value; its port stays the same over restarts.
#[derive(Debug)]
pub(crate) struct RedisServer {
    /// None while it is stopped. Dropped before the folder.
    process: Option<Process>,
    folder: tempfile::TempDir,
    port: u16,
    password: Option<&'static str>,
}

impl RedisServer {
    /// Starts a server that is ready for clients.
    pub(crate) fn start(options: RedisOptions) -> Self {
        let folder = temporary_folder("watchtower-redis-");
        let RedisOptions { appendonly, password, config } = options;
        let (port, process) = on_a_free_port("redis-server", |port| {
            let mut text = format!(
                "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nappendonly {}\n",
                folder.path().display(),
                if appendonly { "yes" } else { "no" },
            );
            if let Some(password) = password {
                writeln!(text, "requirepass {password}").unwrap();
            }
            for line in config {
                writeln!(text, "{line}").unwrap();
            }
            std::fs::write(configuration(folder.path()), text).unwrap();
            run(folder.path(), port, password)
        });
        Self { process: Some(process), folder, port, password }
    }

    /// What clients connect to.
    pub(crate) fn url(&self) -> String {
        let user = self.password.map_or_else(String::new, |password| format!(":{password}@"));
        format!("redis://{user}127.0.0.1:{}", self.port)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.process.take().expect("it runs").end("TERM");
    }

    /// Ends it without giving it a chance to write anything.
    pub(crate) fn kill(&mut self) {
        self.process.take().expect("it runs").end("KILL");
    }

    /// Starts it again, on the same port with the same folder; stops it first if it runs.
    pub(crate) fn restart(&mut self) {
        if self.process.is_some() {
            self.stop();
        }
        let start = || run(self.folder.path(), self.port, self.password);
        self.process = Some(on_the_same_port("redis-server", start));
    }

    /// What it answers to a command, in its own protocol (RESP 2).
    pub(crate) fn command(&self, words: &[&str]) -> String {
        ask(self.port, self.password, words).unwrap()
    }

    /// Its process id and folder.
    pub(super) fn process(&self) -> (u32, &Path) {
        (self.process.as_ref().unwrap().pid, self.folder.path())
    }
}

fn configuration(folder: &Path) -> PathBuf {
    folder.join("redis.conf")
}

fn run(folder: &Path, port: u16, password: Option<&str>) -> Result<Process, String> {
    let server = program("redis-server", "redis-server", &[]);
    let process = Process::start(folder, "KILL", [server, configuration(folder)]);
    // That somebody answers is not enough: it must be this one.
    let here = folder.canonicalize().unwrap().display().to_string();
    let answers = || ask(port, password, &["CONFIG", "GET", "dir"]).is_ok_and(|answer| answer.contains(&here));
    wait_for(process, folder, answers)
}

/// One command on a connection of its own.
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
    write!(request, "*{}\r\n", words.len()).unwrap();
    for word in words {
        write!(request, "${}\r\n{word}\r\n", word.len()).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_there_after_a_restart_or_a_kill_if_it_should_be() {
        for appendonly in [true, false] {
            let options = RedisOptions { appendonly, config: &["appendfsync always"], ..RedisOptions::default() };
            let mut server = RedisServer::start(options);
            let url = server.url();
            let known = |server: &RedisServer| server.command(&["EXISTS", "one", "two"]);
            assert_eq!(server.command(&["SET", "one", "1"]), "+OK\r\n");
            server.stop();
            server.restart();
            assert_eq!(known(&server), if appendonly { ":1\r\n" } else { ":0\r\n" });
            server.command(&["SET", "two", "2"]);
            server.kill();
            server.restart();
            assert_eq!(known(&server), if appendonly { ":2\r\n" } else { ":0\r\n" });
            server.restart();
            assert_eq!(known(&server), if appendonly { ":2\r\n" } else { ":0\r\n" });
            assert_eq!(server.url(), url);
        }
    }

    #[test]
    fn a_password_is_asked_for() {
        let server = RedisServer::start(RedisOptions { password: Some("sesame"), ..RedisOptions::default() });
        assert!(server.url().starts_with("redis://:sesame@127.0.0.1:"), "{}", server.url());
        assert_eq!(server.command(&["PING"]), "+PONG\r\n");
        assert!(ask(server.port, None, &["PING"]).unwrap().starts_with("-NOAUTH"));
    }

    #[test]
    fn a_dropped_server_is_gone_with_its_folder() {
        let server = RedisServer::start(RedisOptions::default());
        let (pid, folder) = server.process();
        let folder = folder.to_owned();
        drop(server);
        assert!(!crate::support::servers::is_running(pid) && !folder.exists());
    }
}

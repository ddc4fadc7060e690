//! A Redis server of its own for a test.

use std::path::Path;

use watchtower_testing::servers;

pub(crate) use watchtower_testing::servers::RedisOptions;

/// A server that ends with this value; its port stays the same over restarts.
#[derive(Debug)]
pub(crate) struct RedisServer(servers::RedisServer);

impl RedisServer {
    /// Starts a server that is ready for clients.
    pub(crate) fn start(options: RedisOptions) -> Self {
        Self(servers::RedisServer::start(options).unwrap_or_else(|error| panic!("{error} (scripts/test installs it)")))
    }

    /// What clients connect to.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.0.stop();
    }

    /// Ends it without giving it a chance to write anything.
    pub(crate) fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts it again, on the same port with the same folder; stops it first if it runs.
    pub(crate) fn restart(&mut self) {
        self.0.restart().unwrap();
    }

    /// What it answers to a command, in its own protocol (RESP 2).
    pub(crate) fn command(&self, words: &[&str]) -> String {
        self.0.command(words).unwrap()
    }

    /// Whether one of the folders it writes has a file with this end to its name.
    pub(crate) fn has_file(&self, folder: &str, suffix: &str) -> bool {
        let entries = std::fs::read_dir(self.0.folder().join(folder)).into_iter().flatten().flatten();
        entries.into_iter().any(|entry| entry.file_name().to_string_lossy().ends_with(suffix))
    }

    /// Its process id and folder.
    pub(super) fn process(&self) -> (u32, &Path) {
        (self.0.pid().unwrap(), self.0.folder())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

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
        let mut stranger = std::net::TcpStream::connect(server.url().rsplit('@').next().unwrap()).unwrap();
        stranger.write_all(b"PING\r\nQUIT\r\n").unwrap();
        let mut answer = String::new();
        stranger.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("-NOAUTH"), "{answer}");
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

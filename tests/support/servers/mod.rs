//! Real servers for tests: Redis and PostgreSQL with PostGIS, on free ports, in temporary folders.
//!
//! Each server is the child of a small shell that waits on a pipe held by the test process. A line in
//! it is the signal to stop the server with. When the pipe closes instead, which it does however the
//! test process ends, the shell stops the server and removes its folder. Should somebody end the shell,
//! the kernel ends the server. So nothing is left behind, even by a test process that was killed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

pub(crate) mod postgres;
pub(crate) mod redis;

/// A server that does not answer for so long never will. Busy machines are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at whether a server answers.
const POLL: Duration = Duration::from_millis(10);

/// How often another port is tried when one turns out to be taken.
const PORT_ATTEMPTS: usize = 20;

/// What a server prints, in its folder.
const LOG: &str = "log";

/// `$1` the folder, `$2` the signal that ends the server at once, then the server's command line.
const SUPERVISOR: &str = r#"
folder=$1 signal=$2
shift 2
"$@" >>"$folder/log" 2>&1 &
echo $!
if read -r asked; then
    kill -s "$asked" $! && wait $!
else
    kill -s "$signal" $! && wait $!
    rm -rf "$folder"
fi 2>/dev/null
"#;

/// A server that runs.
#[derive(Debug)]
struct Process {
    supervisor: Child,
    pid: u32,
}

impl Process {
    /// Starts `command`. `at_end` is the signal it gets when nobody needs it any more.
    fn start<S: AsRef<OsStr>>(folder: &Path, at_end: &str, command: impl IntoIterator<Item = S>) -> Self {
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "supervisor"])
            .arg(folder)
            .arg(at_end)
            .args(["setpriv", "--pdeathsig", at_end])
            .args(command)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0) // what is typed at the terminal is not for it
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start a shell: {error}"));
        let mut pid = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut pid).unwrap();
        Self { supervisor, pid: pid.trim().parse().unwrap() }
    }

    /// Whether it has not ended by itself.
    fn is_running(&self) -> bool {
        is_running(self.pid)
    }

    /// Sends the signal and waits for the end of the server.
    fn end(mut self, signal: &str) {
        writeln!(self.supervisor.stdin.take().unwrap(), "{signal}").unwrap();
        self.supervisor.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// Whether there is such a process, and not only what its parent has not yet asked about.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// A port of the loopback that was free a moment ago. Not one of those that the kernel gives to
/// outgoing connections: a server that is down for a while finds it free when it comes back.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const RANGE: std::ops::Range<u16> = 15_000..32_000;
    let start = std::process::id() as u16; // wraps: it only has to differ between test processes
    for _ in RANGE {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + start.wrapping_mul(97).wrapping_add(step) % (RANGE.end - RANGE.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {RANGE:?} is free");
}

/// Starts a server by `start` and waits until it `answers`; if it ends before, tells what it printed.
fn wait_for(process: Process, folder: &Path, answers: impl Fn() -> bool) -> Result<Process, String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && process.is_running() {
        if answers() {
            return Ok(process);
        }
        std::thread::sleep(POLL);
    }
    let log = std::fs::read_to_string(folder.join(LOG)).unwrap_or_default();
    let tail: Vec<&str> = log.lines().rev().take(20).collect();
    let why = if process.is_running() { "it does not answer" } else { "it ended" };
    process.end("KILL");
    Err(format!("{why}; the last it said:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n")))
}

/// Tries ports until a server takes one.
fn on_a_free_port<T>(what: &str, start: impl Fn(u16) -> Result<T, String>) -> (u16, T) {
    let mut complaint = String::new();
    for _ in 0..PORT_ATTEMPTS {
        let port = free_port();
        match start(port) {
            Ok(server) => return (port, server),
            Err(why) => complaint = why,
        }
        let taken = ["in use", "could not bind", "could not create any TCP"];
        if !taken.iter().any(|text| complaint.contains(text)) {
            break;
        }
    }
    panic!("{what} does not start: {complaint}");
}

/// Starts it where it was.
fn on_the_same_port<T>(what: &str, start: impl Fn() -> Result<T, String>) -> T {
    let mut complaint = String::new();
    for _ in 0..PORT_ATTEMPTS {
        match start() {
            Ok(server) => return server,
            Err(why) => complaint = why,
        }
        std::thread::sleep(10 * POLL);
    }
    panic!("{what} does not start again: {complaint}");
}

/// Where a program is: in PATH, or among the folders given.
fn program(name: &str, package: &str, folders: &[PathBuf]) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = folders.iter().cloned().chain(std::env::split_paths(&path)).map(|folder| folder.join(name));
    found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!("{name} is not installed: Debian and Ubuntu have it in the package {package}, scripts/test installs it")
    })
}

fn temporary_folder(prefix: &str) -> tempfile::TempDir {
    tempfile::Builder::new().prefix(prefix).tempdir().unwrap()
}

#[cfg(test)]
mod tests {
    use super::postgres::PostgresServer;
    use super::redis::{RedisOptions, RedisServer};
    use super::*;

    /// Set for the copy of this program that is killed: where it says what it started.
    const STARTED: &str = "WATCHTOWER_TEST_STARTED";

    #[test]
    fn a_killed_test_process_leaves_no_server_behind() {
        if let Some(path) = std::env::var_os(STARTED) {
            let redis = RedisServer::start(RedisOptions::default());
            let (one, two) = (redis.process(), PostgresServer::shared().process());
            std::fs::write(path, format!("{} {}\n{} {}", one.0, one.1.display(), two.0, two.1.display())).unwrap();
            std::thread::sleep(PATIENCE);
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let started = dir.path().join("started");
        let name = "support::servers::tests::a_killed_test_process_leaves_no_server_behind";
        let mut copy = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(STARTED, &started)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let servers = || -> Vec<(u32, PathBuf)> {
            let text = std::fs::read_to_string(&started).unwrap_or_default();
            let pair = |line: &str| line.split_once(' ').map(|(pid, dir)| (pid.parse().unwrap(), PathBuf::from(dir)));
            text.lines().filter_map(pair).collect()
        };
        wait_until("two servers run", || servers().len() == 2);
        let servers = servers();
        assert!(servers.iter().all(|(pid, folder)| is_running(*pid) && folder.is_dir()));
        copy.kill().unwrap();
        copy.wait().unwrap();
        wait_until("they have ended", || servers.iter().all(|(pid, folder)| !is_running(*pid) && !folder.exists()));
    }

    fn wait_until(what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
            std::thread::sleep(POLL);
        }
    }
}

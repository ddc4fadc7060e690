//! Throwaway servers: Redis and PostgreSQL with PostGIS, on free ports, in temporary folders. For
//! benchmarks, and for tests.
//!
//! Each server is the child of a small shell that waits on a pipe held by this process. A line in
//! it is the signal to stop the server with. When the pipe closes instead, which it does however this
//! process ends, the shell stops the server and removes its folder. Should somebody end the shell,
//! the kernel ends the server. So nothing is left behind, even by a process that was killed.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

pub mod postgres;
pub mod redis;

pub use postgres::PostgresServer;
pub use redis::{RedisOptions, RedisServer};

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

/// Set to `none` where no server is to be started: `scripts/test quick` does.
const SERVERS: &str = "WATCHTOWER_SERVERS";

/// A server cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It is not installed.
    #[error("{program} is not installed: Debian and Ubuntu have it in the package {package}")]
    Missing {
        /// Which program.
        program: String,
        /// Who has it.
        package: &'static str,
    },
    /// No server may be started.
    #[error(
        "{SERVERS} is none, so {program} is not started: a test that needs it belongs into a module that scripts/test \
         lists in WITH_SERVERS, or into a module named `servers`"
    )]
    Unwanted {
        /// Which program.
        program: String,
    },
    /// The system refuses something.
    #[error("cannot {doing}")]
    Io {
        /// What was to be done.
        doing: String,
        /// Why not.
        source: io::Error,
    },
    /// It ended, or does not answer.
    #[error("{what} does not start: {why}")]
    Start {
        /// Which server.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// A command failed.
    #[error("{command}: {said}")]
    Command {
        /// Which.
        command: String,
        /// What it said.
        said: String,
    },
}

impl ServerError {
    fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// A program that runs in the background until it is dropped.
#[derive(Debug)]
pub struct Process {
    supervisor: Child,
    pid: u32,
}

impl Process {
    /// Starts `command` in a folder, which goes with it; what it prints is in the file `log` there. `at_end` is
    /// the signal it gets when nobody needs it any more.
    ///
    /// # Errors
    /// If there is no shell to start it.
    pub fn start<S: AsRef<OsStr>>(
        folder: &Path,
        at_end: &str,
        command: impl IntoIterator<Item = S>,
    ) -> Result<Self, ServerError> {
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
            .map_err(ServerError::io("start a shell"))?;
        let mut pid = String::new();
        let stdout = supervisor.stdout.take().expect("it was asked for");
        BufReader::new(stdout).read_line(&mut pid).map_err(ServerError::io("hear of a server's start"))?;
        let pid = pid.trim().parse().map_err(|_| {
            let source = io::Error::other(format!("expected the id of a process, found {pid:?}"));
            ServerError::Io { doing: "hear of a server's start".to_owned(), source }
        })?;
        Ok(Self { supervisor, pid })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has not ended by itself.
    pub fn is_running(&self) -> bool {
        is_running(self.pid)
    }

    /// Sends the signal, by name, and waits for the end of the program; its folder stays.
    pub fn end(mut self, signal: &str) {
        if let Some(mut stdin) = self.supervisor.stdin.take() {
            // If nobody reads it, the shell is gone, and the program with it.
            let _ = writeln!(stdin, "{signal}");
            let _ = self.supervisor.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
    }
}

/// Whether there is such a process, and not only what its parent has not yet asked about.
pub fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// A port of the loopback that was free a moment ago. Not one of those that the kernel gives to
/// outgoing connections: a server that is down for a while finds it free when it comes back.
///
/// # Errors
/// If none is.
pub fn free_port() -> Result<u16, ServerError> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const RANGE: std::ops::Range<u16> = 15_000..32_000;
    let start = std::process::id() as u16; // wraps: it only has to differ between test processes
    for _ in RANGE {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = RANGE.start + start.wrapping_mul(97).wrapping_add(step) % (RANGE.end - RANGE.start);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    let source = io::Error::from(io::ErrorKind::AddrInUse);
    Err(ServerError::Io { doing: format!("find a free port in {RANGE:?}"), source })
}

/// Waits until a server `answers`; if it ends before, tells what it printed.
///
/// # Errors
/// If it ended, or does not answer.
pub fn wait_for(
    what: &'static str,
    process: Process,
    folder: &Path,
    answers: impl Fn() -> bool,
) -> Result<Process, ServerError> {
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
    let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
    Err(ServerError::Start { what, why: format!("{why}; the last it said:\n{tail}") })
}

/// Tries ports until a server takes one.
///
/// # Errors
/// If it does not start for another reason, or all ports are taken that were tried.
pub fn on_a_free_port<T>(start: impl Fn(u16) -> Result<T, ServerError>) -> Result<(u16, T), ServerError> {
    let mut attempts = 1;
    loop {
        let port = free_port()?;
        match start(port) {
            Ok(server) => return Ok((port, server)),
            Err(ServerError::Start { why, .. }) if attempts < PORT_ATTEMPTS && is_about_the_port(&why) => attempts += 1,
            Err(error) => return Err(error),
        }
    }
}

fn is_about_the_port(complaint: &str) -> bool {
    ["in use", "could not bind", "could not create any TCP"].iter().any(|text| complaint.contains(text))
}

/// Starts it where it was.
fn on_the_same_port<T>(start: impl Fn() -> Result<T, ServerError>) -> Result<T, ServerError> {
    let mut attempts = 1;
    loop {
        match start() {
            Ok(server) => return Ok(server),
            Err(error) if attempts == PORT_ATTEMPTS => return Err(error),
            Err(_) => attempts += 1,
        }
        std::thread::sleep(10 * POLL);
    }
}

/// Where a program is: in PATH, or among the folders given.
///
/// # Errors
/// If it is nowhere, or no server may be started.
pub fn program(name: &str, package: &'static str, folders: &[PathBuf]) -> Result<PathBuf, ServerError> {
    if std::env::var_os(SERVERS).is_some_and(|which| which == "none") {
        return Err(ServerError::Unwanted { program: name.to_owned() });
    }
    find(name, folders).ok_or_else(|| ServerError::Missing { program: name.to_owned(), package })
}

/// The same, if it is anywhere.
pub fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = folders.iter().cloned().chain(std::env::split_paths(&path)).map(|folder| folder.join(name));
    places.into_iter().find(|path| path.is_file())
}

/// A new folder that goes with its value.
///
/// # Errors
/// If there is no room for it.
pub fn temporary_folder(prefix: &str) -> Result<tempfile::TempDir, ServerError> {
    tempfile::Builder::new().prefix(prefix).tempdir().map_err(ServerError::io("make a temporary folder"))
}

fn write(path: &Path, text: &str) -> Result<(), ServerError> {
    std::fs::write(path, text).map_err(ServerError::io(format!("write {}", path.display())))
}

//! Throwaway servers for benchmarks and tests: Redis, mosquitto, and PostgreSQL with PostGIS, on free ports, in temporary folders.
//!
//! Each server is the child of a supervisor shell that waits on a pipe held by this process. A line in the pipe is the
//! name of the signal with which the shell stops the server. When the pipe closes instead, which happens however this
//! process ends, the shell stops the server and removes its folder. If the shell is killed, the kernel ends the server
//! (parent-death signal). So nothing is left behind, even by a process that was killed.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

pub mod mosquitto;
pub mod postgres;
pub mod redis;

pub use mosquitto::Mosquitto;
pub use postgres::PostgresServer;
pub use redis::{RedisOptions, RedisServer};

/// Time limit for a server's first answer. Generous, for busy machines.
const PATIENCE: Duration = Duration::from_secs(60);

/// Interval between two checks whether a server answers.
const POLL: Duration = Duration::from_millis(10);

/// Number of ports tried when one is already taken.
const PORT_ATTEMPTS: usize = 20;

/// Name of the file in the server's folder that receives its output.
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

/// A server cannot be started or used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The program is not installed.
    #[error("{program} is not installed: Debian and Ubuntu have it in the package {package}")]
    Missing {
        /// Name of the program.
        program: String,
        /// Name of the Debian package that contains it.
        package: &'static str,
    },
    /// No server may be started.
    #[error(
        "{SERVERS} is none, so {program} is not started: a test that needs it belongs into a module that scripts/test \
         lists in WITH_SERVERS, or into a module named `servers`"
    )]
    Unwanted {
        /// Name of the server's program.
        program: String,
    },
    /// The operating system refused an operation.
    #[error("cannot {doing}")]
    Io {
        /// The operation, as in `cannot <doing>`.
        doing: String,
        /// Cause reported by the operating system.
        source: io::Error,
    },
    /// The server ended, or does not answer.
    #[error("{what} does not start: {why}")]
    Start {
        /// Name of the server.
        what: &'static str,
        /// The fault, with the end of the server's output.
        why: String,
    },
    /// A command failed.
    #[error("{command}: {output}")]
    Command {
        /// The command line.
        command: String,
        /// Its error output.
        output: String,
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
    /// Starts `command` in a folder that is removed with the process; its output goes to the file `log` there. `at_end`
    /// is the signal sent when the value is dropped.
    ///
    /// # Errors
    /// If the supervisor shell cannot be started.
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
            .process_group(0) // so that Ctrl-C at the terminal does not reach it
            .spawn()
            .map_err(ServerError::io("start a shell"))?;
        let mut pid = String::new();
        let stdout = supervisor.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut pid).map_err(ServerError::io("read the process id of a server"))?;
        let pid = pid.trim().parse().map_err(|_| {
            let source = io::Error::other(format!("expected the id of a process, found {pid:?}"));
            ServerError::Io { doing: "read the process id of a server".to_owned(), source }
        })?;
        Ok(Self { supervisor, pid })
    }

    /// Process id of the server.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process still runs.
    pub fn is_running(&self) -> bool {
        is_running(self.pid)
    }

    /// Sends the signal, by name, and waits for the end of the program; its folder stays.
    pub fn end(mut self, signal: &str) {
        if let Some(mut stdin) = self.supervisor.stdin.take() {
            // A write error means that the shell is gone, and the program with it.
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

/// Whether a process with this id runs; a zombie does not count.
pub fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// A loopback port that was free a moment ago, outside of the kernel's range for outgoing connections, so that a server
/// finds it free again after a restart.
///
/// # Errors
/// If no port of the range is free.
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

/// Waits until a server `answers`. If it ends before that, the error has the end of its output.
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
    Err(ServerError::Start { what, why: format!("{why}; its last output:\n{tail}") })
}

/// Tries ports until a server starts on one.
///
/// # Errors
/// If it fails for another reason, or all ports that were tried are taken.
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

/// Starts a server again on its port, which the kernel may release late.
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

/// Path of a program: in the given folders, or in PATH.
///
/// # Errors
/// If it is nowhere, or no server may be started.
pub fn program(name: &str, package: &'static str, folders: &[PathBuf]) -> Result<PathBuf, ServerError> {
    if std::env::var_os(SERVERS).is_some_and(|which| which == "none") {
        return Err(ServerError::Unwanted { program: name.to_owned() });
    }
    find(name, folders).ok_or_else(|| ServerError::Missing { program: name.to_owned(), package })
}

/// As [`program`]; `None` if it is not installed.
pub fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = folders.iter().cloned().chain(std::env::split_paths(&path)).map(|folder| folder.join(name));
    places.into_iter().find(|path| path.is_file())
}

/// A new folder that is removed when the value is dropped.
///
/// # Errors
/// If it cannot be created.
pub fn temporary_folder(prefix: &str) -> Result<tempfile::TempDir, ServerError> {
    tempfile::Builder::new().prefix(prefix).tempdir().map_err(ServerError::io("make a temporary folder"))
}

fn write(path: &Path, text: &str) -> Result<(), ServerError> {
    std::fs::write(path, text).map_err(ServerError::io(format!("write {}", path.display())))
}

//! A PostgreSQL server with PostGIS.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Process, ServerError, on_a_free_port, on_the_same_port, program, temporary_folder, wait_for, write};

/// User that runs PostgreSQL when this process is root, which PostgreSQL refuses.
const SYSTEM_USER: &str = "postgres";

/// The database that new ones are copied from.
const TEMPLATE: &str = "with_postgis";

/// Durable settings, with small memory.
const CONFIGURATION: &str = "
listen_addresses = '127.0.0.1'
max_connections = 200
fsync = on
shared_buffers = 64MB
max_wal_size = 512MB
timezone = UTC
log_min_messages = warning
log_line_prefix = '%m %d %p '
";

/// How a server is stopped.
#[derive(Clone, Copy, Debug)]
pub enum Shutdown {
    /// Clients are disconnected, everything is written.
    Fast,
    /// As in a crash: the next start recovers from the write-ahead log.
    Immediate,
}

/// A server; all connections are a superuser's.
#[derive(Debug)]
pub struct PostgresServer {
    /// `None` while it is stopped. Dropped before the folder.
    process: Option<Process>,
    folder: tempfile::TempDir,
    port: u16,
    databases: AtomicUsize,
}

impl PostgresServer {
    /// Starts a server and waits until it accepts clients; `settings` are more lines of its configuration.
    ///
    /// # Errors
    /// If it or PostGIS is not installed, or it does not start.
    pub fn start(settings: &str) -> Result<Self, ServerError> {
        let folder = temporary_folder("watchtower-postgres-")?;
        own_folder(folder.path())?;
        let mut initdb = as_system_user(binary("initdb")?);
        initdb.extend(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync"].map(OsString::from));
        initdb.extend(ordering()?);
        initdb.push(data(folder.path()).into());
        succeed(Command::new("setpriv").args(initdb).current_dir(folder.path()))?;
        let (port, process) = on_a_free_port(|port| {
            let sockets = folder.path().display();
            let text = format!("{CONFIGURATION}port = {port}\nunix_socket_directories = '{sockets}'\n{settings}");
            write(&folder.path().join("settings"), &text)?;
            run(folder.path(), port)
        })?;
        let server = Self { process: Some(process), folder, port, databases: AtomicUsize::new(0) };
        psql(&server.url("postgres"), &format!("CREATE DATABASE {TEMPLATE}"))?;
        psql(&server.url(TEMPLATE), "CREATE EXTENSION postgis")?;
        Ok(server)
    }

    /// Creates a database with PostGIS and nothing else in it; returns its URL.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn database(&self) -> Result<String, ServerError> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        psql(&self.url("postgres"), &format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"))?;
        Ok(self.url(&name))
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Stops the server and waits until it has ended.
    pub fn stop(&mut self, shutdown: Shutdown) {
        let signal = match shutdown {
            Shutdown::Fast => "INT",
            Shutdown::Immediate => "QUIT",
        };
        if let Some(process) = self.process.take() {
            process.end(signal);
        }
    }

    /// Starts a stopped server again on the same port, and waits until it has recovered.
    ///
    /// # Errors
    /// If it does not start.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.process = Some(on_the_same_port(|| run(self.folder.path(), self.port))?);
        Ok(())
    }

    /// Process id of the postmaster, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Folder of its data, configuration and output.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Output of psql for these statements: a line per row, cells separated by `|`. Also accepts psql's own commands.
///
/// # Errors
/// If one of them fails.
pub fn psql(url: &str, sql: &str) -> Result<String, ServerError> {
    let mut child = Command::new(binary("psql")?)
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(ServerError::io("start psql"))?;
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let sql_bytes = sql.to_owned();
    // psql may print before it has read everything, and stops reading at the first error.
    let writer = std::thread::spawn(move || stdin.write_all(sql_bytes.as_bytes()));
    let output = child.wait_with_output().map_err(ServerError::io("wait for psql"))?;
    let _ = writer.join();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(ServerError::Command { command: format!("psql {url}"), output: text(&output.stderr) })
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn run(folder: &Path, port: u16) -> Result<Process, ServerError> {
    let config = format!("config_file={}", folder.join("settings").display());
    let mut command = as_system_user(binary("postgres")?);
    command.extend(["-D".into(), data(folder).into(), "-c".into(), config.into()]);
    let process = Process::start(folder, "QUIT", command)?;
    let is_ready = binary("pg_isready")?;
    // Over its socket: no other server has this folder.
    wait_for("PostgreSQL", process, folder, || {
        let mut ready = Command::new(&is_ready);
        ready.args(["-q", "-t", "1", "-U", "postgres", "-p", &port.to_string(), "-h"]).arg(folder);
        ready.status().is_ok_and(|status| status.success())
    })
}

/// Linguistic collation where the version supports it, so that code that needs byte order must ask for it.
fn ordering() -> Result<Vec<OsString>, ServerError> {
    let people = ["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"];
    Ok(people.into_iter().take(if version()? >= 15 { 3 } else { 1 }).map(OsString::from).collect())
}

fn version() -> Result<u32, ServerError> {
    let text = succeed(Command::new(binary("postgres")?).arg("--version"))?;
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let major = digits.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let unknown = |_| ServerError::Command { command: "postgres --version".to_owned(), output: text.clone() };
    major.parse().map_err(unknown)
}

/// Path of a program of PostgreSQL: of the newest version that has PostGIS in Debian's folders, else in PATH.
///
/// # Errors
/// If it is not installed.
pub fn binary(name: &str) -> Result<PathBuf, ServerError> {
    static NEWEST: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let newest = NEWEST.get_or_init(|| {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let versions = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let postgis = |version: &u32| {
            Path::new(&format!("/usr/share/postgresql/{version}/extension/postgis.control")).is_file()
                && Path::new(&format!("/usr/lib/postgresql/{version}/bin/postgres")).is_file()
        };
        let newest = versions.filter(postgis).max();
        newest.map(|version| format!("/usr/lib/postgresql/{version}/bin").into()).into_iter().collect()
    });
    program(name, "postgresql (and PostGIS in postgresql-NN-postgis-3)", newest)
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|itself| itself.uid() == 0)
}

/// Gives a folder to the user that runs PostgreSQL.
///
/// # Errors
/// If the system has no such user.
pub fn own_folder(folder: &Path) -> Result<(), ServerError> {
    if is_root() {
        succeed(Command::new("chown").arg(SYSTEM_USER).arg(folder))?;
    }
    Ok(())
}

/// Arguments for `setpriv` to run a program as a user that PostgreSQL accepts.
pub fn as_system_user(program: PathBuf) -> Vec<OsString> {
    let drop_root = ["--reuid", SYSTEM_USER, "--regid", SYSTEM_USER, "--init-groups"];
    let options = if is_root() { &drop_root[..] } else { &[] };
    options.iter().map(OsString::from).chain([program.into_os_string()]).collect()
}

/// Standard output of a command that must succeed.
fn succeed(command: &mut Command) -> Result<String, ServerError> {
    let Output { status, stdout, stderr } = command.output().map_err(ServerError::io(format!("run {command:?}")))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&stderr).trim_end().to_owned();
    Err(ServerError::Command { command: format!("{command:?}"), output: said })
}

//! A PostgreSQL server with PostGIS for the tests of one process, or for one test that stops it.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Process, on_a_free_port, on_the_same_port, program, temporary_folder, wait_for};

/// Who PostgreSQL runs as when the tests run as root, which it refuses.
const SYSTEM_USER: &str = "postgres";

/// The database that new ones are copies of.
const TEMPLATE: &str = "with_postgis";

/// As durable as can be, as small as makes sense for tests.
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
pub(crate) enum Shutdown {
    /// Clients are disconnected, everything is written.
    Fast,
    /// As in a crash: what it has to tell is in its log of changes.
    Immediate,
}

/// A server; every connection is the superuser's.
#[derive(Debug)]
pub(crate) struct PostgresServer {
    /// None while it is stopped. Dropped before the folder.
    process: Option<Process>,
    folder: tempfile::TempDir,
    port: u16,
    databases: AtomicUsize,
}

impl PostgresServer {
    /// The server of this test process; it ends when the process does.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server that ends with this value, for tests that stop it.
    pub(crate) fn start() -> Self {
        let folder = temporary_folder("watchtower-postgres-");
        own_folder(folder.path());
        let data = data(folder.path());
        let mut initdb = as_system_user(binary("initdb"));
        initdb.extend(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync"].map(OsString::from));
        initdb.extend(ordering());
        initdb.push(data.clone().into());
        succeed(Command::new("setpriv").args(initdb).current_dir(folder.path()));
        let (port, process) = on_a_free_port("PostgreSQL", |port| {
            let sockets = folder.path().display();
            let settings = format!("{CONFIGURATION}port = {port}\nunix_socket_directories = '{sockets}'\n");
            std::fs::write(folder.path().join("settings"), settings).unwrap();
            run(folder.path(), port)
        });
        let server = Self { process: Some(process), folder, port, databases: AtomicUsize::new(0) };
        psql(&server.url("postgres"), &format!("CREATE DATABASE {TEMPLATE}"));
        let complaint = "scripts/test installs PostGIS for PostgreSQL (the package postgresql-NN-postgis-3)";
        try_psql(&server.url(TEMPLATE), "CREATE EXTENSION postgis")
            .unwrap_or_else(|error| panic!("{error}\n{complaint}"));
        server
    }

    /// Makes a database with PostGIS and nothing else in it; where clients connect to it.
    pub(crate) fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        psql(&self.url("postgres"), &format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}"));
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Stops it and waits until it has ended.
    pub(crate) fn stop(&mut self, shutdown: Shutdown) {
        let signal = match shutdown {
            Shutdown::Fast => "INT",
            Shutdown::Immediate => "QUIT",
        };
        self.process.take().expect("it runs").end(signal);
    }

    /// Starts it again on the same port after it was stopped, and waits until it has recovered.
    pub(crate) fn restart(&mut self) {
        assert!(self.process.is_none(), "it was stopped before");
        let start = || run(self.folder.path(), self.port);
        self.process = Some(on_the_same_port("PostgreSQL", start));
    }

    /// Its process id and folder.
    pub(super) fn process(&self) -> (u32, &Path) {
        (self.process.as_ref().unwrap().pid, self.folder.path())
    }
}

/// What psql prints for these statements: a line a row, cells separated by `|`.
///
/// # Panics
/// If one of them fails.
pub(crate) fn psql(url: &str, sql: &str) -> String {
    try_psql(url, sql).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`psql`], or what went wrong. Also takes psql's own commands.
pub(crate) fn try_psql(url: &str, sql: &str) -> Result<String, String> {
    let mut child = Command::new(binary("psql"))
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sql_bytes = sql.to_owned();
    // It may print before it has read everything.
    let writer = std::thread::spawn(move || stdin.write_all(sql_bytes.as_bytes()));
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let _ = writer.join().unwrap(); // psql stops reading at the first error
    if status.success() {
        Ok(String::from_utf8(stdout).unwrap().trim_end().to_owned())
    } else {
        Err(format!("psql {url}: {}", String::from_utf8_lossy(&stderr).trim_end()))
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn run(folder: &Path, port: u16) -> Result<Process, String> {
    let config = format!("config_file={}", folder.join("settings").display());
    let mut command = as_system_user(binary("postgres"));
    command.extend(["-D".into(), data(folder).into(), "-c".into(), config.into()]);
    let process = Process::start(folder, "QUIT", command);
    // By its socket: nobody else's server is in this folder.
    wait_for(process, folder, || {
        let mut ready = Command::new(binary("pg_isready"));
        ready.args(["-q", "-t", "1", "-U", "postgres", "-p", &port.to_string(), "-h"]).arg(folder);
        ready.status().unwrap().success()
    })
}

/// Orders texts as people do where the version can: then code that wants the order of bytes has to
/// ask for it.
fn ordering() -> Vec<OsString> {
    let people = ["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"];
    people.into_iter().take(if version() >= 15 { 3 } else { 1 }).map(OsString::from).collect()
}

fn version() -> u32 {
    let Output { stdout, .. } = Command::new(binary("postgres")).arg("--version").output().unwrap();
    let text = String::from_utf8_lossy(&stdout);
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    let major = digits.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    major.parse().unwrap_or_else(|_| panic!("cannot tell the version from {text:?}"))
}

/// A program of PostgreSQL: of the newest version that has PostGIS where Debian puts them, else in PATH.
/// Where a program of PostgreSQL is.
pub(crate) fn binary(name: &str) -> PathBuf {
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
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Gives a folder to whoever PostgreSQL runs as.
pub(super) fn own_folder(folder: &Path) {
    if is_root() {
        succeed(Command::new("chown").arg(SYSTEM_USER).arg(folder));
    }
}

/// Arguments for `setpriv` to run a program as somebody whom PostgreSQL does not refuse.
pub(super) fn as_system_user(program: PathBuf) -> Vec<OsString> {
    let drop_root = ["--reuid", SYSTEM_USER, "--regid", SYSTEM_USER, "--init-groups"];
    let options = if is_root() { &drop_root[..] } else { &[] };
    options.iter().map(OsString::from).chain([program.into_os_string()]).collect()
}

fn succeed(command: &mut Command) {
    let Output { status, stderr, .. } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_database_is_new_and_has_postgis() {
        let [one, two] = [(); 2].map(|()| PostgresServer::shared().database());
        assert_ne!(one, two);
        psql(&one, "CREATE TABLE t (id integer); INSERT INTO t VALUES (7)");
        assert_eq!(psql(&one, "SELECT id, 'x' FROM t"), "7|x");
        let error = try_psql(&two, "SELECT id FROM t").unwrap_err();
        assert!(error.contains("\"t\" does not exist"), "{error}");
        assert_eq!(psql(&two, "SELECT ST_Covers('POINT(1 2)', 'POINT(1 2)')"), "t");
    }

    #[test]
    fn what_was_committed_is_there_after_a_crash() {
        let mut server = PostgresServer::start();
        let url = server.database();
        psql(&url, "CREATE TABLE t (id integer)");
        for (rows, shutdown) in (1..).zip([Shutdown::Immediate, Shutdown::Fast]) {
            psql(&url, "INSERT INTO t VALUES (1)");
            server.stop(shutdown);
            assert!(try_psql(&url, "SELECT 1").is_err());
            server.restart();
            assert_eq!(psql(&url, "SELECT count(*) FROM t"), rows.to_string());
        }
    }
}

//! PgBouncer in front of a PostgreSQL, where it is installed.

use std::ffi::OsString;
use std::path::PathBuf;

use watchtower_testing::servers::postgres::{as_system_user, own_folder};
use watchtower_testing::servers::{Process, find, on_a_free_port, temporary_folder, wait_for};

use super::postgres::try_psql;

/// A pooler that ends with this value.
#[derive(Debug)]
pub(crate) struct PgBouncer {
    _process: Process,
    _folder: tempfile::TempDir,
    port: u16,
    database: String,
}

impl PgBouncer {
    /// Starts one for the database at `url`, in a mode: `session` or `transaction`. None where it is not
    /// installed.
    pub(crate) fn start(url: &str, mode: &str, sessions: u16) -> Option<Self> {
        let folders = ["/usr/sbin"].map(PathBuf::from);
        let Some(program) = find("pgbouncer", &folders) else {
            println!("left out: PgBouncer is not installed (the package pgbouncer; scripts/install-servers has it)");
            return None;
        };
        let (server, database) = url.rsplit_once('/').unwrap();
        let postgres_port = server.rsplit_once(':').unwrap().1;
        let folder = temporary_folder("watchtower-pgbouncer-").unwrap();
        own_folder(folder.path()).unwrap();
        let (port, process) = on_a_free_port(|port| {
            let settings = format!(
                "[databases]\n{database} = host=127.0.0.1 port={postgres_port} user=postgres\n\
                 [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
                 pool_mode = {mode}\ndefault_pool_size = {sessions}\n"
            );
            let path = folder.path().join("settings");
            std::fs::write(&path, settings).unwrap();
            let mut command = as_system_user(program.clone());
            command.push(OsString::from(&path));
            let process = Process::start(folder.path(), "TERM", command)?;
            let url = format!("postgres://postgres@127.0.0.1:{port}/{database}");
            wait_for("PgBouncer", process, folder.path(), || try_psql(&url, "SELECT 1").is_ok())
        })
        .unwrap();
        Some(Self { _process: process, _folder: folder, port, database: database.to_owned() })
    }

    /// Where clients connect to.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{}", self.port, self.database)
    }
}

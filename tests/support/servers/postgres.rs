//! A PostgreSQL server with PostGIS for the tests of one process, or for one test that stops it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use watchtower_testing::servers::{self, ServerError};

pub(crate) use watchtower_testing::servers::postgres::Shutdown;

/// A server; every connection is the superuser's.
#[derive(Debug)]
pub(crate) struct PostgresServer(servers::PostgresServer);

impl PostgresServer {
    /// The server of this test process; it ends when the process does.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server that ends with this value, for tests that stop it.
    pub(crate) fn start() -> Self {
        Self(servers::PostgresServer::start("").unwrap_or_else(|error| panic!("{error} (scripts/test installs it)")))
    }

    /// Makes a database with PostGIS and nothing else in it; where clients connect to it.
    pub(crate) fn database(&self) -> String {
        self.0.database().unwrap()
    }

    /// Stops it and waits until it has ended.
    pub(crate) fn stop(&mut self, shutdown: Shutdown) {
        self.0.stop(shutdown);
    }

    /// Starts it again on the same port after it was stopped, and waits until it has recovered.
    pub(crate) fn restart(&mut self) {
        assert!(self.0.pid().is_none(), "it was stopped before");
        self.0.restart().unwrap();
    }

    /// Its process id and folder.
    pub(super) fn process(&self) -> (u32, &Path) {
        (self.0.pid().unwrap(), self.0.folder())
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
    servers::postgres::psql(url, sql).map_err(|error: ServerError| error.to_string())
}

/// Where a program of PostgreSQL is.
pub(crate) fn binary(name: &str) -> PathBuf {
    servers::postgres::binary(name).unwrap()
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

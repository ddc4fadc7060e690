//! A pipeline in one file, with its configuration in a folder that goes with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

use watchtower_geopackage::{Connection, GeoPackage};

use crate::support::daemon::{Daemon, wait_until};
use crate::support::rows::{self, Rows};
use crate::support::servers::free_port;

#[derive(Debug)]
pub(crate) struct OneFile {
    folder: tempfile::TempDir,
    port: u16,
    streams: u16,
}

impl OneFile {
    /// Of so many event streams; `more` are lines of the configuration, whole sections, or keys of `[limits]`,
    /// which comes last. Nothing is started.
    pub(crate) fn new(streams: u16, more: &str) -> Self {
        let file = Self { folder: tempfile::tempdir().unwrap(), port: free_port(), streams };
        file.configure(more);
        file
    }

    /// Writes the configuration again.
    pub(crate) fn configure(&self, more: &str) {
        let text = format!(
            "[clock]\nsource = \"log\"\n[embedded]\nstreams = {}\n[store]\nstate_every = \"100ms\"\n\
             [http]\nlisten = \"127.0.0.1:{}\"\n[checkpoints]\nevery = \"300ms\"\n[limits]\n{more}\n",
            self.streams, self.port
        );
        std::fs::write(self.config(), text).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("watchtower.toml")
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("fleet.gpkg")
    }

    pub(crate) fn file(&self) -> GeoPackage {
        GeoPackage::at(self.path())
    }

    /// A file beside, that the folder takes with it.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What is in the folder, by name.
    pub(crate) fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// One of the commands that take a configuration.
    pub(crate) fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut process = Command::new(env!("CARGO_BIN_EXE_watchtower"));
        process.arg(command).arg("--embedded").arg(self.path()).arg("--config").arg(self.config()).args(arguments);
        process
    }

    /// Runs a command of the program on the file.
    pub(crate) fn run(&self, command: &str, arguments: &[&str]) -> Output {
        self.command(command, arguments).output().unwrap()
    }

    /// Starts a daemon with more arguments and variables; it may not come far.
    pub(crate) fn spawn(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Daemon {
        let mut command = self.command("run", arguments);
        command.envs(variables.iter().copied());
        Daemon::spawn(command, self.port, self.folder.path())
    }

    pub(crate) fn connection(&self) -> Connection {
        self.file().connect_or_create().unwrap()
    }

    /// The one value that a query answers with; nothing while there is no such file or table.
    pub(crate) fn number(&self, sql: &str) -> Option<i64> {
        let connection = self.file().connect_to_read().ok()?;
        connection.query_row(sql, (), |row| row.get(0)).ok()
    }

    /// Waits until the tables contain so many entries of all streams, and lagging tables are with them.
    pub(crate) fn wait_for_entries(&self, entries: u64) {
        let sql = "SELECT sum(entries) FROM cursors WHERE (SELECT commit_seq FROM pipeline) = \
                   (SELECT commit_seq FROM table_progress)";
        wait_until(&format!("{entries} entries are in the tables"), || self.number(sql) == Some(entries as i64));
    }

    /// The rows of all tables.
    pub(crate) fn rows(&self) -> Rows {
        rows::of_a_file(&self.connection())
    }

    /// How far each stream is contained: its last entry, and how many.
    pub(crate) fn cursors(&self) -> BTreeMap<String, (String, i64)> {
        let connection = self.connection();
        let mut statement = connection.prepare("SELECT stream, last_id, entries FROM cursors").unwrap();
        let cursor = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)));
        statement.query_map((), cursor).unwrap().map(Result::unwrap).collect()
    }

    /// Makes sure that commit_log has every commit, each by a term no smaller than the one before.
    pub(crate) fn assert_commits_are_dense(&self) {
        let sql = "SELECT count(*) FILTER (WHERE commit_seq <> n OR term < before) FROM \
                   (SELECT *, row_number() OVER w AS n, lag(term, 1, 0) OVER w AS before FROM commit_log \
                    WINDOW w AS (ORDER BY commit_seq))";
        assert_eq!(self.number(sql), Some(0), "commit_log has gaps");
        let last = "SELECT (SELECT commit_seq FROM pipeline) - (SELECT max(commit_seq) FROM commit_log)";
        assert_eq!(self.number(last), Some(0), "the last commit is logged");
    }
}

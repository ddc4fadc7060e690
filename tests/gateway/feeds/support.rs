//! Gateways with a feed.

use crate::support::daemon::{Daemon, wait_until};
use crate::support::file::OneFile;
use crate::support::servers::free_port;

use super::server::TOKEN;
use crate::gateway::support::try_request;

/// A source that is polled every 200 ms.
pub(crate) fn poll(name: &str, format: &str, port: u16, path: &str, more: &str) -> String {
    format!(
        "[[source]]\nname = \"{name}\"\nformat = \"{format}\"\nurl = \"http://127.0.0.1:{port}{path}\"\n\
         every = \"200ms\"\n{more}\n"
    )
}

/// The journal of [`super::server::Journal`] as a source; its token is in the environment.
pub(crate) fn journal(port: u16) -> String {
    let more = "headers = { Authorization = \"Bearer ${JOURNAL_TOKEN}\" }\nrecords = \"/data\"\n\
        fields = { vehicle_id = \"/asset/id\", ts = \"/time\", lon = \"/longitude\", lat = \"/latitude\", speed = \"/speedMph\" }\n\
        speed_unit = \"mph\"\nnext_cursor = \"/page/cursor\"\nmore = \"/page/more\"";
    poll("journal", "json", port, "/v1/feed?after={cursor}", more)
}

/// A file, and gateways on it that are started when a test wants them.
pub(crate) struct Feeds {
    pub(crate) one: OneFile,
}

impl Feeds {
    /// `sources` are sections of the configuration.
    pub(crate) fn new(sources: &str) -> Self {
        let port = free_port();
        Self { one: OneFile::new(1, &format!("[gateway]\nlisten = \"127.0.0.1:{port}\"\n{sources}")) }
    }

    /// Starts a gateway that is ready.
    pub(crate) fn start(&self) -> Daemon {
        let (process, port) = self.spawn(&[]);
        wait_until("the gateway is ready", || {
            try_request(port, "GET", "/readyz", &[], b"").is_some_and(|answer| answer.status == 200)
        });
        process
    }

    /// Starts a gateway that may not come far, with its port.
    pub(crate) fn spawn(&self, variables: &[(&str, &str)]) -> (Daemon, u16) {
        let port = free_port();
        let mut command = self.one.command("gateway", &[]);
        command.env("WATCHTOWER_LOG_LEVEL", "trace").env("JOURNAL_TOKEN", TOKEN);
        command.env("WATCHTOWER_GATEWAY_LISTEN", format!("127.0.0.1:{port}")).env("WATCHTOWER_GATEWAY_METRICS", "");
        command.envs(variables.iter().copied());
        (Daemon::spawn(command, port, self.one.path().parent().unwrap()), port)
    }

    /// Entries of the log; 0 while there is none.
    pub(crate) fn entries(&self) -> i64 {
        self.one.number("SELECT sum(entries) FROM streams").unwrap_or(0)
    }

    pub(crate) fn cursor(&self, source: &str) -> String {
        let connection = self.one.connection();
        let sql = "SELECT cursor FROM source_leases WHERE source = ?1";
        connection.query_row(sql, [source], |row| row.get(0)).unwrap_or_default()
    }

    /// Starts the daemon of the file.
    pub(crate) fn daemon(&self) -> Daemon {
        let daemon = self.one.spawn(&[], &[("JOURNAL_TOKEN", TOKEN)]);
        daemon.wait_until_ready();
        daemon
    }

    /// The numbers of positions and of different positions in the tables, once the daemon has read the whole log.
    pub(crate) fn rows(&self) -> (i64, i64) {
        let daemon = self.daemon();
        let read = "SELECT sum(entries) FROM cursors";
        wait_until("the tables have all entries", || self.one.number(read) == Some(self.entries()));
        let all = self.one.number("SELECT count(*) FROM positions").unwrap();
        let distinct = "SELECT count(*) FROM (SELECT DISTINCT vehicle_id, ts FROM positions)";
        let distinct = self.one.number(distinct).unwrap();
        assert_eq!(daemon.stop().code(), Some(0));
        (all, distinct)
    }
}

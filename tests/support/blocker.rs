//! A session of PostgreSQL that keeps something locked.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use super::daemon::{Pipeline, wait_until};
use super::servers::postgres::binary;

/// A session that keeps something to itself until it ends.
pub(crate) struct Blocker(Child);

impl Blocker {
    /// Returns once `hold`, which takes the lock, has been carried out.
    pub(crate) fn start(pipeline: &Pipeline, hold: &str) -> Self {
        let mut child = Command::new(binary("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &pipeline.setup.postgres, "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let stdin = child.stdin.as_mut().unwrap();
        writeln!(stdin, "BEGIN; SET LOCAL application_name = 'blocker'; {hold};").unwrap();
        let holds = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'blocker' AND state = 'idle in transaction'";
        wait_until("it is held", || pipeline.sql(holds) == "1");
        Self(child)
    }

    /// Gives the lock up.
    pub(crate) fn end(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

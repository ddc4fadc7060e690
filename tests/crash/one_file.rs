//! A pipeline in one file, and those who append to it.

use watchtower_geopackage::GeoPackage;
use watchtower_log::file::{Appender, Batch};

use super::scenario::{Entry, LIMITS, STREAMS};
use super::{Place, Scenario};
use crate::support::daemon::Daemon;
use crate::support::file::OneFile;
use crate::support::rng::Rng;
use crate::support::rows::differences;

/// A scenario in one file; see [`Place`] for where it is killed.
pub(super) struct OneFileWorld {
    pub(super) one: OneFile,
    appended: u64,
}

impl OneFileWorld {
    pub(super) fn new() -> Self {
        Self { one: OneFile::new(STREAMS, LIMITS), appended: 0 }
    }
}

/// The entries as they are appended to a file.
fn batch(entries: &[Entry]) -> Batch {
    let mut batch = Batch::default();
    for Entry { stream, id, fields } in entries {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        batch.push(*stream, Some(*id), &fields);
    }
    batch
}

fn append(file: &GeoPackage, entries: &[Entry]) {
    Appender::open(file, Some(STREAMS)).unwrap().append(&batch(entries)).unwrap();
}

impl Place for OneFileWorld {
    fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Daemon {
        let mut all = vec![("WATCHTOWER_CHECKPOINTS_EVERY", "100ms"), ("WATCHTOWER_EMBEDDED_LOG_KEEP", "0s")];
        all.extend(variables);
        self.one.spawn(arguments, &all)
    }

    fn append(&mut self, entries: &[Entry]) {
        append(&self.one.file(), entries);
        self.count(entries);
    }

    fn feeder(&self) -> Box<dyn FnMut(&[Entry]) + Send> {
        let file = self.one.file();
        Box::new(move |entries| append(&file, entries))
    }

    fn count(&mut self, entries: &[Entry]) {
        self.appended += entries.len() as u64;
    }

    fn wait(&self) {
        self.one.wait_for_entries(self.appended);
    }

    fn commits(&self) -> Option<String> {
        self.one.number("SELECT commit_seq FROM pipeline").map(|number| number.to_string())
    }

    fn term(&self) -> Option<String> {
        self.one.number("SELECT term FROM pipeline").map(|number| number.to_string())
    }

    fn assert_undisturbed(&mut self, what: &str, thirds: usize) {
        self.wait();
        let differences = differences(&self.one.rows(), &Scenario::shared().rows[thirds - 1]);
        assert_eq!(differences, "", "{what}, after {thirds} thirds of the log");
        self.one.assert_commits_are_dense();
        let ends = "SELECT count(*) FROM streams s LEFT JOIN cursors c ON c.stream = s.name AND c.entries = s.entries \
                    AND c.last_id = s.last_ms || '-' || s.last_seq WHERE c.stream IS NULL";
        assert_eq!(self.one.number(ends), Some(0), "{what}: cursors {:?}", self.one.cursors());
    }

    /// PostGIS has said what the rows should be.
    fn assert_recomputed(&self, what: &str) {
        assert_eq!(
            self.one.number("SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
            Some(0),
            "{what}"
        );
    }

    fn trimmed(&mut self) -> u64 {
        self.appended - self.one.number("SELECT count(*) FROM log").unwrap() as u64
    }

    fn spoil_newest_checkpoint(&self, rng: &mut Rng) {
        let whole = "SELECT count(DISTINCT name) FROM checkpoints WHERE kind = 'checkpoint' AND bytes <> x'00'";
        if self.one.number(whole) < Some(2) {
            return;
        }
        let newest = "kind = 'checkpoint' AND name = (SELECT max(name) FROM checkpoints WHERE kind = 'checkpoint')";
        let sql = match rng.chance(50) {
            true => format!("UPDATE checkpoints SET bytes = x'00' WHERE {newest}"),
            false => format!("DELETE FROM checkpoints WHERE {newest}"),
        };
        self.one.connection().execute(&sql, ()).unwrap();
    }
}

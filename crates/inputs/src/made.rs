//! Features and positions that a document of another format was made into.

use std::collections::{BTreeMap, BTreeSet};

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::geojson::Item;
use super::notes::Notes;
use super::{Progress, Source, SourceError};
use watchtower_core::events::{Event, Raw, Reason, Record, Rejection};

/// Features being made of another format.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) document: Vec<u8>,
    pub(crate) items: Vec<Item>,
    /// Of rows of our own table, by id: when versions begin, and when they end.
    spans: BTreeMap<String, Spans>,
}

#[derive(Default)]
struct Spans {
    begins: BTreeSet<String>,
    ends: BTreeSet<String>,
}

impl Made {
    /// Adds a feature; `geometry` is GeoJSON.
    pub(crate) fn push(&mut self, position: u64, properties: &Map<String, Value>, geometry: &str) {
        let text = |name: &str| properties.get(name).and_then(Value::as_str).map(str::to_owned);
        if let (Some(id), Some(from)) = (text("geofence_id"), text("effective_from")) {
            let spans = self.spans.entry(id).or_default();
            spans.begins.insert(from);
            spans.ends.extend(text("effective_until"));
        }
        let properties = Value::Object(properties.clone());
        self.text(position, &format!(r#"{{"type":"Feature","properties":{properties},"geometry":{geometry}}}"#), None);
    }

    /// Adds what is none.
    pub(crate) fn refuse(&mut self, position: u64, text: &str, reason: Reason, detail: String) {
        self.text(position, text, Some(Rejection::new(reason, detail)));
    }

    /// Adds a deletion for each end of a version of our own table that no other version follows.
    pub(crate) fn add_ends(&mut self) {
        for (id, Spans { begins, ends }) in std::mem::take(&mut self.spans) {
            for end in ends.difference(&begins) {
                let position = self.items.len() as u64 + 1;
                let properties = json!({"geofence_id": id, "valid_from": end, "deleted": true});
                self.text(position, &json!({"type": "Feature", "properties": properties}).to_string(), None);
            }
        }
    }

    fn text(&mut self, position: u64, text: &str, fault: Option<Rejection>) {
        let start = self.document.len();
        self.document.extend_from_slice(text.as_bytes());
        self.items.push(Item { text: start..self.document.len(), position, fault });
    }
}

/// Positions and refusals, in the order of the document.
pub(crate) struct MadePositions {
    path: PathBuf,
    progress: Progress,
    records: std::vec::IntoIter<(u64, String, Result<Event<'static>, Rejection>)>,
    /// What the current record was made of.
    text: String,
    notes: Notes,
}

impl MadePositions {
    pub(crate) fn new(
        path: &Path,
        progress: Progress,
        records: Vec<(u64, String, Result<Event<'static>, Rejection>)>,
        notes: Notes,
    ) -> Self {
        Self { path: path.to_owned(), progress, records: records.into_iter(), text: String::new(), notes }
    }
}

impl Source for MadePositions {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        let Some((position, text, result)) = self.records.next() else { return Ok(None) };
        self.text = text;
        Ok(Some(Record { position, raw: Raw::complete(self.text.as_bytes()), result }))
    }

    fn progress(&self) -> Progress {
        self.progress
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn notes(&self) -> Notes {
        self.notes.clone()
    }
}

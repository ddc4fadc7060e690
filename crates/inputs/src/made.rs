//! Features that a document of another format was made into.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::geojson::Item;
use super::input::MAX_DOCUMENT_BYTES;
use super::times;
use watchtower_core::events::{Reason, Rejection};

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
    pub(crate) fn push(&mut self, position: u64, given: &Map<String, Value>, geometry: &str) {
        let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut properties = given.clone();
        if let (Some(id), Some(from)) = (text("geofence_id"), text("effective_from")) {
            let spans = self.spans.entry(id).or_default();
            // A first version that always held by its author's word.
            if spans.begins.is_empty() && text("valid_from").is_some_and(|from| times::is_beginning(&from)) {
                properties.remove("effective_from");
            }
            spans.begins.insert(from);
            spans.ends.extend(text("effective_until"));
        }
        let properties = Value::Object(properties);
        self.text(position, &format!(r#"{{"type":"Feature","properties":{properties},"geometry":{geometry}}}"#), None);
    }

    /// Adds what is none.
    pub(crate) fn refuse(&mut self, position: u64, text: &str, reason: Reason, detail: String) {
        self.text(position, text, Some(Rejection::new(reason, detail)));
    }

    /// Whether it has grown beyond what is held of a document.
    pub(crate) fn is_too_large(&self) -> bool {
        (self.document.len() + self.items.len() * size_of::<Item>()) as u64 > MAX_DOCUMENT_BYTES
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

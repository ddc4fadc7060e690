//! Positions that a document was made into at once.

use std::path::{Path, PathBuf};

use super::notes::Notes;
use super::{Progress, Source, SourceError};
use watchtower_core::events::{Event, Raw, Record, Rejection};

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

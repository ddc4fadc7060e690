//! Any events, a JSON object a line.

use std::path::Path;

use super::lines::Lines;
use super::{Progress, Source, SourceError};
use watchtower_core::events::{Limits, Record, json};

/// An NDJSON file. Blank lines are passed over.
pub struct Ndjson {
    lines: Lines,
    limits: Limits,
}

impl Ndjson {
    /// Opens the file.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, SourceError> {
        Ok(Self { lines: Lines::open(path, limits)?, limits: limits.clone() })
    }
}

impl Source for Ndjson {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let result = self.lines.text().and_then(|text| json::decode(text.as_bytes(), &self.limits));
        Ok(Some(Record { position: self.lines.number(), raw: self.lines.raw(), result }))
    }

    fn progress(&self) -> Progress {
        self.lines.progress()
    }

    fn path(&self) -> &Path {
        self.lines.path()
    }
}

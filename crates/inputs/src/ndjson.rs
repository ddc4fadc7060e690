//! Any events, a JSON object a line.

use std::path::Path;

use super::input::Input;
use super::lines::Lines;
use super::members::Members;
use super::notes::Notes;
use super::reading::Reading;
use super::{Progress, Source, SourceError};
use watchtower_core::events::{Limits, Raw, Record};

/// An NDJSON file. Blank lines are passed over.
pub struct Ndjson {
    lines: Lines,
    limits: Limits,
    members: Members,
}

impl Ndjson {
    /// Opens the file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, SourceError> {
        let input = Input::open(path).map_err(|source| SourceError::Open { path: path.to_path_buf(), source })?;
        Ok(Self::from_input(path, input, &Reading::default(), limits))
    }

    pub(crate) fn from_input(path: &Path, input: Input, reading: &Reading, limits: &Limits) -> Self {
        let members = Members::new(reading, reading.vehicle_of(path));
        Self { lines: Lines::new(path, input, limits), limits: limits.clone(), members }
    }
}

impl Source for Ndjson {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        if let Some(result) = self.members.next_of_track(&self.limits, self.lines.number()) {
            let raw = Raw::complete(self.members.text_of(&[]));
            return Ok(Some(Record { position: self.lines.number(), raw, result }));
        }
        if !self.lines.advance()? {
            return Ok(None);
        }
        let Self { lines, limits, members } = self;
        let number = lines.number();
        let result = lines.text().and_then(|text| members.event(text, limits, number));
        let raw = Raw { bytes: members.text_of(lines.raw().bytes), ..lines.raw() };
        Ok(Some(Record { position: number, raw, result }))
    }

    fn progress(&self) -> Progress {
        self.lines.progress()
    }

    fn path(&self) -> &Path {
        self.lines.path()
    }

    fn notes(&self) -> Notes {
        Notes { format: format!("NDJSON{}", self.lines.encoding_words()), ..self.members.notes.clone() }
    }
}

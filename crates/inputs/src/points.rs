//! Positions from a document in XML, element by element.

use std::collections::VecDeque;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use watchtower_core::events::{Limits, Raw, Reason, Record, Rejection};

use super::draft::{Draft, Terms};
use super::encoding::Lenient;
use super::input::{Content, Gauge};
use super::notes::Notes;
use super::xml::{Element, Elements};
use super::{Progress, Source, SourceError};

/// A position that is not checked yet, and what it was made of in few words.
pub(crate) type Point = (Draft<'static>, String);

/// How a format has its positions.
pub(crate) struct Format {
    /// Its name.
    pub(crate) name: &'static str,
    /// The elements that hold positions, and those that are only counted.
    pub(crate) wanted: &'static [&'static str],
    /// The positions of an element. `Terms` say what holds for all of them.
    pub(crate) points: fn(&Element, &Terms, &mut Notes) -> Vec<Point>,
}

/// Positions of a document in XML. Memory holds those of one element.
pub(crate) struct Points {
    path: PathBuf,
    gauge: Gauge,
    elements: Elements<BufReader<Lenient<Content>>>,
    format: Format,
    terms: Terms,
    limits: Limits,
    notes: Notes,
    pending: VecDeque<Point>,
    position: u64,
    /// What the current record was made of.
    text: String,
}

impl Points {
    pub(crate) fn new(
        path: &Path,
        content: Content,
        gauge: Gauge,
        format: Format,
        terms: Terms,
        limits: &Limits,
        notes: Notes,
    ) -> Self {
        Self {
            path: path.to_owned(),
            gauge,
            elements: Elements::new(BufReader::new(Lenient::new(content)), format.wanted),
            format,
            terms,
            limits: limits.clone(),
            notes,
            pending: VecDeque::new(),
            position: 0,
            text: String::new(),
        }
    }
}

impl Source for Points {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        let result = loop {
            if let Some((draft, text)) = self.pending.pop_front() {
                self.text = text;
                self.position += 1;
                break draft.finish(&self.terms, &self.limits, &mut self.notes, self.position);
            }
            match self.elements.next() {
                None => return Ok(None),
                Some(Ok(element)) => {
                    self.pending.extend((self.format.points)(&element, &self.terms, &mut self.notes));
                }
                Some(Err(fault)) => {
                    self.text.clear();
                    self.position += 1;
                    let detail = format!("expected {}: {fault}", self.format.name);
                    break Err(Rejection::new(Reason::Malformed, detail));
                }
            }
        };
        Ok(Some(Record { position: self.position, raw: Raw::complete(self.text.as_bytes()), result }))
    }

    fn progress(&self) -> Progress {
        self.gauge.progress()
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn notes(&self) -> Notes {
        self.notes.clone()
    }
}

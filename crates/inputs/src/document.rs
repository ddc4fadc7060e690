//! Positions of a JSON document: an array of objects, or the points of a GeoJSON feature collection.

use std::io::{self, BufRead, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::elements::{INNER, Next, next_element};
use super::input::{Input, too_large};
use super::members::{Members, Object, place};
use super::notes::Notes;
use super::reading::Reading;
use super::{Progress, Source, SourceError};
use watchtower_core::events::{Limits, Raw, Reason, Record, Rejection, check_size, utf8};

/// A document whose objects are events.
pub(crate) struct Document {
    path: PathBuf,
    limits: Limits,
    progress: Progress,
    text: String,
    items: Vec<Range<usize>>,
    next: usize,
    members: Members,
    format: &'static str,
}

impl Document {
    /// The objects of a document; nothing if it is neither an array, nor an object.
    pub(crate) fn read(
        path: &Path,
        bytes: &[u8],
        progress: Progress,
        reading: &Reading,
        limits: &Limits,
    ) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.to_owned();
        let (items, format) = items(&text)?;
        let members = Members::new(reading, reading.vehicle_of(path));
        Some(Self { path: path.to_owned(), limits: limits.clone(), progress, text, items, next: 0, members, format })
    }
}

/// Whether an object is no position itself, but holds an array of them.
pub(crate) fn is_wrapper(text: &str) -> bool {
    Object::parse(text).is_ok_and(|object| {
        let inner = INNER.iter().find_map(|name| object.get(name));
        inner.is_some_and(|inner| inner.starts_with('[')) && is_elsewhere(&object)
    })
}

/// Whether an object has no place of its own.
fn is_elsewhere(object: &Object<'_>) -> bool {
    object.get("lat").is_none() && object.get("latitude").is_none()
}

/// Where the objects are, and what the document is.
fn items(text: &str) -> Option<(Vec<Range<usize>>, &'static str)> {
    let places =
        |items: Vec<&RawValue>| -> Vec<Range<usize>> { items.iter().map(|item| place(text, item.get())).collect() };
    if text.trim_ascii_start().starts_with('[') {
        return Some((places(serde_json::from_str(text).ok()?), "JSON, an array"));
    }
    let object = Object::parse(text).ok()?;
    let inner = INNER.iter().find_map(|name| object.get(name));
    match inner.filter(|inner| inner.starts_with('[')) {
        Some(features) if object.string("type").as_deref() == Some("FeatureCollection") => {
            Some((places(serde_json::from_str(features).ok()?), "GeoJSON positions"))
        }
        Some(inner) if is_elsewhere(&object) => Some((places(serde_json::from_str(inner).ok()?), "JSON, an array")),
        _ => Some((std::iter::once(0..text.len()).collect(), "JSON, one object")),
    }
}

impl Source for Document {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        if let Some(result) = self.members.next_of_track(&self.limits, self.next as u64) {
            let raw = Raw::complete(self.members.text_of(&[]));
            return Ok(Some(Record { position: self.next as u64, raw, result }));
        }
        let Some(range) = self.items.get(self.next).cloned() else { return Ok(None) };
        self.next += 1;
        let text = &self.text[range];
        let position = self.next as u64;
        let result = self.members.event(text, &self.limits, position);
        Ok(Some(Record { position, raw: Raw::complete(self.members.text_of(text.as_bytes())), result }))
    }

    fn progress(&self) -> Progress {
        self.progress
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn notes(&self) -> Notes {
        Notes { format: self.format.to_owned(), ..self.members.notes.clone() }
    }
}

/// A document whose array of objects is read as it comes.
pub(crate) struct Listed {
    path: PathBuf,
    content: Input,
    limits: Limits,
    members: Members,
    format: &'static str,
    /// Whether the document is the array, so that nothing may follow it.
    is_alone: bool,
    buffer: Vec<u8>,
    position: u64,
    ended: bool,
}

impl Listed {
    /// The array that begins after `start` bytes.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(crate) fn new(
        path: &Path,
        mut content: Input,
        (start, is_collection): (usize, bool),
        reading: &Reading,
        limits: &Limits,
    ) -> Result<Self, SourceError> {
        let is_alone = content.head()[..start].trim_ascii() == b"[";
        let skipped = io::copy(&mut content.by_ref().take(start as u64), &mut io::sink());
        skipped.map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            content,
            limits: limits.clone(),
            members: Members::new(reading, reading.vehicle_of(path)),
            format: if is_collection { "GeoJSON positions" } else { "JSON, an array" },
            is_alone,
            buffer: Vec::new(),
            position: 0,
            ended: false,
        })
    }
}

impl Listed {
    /// Whether anything but spaces follows; as much of it as is at hand goes into the buffer.
    fn has_more(&mut self) -> Result<bool, SourceError> {
        loop {
            let chunk =
                self.content.fill_buf().map_err(|source| SourceError::Read { path: self.path.clone(), source })?;
            let (read, rest) = (chunk.len(), chunk.trim_ascii_start());
            self.buffer.extend_from_slice(rest);
            self.content.consume(read);
            if read == 0 || !self.buffer.is_empty() {
                return Ok(read > 0);
            }
        }
    }
}

impl Source for Listed {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        if let Some(result) = self.members.next_of_track(&self.limits, self.position) {
            let raw = Raw::complete(self.members.text_of(&[]));
            return Ok(Some(Record { position: self.position, raw, result }));
        }
        if self.ended {
            return Ok(None);
        }
        let next = next_element(&mut self.content, self.limits.max_entry_bytes, &mut self.buffer)
            .map_err(|source| SourceError::Read { path: self.path.clone(), source })?;
        self.ended = next != Next::Element;
        if next == Next::End && !(self.is_alone && self.has_more()?) {
            return Ok(None);
        }
        self.position += 1;
        let bytes = self.buffer.trim_ascii_end();
        let result = match next {
            Next::Element => check_size(bytes, &self.limits)
                .and_then(|()| utf8(bytes))
                .and_then(|text| self.members.event(text, &self.limits, self.position)),
            Next::End => {
                Err(Rejection::new(Reason::Malformed, "the array has ended, and more follows: split the file there"))
            }
            Next::Cut => Err(Rejection::new(Reason::Malformed, "expected JSON: the file ends within an array")),
        };
        let raw = Raw::complete(self.members.text_of(bytes));
        Ok(Some(Record { position: self.position, raw, result }))
    }

    fn progress(&self) -> Progress {
        self.content.progress()
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn notes(&self) -> Notes {
        Notes { format: self.format.to_owned(), ..self.members.notes.clone() }
    }
}

/// A document that is none of what is read, as one refused record.
pub(crate) struct Refused {
    path: PathBuf,
    progress: Progress,
    head: Vec<u8>,
    rejection: Option<Rejection>,
}

impl Refused {
    /// A document that is larger than what is held; `cure` is what helps.
    pub(crate) fn too_large(path: &Path, progress: Progress, head: &[u8], cure: &str) -> Self {
        Self { path: path.to_owned(), progress, head: head.to_vec(), rejection: Some(too_large(cure)) }
    }
}

impl Source for Refused {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        let Some(rejection) = self.rejection.take() else { return Ok(None) };
        Ok(Some(Record { position: 1, raw: Raw::complete(&self.head), result: Err(rejection) }))
    }

    fn progress(&self) -> Progress {
        self.progress
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

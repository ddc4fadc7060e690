//! Positions as CSV: a header, then a row for each position.
//!
//! The header is among the first lines: what stands above it, the name of a report or its period, is left out and
//! counted, unless it looks like a row. Columns are known by many names: see [`super::aliases`]; `vehicle_id`, `ts`, `lon` and `lat` must be there under
//! one of them, or be named by [`Reading::columns`]. Any further column becomes an attribute, its cells text. An
//! empty cell is no value. Quotes and line breaks in quotes are as in RFC 4180, but a quote that is not closed
//! within [`MAX_ROW_BYTES`] costs only the rows up to there, not the rest of the file.

use std::path::{Path, PathBuf};

use super::aliases::assign;
use super::draft::Draft;
use super::header::Header;
use super::input::Input;
use super::lines::Lines;
use super::notes::Notes;
use super::reading::Reading;
use super::rows::{Row, check_cells, joined, separator_of, unpadded};
use super::titles::{self, NoHeader};
use super::{Progress, Source, SourceError};
use watchtower_core::events::{Event, Limits, Reason, Record, Rejection};

/// The longest row that goes on behind a line break.
pub const MAX_ROW_BYTES: usize = 64 << 10;

/// A CSV file of positions.
pub struct Csv {
    lines: Lines,
    limits: Limits,
    separator: u8,
    header: Header,
    row: Row,
    /// The first line is a row, too, and has not been handed out yet.
    first_is_row: bool,
    notes: Notes,
}

impl Csv {
    /// Opens the file and reads its header.
    ///
    /// # Errors
    /// If it cannot be read, or its header lacks a column.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, SourceError> {
        let input = Input::open(path).map_err(|source| SourceError::Open { path: path.to_path_buf(), source })?;
        Self::from_input(path, input, &Reading::default(), limits)
    }

    pub(crate) fn from_input(
        path: &Path,
        input: Input,
        reading: &Reading,
        limits: &Limits,
    ) -> Result<Self, SourceError> {
        let mut lines = Lines::new(path, input, limits);
        let mut row = Row::default();
        lines.advance()?;
        lines.make_utf8();
        let mut separator = None;
        if let Some(named) = lines.text().ok().and_then(|line| line.strip_prefix("sep=")) {
            separator = named.bytes().next().filter(|byte| byte.is_ascii_punctuation() || *byte == b'\t');
            lines.advance()?;
            lines.make_utf8();
        }
        let fault = |fault: String| SourceError::Header { path: PathBuf::from(path), fault };
        let found = titles::find(&mut lines, |lines, line| {
            let separator = separator.unwrap_or_else(|| separator_of(line));
            row.split(line, separator);
            let names: Vec<&str> = row.cells(line).map(str::trim).collect();
            let header = Header::read(&names, &lines.head_below(), separator, reading, path);
            let header = header.map_err(|fault| NoHeader { fault, fields: assign(&names).len() })?;
            let columns = header.understood(&names);
            Ok((header, separator, columns))
        })?
        .map_err(fault)?;
        let mut notes = Notes::default();
        let (header, separator, _) = &found.header;
        let is_row = |line: &str| header.has_place(&mut Row::default(), line, *separator);
        found.note_titles(&mut notes, is_row).map_err(fault)?;
        let (header, separator, columns) = found.header;
        notes = Notes { columns, format: format(separator), ..notes };
        let first_is_row = header.first_is_row;
        Ok(Self { lines, limits: limits.clone(), separator, header, row, first_is_row, notes })
    }
}

fn format(separator: u8) -> String {
    match separator {
        b',' => "CSV".to_owned(),
        b'\t' => "CSV, tabs between cells".to_owned(),
        other => format!("CSV, '{}' between cells", char::from(other)),
    }
}

impl Source for Csv {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        if !std::mem::take(&mut self.first_is_row) {
            if !self.lines.advance()? {
                return Ok(None);
            }
            self.lines.make_utf8();
        }
        let mut closed = split(&mut self.row, &self.lines, self.separator);
        while !closed && self.lines.raw().bytes.len() < MAX_ROW_BYTES && self.lines.extend()? {
            self.lines.make_utf8();
            closed = split(&mut self.row, &self.lines, self.separator);
        }
        let Self { lines, limits, header, row, notes, .. } = self;
        let number = lines.number();
        let result = lines.text().and_then(|line| {
            if !closed {
                return Err(Rejection::new(Reason::Malformed, "a quote is not closed"));
            }
            decode(header, row, line, limits, notes, number)
        });
        Ok(Some(Record { position: number, raw: lines.raw(), result }))
    }

    fn progress(&self) -> Progress {
        self.lines.progress()
    }

    fn path(&self) -> &Path {
        self.lines.path()
    }

    fn notes(&self) -> Notes {
        let mut notes = self.notes.clone();
        notes.format.push_str(self.lines.encoding_words());
        notes
    }
}

/// Splits the current line; `false` if a quote is still open. What is no text has no cells.
fn split(row: &mut Row, lines: &Lines, separator: u8) -> bool {
    lines.text().map_or(true, |line| row.split(line, separator))
}

fn decode<'a>(
    header: &Header,
    row: &'a Row,
    line: &'a str,
    limits: &Limits,
    notes: &mut Notes,
    number: u64,
) -> Result<Event<'a>, Rejection> {
    check_cells(header.columns, row, line)?;
    let mut draft = Draft::default();
    for (slot, columns) in &header.slots {
        match columns[..] {
            [column] => draft.set(*slot, unpadded(row.cell(line, column).unwrap_or_default())),
            _ => draft.set(*slot, joined(columns, row, line)),
        }
    }
    for (column, key) in &header.attributes {
        draft.attribute(key, unpadded(row.cell(line, *column).unwrap_or_default()))?;
    }
    draft.finish(&header.terms, limits, notes, number)
}

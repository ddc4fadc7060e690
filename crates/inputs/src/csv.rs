//! Positions as CSV: a header, then a row for each position.
//!
//! `vehicle_id`, `ts`, `lon` and `lat` must be there; the other columns of a position (`speed_kmh`,
//! `heading_deg` or `heading`, `accuracy_m`, `altitude_m`, `ignition`, `received_at`, `attributes`,
//! `deleted`) may; any further column becomes an attribute, its cells text. An empty cell is no
//! value. Quotes and line breaks in quotes are as in RFC 4180, but a quote that is not closed
//! within [`MAX_ROW_BYTES`] costs only the rows up to there, not the rest of the file.

use std::path::Path;

use super::lines::Lines;
use super::{Progress, Source, SourceError};
use watchtower_core::events::{AttributesBuilder, Event, Field, Fields, Limits, Reason, Record, Rejection, Value};
use watchtower_core::events::{position, push_json_string};

/// The longest row that goes on behind a line break.
pub const MAX_ROW_BYTES: usize = 64 << 10;

/// The columns without which a row says nothing.
const REQUIRED: [Field; 4] = [Field::VehicleId, Field::Ts, Field::Lon, Field::Lat];

/// A CSV file of positions.
pub struct Csv {
    lines: Lines,
    limits: Limits,
    columns: Vec<Column>,
    row: Row,
}

/// What a column holds.
enum Column {
    /// A field of a position.
    Known(Field),
    /// An attribute; its name as JSON.
    Attribute(String),
}

impl Csv {
    /// Opens the file and reads its header.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, SourceError> {
        let mut lines = Lines::open(path, limits)?;
        let mut row = Row::default();
        lines.advance()?;
        let columns = lines.text().map_err(|rejection| rejection.to_string()).and_then(|header| {
            row.split(header);
            columns(&row.cells(header).map(str::trim).collect::<Vec<_>>())
        });
        match columns {
            Ok(columns) => Ok(Self { lines, limits: limits.clone(), columns, row }),
            Err(fault) => Err(SourceError::Header { path: path.to_path_buf(), fault }),
        }
    }
}

impl Source for Csv {
    fn next_record(&mut self) -> Result<Option<Record<'_>>, SourceError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        let mut closed = self.row.split_line(&self.lines);
        while !closed && self.lines.raw().bytes.len() < MAX_ROW_BYTES && self.lines.extend()? {
            closed = self.row.split_line(&self.lines);
        }
        let result = self.lines.text().and_then(|line| {
            if !closed {
                return Err(Rejection::new(Reason::Malformed, "a quote is not closed"));
            }
            decode(&self.columns, &self.row, line, &self.limits)
        });
        Ok(Some(Record { position: self.lines.number(), raw: self.lines.raw(), result }))
    }

    fn progress(&self) -> Progress {
        self.lines.progress()
    }

    fn path(&self) -> &Path {
        self.lines.path()
    }
}

/// What the columns hold, or what is wrong with the header.
fn columns(names: &[&str]) -> Result<Vec<Column>, String> {
    let has = |field: &Field| names.iter().any(|name| Field::of_position(name) == Some(*field));
    let missing: Vec<_> = REQUIRED.iter().filter(|field| !has(field)).map(|field| field.name()).collect();
    if !missing.is_empty() {
        return Err(format!("missing {}; the header has {}", missing.join(", "), names.join(", ")));
    }
    for (index, name) in names.iter().enumerate() {
        let field = Field::of_position(name);
        if names[..index]
            .iter()
            .any(|earlier| earlier == name || (field.is_some() && Field::of_position(earlier) == field))
        {
            return Err(format!("the column {name} is there twice"));
        }
    }
    let column = |name: &&str| match Field::of_position(name) {
        Some(field) => Column::Known(field),
        None => {
            let mut key = String::new();
            push_json_string(&mut key, name);
            Column::Attribute(key)
        }
    };
    Ok(names.iter().map(column).collect())
}

fn decode<'a>(columns: &[Column], row: &'a Row, line: &'a str, limits: &Limits) -> Result<Event<'a>, Rejection> {
    if row.spans.len() != columns.len() {
        let detail = format!("expected {} cells as in the header, found {}", columns.len(), row.spans.len());
        return Err(Rejection::new(Reason::Malformed, detail));
    }
    let mut fields = Fields::default();
    let mut attributes = AttributesBuilder::default();
    for (column, cell) in columns.iter().zip(row.cells(line)) {
        match column {
            Column::Known(_) if cell.is_empty() => {} // nothing is said of it
            Column::Known(field) => fields.set(*field, Value::Text(cell))?,
            Column::Attribute(key) => attributes.push(key, cell)?,
        }
    }
    position(&fields, attributes, limits)
}

/// Where the cells of a row are; memory that the rows share.
#[derive(Default)]
struct Row {
    /// Begin and end of each cell, in the line or in `unquoted`.
    spans: Vec<(usize, usize)>,
    /// The cells without their quotes, if the line has quotes.
    unquoted: Option<String>,
}

impl Row {
    /// The cells of `line`, which is the one that was split.
    fn cells<'a>(&'a self, line: &'a str) -> impl Iterator<Item = &'a str> {
        let text = self.unquoted.as_deref().unwrap_or(line);
        self.spans.iter().map(move |&(start, end)| &text[start..end])
    }

    /// Splits the current line; `false` if a quote is still open. What is no text has no cells.
    fn split_line(&mut self, lines: &Lines) -> bool {
        lines.text().map_or(true, |line| self.split(line))
    }

    fn split(&mut self, line: &str) -> bool {
        self.spans.clear();
        if line.contains('"') {
            return self.split_quoted(line);
        }
        self.unquoted = None;
        let mut start = 0;
        for (end, byte) in line.bytes().enumerate() {
            if byte == b',' {
                self.spans.push((start, end));
                start = end + 1;
            }
        }
        self.spans.push((start, line.len()));
        true
    }

    fn split_quoted(&mut self, line: &str) -> bool {
        let mut text = String::with_capacity(line.len());
        let (mut start, mut quoted) = (0, false);
        let mut rest = line.chars().peekable();
        while let Some(next) = rest.next() {
            match next {
                '"' if quoted && rest.peek() == Some(&'"') => {
                    text.push('"');
                    rest.next();
                }
                '"' if quoted => quoted = false,
                '"' if text.len() == start => quoted = true,
                ',' if !quoted => {
                    self.spans.push((start, text.len()));
                    start = text.len();
                }
                other => text.push(other),
            }
        }
        self.spans.push((start, text.len()));
        self.unquoted = Some(text);
        !quoted
    }
}

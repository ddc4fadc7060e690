//! Rows of cells: RFC 4180, with any separator.

use std::borrow::Cow;

use watchtower_core::events::{Reason, Rejection};

/// Where the cells of a row are; memory that the rows share.
#[derive(Default)]
pub(crate) struct Row {
    /// Begin and end of each cell, in the line or in `unquoted`.
    spans: Vec<(usize, usize)>,
    /// The cells without their quotes, if the line has quotes.
    unquoted: Option<String>,
}

impl Row {
    /// How many cells there are.
    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    /// The cells of `line`, which is the one that was split.
    pub(crate) fn cells<'a>(&'a self, line: &'a str) -> impl Iterator<Item = &'a str> {
        let text = self.unquoted.as_deref().unwrap_or(line);
        self.spans.iter().map(move |&(start, end)| &text[start..end])
    }

    /// A cell of `line`, which is the one that was split; nothing if there are fewer.
    pub(crate) fn cell<'a>(&'a self, line: &'a str, index: usize) -> Option<&'a str> {
        let text = self.unquoted.as_deref().unwrap_or(line);
        self.spans.get(index).map(|&(start, end)| &text[start..end])
    }

    /// Splits a line; `false` if a quote is still open.
    pub(crate) fn split(&mut self, line: &str, separator: u8) -> bool {
        self.spans.clear();
        if line.contains('"') {
            return self.split_quoted(line, separator);
        }
        self.unquoted = None;
        let mut start = 0;
        for (end, byte) in line.bytes().enumerate() {
            if byte == separator {
                self.spans.push((start, end));
                start = end + 1;
            }
        }
        self.spans.push((start, line.len()));
        true
    }

    fn split_quoted(&mut self, line: &str, separator: u8) -> bool {
        let separator = char::from(separator);
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
                other if other == separator && !quoted => {
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

/// The separator of a header: the one of comma, semicolon, tab and bar that it has most of, outside quotes.
pub(crate) fn separator_of(header: &str) -> u8 {
    let mut counts = [(b',', 0usize), (b';', 0), (b'\t', 0), (b'|', 0)];
    let mut quoted = false;
    for byte in header.bytes() {
        if byte == b'"' {
            quoted = !quoted;
        } else if !quoted && let Some((_, count)) = counts.iter_mut().find(|(separator, _)| *separator == byte) {
            *count += 1;
        }
    }
    let mut best = counts[0];
    for candidate in counts {
        if candidate.1 > best.1 {
            best = candidate;
        }
    }
    best.0
}

/// Rows may go on with empty cells, as spreadsheets write them, but must not lack any.
pub(crate) fn check_cells(columns: usize, row: &Row, line: &str) -> Result<(), Rejection> {
    let found = row.len();
    if found == columns || (found > columns && row.cells(line).skip(columns).all(|cell| cell.trim().is_empty())) {
        return Ok(());
    }
    let detail = format!("expected {columns} cells as in the header, found {found}");
    Err(Rejection::new(Reason::Malformed, detail))
}

/// A cell without the zeros that some loggers fill it up with.
pub(crate) fn unpadded(cell: &str) -> &str {
    if cell.contains('\0') { cell.trim_matches(|c: char| c == '\0' || c.is_whitespace()) } else { cell }
}

/// Cells that make one value together.
pub(crate) fn joined<'a>(columns: &[usize], row: &Row, line: &str) -> Cow<'a, str> {
    let cells = columns.iter().filter_map(|&column| row.cell(line, column)).map(|cell| unpadded(cell).trim());
    let cells: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
    // A day alone is no time: the row lacks one.
    if cells.len() < columns.len() {
        return Cow::Borrowed("");
    }
    match cells.as_slice() {
        // A spreadsheet has taken the zero from the morning, 60101.
        [day, time] if time.len() == 5 && is_number(time) && is_number(day) => Cow::Owned(format!("{day} 0{time}")),
        _ => Cow::Owned(cells.join(" ")),
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

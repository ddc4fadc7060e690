//! The file: its settings with line and column, and its syntax errors.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use super::error::{Place, Problem};
use super::key::Key;
use super::kinds::Value;

/// A file parsed as TOML, as far as it is valid.
pub(super) struct Document<'a> {
    /// Name of the file as given by the user.
    file: String,
    text: &'a str,
    table: DeTable<'a>,
    faults: Vec<Fault>,
}

/// A syntax error of TOML, with its place.
struct Fault {
    /// Byte offset; `None` if it is not known.
    at: Option<usize>,
    /// The parser's message, which never quotes the file.
    message: String,
    /// The text at the error. Shown only if it is a known name.
    pointed: String,
}

impl<'a> Document<'a> {
    /// Parses as much of the text as possible.
    pub(super) fn parse(file: &str, text: &'a str) -> Self {
        // The parser skips a byte order mark, but would count it as a column.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        let faults = errors.into_iter().map(|error| Fault {
            at: error.span().map(|span| span.start),
            message: error.message().to_owned(),
            pointed: error.span().and_then(|span| text.get(span)).unwrap_or_default().to_owned(),
        });
        Self { file: file.to_owned(), text, table: table.into_inner(), faults: faults.collect() }
    }

    /// The value of a key and its place.
    pub(super) fn get(&self, key: Key) -> Option<(Place, Value<'_>)> {
        let table = match key.section {
            "" => &self.table,
            section => self.table.get(section)?.get_ref().as_table()?,
        };
        let value = table.get(key.name)?;
        Some((self.place(value.span().start), Value::Toml(value.get_ref())))
    }

    /// Every key in the file: section (empty at the top), name, place of the name, and whether the value is a table or
    /// a list of tables.
    pub(super) fn keys(&self) -> Vec<(&str, &str, Place, ValueShape)> {
        let mut keys = Vec::new();
        for (name, value) in &self.table {
            let shape = shape(value.get_ref());
            keys.push(("", name.get_ref().as_ref(), self.place(name.span().start), shape));
            for (inner, value) in value.get_ref().as_table().into_iter().flatten() {
                let place = self.place(inner.span().start);
                keys.push((name.get_ref().as_ref(), inner.get_ref().as_ref(), place, self::shape(value.get_ref())));
            }
        }
        keys
    }

    /// The tables of a list of sections, `[[name]]`, with the place of each.
    pub(super) fn tables(&self, name: &str) -> Vec<(Place, &DeTable<'a>)> {
        let items = self.table.get(name).and_then(|value| value.get_ref().as_array());
        let place = |item: &toml::Spanned<DeValue<'a>>| self.place(item.span().start);
        items.into_iter().flatten().filter_map(|item| Some((place(item), item.get_ref().as_table()?))).collect()
    }

    /// The place of a value.
    pub(super) fn place_of(&self, value: &toml::Spanned<DeValue<'a>>) -> Place {
        self.place(value.span().start)
    }

    /// The place of a byte.
    pub(super) fn place_at(&self, at: usize) -> Place {
        self.place(at)
    }

    /// The place that stands for the whole file.
    pub(super) fn whole(&self) -> Place {
        Place::File(self.file.clone())
    }

    /// Whether the file has no syntax errors.
    pub(super) fn is_toml(&self) -> bool {
        self.faults.is_empty()
    }

    /// Whether the section of each key is certain. After an invalid line without `=` it is not: the line may have been
    /// meant as the name of a section.
    pub(super) fn is_structured(&self) -> bool {
        self.faults.iter().all(|fault| {
            let line = fault.at.map_or("", |at| self.line_at(at)).trim();
            fault.is_repetition() || (line.contains('=') && !line.starts_with('['))
        })
    }

    /// Whether the line of a place has a syntax error, so that further problems of that line would repeat it.
    pub(super) fn is_broken(&self, place: &Place) -> bool {
        let Place::Line { line, .. } = place else { return false };
        self.faults
            .iter()
            .any(|fault| !fault.is_repetition() && fault.at.is_some_and(|at| self.position(at).0 == *line))
    }

    /// The syntax errors, at most one problem per line. `known` returns whether a name is a key's or section's.
    pub(super) fn problems(&self, known: impl Fn(&str) -> bool) -> Vec<Problem> {
        let mut lines = BTreeSet::new();
        let mut problems = Vec::new();
        let in_list = self.faults.iter().any(Fault::is_of_a_list);
        for fault in &self.faults {
            if in_list && fault.message.starts_with("string values must be quoted") {
                // An unclosed list includes the lines after it.
                continue;
            }
            let place = fault.at.map_or_else(|| self.whole(), |at| self.place(at));
            if lines.insert(fault.at.map(|at| self.position(at).0)) {
                problems.push(Problem { place, text: self.explained(fault, &known) });
            }
        }
        problems
    }

    /// Explains a syntax error to a reader without knowledge of TOML. The file is not quoted: the line may hold a
    /// password.
    fn explained(&self, fault: &Fault, known: impl Fn(&str) -> bool) -> String {
        let line = fault.at.map_or("", |at| self.line_at(at)).trim();
        let is_header = line.starts_with('[') && !line.contains('=');
        if fault.is_repetition() {
            return match (known(&fault.pointed), is_header) {
                (true, true) => format!("the section [{}] is written twice; put its keys together", fault.pointed),
                (true, false) => format!("`{}` is written twice; keep one", fault.pointed),
                (false, _) => "this name is written twice; keep one".to_owned(),
            };
        }
        let message = fault.message.as_str();
        if fault.is_of_a_list() && !is_header {
            return "expected a comma, or `]` at the end of the list that begins above".to_owned();
        }
        let explained = match message.split(',').next().unwrap_or(message) {
            "string values must be quoted" if fault.pointed.is_empty() => "expected a value after the `=`",
            "string values must be quoted" => {
                "expected a value: a number, true, false, or anything else in quotes, as in \"6h\""
            }
            "invalid boolean" => "expected true or false, in lower-case letters",
            "key with no value" => "expected `=` and a value after the name of a key",
            "invalid unquoted key" | "unquoted keys cannot be empty" if !is_header => {
                "expected `key = value`: a name of letters, digits and _, then `=` and a value"
            }
            "unclosed table" => "expected `]` after the name of the section",
            "unexpected key or value" if line.starts_with('[') => {
                "expected the end of the line after the name of the section"
            }
            "unexpected key or value" => "expected the end of the line after the value, or a # and a comment",
            "invalid basic string" if message.ends_with("`\"`") => "expected a closing \" at the end of the text",
            "invalid literal string" if message.ends_with("`'`") => "expected a closing ' at the end of the text",
            "invalid multi-line basic string" | "invalid multi-line literal string" => {
                "expected three closing quotes: a text that begins with three ends with three"
            }
            "extra `=`" => "expected one `=`",
            "missing escaped value" => {
                "expected \\\\ for a backslash; or put the text in single quotes, where a backslash is itself"
            }
            "unexpected leading zero" => "expected a number that does not begin with 0",
            _ => return format!("this is no TOML: {message}"),
        };
        explained.to_owned()
    }

    fn place(&self, at: usize) -> Place {
        let (line, column) = self.position(at);
        Place::Line { file: self.file.clone(), line, column }
    }

    fn position(&self, at: usize) -> (usize, usize) {
        position(self.text.as_bytes(), at)
    }

    /// The line that contains byte `at`.
    fn line_at(&self, at: usize) -> &str {
        self.text.lines().nth(self.position(at).0 - 1).unwrap_or("")
    }
}

impl Fault {
    /// Whether a name is repeated: an error, but one that leaves the structure clear.
    fn is_repetition(&self) -> bool {
        self.message == "duplicate key"
    }

    /// Whether the error is in a list, or at its end.
    fn is_of_a_list(&self) -> bool {
        self.message.contains("array")
    }
}

/// Kind of a key's value, as far as sections are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueShape {
    /// A table: a section, or `{ .. }`.
    Table,
    /// A list of tables: a section in double brackets.
    Tables,
    /// Any other value.
    Value,
}

fn shape(value: &DeValue<'_>) -> ValueShape {
    match value {
        DeValue::Table(_) => ValueShape::Table,
        DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => ValueShape::Tables,
        DeValue::Array(_)
        | DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => ValueShape::Value,
    }
}

/// Line and column, both from 1, of the byte at `at`; columns are of characters.
pub(super) fn position(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    (line, String::from_utf8_lossy(&before[line_start..]).chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = "a = 1\nname = \"Lagún\" # é\n";
        assert_eq!(position(text.as_bytes(), 0), (1, 1));
        assert_eq!(position(text.as_bytes(), text.find('#').unwrap()), (2, 16));
        assert_eq!(position(text.as_bytes(), text.len()), (3, 1));
    }

    #[test]
    fn a_byte_order_mark_is_no_column() {
        let document = Document::parse("f", "\u{feff}pipeline = 1");
        let (place, _) = document.get(Key { section: "", name: "pipeline" }).unwrap();
        assert_eq!(place.to_string(), "f:1:12");
    }
}

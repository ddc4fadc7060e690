//! What a reader understood of a file beyond its records, for the summary.

use std::fmt;

/// Distinct remarks that are kept of one file.
const MAX_REMARKS: usize = 64;
/// The longest example, in characters.
const MAX_EXAMPLE_CHARS: usize = 60;

/// How a file was understood, and what was mended or left out while it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The format, with what matters of it: "CSV, ';' between cells, Windows-1252".
    pub format: String,
    /// Columns or members and what they were taken for, in the order of the file.
    pub columns: Vec<(String, String)>,
    /// What was mended or left out, in the order in which it was first met.
    pub remarks: Vec<Remark>,
}

/// Something that was done to several records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What was done, as a sentence without its subject.
    pub what: &'static str,
    /// The column or property it was done to.
    pub subject: String,
    /// Number of records that it was done to.
    pub count: u64,
    /// The first record it was done to: its line or feature, from 1; 0 if it is the whole file.
    pub position: u64,
    /// What stood there.
    pub example: String,
}

impl Notes {
    /// Counts something that was done to a record.
    pub fn count(&mut self, what: &'static str, subject: &str, position: u64, example: &str) {
        let same = |remark: &&mut Remark| remark.what == what && remark.subject == subject;
        if let Some(remark) = self.remarks.iter_mut().find(same) {
            remark.count += 1;
        } else if self.remarks.len() < MAX_REMARKS {
            let mut shown: String = example.chars().take(MAX_EXAMPLE_CHARS).flat_map(char::escape_debug).collect();
            if example.chars().nth(MAX_EXAMPLE_CHARS).is_some() {
                shown.push('…');
            }
            self.remarks.push(Remark { what, subject: subject.to_owned(), count: 1, position, example: shown });
        }
    }

    /// How often this was done, to whatever column.
    pub fn total(&self, what: &str) -> u64 {
        self.remarks.iter().filter(|remark| remark.what == what).map(|remark| remark.count).sum()
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, subject, count, position, example } = self;
        if !subject.is_empty() {
            write!(f, "{subject}: ")?;
        }
        f.write_str(what)?;
        match position {
            0 => {}
            _ if *count == 1 => write!(f, ", once, at {position}")?,
            _ => write!(f, ", {count} times, first at {position}")?,
        }
        if !example.is_empty() {
            write!(f, " ({example})")?;
        }
        Ok(())
    }
}

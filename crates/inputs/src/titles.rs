//! Lines above the header of a CSV: the name of a report, its period, lines that only look blank.

use super::SourceError;
use super::lines::Lines;
use super::notes::Notes;

/// Lines of a file among which its header is looked for.
const LINES_LOOKED_AT: u64 = 20;
/// Characters of a line that an error repeats.
const SHOWN_CHARS: usize = 120;

pub(crate) const TITLES: &str = "lines above the header, left out";

/// The header of a file, and the lines above it.
pub(crate) struct Found<H> {
    /// What was made of the header.
    pub(crate) header: H,
    /// Number of the header's line, from 1.
    number: u64,
    /// Number and text of each line above that is not blank.
    above: Vec<(u64, String)>,
}

/// Why a line is no header.
pub(crate) struct NoHeader {
    /// What it lacks.
    pub(crate) fault: String,
    /// Cells that are names of fields: of several lines, the one with most of them was meant to be the header.
    pub(crate) fields: usize,
}

/// Goes to the header, from the current line on: to the first line that `read` makes something of.
///
/// # Errors
/// If the file cannot be read; within, why the likeliest line is no header.
pub(crate) fn find<H>(
    lines: &mut Lines,
    mut read: impl FnMut(&Lines, &str) -> Result<H, NoHeader>,
) -> Result<Result<Found<H>, String>, SourceError> {
    let mut above = Vec::new();
    let mut likeliest: Option<NoHeader> = None;
    loop {
        let number = lines.number();
        let text = match lines.text() {
            Ok(text) => text,
            Err(rejection) if likeliest.is_none() => return Ok(Err(rejection.to_string())),
            Err(_) => break,
        };
        let mut missed = match read(lines, text) {
            Ok(header) => return Ok(Ok(Found { header, number, above })),
            Err(missed) => missed,
        };
        if likeliest.as_ref().is_none_or(|earlier| missed.fields > earlier.fields) {
            if likeliest.is_some() {
                missed.fault = format!("line {number}: {}", missed.fault);
            }
            likeliest = Some(missed);
        }
        above.push((number, text.to_owned()));
        if !lines.advance()? || lines.number() > LINES_LOOKED_AT {
            break;
        }
        lines.make_utf8();
    }
    Ok(Err(likeliest.map_or_else(String::new, |missed| missed.fault)))
}

impl<H> Found<H> {
    /// Counts the lines above the header.
    ///
    /// # Errors
    /// If one of them is a row, by `is_row`: rows are never left out.
    pub(crate) fn note_titles(&self, notes: &mut Notes, is_row: impl Fn(&str) -> bool) -> Result<(), String> {
        if let Some((number, text)) = self.above.iter().find(|(_, text)| is_row(text)) {
            let shown: String = text.chars().take(SHOWN_CHARS).collect();
            return Err(format!(
                "line {number} looks like a row ({shown}), and the header is in line {}: move the header above the rows",
                self.number
            ));
        }
        self.above.iter().for_each(|(number, text)| notes.count(TITLES, "", *number, text.trim()));
        Ok(())
    }
}

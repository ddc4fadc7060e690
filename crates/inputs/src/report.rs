//! What was read of files, how it was understood, and what was refused, for people.

use std::fmt;
use std::path::{Path, PathBuf};

use watchtower_core::events::{Event, Reason, Record, Rejection};

use super::notes::Notes;
use super::{FileFormat, Source};

/// Refused records of a reason that are shown.
const SHOWN_OF_A_REASON: usize = 3;

/// What was read of one file.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// Path of the file, as it was given.
    pub path: PathBuf,
    /// What it is said to hold.
    pub format: FileFormat,
    /// How it was understood.
    pub notes: Notes,
    /// Positions that were read, withdrawals included.
    pub positions: u64,
    /// Geofences that were read.
    pub geofences: u64,
    /// Vehicles that were read.
    pub vehicles: u64,
    /// Events that define or delete alert rules.
    pub rules: u64,
    /// Clocks that were read.
    pub clocks: u64,
    /// What was refused, by reason, in the order in which reasons were first met.
    pub refused: Vec<RefusedFor>,
}

/// Records that were refused for one reason.
#[derive(Clone, Debug)]
pub struct RefusedFor {
    /// Why the records are refused.
    pub reason: Reason,
    /// Number of records.
    pub count: u64,
    /// The lines or features of the first of them, and what was wrong.
    pub first: Vec<(u64, String)>,
}

impl FileReport {
    /// Of a file that has not been read yet.
    pub fn new(path: &Path, format: FileFormat) -> Self {
        Self {
            path: path.to_owned(),
            format,
            notes: Notes::default(),
            positions: 0,
            geofences: 0,
            vehicles: 0,
            rules: 0,
            clocks: 0,
            refused: Vec::new(),
        }
    }

    /// Counts the next record.
    pub fn count(&mut self, record: &Record<'_>) {
        match &record.result {
            Ok(Event::Position(_)) => self.positions += 1,
            Ok(Event::Geofence(_)) => self.geofences += 1,
            Ok(Event::Vehicle(_)) => self.vehicles += 1,
            Ok(Event::Rule(_)) => self.rules += 1,
            Ok(Event::Clock(_)) => self.clocks += 1,
            Err(rejection) => self.refuse(record.position, rejection),
        }
    }

    /// Counts a record that was read and is refused all the same.
    pub fn refuse(&mut self, position: u64, rejection: &Rejection) {
        let index = self.refused.iter().position(|refused| refused.reason == rejection.reason).unwrap_or_else(|| {
            self.refused.push(RefusedFor { reason: rejection.reason, count: 0, first: Vec::new() });
            self.refused.len() - 1
        });
        let refused = &mut self.refused[index];
        refused.count += 1;
        if refused.first.len() < SHOWN_OF_A_REASON {
            refused.first.push((position, rejection.detail.clone()));
        }
    }

    /// Takes over how the file was understood, at its end.
    pub fn finish(&mut self, source: &dyn Source) {
        self.notes = source.notes();
    }

    /// Records that were read.
    pub fn read(&self) -> u64 {
        self.positions + self.geofences + self.vehicles + self.rules + self.clocks
    }

    /// Records that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.iter().map(|refused| refused.count).sum()
    }

    /// Whether anything about the file is worth saying beyond how many records it had.
    pub fn is_plain(&self) -> bool {
        self.refused.is_empty() && self.notes.remarks.is_empty() && self.notes.columns.iter().all(is_as_named)
    }
}

fn is_as_named((name, meaning): &(String, String)) -> bool {
    name == meaning
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.positions, "position", "positions"),
            (self.geofences, "geofence", "geofences"),
            (self.vehicles, "vehicle", "vehicles"),
            (self.rules, "rule", "rules"),
            (self.clocks, "clock", "clocks"),
        ];
        let mut counts: Vec<String> = counts
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, one, several)| format!("{count} {}", if count == 1 { one } else { several }))
            .collect();
        if counts.is_empty() {
            counts.push("nothing read".to_owned());
        }
        if self.refused() > 0 {
            counts.push(format!("{} refused", self.refused()));
        }
        write!(f, "{}: {}", self.path.display(), counts.join(", "))?;
        if !self.notes.format.is_empty() {
            write!(f, " ({})", self.notes.format)?;
        }
        writeln!(f)?;
        let columns: Vec<String> = self
            .notes
            .columns
            .iter()
            .filter(|column| !is_as_named(column))
            .map(|(name, meaning)| format!("{name} = {meaning}"))
            .collect();
        if !columns.is_empty() {
            writeln!(f, "  columns: {}", columns.join(", "))?;
        }
        for remark in &self.notes.remarks {
            writeln!(f, "  {remark}")?;
        }
        let noun = if self.format == FileFormat::GeoJson { "feature" } else { "line" };
        for refused in &self.refused {
            let RefusedFor { reason, count, first } = refused;
            writeln!(f, "  {count} refused as {reason}:")?;
            for (position, detail) in first {
                writeln!(f, "    {noun} {position}: {detail}")?;
            }
            let more = count - first.len() as u64;
            if more > 0 {
                writeln!(f, "    and {more} more")?;
            }
        }
        Ok(())
    }
}

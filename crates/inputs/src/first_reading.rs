//! The first reading of files, before they are published or replayed.

use std::ops::ControlFlow;
use std::path::Path;

use watchtower_core::events::{Event, Fix, Limits};
use watchtower_model::Millis;

use super::days::{Days, FileJudge};
use super::spool::InputFile;
use super::{Progress, Source, SourceError, open_with};

/// Records between two calls of `progress`.
const PROGRESS_EVERY: u64 = 4096;

/// What the present is, where files are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// This, whatever the files hold.
    At(Millis),
    /// This, or the greatest clock event in the files, if that is later.
    AtLeast(Millis),
}

impl InputFile {
    /// Opens it.
    ///
    /// # Errors
    /// As [`open_with`]; the file is called as it was named.
    pub fn open(&self, limits: &Limits) -> Result<Box<dyn Source>, SourceError> {
        open_with(self.content(), self.format(), self.reading(), limits).map_err(|error| error.of(self.path()))
    }
}

/// Reads all files and judges the days of their positions. `observe` gets each event that is not from the future, in
/// order; `progress` how far a file has been read, and ends the reading if it breaks: nothing is judged then.
///
/// # Errors
/// If a file cannot be read.
pub fn first_reading(
    files: &[InputFile],
    limits: &Limits,
    present: Present,
    progress: &mut dyn FnMut(&Path, Progress) -> ControlFlow<()>,
    mut observe: impl FnMut(&Event<'_>),
) -> Result<Option<FileJudge>, SourceError> {
    let (mut now, may_rise) = match present {
        Present::At(now) => (now, false),
        Present::AtLeast(now) => (now, true),
    };
    if may_rise && let Some(clock) = greatest_clock(files, limits)? {
        now = now.max(clock);
    }
    let mut days = Days::default();
    let bound = Days::default().judge(now, limits);
    for file in files {
        let mut source = file.open(limits)?;
        let mut records = 0u64;
        while let Some(record) = source.next_record().map_err(|error| error.of(file.path()))? {
            let ts = match &record.result {
                Ok(Event::Position(report)) if report.fix != Fix::Withdrawn => Some(report.ts),
                Ok(_) => None,
                Err(rejection) => rejection.position_ts,
            };
            let is_future = ts.is_some_and(|ts| bound.is_future(ts));
            if let Some(ts) = ts.filter(|_| !is_future) {
                days.add(ts);
            }
            if let Ok(event) = &record.result
                && !is_future
            {
                observe(event);
            }
            records += 1;
            if records.is_multiple_of(PROGRESS_EVERY) && progress(file.path(), source.progress()).is_break() {
                return Ok(None);
            }
        }
    }
    Ok(Some(days.judge(now, limits)))
}

/// The greatest clock event of the files that may hold one.
fn greatest_clock(files: &[InputFile], limits: &Limits) -> Result<Option<Millis>, SourceError> {
    let mut greatest = None;
    for file in files.iter().filter(|file| file.format() == super::FileFormat::Ndjson) {
        let mut source = file.open(limits)?;
        while let Some(record) = source.next_record().map_err(|error| error.of(file.path()))? {
            if let Ok(Event::Clock(clock)) = record.result {
                greatest = greatest.max(Some(clock.now));
            }
        }
    }
    Ok(greatest)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::FileFormat;
    use watchtower_core::events::Reason;

    const NOW: Millis = 1_795_996_800_000;

    /// What becomes of the events of files with this content.
    fn judged(name: &str, csv: &str, ndjson: &str, present: Present) -> Vec<Option<Reason>> {
        let folder = std::env::temp_dir().join(format!("watchtower-first-reading-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (rows, lines) = (folder.join("rows.csv"), folder.join("lines.ndjson"));
        fs::write(&rows, format!("vehicle_id,ts,lon,lat,deleted\n{csv}")).unwrap();
        fs::write(&lines, ndjson).unwrap();
        let files = [(rows, FileFormat::Csv), (lines, FileFormat::Ndjson)];
        let files: Vec<_> = files
            .iter()
            .map(|(path, format)| InputFile::new(path, *format, &crate::Reading::default()).unwrap())
            .collect();
        let limits = Limits::default();
        let mut observed = 0;
        let read = first_reading(&files, &limits, present, &mut |_, _| ControlFlow::Continue(()), |_| observed += 1);
        let judge = read.unwrap().unwrap();
        let mut reasons = Vec::new();
        for file in &files {
            let mut source = file.open(&limits).unwrap();
            while let Some(record) = source.next_record().unwrap() {
                let result = record.result.and_then(|event| judge.check(&event));
                reasons.push(result.err().map(|rejection| rejection.reason));
            }
        }
        assert!(observed >= reasons.iter().filter(|reason| reason.is_none()).count());
        fs::remove_dir_all(&folder).unwrap();
        reasons
    }

    #[test]
    fn the_rows_of_all_files_are_judged_together() {
        let row = |ts: &str, rest: &str| format!("a,{ts},{rest}\n");
        let mut csv: String = (0..8).map(|_| row("2026-11-20T06:00:00Z", "3,6,")).collect();
        csv += &row("2007-04-06T06:00:00Z", "3,6,");
        let line = r#"{"type":"position","vehicle_id":"a","ts":"2007-04-07T06:00:00Z","lon":3,"lat":6}"#;
        let (one, two) = (judged("one", &csv, "", Present::At(NOW)), judged("two", &csv, line, Present::At(NOW)));
        assert_eq!((one.len(), one[8]), (9, Some(Reason::IsolatedTime)));
        assert_eq!(two[8..], [None, None], "two rows are more than an eighth of eight");
        // What is counted: a row that is wrong otherwise; no withdrawal, nothing without a time.
        csv += "a,2007-04-07T06:00:00Z,3,96,\n";
        assert_eq!(judged("bad", &csv, "", Present::At(NOW))[8..], [None, Some(Reason::Coordinates)]);
        let uncounted = format!("{}a,2007-04-07T06:00:00Z,,,true\na,never,3,6,\n", &csv[..csv.len() - 28]);
        let found = judged("none", &uncounted, "", Present::At(NOW));
        assert_eq!(found[8..], [Some(Reason::IsolatedTime), None, Some(Reason::Malformed)]);
    }

    #[test]
    fn a_clock_in_the_files_may_be_later_than_the_machine() {
        let csv = "a,2026-12-24T06:00:00Z,3,6,\n";
        let clock = r#"{"type":"clock","now":"2026-12-24T06:00:00Z"}"#;
        let future = [Some(Reason::Future)];
        assert_eq!(judged("no-clock", csv, "", Present::AtLeast(NOW)), future);
        assert_eq!(judged("clock", csv, clock, Present::AtLeast(NOW)), [None, None]);
        assert_eq!(judged("said", csv, clock, Present::At(NOW)), [Some(Reason::Future), None]);
    }
}

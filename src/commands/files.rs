//! Files that commands read: what is printed of them, and what exit code follows.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use watchtower_core::events::Limits;
use watchtower_inputs::{self as inputs, FileFormat, FileReport, Reading, SourceError};

use super::arguments::InputArgs;
use super::publish::PublishError;

/// Exit code if everything was refused.
const ALL_REFUSED: u8 = 2;

/// The exit code of a command that read so many records and refused so many of them.
pub(super) fn outcome(records: u64, refused: u64) -> ExitCode {
    match refused {
        0 => ExitCode::SUCCESS,
        _ if refused >= records => ExitCode::from(ALL_REFUSED),
        _ => ExitCode::FAILURE,
    }
}

/// Reads a file to its end.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read(path: &Path, format: FileFormat, reading: &Reading) -> Result<FileReport, SourceError> {
    let mut source = inputs::open_with(path, format, reading, &Limits::default())?;
    let mut report = FileReport::new(path, format);
    while let Some(record) = source.next_record()? {
        report.count(&record);
    }
    report.finish(source.as_ref());
    Ok(report)
}

/// Reads the files of a command and prints what would be made of them, if that is all it is to do; returns the exit
/// code then.
///
/// # Errors
/// If a file cannot be read, or nothing can be printed.
pub(super) fn dry_run(input: &InputArgs, out: &mut (impl Write + ?Sized)) -> Result<Option<ExitCode>, PublishError> {
    if !input.dry_run {
        return Ok(None);
    }
    let (mut records, mut refused) = (0, 0);
    for (path, format) in inputs::in_order(&input.geofences, &input.positions, &input.events) {
        let report = read(path, format, &input.reading()).map_err(PublishError::Unreadable)?;
        records += report.read() + report.refused();
        refused += report.refused();
        write!(out, "{report}").map_err(PublishError::Output)?;
    }
    writeln!(out, "dry run: nothing was written").map_err(PublishError::Output)?;
    Ok(Some(outcome(records, refused)))
}

/// Prints what was read of files, of those of which there is something to say.
pub(super) fn print(files: &[FileReport], out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    files.iter().filter(|report| !report.is_plain()).try_for_each(|report| write!(out, "{report}"))
}

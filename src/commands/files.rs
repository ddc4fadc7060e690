//! Files that commands read: what is printed of them, and what exit code follows.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use watchtower_core::events::{Event, Fix, Limits, PositionReport, Reason, Rejection};
use watchtower_inputs::{self as inputs, FileReport, InputFile, Progress, SourceError, first_reading};

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

/// Reads the files of a command, judges them and prints what would be made of them, if that is all it is to do; returns
/// the exit code then.
///
/// # Errors
/// If a file cannot be read, or nothing can be printed.
pub(super) fn dry_run(
    input: &InputArgs,
    limits: &Limits,
    out: &mut (impl Write + ?Sized),
) -> Result<ExitCode, PublishError> {
    let (mut records, mut refused) = (0, 0);
    for report in reports(input, limits).map_err(PublishError::Unreadable)? {
        records += report.read() + report.refused();
        refused += report.refused();
        write!(out, "{report}").map_err(PublishError::Output)?;
    }
    writeln!(out, "dry run: nothing was written").map_err(PublishError::Output)?;
    Ok(outcome(records, refused))
}

/// What is read of each file, in the order in which they are read.
fn reports(input: &InputArgs, limits: &Limits) -> Result<Vec<FileReport>, SourceError> {
    let reading = input.reading();
    let files = inputs::in_order(&input.geofences, &input.positions, &input.events);
    let files: Vec<InputFile> =
        files.map(|(path, format)| InputFile::new(path, format, &reading)).collect::<Result<_, _>>()?;
    let go_on = &mut |_: &Path, _: Progress| ControlFlow::Continue(());
    let judge = first_reading(&files, limits, input.present(), go_on, |_| {})?;
    let judge = judge.expect("nothing ends the first reading early");
    let mut reports = Vec::new();
    for file in &files {
        let mut source = file.open(limits)?;
        let mut report = FileReport::new(file.path(), file.format());
        while let Some(mut record) = source.next_record()? {
            record.result = record.result.and_then(|event| {
                judge.check(&event)?;
                check_zero(&event, limits)?;
                Ok(event)
            });
            report.count(&record);
        }
        report.finish(source.as_ref());
        reports.push(report);
    }
    Ok(reports)
}

/// Refuses what the daemon will refuse as `null_island`.
fn check_zero(event: &Event<'_>, limits: &Limits) -> Result<(), Rejection> {
    match event {
        Event::Position(PositionReport { fix: Fix::At(at), .. })
            if limits.refuse_zero && (at.place.lon_degrees(), at.place.lat_degrees()) == (0.0, 0.0) =>
        {
            Err(Rejection::new(Reason::NullIsland, "lon, lat: both 0, what a receiver without a fix reports"))
        }
        Event::Position(_) | Event::Geofence(_) | Event::Vehicle(_) => Ok(()),
        Event::Rule(_) | Event::Clock(_) => Ok(()),
    }
}

/// Prints what was read of files: of `all`, or of those of which there is something to say.
pub(super) fn print(files: &[FileReport], all: bool, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    files.iter().filter(|report| all || !report.is_plain()).try_for_each(|report| write!(out, "{report}"))
}

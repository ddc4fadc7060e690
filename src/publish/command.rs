//! The commands: what they print, and how they end.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::cli::{DeleteArgs, ImportArgs, PublishArgs};
use crate::interrupt;
use crate::progress::FileBar;

use super::geofences::{self, Outcome};
use super::layout::clock_word;
use super::{Layout, PublishError, Refused, Summary, Target, publish};

/// `watchtower publish`: one line of what was published to `out`, all else to `notes`.
///
/// # Errors
/// As [`publish`], or if something cannot be printed.
pub fn run(
    args: &PublishArgs,
    stop: &AtomicBool,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> Result<ExitCode, PublishError> {
    let options = args.options();
    let mut bar = FileBar::new(io::stderr().is_terminal());
    let started = Instant::now();
    let published = publish(&options, stop, &mut |path, progress, records| {
        bar.show(path, progress);
        bar.note(|| format!(", {:.0} events/s", records as f64 / started.elapsed().as_secs_f64().max(1e-9)));
    });
    bar.finish();
    let summary = published?;
    tell_summary(&summary, &options.target, out).map_err(PublishError::Output)?;
    tell_notes(&summary, &options.target, notes).map_err(PublishError::Output)?;
    Ok(if summary.interrupted_at.is_some() {
        ExitCode::from(interrupt::EXIT_CODE)
    } else if summary.refused.count > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// `watchtower geofences import`
///
/// # Errors
/// If a file cannot be read, or Redis is not there or takes no more.
pub fn import(args: &ImportArgs, out: &mut dyn Write, notes: &mut dyn Write) -> Result<ExitCode, PublishError> {
    let import = args.import();
    let outcome = geofences::import(&import)?;
    tell_outcome(&outcome, &import.target, "appended", out, notes).map_err(PublishError::Output)
}

/// `watchtower geofences delete`
///
/// # Errors
/// If Redis is not there or takes no more.
pub fn delete(args: &DeleteArgs, out: &mut dyn Write, notes: &mut dyn Write) -> Result<ExitCode, PublishError> {
    let deletion = args.deletion();
    let outcome = geofences::delete(&deletion)?;
    tell_outcome(&outcome, &deletion.target, "deleted", out, notes).map_err(PublishError::Output)
}

fn tell_summary(summary: &Summary, target: &Target, out: &mut dyn Write) -> io::Result<()> {
    let Summary { published, entries, clocks, layout, interrupted_at, elapsed, .. } = summary;
    let Layout { streams, clock, .. } = layout;
    if let Some(place) = interrupted_at {
        write!(out, "interrupted before {place}: ")?;
    }
    writeln!(
        out,
        "published {} in {:.2} s, {:.0} events/s, as {} with {} to {target}: {}, {} clock",
        counted(*published, "event", "events"),
        elapsed.as_secs_f64(),
        summary.events_per_s(),
        counted(*entries, "entry", "entries"),
        counted(*clocks, "clock", "clocks"),
        counted(u64::from(*streams), "event stream", "event streams"),
        clock_word(*clock),
    )
}

fn tell_notes(summary: &Summary, target: &Target, notes: &mut dyn Write) -> io::Result<()> {
    if !summary.layout.by_daemon {
        let name = target.name();
        writeln!(notes, "no daemon of {name} has run yet: its streams and clock have to be configured like this")?;
    }
    if summary.passed_on > 0 {
        let lines = counted(summary.passed_on, "line is no event and was", "lines are no events and were");
        writeln!(notes, "{lines} appended as they stand: the daemon keeps them in rejected_events")?;
    }
    if summary.behind_horizon > 0 {
        let positions = counted(summary.behind_horizon, "position is", "positions are");
        let than = if summary.layout.is_at_machine_time() {
            "the machine's time, which is this pipeline's clock"
        } else {
            "what was before"
        };
        writeln!(notes, "{positions} more than 14 days older than {than}: a daemon refuses that by default")?;
    }
    tell_refused(&summary.refused, notes)
}

fn tell_refused(refused: &Refused, notes: &mut dyn Write) -> io::Result<()> {
    if refused.count == 0 {
        return Ok(());
    }
    writeln!(notes, "{} refused and not published:", counted(refused.count, "record is", "records are"))?;
    for (place, rejection) in &refused.first {
        writeln!(notes, "  {place}: {rejection}")?;
    }
    let more = refused.count - refused.first.len() as u64;
    if more > 0 {
        writeln!(notes, "  and {more} more")?;
    }
    Ok(())
}

fn tell_outcome(
    outcome: &Outcome,
    target: &Target,
    done: &str,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> io::Result<ExitCode> {
    match outcome {
        Outcome::Published { geofences, vertices, circles, by_daemon } => {
            write!(out, "{} {done}", counted(*geofences, "geofence", "geofences"))?;
            if *vertices > 0 || *circles > 0 {
                let (vertices, circles) =
                    (counted(*vertices, "vertex", "vertices"), counted(*circles, "circle", "circles"));
                write!(out, ", {vertices} and {circles}")?;
            }
            writeln!(out, ": {}", target.control())?;
            if !by_daemon {
                writeln!(notes, "no daemon of {} has run yet; is that its name?", target.name())?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Refused { features, faults } => {
            for (place, rejection) in faults {
                writeln!(notes, "{place}: {rejection}")?;
            }
            let refused = counted(faults.len() as u64, "is", "are");
            writeln!(
                notes,
                "of {}, {refused} refused: nothing was appended",
                counted(*features, "feature", "features")
            )?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

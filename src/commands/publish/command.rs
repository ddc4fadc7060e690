//! The commands: what they print, and how they end.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use watchtower_log::append::{Layout, Target};

use crate::commands::files::{self as read_files, outcome};
use crate::config::duration::format_ms;
use crate::interrupt;
use crate::progress::FileBar;

use super::args::PublishArgs;
use super::summary::counted;
use super::{PublishError, Refused, Summary, publish};

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
    if args.input.dry_run {
        return read_files::dry_run(&args.input, &args.limits()?, out);
    }
    let options = args.options()?;
    let mut bar = FileBar::new(io::stderr().is_terminal());
    let started = Instant::now();
    let published = publish(&options, stop, &mut |path, progress, records| {
        bar.show(path, progress);
        bar.note(|| format!(", {:.0} events/s", records as f64 / started.elapsed().as_secs_f64().max(1e-9)));
    });
    bar.finish();
    let summary = published?;
    tell_summary(&summary, &options.target, out).map_err(PublishError::Output)?;
    read_files::print(&summary.files, false, notes).map_err(PublishError::Output)?;
    tell_notes(&summary, &options.target, notes).map_err(PublishError::Output)?;
    Ok(if summary.interrupted_at.is_some() {
        ExitCode::from(interrupt::EXIT_CODE)
    } else {
        outcome(summary.published + summary.refused.count, summary.refused.count + summary.passed_on)
    })
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
        clock.word(),
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
    if summary.reordered > 0 {
        let positions = counted(summary.reordered, "position", "positions");
        writeln!(
            notes,
            "in the order of the files {positions} would come too late to count: everything was delivered in order of ts"
        )?;
    }
    if summary.behind_horizon > 0 {
        let positions = counted(summary.behind_horizon, "position is", "positions are");
        let than = if summary.layout.is_at_machine_time() {
            "the machine's time, which is this pipeline's clock"
        } else {
            "what was before"
        };
        let than = format!("{} older than {than}", format_ms(summary.horizon_ms));
        writeln!(notes, "{positions} more than {than}: a daemon refuses that")?;
    }
    tell_refused(&summary.refused, notes)
}

fn tell_refused(refused: &Refused, notes: &mut dyn Write) -> io::Result<()> {
    if refused.count == 0 {
        return Ok(());
    }
    let records = counted(refused.count, "record is", "records are");
    writeln!(notes, "{records} refused and appended with the reason: the daemon keeps them in rejected_events:")?;
    for (place, rejection) in &refused.first {
        writeln!(notes, "  {place}: {rejection}")?;
    }
    let more = refused.count - refused.first.len() as u64;
    if more > 0 {
        writeln!(notes, "  and {more} more")?;
    }
    Ok(())
}

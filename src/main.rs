//! The `watchtower` program.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use watchtower::cli::{Cli, Command, GeofencesCommand, PublishArgs, ReplayArgs};
use watchtower::publish::{PublishError, command};
use watchtower::replay::{self, Summary};
use watchtower::{demo, interrupt, progress};

/// What the command line says cannot be done: as for what it says wrongly.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    let (mut out, mut notes) = (std::io::stdout().lock(), std::io::stderr());
    let result = match Cli::parse().command {
        Command::Replay(args) => run_replay(&args).map(|()| ExitCode::SUCCESS),
        Command::Demo(args) => demo::run(&args, &mut out).map(|()| ExitCode::SUCCESS).map_err(Into::into),
        Command::Publish(args) => run_publish(&args),
        Command::Geofences(GeofencesCommand::Import(args)) => {
            command::import(&args, &mut out, &mut notes).map_err(Into::into)
        }
        Command::Geofences(GeofencesCommand::Delete(args)) => {
            command::delete(&args, &mut out, &mut notes).map_err(Into::into)
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("watchtower: {error:#}");
        match error.downcast_ref::<PublishError>() {
            Some(error) if error.is_wrong_use() => ExitCode::from(WRONG_USE),
            Some(_) | None => ExitCode::FAILURE,
        }
    })
}

fn run_publish(args: &PublishArgs) -> anyhow::Result<ExitCode> {
    let stop = interrupt::flag().context("cannot listen for ctrl-c")?;
    Ok(command::run(args, &stop, &mut std::io::stdout(), &mut std::io::stderr())?)
}

fn run_replay(args: &ReplayArgs) -> anyhow::Result<()> {
    let mut bar = progress::FileBar::new(std::io::stderr().is_terminal());
    let (tables, summary) = replay::replay(&args.options(), &mut |path, progress| bar.show(path, progress))?;
    bar.finish();
    replay::write(tables, &args.out)?;
    print_summary(args, &summary, &mut std::io::stdout().lock())?;
    Ok(())
}

fn print_summary(args: &ReplayArgs, summary: &Summary, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "{} events in {:.2} s: {:.0} events/s on {} worker{}",
        summary.events,
        summary.elapsed.as_secs_f64(),
        summary.events_per_s(),
        args.workers,
        if args.workers == 1 { "" } else { "s" },
    )?;
    let refused: u64 = summary.refused.values().sum();
    writeln!(out, "{refused} refused{}", if refused == 0 { "" } else { ":" })?;
    for (reason, count) in &summary.refused {
        writeln!(out, "  {count:>9} {reason}")?;
    }
    writeln!(out, "rows written to {}:", args.out.display())?;
    for (table, rows) in &summary.rows {
        writeln!(out, "  {rows:>9} {table}.csv")?;
    }
    Ok(())
}

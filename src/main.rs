//! The `watchtower` program.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use watchtower::cli::{Cli, Command, ReplayArgs};
use watchtower::replay::{self, Summary};
use watchtower::{demo, progress};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Replay(args) => run_replay(&args),
        Command::Demo(args) => demo::run(&args, &mut std::io::stdout().lock()).map_err(Into::into),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("watchtower: {error:#}");
            ExitCode::FAILURE
        }
    }
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

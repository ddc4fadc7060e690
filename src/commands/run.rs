//! `watchtower run`: keeps the tables of a pipeline up to date until it is stopped.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use watchtower_daemon::{self as daemon, telemetry};

use super::arguments::PlaceArgs;
use super::{END_WITHIN, runtime};
use crate::{config, interrupt};

pub(super) const RUN: &str = "\
Example:
  watchtower example > watchtower.toml       every key, explained, with its default
  watchtower check                           checks servers and permissions
  watchtower run                             until Ctrl-C or SIGTERM

  watchtower run --embedded fleet.gpkg       the same with everything in one file, without servers

Exit codes: 0 stopped as asked, 1 an error that does not pass by itself, 2 the configuration
is wrong, 3 another daemon has taken over.";

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The pipeline or the file.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Take over from a daemon that still runs: it is fenced, writes nothing more, and ends with exit code 3
    #[arg(long)]
    pub takeover: bool,
}

/// Runs the daemon.
///
/// # Errors
/// If an error does not pass by itself.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let (options, file) = args.place.load()?;
    telemetry::log::init(options.log.format, &options.log.level)?;
    match &file {
        None => tracing::info!(version = env!("CARGO_PKG_VERSION"), pipeline = options.pipeline, "watchtower starts"),
        Some(_) => tracing::info!(version = env!("CARGO_PKG_VERSION"), "watchtower starts"),
    }
    tracing::debug!("configuration:\n{}", config::describe(&options));
    let runtime = runtime()?;
    let stop = {
        let _entered = runtime.enter();
        interrupt::asked_to_stop().context("cannot listen for SIGTERM and Ctrl-C")?
    };
    let ended = runtime.block_on(daemon::run(options, file.as_ref(), args.takeover, stop));
    runtime.shutdown_timeout(END_WITHIN);
    ended?;
    Ok(ExitCode::SUCCESS)
}

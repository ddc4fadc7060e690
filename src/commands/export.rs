//! `watchtower export`: copies the log of a file to the streams of a Redis, for a fleet that moves to servers.
//!
//! Every entry keeps its id, and with it the instant of its arrival: a daemon that reads the streams decides on every
//! event as the daemon on the file did, and computes the same tables. The streams must be new, or hold the result of an
//! earlier export; then only the entries appended to the file since are copied.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use secrecy::SecretString;
use watchtower_geopackage::GeoPackage;
use watchtower_log::append::{PipelineName, Target};
use watchtower_log::export::{Exported, export};

use super::arguments::secret;
use crate::interrupt;

pub(super) const EXAMPLE: &str = "\
Example, to move to servers:
  watchtower export --embedded fleet.gpkg --redis redis://127.0.0.1 --pipeline lagos
  (stop what appends to the file, and the daemon; then once more the same: the rest follows)
  watchtower run --config watchtower.toml       with pipeline = \"lagos\", the same [limits] and [rules]";

/// Arguments of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file whose log is copied
    #[arg(long, value_name = "FILE")]
    pub embedded: PathBuf,
    /// The Redis to copy it to: redis://[user:password@]host[:port][/database], or rediss:// for TLS
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub redis: SecretString,
    /// Name of the pipeline in Redis: its streams are wt:NAME:events:0 .. and wt:NAME:control
    #[arg(long, value_name = "NAME", value_parser = PipelineName::parse)]
    pub pipeline: PipelineName,
}

impl ExportArgs {
    /// Redis and pipeline to export to.
    pub fn target(&self) -> Target {
        Target::Redis { url: self.redis.clone(), pipeline: self.pipeline.clone() }
    }
}

/// Exports, and prints the number of entries.
///
/// # Errors
/// If the file or the server cannot be used, or the streams hold other entries.
pub fn run(args: &ExportArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let stop = interrupt::flag().context("cannot listen for ctrl-c")?;
    let started = std::time::Instant::now();
    let target = args.target();
    let Exported { entries, before, layout } = export(&GeoPackage::at(&args.embedded), &target, &stop)?;
    writeln!(
        out,
        "{target} holds all {entries} entries of {}, {} of them new, after {:.1} s; its configuration needs [redis] \
         streams = {}",
        args.embedded.display(),
        entries - before,
        started.elapsed().as_secs_f64(),
        layout.streams,
    )?;
    Ok(ExitCode::SUCCESS)
}

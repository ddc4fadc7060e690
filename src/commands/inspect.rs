//! `watchtower inspect`: what the program makes of a file.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use watchtower_core::events::Limits;
use watchtower_inputs as inputs;

use super::arguments::FileArgs;
use super::files::outcome;

pub(super) const EXAMPLE: &str = "\
Examples:
  watchtower inspect track.csv --time-zone Africa/Lagos
  watchtower inspect depots.kml --svg depots.svg

Positions: CSV, JSON, GeoJSON points and tracks, GPX, KML, NMEA. Geofences: GeoJSON, KML, KMZ, CSV with WKT,
Traccar, Overpass. The exit code is that of reading the file: 1 if anything is refused, 2 if everything is.";

/// What `inspect` takes.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A file of positions or geofences; may be compressed with gzip
    #[arg(value_name = "FILE", required = true)]
    pub file: PathBuf,
    /// Draw a small map and a timeline into this file, which is replaced
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// How the file is read
    #[command(flatten)]
    pub how: FileArgs,
}

/// Inspects a file and prints what was found.
///
/// # Errors
/// If it cannot be read, or the picture cannot be written.
pub fn run(args: &InspectArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let found = inputs::inspect(&args.file, &args.how.reading(), &Limits::default())?;
    write!(out, "{found}")?;
    if let Some(path) = &args.svg {
        std::fs::write(path, found.to_svg()).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(out, "map and timeline: {}", path.display())?;
    }
    Ok(outcome(found.report.read() + found.report.refused(), found.report.refused()))
}

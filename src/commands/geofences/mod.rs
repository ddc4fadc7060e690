//! `watchtower geofences`: edits of the geofences of a pipeline.

mod edits;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use watchtower_log::append::Target;
use watchtower_model::Millis;

use super::arguments::TargetArgs;
use super::publish::{PublishError, counted};

use edits::{Deletion, Import, Outcome, parse_geofence_id, parse_valid_from};

const IMPORT_EXAMPLE: &str = "\
Example:
  watchtower geofences import depots.geojson --redis redis://127.0.0.1 --pipeline lagos

A feature needs an id. Its properties may be name, kind, tags, min_dwell_s, exit_buffer_m,
speed_limit_kmh, anchor, radius_m (of a Point) and valid_from; others are passed over. A geofence
that is there already gets a new version: redrawn from valid_from on, unchanged before it.

For history that is published with the log's clock, use `watchtower publish --geofences`: what is
imported arrives now, and changes nothing that was longer ago than the pipeline's lateness.";

const DELETE_EXAMPLE: &str = "\
Example:
  watchtower geofences delete yard depot-7 --redis redis://127.0.0.1 --pipeline lagos";

/// What to do with geofences.
#[derive(Debug, Subcommand)]
pub enum GeofencesCommand {
    /// Append the features of GeoJSON files to the pipeline's control stream.
    ///
    /// All features are checked first: if one is refused, all faults are listed, nothing is appended
    /// and the exit code is 1.
    #[command(after_help = IMPORT_EXAMPLE)]
    Import(ImportArgs),
    /// End geofences: nobody is inside any more.
    #[command(after_help = DELETE_EXAMPLE)]
    Delete(DeleteArgs),
}

/// What `geofences import` takes.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// GeoJSON files: a feature collection, or one feature; may be compressed with gzip
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Where to
    #[command(flatten)]
    pub target: TargetArgs,
    /// Since when features hold that have no valid_from themselves: RFC 3339 or epoch milliseconds
    /// [default: a new geofence always held; a new version of one holds from now on]
    #[arg(long, value_name = "TIME", value_parser = parse_valid_from)]
    pub valid_from: Option<Millis>,
}

/// What `geofences delete` takes.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Ids of geofences
    #[arg(value_name = "ID", required = true, value_parser = parse_geofence_id)]
    pub ids: Vec<String>,
    /// Where to
    #[command(flatten)]
    pub target: TargetArgs,
    /// Since when they are no more: RFC 3339 or epoch milliseconds [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_valid_from)]
    pub valid_from: Option<Millis>,
}

impl ImportArgs {
    /// What to import, and where.
    pub fn import(&self) -> Import {
        Import { files: self.files.clone(), target: self.target.target(), valid_from: self.valid_from }
    }
}

impl DeleteArgs {
    /// What to delete, and where.
    pub fn deletion(&self) -> Deletion {
        Deletion { ids: self.ids.clone(), target: self.target.target(), valid_from: self.valid_from }
    }
}

/// Edits, and prints what was appended.
///
/// # Errors
/// If a file cannot be read, or the log takes no more.
pub fn run(command: &GeofencesCommand, out: &mut dyn Write, notes: &mut dyn Write) -> Result<ExitCode, PublishError> {
    match command {
        GeofencesCommand::Import(args) => import(args, out, notes),
        GeofencesCommand::Delete(args) => delete(args, out, notes),
    }
}

/// `watchtower geofences import`
///
/// # Errors
/// If a file cannot be read, or Redis is not there or takes no more.
fn import(args: &ImportArgs, out: &mut dyn Write, notes: &mut dyn Write) -> Result<ExitCode, PublishError> {
    let import = args.import();
    let outcome = edits::import(&import)?;
    tell_outcome(&outcome, &import.target, "appended", out, notes).map_err(PublishError::Output)
}

/// `watchtower geofences delete`
///
/// # Errors
/// If Redis is not there or takes no more.
fn delete(args: &DeleteArgs, out: &mut dyn Write, notes: &mut dyn Write) -> Result<ExitCode, PublishError> {
    let deletion = args.deletion();
    let outcome = edits::delete(&deletion)?;
    tell_outcome(&outcome, &deletion.target, "deleted", out, notes).map_err(PublishError::Output)
}

fn tell_outcome(
    outcome: &Outcome,
    target: &Target,
    done: &str,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> io::Result<ExitCode> {
    match outcome {
        Outcome::Published { geofences, vertices, circles, cut, cut_off, by_daemon } => {
            write!(out, "{} {done}", counted(*geofences, "geofence", "geofences"))?;
            if *vertices > 0 || *circles > 0 {
                let (vertices, circles) =
                    (counted(*vertices, "vertex", "vertices"), counted(*circles, "circle", "circles"));
                write!(out, ", {vertices} and {circles}")?;
            }
            writeln!(out, ": {}", target.control())?;
            for id in cut {
                writeln!(notes, "geofence {id:?} lies across the antimeridian: its shape is cut there")?;
            }
            if *cut_off > 0 {
                let geofences = counted(*cut_off, "geofence is", "geofences are");
                writeln!(
                    notes,
                    "{geofences} wanted from earlier on than tracks are kept (limits.lateness, 6h by default): the column \
                     cut_off of the table geofences shows which are in force only from then"
                )?;
            }
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

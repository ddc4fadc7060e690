//! `watchtower geofences`: edits of the geofences of a pipeline.

mod edits;
mod known;
mod listing;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use watchtower_inputs::FileReport;
use watchtower_log::append::Target;
use watchtower_model::Millis;

use super::arguments::{EditArgs, FileArgs};
use super::files::{self as read_files, outcome as exit_code};
use super::publish::{PublishError, counted};

use edits::{Deletion, Import, Outcome, parse_geofence_id};
pub(super) use edits::{append_to_control, parse_valid_from};
use listing::{ExportGeofencesArgs, ListArgs, ShowArgs};

const IMPORT_EXAMPLE: &str = "\
Example:
  watchtower geofences import depots.geojson --redis redis://127.0.0.1 --pipeline lagos

Files may be GeoJSON, KML or KMZ, CSV with a column of WKT, geofences of Traccar, or JSON of Overpass (end the
query with out geom). One of more than 256 MiB has to be split. Properties may be name, kind, tags, min_dwell_s,
exit_buffer_m, speed_limit_kmh, anchor, radius_m (of a Point), buffer_m (of a line) and valid_from; others are
passed over. The id is the feature's id, else the property of --id-from, else a name
that no other feature has, else the file's name and the feature's place in it. A geofence that is there already
gets a new version: redrawn from valid_from on, unchanged before it.

For history that is published with the log's clock, use `watchtower publish --geofences`: what is
imported arrives now, and changes nothing that was longer ago than the pipeline's lateness.";

const DELETE_EXAMPLE: &str = "\
Example:
  watchtower geofences delete yard depot-7 --redis redis://127.0.0.1 --pipeline lagos";

/// What to do with geofences.
#[derive(Debug, Subcommand)]
pub enum GeofencesCommand {
    /// Append the geofences of files to the pipeline's control stream.
    ///
    /// What is refused is listed with the reason, and the exit code is 1; all else is appended. If everything is
    /// refused the exit code is 2.
    #[command(after_help = IMPORT_EXAMPLE)]
    Import(ImportArgs),
    /// End geofences: no vehicle is inside any more.
    ///
    /// If one of the ids is not there nothing is appended, and the exit code is 1. Of a Redis without --config only the
    /// control stream is looked at, whose beginning the daemon may have trimmed: an id that is not in the rest of it is
    /// then deleted all the same, with a warning.
    #[command(after_help = DELETE_EXAMPLE)]
    Delete(DeleteArgs),
    /// Print the geofences of a pipeline: the last version of each.
    List(ListArgs),
    /// Print all versions of a geofence, with their rules and geometries.
    Show(ShowArgs),
    /// Write the geofences of a pipeline as GeoJSON that `geofences import` reads.
    #[command(after_help = listing::EXPORT_EXAMPLE)]
    Export(ExportGeofencesArgs),
}

/// What `geofences import` takes.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Files of geofences; may be compressed with gzip
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// How the files are read
    #[command(flatten)]
    pub how: FileArgs,
    /// Read the files, say what would be appended, and append nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Pipeline that is appended to
    #[command(flatten)]
    pub target: EditArgs,
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
    /// Pipeline that is appended to
    #[command(flatten)]
    pub target: EditArgs,
    /// Since when they are no more: RFC 3339 or epoch milliseconds [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_valid_from)]
    pub valid_from: Option<Millis>,
}

/// Runs one of the commands.
///
/// # Errors
/// If a file or the tables cannot be read, a geofence is not there, or the log takes no more.
pub fn run(command: &GeofencesCommand, out: &mut dyn Write, notes: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match command {
        GeofencesCommand::Import(args) => Ok(import(args, out, notes)?),
        GeofencesCommand::Delete(args) => delete(args, out, notes),
        GeofencesCommand::List(args) => listing::list(args, out),
        GeofencesCommand::Show(args) => listing::show(args, out),
        GeofencesCommand::Export(args) => listing::export(args, out),
    }
}

/// `watchtower geofences import`
///
/// # Errors
/// If a file cannot be read, no pipeline is named, or it takes no more.
fn import(args: &ImportArgs, out: &mut dyn Write, notes: &mut dyn Write) -> Result<ExitCode, PublishError> {
    let target = if args.dry_run { None } else { Some(args.target.target()?) };
    let (files, reading, valid_from) = (&args.files, args.how.reading(), args.valid_from);
    let outcome = edits::import(&Import { files, reading, target: target.as_ref(), valid_from })?;
    tell_outcome(&outcome, target.as_ref(), "appended", out, notes).map_err(PublishError::Output)
}

/// `watchtower geofences delete`
///
/// # Errors
/// If a geofence is not there, or the log cannot be read or takes no more.
fn delete(args: &DeleteArgs, out: &mut dyn Write, notes: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let target = args.target.target()?;
    let known = known::known(&target, args.target.tables())?;
    // Of a geofence that has ended, the end may be moved.
    let ever = args.valid_from.is_some();
    for id in args.ids.iter().filter(|id| !known.has(id, ever)) {
        if known.complete {
            anyhow::bail!("{}: nothing was deleted", listing::unknown(id, known.ids()));
        }
        writeln!(
            notes,
            "whether there is a geofence {id:?} is not known: the beginning of {} is trimmed or cannot be read, and \
             without --config the tables are not looked at",
            target.control()
        )?;
    }
    let deletion = Deletion { ids: &args.ids, target: &target, valid_from: args.valid_from };
    let outcome = edits::delete(&deletion)?;
    Ok(tell_outcome(&outcome, Some(&target), "deleted", out, notes)?)
}

fn tell_outcome(
    outcome: &Outcome,
    target: Option<&Target>,
    done: &str,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> io::Result<ExitCode> {
    let Outcome { geofences, vertices, circles, cut, cut_off, by_daemon, files } = outcome;
    read_files::print(files, target.is_none(), notes)?;
    let refused: u64 = files.iter().map(FileReport::refused).sum();
    let read: u64 = files.iter().map(FileReport::read).sum();
    let code = exit_code(read + refused, refused);
    let Some((by_daemon, target)) = by_daemon.as_ref().zip(target) else {
        writeln!(notes, "nothing was {done}; {} would be", counted(read, "geofence", "geofences"))?;
        return Ok(code);
    };
    write!(out, "{} {done}", counted(*geofences, "geofence", "geofences"))?;
    if *vertices > 0 || *circles > 0 {
        let (vertices, circles) = (counted(*vertices, "vertex", "vertices"), counted(*circles, "circle", "circles"));
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
            "{geofences} wanted from earlier on than tracks are kept (limits.lateness, 6h by default): the column cut_off \
             of the table geofences shows which are in force only from then"
        )?;
    }
    if !by_daemon {
        writeln!(notes, "no daemon of {} has run yet; is that its name?", target.name())?;
    }
    Ok(code)
}

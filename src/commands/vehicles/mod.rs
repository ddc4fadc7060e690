//! `watchtower vehicles`: what is known of the vehicles of a pipeline.

mod listing;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use watchtower_core::events::{Event, Limits, json};
use watchtower_inputs::{self as inputs, FileFormat, FileReport};
use watchtower_log::append::open_for_edits;
use watchtower_model::Millis;

use super::arguments::{EditArgs, FileArgs};
use super::files::{self as read_files, outcome};
use super::geofences::{append_to_control, parse_valid_from};
use super::publish::{PublishError, counted, now_ms};

use listing::ListVehiclesArgs;

const IMPORT_EXAMPLE: &str = "\
Example:
  watchtower vehicles import fleet.csv --redis redis://127.0.0.1 --pipeline lagos

Columns: vehicle_id (or id, imei, plate), name, fleet, speed_limit_kmh, offline_after_s, valid_from; others become
attributes. A vehicle that is there already gets a new version from valid_from on.";

/// What to do with vehicles.
#[derive(Debug, Subcommand)]
pub enum VehiclesCommand {
    /// Append the vehicles of CSV files to the pipeline's control stream.
    ///
    /// What is refused is listed with the reason, and the exit code is 1; all else is appended. If everything is
    /// refused the exit code is 2.
    #[command(after_help = IMPORT_EXAMPLE)]
    Import(ImportVehiclesArgs),
    /// Print the vehicles of a pipeline: those that have sent a position, and those with a name, fleet or limit.
    List(ListVehiclesArgs),
}

/// What `vehicles import` takes.
#[derive(Debug, Args)]
pub struct ImportVehiclesArgs {
    /// CSV files of vehicles; may be compressed with gzip
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
    /// Since when rows hold that have no valid_from themselves: RFC 3339 or epoch milliseconds [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_valid_from)]
    pub valid_from: Option<Millis>,
}

/// Runs one of the commands.
///
/// # Errors
/// If a file or the tables cannot be read, or the log takes no more.
pub fn run(command: &VehiclesCommand, out: &mut dyn Write, notes: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match command {
        VehiclesCommand::Import(args) => Ok(import(args, out, notes)?),
        VehiclesCommand::List(args) => listing::list(args, out),
    }
}

/// Appends vehicles, and prints what was appended.
fn import(args: &ImportVehiclesArgs, out: &mut dyn Write, notes: &mut dyn Write) -> Result<ExitCode, PublishError> {
    let target = if args.dry_run { None } else { Some(args.target.target()?) };
    let (limits, reading, received_at) = (Limits::default(), args.how.reading(), now_ms());
    let (mut texts, mut files) = (Vec::new(), Vec::new());
    for path in &args.files {
        let mut source = inputs::open_vehicles(path, &reading, &limits).map_err(PublishError::Unreadable)?;
        let mut report = FileReport::new(path, FileFormat::Csv);
        while let Some(record) = source.next_record().map_err(PublishError::Unreadable)? {
            report.count(&record);
            if let Ok(Event::Vehicle(mut change)) = record.result {
                change.valid_from = change.valid_from.or(args.valid_from);
                change.received_at = Some(received_at);
                texts.push(json::encode(&Event::Vehicle(change)));
            }
        }
        report.finish(source.as_ref());
        files.push(report);
    }
    read_files::print(&files, args.dry_run, notes).map_err(PublishError::Output)?;
    let refused: u64 = files.iter().map(FileReport::refused).sum();
    let read = texts.len() as u64;
    let vehicles = counted(read, "vehicle", "vehicles");
    let Some(target) = target.filter(|_| !texts.is_empty()) else {
        writeln!(notes, "nothing was appended; {vehicles} would be").map_err(PublishError::Output)?;
        return Ok(outcome(read + refused, refused));
    };
    let (outlet, layout) = open_for_edits(&target)?;
    append_to_control(&target, outlet, &layout, &texts)?;
    writeln!(out, "{vehicles} appended: {}", target.control()).map_err(PublishError::Output)?;
    if !layout.by_daemon {
        let name = target.name();
        writeln!(notes, "no daemon of {name} has run yet; is that its name?").map_err(PublishError::Output)?;
    }
    Ok(outcome(read + refused, refused))
}

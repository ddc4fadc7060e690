//! `watchtower geofences`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use watchtower_dataflows::model::Millis;

use super::TargetArgs;
use crate::publish::geofences::{Deletion, Import, parse_geofence_id, parse_valid_from};

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
    /// [default: now]
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

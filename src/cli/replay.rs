//! `watchtower replay`

use std::path::PathBuf;

use clap::Args;
use watchtower_dataflows::model::{Rules, ViewSet};

use crate::config::{Clock, Config, ConfigError, environment};
use crate::duration;
use crate::embedded::GeoPackage;
use crate::events::Limits;
use crate::publish::{self, Format, Pace, Target, Wanted};
use crate::replay::Options;

/// Events of an entry in the log of a file.
const EVENTS_A_BATCH: u32 = 64;

pub(super) const EXAMPLE: &str = "\
Example:
  watchtower replay --positions track.csv.gz --geofences depots.geojson --out tables
  column -s, -t tables/visits.csv | less
  watchtower replay --positions track.csv.gz --geofences depots.geojson --embedded fleet.gpkg

Positions are CSV with a header: vehicle_id, ts, lon, lat are needed; speed_kmh, heading_deg,
accuracy_m, altitude_m, ignition and received_at are known; other columns become attributes.";

/// What `replay` takes.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// CSV files of positions
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present_any = ["geofences", "events"])]
    pub positions: Vec<PathBuf>,
    /// GeoJSON files of geofences: polygons, multipolygons, points with radius_m
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub geofences: Vec<PathBuf>,
    /// NDJSON files of any events: position, geofence, vehicle, clock
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub events: Vec<PathBuf>,
    /// Deliver the position events in another order, the same for the same seed: all tables stay
    /// as they are
    #[arg(long, value_name = "SEED", conflicts_with = "embedded")]
    pub shuffle: Option<u64>,
    /// Worker threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Refuse positions older than the newest of their vehicle by more than this, as in 6h, 90s, 2d
    /// [default: however late, it counts]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_ms, conflicts_with = "embedded")]
    pub lateness: Option<i64>,
    /// Take the [rules] of a daemon's configuration, as speed limits and the time zone of days; nothing else
    /// of it matters for CSV [default: the rules as `watchtower example` has them]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which tables are computed, the others stay empty: all, or membership, which is visits, who is where now,
    /// and silences [default: what the configuration says, or all]
    #[arg(long, value_name = "SET", value_parser = views)]
    pub views: Option<ViewSet>,
    /// Folder for the tables; made if missing, files in it are replaced
    #[arg(long, value_name = "DIR", required_unless_present = "embedded")]
    pub out: Option<PathBuf>,
    /// Instead of CSV, the one file of the embedded mode, which must not be there yet: the events become its
    /// log, as `publish` would append them, and its tables are what a daemon makes of that log, [limits] of
    /// the configuration included. `run`, `publish`, `rebuild` and `export` go on from it
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    pub embedded: Option<PathBuf>,
}

impl ReplayArgs {
    /// What to append to a new file, and how to make tables of it; nothing if the tables become CSV.
    ///
    /// # Errors
    /// If the configuration cannot be read, or is wrong.
    pub fn embedded(&self) -> Result<Option<(GeoPackage, publish::Options, Config)>, ConfigError> {
        let Some(path) = &self.embedded else { return Ok(None) };
        let mut config = Config::load_embedded(self.config.as_deref(), environment())?;
        config.engine.workers = self.workers;
        let file = GeoPackage::at(path);
        let options = publish::Options {
            geofences: self.geofences.clone(),
            positions: self.positions.clone(),
            events: self.events.clone(),
            target: Target::Embedded(file.clone()),
            wanted: Wanted { streams: config.embedded.streams, clock: Some(Clock::Log) },
            pace: Pace::Unpaced,
            format: Format::Bin,
            batch: EVENTS_A_BATCH,
        };
        Ok(Some((file, options, config)))
    }

    /// What to replay, and how.
    ///
    /// # Errors
    /// If the configuration cannot be read, or is wrong.
    pub fn options(&self) -> Result<Options, ConfigError> {
        let configured = self.config.as_ref().map(|path| Config::load(path, environment()));
        let rules = configured.transpose()?.map_or_else(Rules::default, |config| config.rules);
        let views = self.views.unwrap_or(rules.views);
        Ok(Options {
            geofences: self.geofences.clone(),
            positions: self.positions.clone(),
            events: self.events.clone(),
            shuffle: self.shuffle,
            workers: self.workers.into(),
            limits: Limits { lateness_ms: self.lateness, ..Limits::for_replay() },
            // Nothing leaves memory: a replay refuses nothing by arrival.
            rules: Rules { views, retention_ms: None, horizon_ms: None, ..rules },
        })
    }
}

/// A set of tables by its name.
fn views(name: &str) -> Result<ViewSet, String> {
    let known = ViewSet::NAMES.iter().find(|(known, _)| *known == name).map(|(_, set)| *set);
    known.ok_or_else(|| format!("expected {}", ViewSet::NAMES.map(|(known, _)| known).join(" or ")))
}

//! Arguments that several commands share: which pipeline, and where.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use secrecy::SecretString;
use watchtower_core::events::{Limits, check_time, parse_time};
use watchtower_daemon::{self as daemon, Places};
use watchtower_geopackage::GeoPackage;
use watchtower_inputs::{ColumnMap, DateOrder, Present, Reading, SpeedUnit, parse_time_zone};
use watchtower_log::append::{PipelineName, Target};
use watchtower_model::Millis;

use super::publish::PublishError;
use crate::config::{self, ConfigError, Configuration};

/// The configuration.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The pipeline's configuration; `watchtower example` prints one that explains every key. A key can be
    /// overridden by the environment: `url` in [redis] by WATCHTOWER_REDIS_URL
    #[arg(long, value_name = "FILE", default_value = "watchtower.toml")]
    pub config: PathBuf,
}

impl ConfigArgs {
    /// Reads the configuration.
    ///
    /// # Errors
    /// If it cannot be read, or is wrong.
    pub fn load(&self) -> Result<daemon::Options, ConfigError> {
        config::load(&self.config, config::environment())
    }

    /// The same for every room.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_all(&self) -> Result<Configuration, ConfigError> {
        config::load_all(&self.config, config::environment())
    }
}

/// The configuration, or the one file that needs none.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    /// Instead of servers, the one file of the embedded mode: a GeoPackage with the event log and all tables
    #[arg(long, value_name = "FILE")]
    pub embedded: Option<PathBuf>,
    /// The pipeline's configuration; `watchtower example` prints one that explains every key. A key can be
    /// overridden by the environment: `url` in [redis] by WATCHTOWER_REDIS_URL [default: watchtower.toml; with
    /// --embedded, what every key is by default]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl PlaceArgs {
    /// The path of the configuration where there are servers.
    fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new("watchtower.toml"))
    }

    /// Reads the configuration; and where log and tables are.
    ///
    /// # Errors
    /// If the configuration cannot be read, or is wrong.
    pub fn load(&self) -> Result<(daemon::Options, Places), ConfigError> {
        let (all, places) = self.load_all()?;
        Ok((all.daemon, places))
    }

    /// The same for every room.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_all(&self) -> Result<(Configuration, Places), ConfigError> {
        let env = config::environment();
        let file = self.embedded.as_ref().map(GeoPackage::at);
        let all = match file {
            Some(_) => config::load_all_embedded(self.config.as_deref(), env)?,
            None => config::load_all(self.config(), env)?,
        };
        let places = all.daemon.places(file.as_ref());
        Ok((all, places))
    }
}

/// Pipeline that a command appends to: of a Redis, or in one file.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The Redis of the pipeline: redis://[user:password@]host[:port][/database], or rediss:// for
    /// TLS
    #[arg(long, value_name = "URL", value_parser = secret, requires = "pipeline")]
    pub redis: Option<SecretString>,
    /// The pipeline's name: its streams are wt:NAME:events:0 .. and wt:NAME:control
    #[arg(long, value_name = "NAME", value_parser = PipelineName::parse, requires = "redis")]
    pub pipeline: Option<PipelineName>,
    /// Instead of a Redis, the one file of the embedded mode; made if it is missing. A daemon may be
    /// running on it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["redis", "pipeline"])]
    pub embedded: Option<PathBuf>,
}

impl TargetArgs {
    /// The pipeline that the arguments name.
    ///
    /// # Errors
    /// If they name none.
    pub fn target(&self) -> Result<Target, PublishError> {
        self.given().ok_or(PublishError::NoTarget)
    }

    fn given(&self) -> Option<Target> {
        let redis =
            self.redis.clone().zip(self.pipeline.clone()).map(|(url, pipeline)| Target::Redis { url, pipeline });
        redis.or_else(|| Some(Target::Embedded(GeoPackage::at(self.embedded.as_ref()?))))
    }
}

/// Pipeline that edits are appended to: named by hand, or by its configuration.
#[derive(Debug, Args)]
pub struct EditArgs {
    /// Named by hand
    #[command(flatten)]
    target: TargetArgs,
    /// Instead of --redis and --pipeline, the pipeline's configuration, which names both
    #[arg(long, value_name = "FILE", conflicts_with_all = ["redis", "pipeline", "embedded"])]
    config: Option<PathBuf>,
}

impl EditArgs {
    /// The pipeline that the arguments name.
    ///
    /// # Errors
    /// If they name none, or the configuration cannot be read or is wrong.
    pub fn target(&self) -> Result<Target, PublishError> {
        let Some(path) = &self.config else { return self.target.target() };
        let options = config::load(path, config::environment()).map_err(PublishError::Config)?;
        let pipeline = PipelineName::parse(&options.pipeline).map_err(|_| PublishError::NoTarget)?;
        Ok(Target::Redis { url: options.redis.url, pipeline })
    }

    /// The tables of the pipeline, if the arguments say where they are.
    pub fn tables(&self) -> Option<PlaceArgs> {
        let place = |embedded: Option<PathBuf>, config| PlaceArgs { embedded, config };
        match (&self.config, &self.target.embedded) {
            (Some(config), _) => Some(place(None, Some(config.clone()))),
            (None, Some(file)) => Some(place(Some(file.clone()), None)),
            (None, None) => None,
        }
    }
}

/// The files that become events, and the present that they are judged by.
#[derive(Debug, Args)]
pub struct InputArgs {
    /// Files of positions: CSV, or what trackers, products and maps write; see `watchtower inspect --help`
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present_any = ["geofences", "events"])]
    pub positions: Vec<PathBuf>,
    /// Files of geofences: GeoJSON with polygons, multipolygons and points with radius_m, WKT, KML, GPX, Traccar, Overpass.
    /// Those without valid_from hold from the first position on
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub geofences: Vec<PathBuf>,
    /// NDJSON files of any events: position, geofence, vehicle, clock
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub events: Vec<PathBuf>,
    /// Read the files, print what would be made of them, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What time it is: a row that is later by more than future_tolerance is refused [default: the machine's time;
    /// the greatest clock event in the files, if that is later]
    #[arg(long, value_name = "TIME", value_parser = parse_now)]
    now: Option<Millis>,
    /// How the files are read
    #[command(flatten)]
    files: FileArgs,
}

impl InputArgs {
    /// How the files are read.
    pub fn reading(&self) -> Reading {
        self.files.reading()
    }

    /// The present that the files are judged by.
    pub fn present(&self) -> Present {
        self.now.map_or_else(|| Present::AtLeast(Timestamp::now().as_millisecond()), Present::At)
    }
}

/// A time, as typed: RFC 3339 or epoch milliseconds, within the range of events.
fn parse_now(text: &str) -> Result<Millis, String> {
    let ms = parse_time(text).ok_or("expected an RFC 3339 time, as in 2026-11-23T06:00:00Z, or epoch milliseconds")?;
    check_time("now", ms, &Limits::default()).map_err(|rejection| rejection.detail)
}

/// The part of the help that [`FileArgs`] are in.
const READING: &str = "How files are read";

/// How files are to be read, where they do not say it themselves.
#[derive(Clone, Debug, Default, Args)]
pub struct FileArgs {
    /// Which column or member holds which field, as in ts=DATE+TIME,vehicle_id=imei; + joins two. By number from
    /// 1 if the file has no header: vehicle_id=1,ts=2,lon=3,lat=4 [default: by the names that trackers use]
    #[arg(long, help_heading = READING, value_name = "FIELD=COLUMN,..", value_parser = ColumnMap::parse)]
    pub columns: Option<ColumnMap>,
    /// The vehicle of files that name none; {file} in it is the file's name without its extension
    #[arg(long, help_heading = READING, value_name = "ID")]
    pub vehicle_id: Option<String>,
    /// The zone of times that name none: Area/City, UTC, or +01:00. Of a local time that the clocks showed twice
    /// the first is meant
    #[arg(long, help_heading = READING, value_name = "ZONE", value_parser = zone)]
    pub time_zone: Option<String>,
    /// The order of dates like 03/04/2026, where the file does not decide it: dmy, mdy or ymd
    #[arg(long, help_heading = READING, value_name = "ORDER", value_parser = DateOrder::parse)]
    pub date_order: Option<DateOrder>,
    /// The unit of speeds that name none: kmh, knots, mph or ms [default: kmh; what the format has]
    #[arg(long, help_heading = READING, value_name = "UNIT", value_parser = SpeedUnit::parse)]
    pub speed_unit: Option<SpeedUnit>,
    /// The property that is the id of geofences [default: id, or else a name that no other has]
    #[arg(long, help_heading = READING, value_name = "PROPERTY")]
    pub id_from: Option<String>,
}

impl FileArgs {
    /// How files are read, by the arguments.
    pub fn reading(&self) -> Reading {
        Reading {
            columns: self.columns.clone().unwrap_or_default(),
            vehicle_id: self.vehicle_id.clone(),
            time_zone: self.time_zone.as_deref().and_then(|zone| parse_time_zone(zone).ok()),
            date_order: self.date_order,
            speed_unit: self.speed_unit,
            id_from: self.id_from.clone(),
            now: None,
        }
    }
}

/// A zone that there is, as it was given.
fn zone(text: &str) -> Result<String, String> {
    parse_time_zone(text).map(|_| text.to_owned())
}

/// Any text: what is wrong with it is said later, where the password in it is not repeated.
pub fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

//! The arguments of `watchtower publish`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use watchtower_core::events::Limits;
use watchtower_log::ClockSource;
use watchtower_log::append::{Format, MAX_STREAMS, Wanted};

use super::{Options, Pace, PublishError};
use crate::commands::arguments::{InputArgs, TargetArgs};
use crate::config;

/// Shown below the help.
pub const EXAMPLE: &str = "\
Examples:
  watchtower publish --redis redis://127.0.0.1 --pipeline lagos \\
      --geofences depots.geojson --positions track.csv.gz        history, as fast as Redis takes it
  watchtower publish --redis redis://127.0.0.1 --pipeline lagos \\
      --positions track.csv.gz --speedup 60                      an hour of it a minute
  watchtower publish --redis redis://127.0.0.1 --pipeline lagos \\
      --positions track.csv.gz --rate 20000                      20 000 events a second

The files are those of `replay`; see `watchtower replay --help`. History that is published twice
changes no answer: a position replaces the one with the same vehicle and ts, or is late by then.

The exit code is 1 if anything was refused (all else is published), 2 if everything was.";

/// Arguments of `publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// Files that are published
    #[command(flatten)]
    pub input: InputArgs,
    /// Pipeline that is appended to
    #[command(flatten)]
    pub target: TargetArgs,
    /// Take [limits] and [rules] isolated_after of the daemon's configuration; nothing else of it matters here
    /// [default: as `watchtower example` has them]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Number of the pipeline's event streams, if its daemon has not run yet [default: 1]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_STREAMS)))]
    pub streams: Option<u16>,
    /// Source of clock events, if the daemon has not run yet: clock events appended here, or the
    /// daemon's own every second [default: log]
    #[arg(long, value_name = "KIND")]
    pub clock: Option<ClockArg>,
    /// Send N events a second [default: as fast as possible]
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "speedup")]
    pub rate: Option<f64>,
    /// Send each event when its ts is due, with time running X times as fast: 60 is an hour a minute
    #[arg(long, value_name = "X", value_parser = positive)]
    pub speedup: Option<f64>,
    /// How an entry holds events: a binary batch, which costs least to read, a JSON array, or one
    /// event in plain fields
    #[arg(long, value_name = "SHAPE", default_value = "bin")]
    pub format: FormatArg,
    /// Most events of an entry of bin and json
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch: u32,
}

/// Source of clock events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClockArg {
    /// Producers do, as this command does
    Log,
    /// The daemon does, every second
    Wall,
}

/// How an entry holds events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// The field bin: a binary batch
    Bin,
    /// The field json: an event or an array of them
    Json,
    /// One event, a field for each of its members
    Plain,
}

impl PublishArgs {
    /// The limits that the configuration sets.
    ///
    /// # Errors
    /// If the configuration cannot be read, or is wrong.
    pub fn limits(&self) -> Result<Limits, PublishError> {
        let configured = self.config.as_deref().map(|path| config::load_embedded(Some(path), config::environment()));
        let configured = configured.transpose().map_err(PublishError::Config)?;
        Ok(configured.map_or_else(Limits::default, |options| options.limits))
    }

    /// What to publish, where, and how.
    ///
    /// # Errors
    /// If no pipeline is named, or the configuration cannot be read or is wrong.
    pub fn options(&self) -> Result<Options, PublishError> {
        Ok(Options {
            geofences: self.input.geofences.clone(),
            positions: self.input.positions.clone(),
            events: self.input.events.clone(),
            reading: self.input.reading(),
            target: self.target.target()?,
            wanted: Wanted { streams: self.streams, clock: self.clock.map(ClockSource::from) },
            pace: match (self.rate, self.speedup) {
                (Some(per_s), _) => Pace::Rate { per_s },
                (None, Some(factor)) => Pace::Speedup { factor },
                (None, None) => Pace::Unpaced,
            },
            format: self.format.into(),
            batch: self.batch,
            limits: self.limits()?,
            present: self.input.present(),
        })
    }
}

impl From<ClockArg> for ClockSource {
    fn from(clock: ClockArg) -> Self {
        match clock {
            ClockArg::Log => Self::Log,
            ClockArg::Wall => Self::Wall,
        }
    }
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Bin => Self::Bin,
            FormatArg::Json => Self::Json,
            FormatArg::Plain => Self::Plain,
        }
    }
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "expected a number above 0".to_owned())
}

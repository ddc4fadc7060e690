//! `watchtower run`, `migrate`, `check` and `status`: what works with a configuration.

use std::path::{Path, PathBuf};

use clap::Args;

/// The configuration.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The pipeline's configuration; `watchtower example` prints one that explains every key. A key can be
    /// overridden by the environment: `url` in [redis] by WATCHTOWER_REDIS_URL
    #[arg(long, value_name = "FILE", default_value = "watchtower.toml")]
    pub config: PathBuf,
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
    /// The configuration where there are servers.
    pub fn config(&self) -> &Path {
        self.config.as_deref().unwrap_or(Path::new("watchtower.toml"))
    }
}

/// What `run` takes.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// With what.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Take over from a daemon that still runs: it is fenced, writes nothing any more, and ends with
    /// exit code 3
    #[arg(long)]
    pub takeover: bool,
}

/// What `rebuild` takes.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// Of which pipeline.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Also if the tables were computed under this very plan
    #[arg(long)]
    pub force: bool,
}

/// What `resume` takes.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Of which pipeline.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Go on without the entries that are lost. It is written into commit_log
    #[arg(long, required = true)]
    pub accept_gap: bool,
}

pub(super) const RUN: &str = "\
Example:
  watchtower example > watchtower.toml       every key, explained, with its default
  watchtower check                           is everything there, and may we?
  watchtower run                             until Ctrl-C or SIGTERM

  watchtower run --embedded fleet.gpkg       the same with everything in one file, without servers

Exit codes: 0 stopped as asked, 1 something is wrong that does not pass by itself, 2 the configuration
is wrong, 3 another daemon has taken over.";

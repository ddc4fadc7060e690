//! Arguments that several commands share: which pipeline, and where.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use clap::Args;
use secrecy::SecretString;
use watchtower_daemon as daemon;
use watchtower_geopackage::GeoPackage;
use watchtower_log::append::{PipelineName, Target};

use crate::config::{self, ConfigError};

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

    /// Reads the configuration; the file, if everything is in one.
    ///
    /// # Errors
    /// If the configuration cannot be read, or is wrong.
    pub fn load(&self) -> Result<(daemon::Options, Option<GeoPackage>), ConfigError> {
        let env = config::environment();
        Ok(match &self.embedded {
            Some(file) => (config::load_embedded(self.config.as_deref(), env)?, Some(GeoPackage::at(file))),
            None => (config::load(self.config(), env)?, None),
        })
    }
}

/// Where to.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The Redis of the pipeline: redis://[user:password@]host[:port][/database], or rediss:// for
    /// TLS
    #[arg(long, value_name = "URL", value_parser = secret, requires = "pipeline", required_unless_present = "embedded")]
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
    /// The pipeline.
    pub fn target(&self) -> Target {
        match (&self.redis, &self.pipeline, &self.embedded) {
            (Some(url), Some(pipeline), None) => Target::Redis { url: url.clone(), pipeline: pipeline.clone() },
            (_, _, Some(file)) => Target::Embedded(GeoPackage::at(file)),
            _ => unreachable!("either both of Redis or the file are required"),
        }
    }
}

/// Any text: what is wrong with it is said later, where the password in it is not repeated.
pub fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

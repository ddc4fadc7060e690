//! Which pipeline of which Redis, or which file: what all commands that append to streams take.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

use crate::embedded::GeoPackage;
use crate::publish::{PipelineName, Target};

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
pub(super) fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

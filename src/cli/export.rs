//! `watchtower export`

use std::path::PathBuf;

use clap::Args;
use secrecy::SecretString;

use super::target::secret;
use crate::publish::{PipelineName, Target};

pub(super) const EXAMPLE: &str = "\
Example, to move to servers:
  watchtower export --embedded fleet.gpkg --redis redis://127.0.0.1 --pipeline lagos
  (stop what appends to the file, and the daemon; then once more the same: the rest follows)
  watchtower run --config watchtower.toml       with pipeline = \"lagos\", the same [limits] and [rules]";

/// What `export` takes.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file whose log is to be moved
    #[arg(long, value_name = "FILE")]
    pub embedded: PathBuf,
    /// The Redis to move it to: redis://[user:password@]host[:port][/database], or rediss:// for TLS
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub redis: SecretString,
    /// The name of the pipeline there: its streams are wt:NAME:events:0 .. and wt:NAME:control
    #[arg(long, value_name = "NAME", value_parser = PipelineName::parse)]
    pub pipeline: PipelineName,
}

impl ExportArgs {
    /// Where to.
    pub fn target(&self) -> Target {
        Target::Redis { url: self.redis.clone(), pipeline: self.pipeline.clone() }
    }
}

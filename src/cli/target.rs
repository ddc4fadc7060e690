//! Which pipeline of which Redis: what all commands that append to streams take.

use std::convert::Infallible;

use clap::Args;
use secrecy::SecretString;

use crate::publish::{PipelineName, Target};

/// Where to.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The Redis of the pipeline: redis://[user:password@]host[:port][/database], or rediss:// for
    /// TLS
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub redis: SecretString,
    /// The pipeline's name: its streams are wt:NAME:events:0 .. and wt:NAME:control
    #[arg(long, value_name = "NAME", value_parser = PipelineName::parse)]
    pub pipeline: PipelineName,
}

impl TargetArgs {
    /// The pipeline.
    pub fn target(&self) -> Target {
        Target { redis: self.redis.clone(), pipeline: self.pipeline.clone() }
    }
}

/// Any text: what is wrong with it is said later, where the password in it is not repeated.
fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

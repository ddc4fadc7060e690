//! The arguments of `bench gateway` and of its baseline.

use clap::Args;

use super::Options;

/// Arguments of `bench gateway`.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// Connections of the client, each with one request at a time
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub connections: u16,
    /// Positions per batch
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Single positions per second
    #[arg(long, value_name = "R", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// Duration of each turn with single positions in seconds; with --quick at most 3
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
}

/// Arguments of the baseline of `bench gateway`.
#[derive(Debug, Args)]
pub struct BareHandlerArgs {
    /// URL of the Redis to append to
    #[arg(long)]
    pub redis: String,
    /// Port on 127.0.0.1
    #[arg(long)]
    pub port: u16,
}

impl GatewayArgs {
    /// Parameters of the measurement.
    pub fn options(&self) -> Options {
        Options {
            connections: usize::from(self.connections),
            batch: self.batch as usize,
            rate: f64::from(self.rate),
            seconds: self.seconds,
        }
    }
}

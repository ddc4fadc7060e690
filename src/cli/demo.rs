//! `watchtower demo`

use clap::Args;

/// What `demo` takes.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Trucks
    #[arg(long, value_name = "N", default_value_t = 84, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub vehicles: u32,
    /// The same seed makes the same day
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Worker threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
}

//! `watchtower demo`

use std::path::PathBuf;

use clap::Args;

use crate::duration;

pub(super) const EXAMPLE: &str = "\
Examples:
  watchtower demo                                        until Ctrl-C; then says where the file is
  watchtower demo --vehicles 5000 --speedup 20
  watchtower demo --headless --for 60s --seed 7          an hour as fast as it goes, and the sum of it

Meanwhile, and afterwards, the file is open to everybody: sqlite3, QGIS, DuckDB.";

/// What `demo` takes.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Trucks
    #[arg(long, value_name = "N", default_value_t = 84, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub vehicles: u32,
    /// The same seed makes the same day
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// How many times as fast as it happens
    #[arg(long, value_name = "FACTOR", default_value_t = 60.0, value_parser = speedup)]
    pub speedup: f64,
    /// The file to make, a GeoPackage; it must not be there yet [default: one in the folder for temporary
    /// files, which is kept]
    #[arg(long, value_name = "FILE")]
    pub embedded: Option<PathBuf>,
    /// Show nothing, simulate as fast as it goes, end with a summary that the same seed makes the same
    #[arg(long)]
    pub headless: bool,
    /// End after so long; with --headless, after as much simulated time as would pass in it [default:
    /// 60s with --headless, else Ctrl-C ends it]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse_ms)]
    pub lasts: Option<i64>,
    /// Simulated time that has passed before the demo begins at 11:00, at most 11h [default: 6h; of more
    /// than 200 trucks less]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse_ms)]
    pub history: Option<i64>,
    /// Worker threads
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
}

fn speedup(text: &str) -> Result<f64, String> {
    let factor = text.parse::<f64>().ok().filter(|factor| (0.1..=100_000.0).contains(factor));
    factor.ok_or_else(|| "expected a number from 0.1 to 100000".to_owned())
}

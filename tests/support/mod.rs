//! What the tests share: random logs, and how to make a failing one small.

use std::path::{Path, PathBuf};

pub(crate) mod admitted;
pub(crate) mod answering;
pub(crate) mod blocker;
pub(crate) mod daemon;
pub(crate) mod entries;
pub(crate) mod exact;
pub(crate) mod facts;
pub(crate) mod file;
pub(crate) mod fleet;
pub(crate) mod forwarder;
pub(crate) mod generate;
pub(crate) mod habits;
pub(crate) mod harness;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod lossy;
pub(crate) mod node;
pub(crate) mod oracle;
pub(crate) mod published;
pub(crate) mod python;
pub(crate) mod rng;
pub(crate) mod rows;
pub(crate) mod servers;
pub(crate) mod severing;
pub(crate) mod shapes;
pub(crate) mod shrink;

/// A soak tries so many times as many random cases.
const SOAK_FACTOR: u64 = 20;

/// The folder of real positions and geofences, if it is there: users of the project have none.
pub(crate) fn data_dir() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("WATCHTOWER_DATA").map_or_else(default, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no folder {} of real data; WATCHTOWER_DATA names one", folder.display());
    None
}

/// How many random cases a test tries: `WATCHTOWER_CASES` says how many a property test does, of which this test does
/// one in `share`; otherwise `usual`, and twenty times as many if `WATCHTOWER_SOAK` is set (`scripts/test soak`).
pub(crate) fn cases(usual: u64, share: u64) -> u64 {
    let soak = if std::env::var_os("WATCHTOWER_SOAK").is_some() { SOAK_FACTOR } else { 1 };
    number("WATCHTOWER_CASES").map_or(usual * soak, |cases| cases.div_ceil(share))
}

/// A number in the environment, if there is one.
pub(crate) fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} is not a number: {value}")))
}

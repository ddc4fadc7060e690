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
pub(crate) mod forwarder;
pub(crate) mod generate;
pub(crate) mod habits;
pub(crate) mod harness;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod lossy;
pub(crate) mod oracle;
pub(crate) mod published;
pub(crate) mod rng;
pub(crate) mod rows;
pub(crate) mod servers;
pub(crate) mod severing;
pub(crate) mod shapes;
pub(crate) mod shrink;

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

//! Packages of the npm registry, each in a folder of its own below the target folder, where later runs find it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Held while a package is installed.
static TURN: Mutex<()> = Mutex::new(());

/// The `node_modules` with a package of a version, as `standardwebhooks@1.1.1`. None where it cannot be had, which is
/// printed.
pub(crate) fn modules(requirement: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("node").join(requirement);
    let complete = folder.join("complete");
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !complete.exists() {
        std::fs::create_dir_all(&folder).unwrap();
        let options = ["install", "--no-audit", "--no-fund", "--no-save", "--fetch-retries", "1", "--prefix"];
        let output = Command::new("npm").args(options).arg(&folder).arg(requirement).output();
        let fault = match output {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(fault) = fault {
            println!("left out: {requirement} cannot be installed by npm: {fault}");
            return None;
        }
        std::fs::write(complete, "").unwrap();
    }
    Some(folder.join("node_modules"))
}

//! Programs of PyPI, each in a virtual environment of its own below the target folder, where later runs find it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Held while an environment is made.
static TURN: Mutex<()> = Mutex::new(());

/// The program of a package with its version, as `schemathesis==4.32.5`. None where it cannot be had, which is printed.
pub(crate) fn program(requirement: &str, name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python").join(requirement);
    let (found, complete) = (folder.join("bin").join(name), folder.join("complete"));
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !complete.exists() {
        let pip = folder.join("bin/pip");
        let made = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).and_then(|()| {
            let options = ["install", "--quiet", "--disable-pip-version-check", "--timeout", "15", "--retries", "1"];
            run(Command::new(pip).args(options).arg(requirement))
        });
        if let Err(fault) = made {
            println!("left out: {requirement} cannot be installed: {fault}");
            return None;
        }
        std::fs::write(complete, "").unwrap();
    }
    Some(found)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    Err(text.lines().rfind(|line| !line.is_empty()).unwrap_or("it failed without a text").to_owned())
}

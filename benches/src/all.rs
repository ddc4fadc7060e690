//! `bench all`: runs every benchmark in a process of its own; writes their reports, the plots, and a table for the
//! README to a folder.

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{BenchError, Context, plot};

/// The benchmarks in order, each with further arguments.
const BENCHMARKS: [(&str, &[&str]); 10] = [
    ("kernel", &[]),
    ("engine", &["--postgis"]),
    ("late", &[]),
    ("alerts", &[]),
    ("geofence-edit", &[]),
    ("memory", &[]),
    ("drain", &[]),
    ("live", &[]),
    ("restart", &[]),
    ("gateway", &[]),
];

/// Runs all benchmarks, and returns the table.
///
/// # Errors
/// If a benchmark fails, or Ctrl-C was pressed.
pub fn run(folder: &Path, context: &mut Context<'_>) -> Result<String, BenchError> {
    std::fs::create_dir_all(folder)?;
    for (name, more) in BENCHMARKS {
        context.step(|| format!("bench {name}"))?;
        let settings = context.settings;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([name, "--json", "--size", &settings.size.to_string()]).args(more);
        command.args(settings.quick.then_some("--quick"));
        if let Some(turns) = settings.turns {
            command.args(["--turns", &turns.to_string()]);
        }
        let output = command.stderr(Stdio::inherit()).output()?;
        context.check()?;
        if !output.status.success() {
            return Err(BenchError::Setup(format!("bench {name} failed: {}", output.status)));
        }
        std::fs::write(folder.join(format!("{name}.json")), output.stdout)?;
    }
    plot::draw(folder)?;
    let table = table(folder)?;
    std::fs::write(folder.join("table.md"), &table)?;
    Ok(table)
}

/// A Markdown table of the results that have a baseline or latencies.
fn table(folder: &Path) -> Result<String, BenchError> {
    let mut table = "| what | command | result |\n|---|---|---|\n".to_owned();
    for (bench, _) in BENCHMARKS {
        let path = folder.join(format!("{bench}.json"));
        let report: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)
            .map_err(|error| BenchError::Setup(format!("{} is no report: {error}", path.display())))?;
        for result in report["results"].as_array().map(Vec::as_slice).unwrap_or_default() {
            if let (Some(name), Some(said)) = (result["name"].as_str(), summary(result)) {
                let _ = writeln!(table, "| {name} | `bench {bench}` | {said} |");
            }
        }
    }
    Ok(table)
}

/// The main figures of a result; `None` if it has none.
fn summary(result: &Value) -> Option<String> {
    let number = |member: &str| result[member].as_f64();
    let mut said = Vec::new();
    if let (Some(ratio), Some(baseline)) = (number("ratio"), result["baseline"].as_str()) {
        said.push(format!("{ratio:.2} x {baseline}"));
    }
    let members = [
        ("cpu_us_per_event", "us CPU per event", 2),
        ("scaling", "x one worker", 2),
        ("p50_ms", "ms median", 1),
        ("p99_ms", "ms 99 %", 1),
        ("p999_ms", "ms 99.9 %", 1),
        ("build_ms", "ms to build", 0),
        ("index_mib", "MiB of index", 0),
        ("cells_mib", "MiB of cells", 0),
        ("bytes_each", "bytes", 0),
        ("growth_percent", "% growth", 1),
        ("first_commit_ms", "ms to the first commit", 0),
        ("checkpoint_mib", "MiB checkpoint", 0),
    ];
    for (member, unit, decimals) in members {
        said.extend(number(member).map(|value| format!("{value:.decimals$} {unit}")));
    }
    (!said.is_empty()).then(|| said.join(", "))
}

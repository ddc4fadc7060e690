//! What every file of the project keeps to.

use std::path::{Path, PathBuf};

/// A file that is longer wants splitting, by view or by step.
const MAX_LINES: usize = 600;

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for dir in ["src", "dataflows/src", "crates", "tests", "benches"] {
        sources(&root.join(dir), &mut found);
    }
    assert!(found.len() > 40, "the sources are where they were");
    found.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for (path, text) in all_sources() {
        assert!(text.lines().count() <= MAX_LINES, "{} has more than {MAX_LINES} lines", path.display());
        assert!(text.starts_with("//!"), "{} does not begin with what it is", path.display());
    }
}

#[test]
fn only_the_engine_touches_a_worker() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (path, text) in all_sources() {
        let may = path == root.join("crates/engine/src/engine.rs") || path == root.join("tests/tidy.rs");
        assert!(may || !text.contains("timely::worker"), "{} touches timely's Worker", path.display());
    }
}

#[test]
fn the_dataflows_do_no_io_and_read_no_clock() {
    for (path, text) in all_sources() {
        if !path.components().any(|part| part.as_os_str() == "dataflows") || path.to_string_lossy().contains("test") {
            continue;
        }
        for word in ["std::fs", "std::net", "std::env", "std::time", "println!", "tokio"] {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

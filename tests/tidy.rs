//! What every file and every crate of the project keeps to.

mod cycles;
mod pages;
mod walls;

use std::path::{Path, PathBuf};

/// A file that is longer wants splitting, by view or by step.
const MAX_LINES: usize = 600;
/// A function that is longer, outside tests, does more than one thing.
const MAX_FUNCTION_LINES: usize = 70;
/// Folders with sources, below the root.
const FOLDERS: [&str; 5] = ["src", "dataflows/src", "crates", "tests", "benches"];

/// A source file and its text.
struct Source {
    /// Path below the root of the project.
    path: PathBuf,
    text: String,
}

impl Source {
    /// Whether it is a test, by its place or name.
    fn is_test(&self) -> bool {
        let name = self.path.to_string_lossy();
        name.starts_with("tests/")
            || name.starts_with("crates/testing")
            || name.contains("/tests")
            || name.contains("_tests.rs")
    }

    /// Its lines but for those of a test module at its end.
    fn product_lines(&self) -> impl Iterator<Item = &str> {
        self.text.lines().take_while(|line| *line != "#[cfg(test)]" || self.text.contains("#[cfg(test)]\nmod tests;"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("target") {
            continue; // of the fuzz targets, which are a workspace of their own
        }
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push(Source { path: path.strip_prefix(root()).unwrap().to_owned(), text });
        }
    }
}

fn all_sources() -> Vec<Source> {
    let mut found = Vec::new();
    FOLDERS.iter().for_each(|folder| collect(&root().join(folder), &mut found));
    assert!(found.len() > 40, "the sources are where they were");
    found
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for Source { path, text } in all_sources() {
        assert!(text.lines().count() <= MAX_LINES, "{} has more than {MAX_LINES} lines", path.display());
        assert!(text.starts_with("//!"), "{} does not begin with what it is", path.display());
    }
}

/// The functions of formatted code that are too long: where each begins, and its number of lines.
fn long_functions<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(usize, usize)> {
    let mut long = Vec::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    for (number, line) in (1..).zip(lines) {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let begins = ["fn ", "pub fn ", "async fn ", "pub async fn ", "pub(super) fn ", "pub(crate) fn ", "const fn "];
        if begins.iter().any(|begin| code.starts_with(begin)) && !code.ends_with(';') && !code.ends_with('}') {
            open.push((number, format!("{indent}}}")));
        }
        while open.last().is_some_and(|(_, end)| *end == line) {
            let (first, _) = open.pop().expect("it is there");
            if number - first + 1 > MAX_FUNCTION_LINES {
                long.push((first, number - first + 1));
            }
        }
    }
    long
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for source in all_sources().iter().filter(|source| !source.is_test()) {
        let functions = long_functions(source.product_lines());
        long.extend(functions.iter().map(|(line, lines)| format!("{}:{line}: {lines} lines", source.path.display())));
    }
    assert!(long.is_empty(), "functions of more than {MAX_FUNCTION_LINES} lines:\n{}", long.join("\n"));
}

#[test]
fn a_long_function_is_noticed() {
    let long = format!("fn a() {{\n{}}}\n", "    b();\n".repeat(MAX_FUNCTION_LINES));
    assert_eq!(long_functions(long.lines()), [(1, MAX_FUNCTION_LINES + 2)]);
    let short = format!("impl A {{\n    fn a() {{\n{}    }}\n}}\n", "        b();\n".repeat(MAX_FUNCTION_LINES - 2));
    assert_eq!(long_functions(short.lines()), []);
}

#[test]
fn only_the_engine_touches_a_worker() {
    for Source { path, text } in all_sources() {
        let may = path == Path::new("crates/engine/src/engine.rs") || path.starts_with("tests/tidy.rs");
        assert!(may || !text.contains("timely::worker"), "{} touches timely's Worker", path.display());
    }
}

#[test]
fn the_inner_crates_do_no_io_and_read_no_clock() {
    let inner = ["dataflows/src", "crates/model/src", "crates/core/src", "crates/engine/src"];
    for source in all_sources().iter().filter(|source| !source.is_test()) {
        let Some(_) = inner.iter().find(|inner| source.path.starts_with(inner)) else { continue };
        // It reads one environment variable, once, to die where a test wants it.
        if source.path == Path::new("crates/core/src/crash.rs") {
            continue;
        }
        for word in ["std::fs", "std::net", "std::env", "SystemTime", "Instant::now", "println!", "tokio"] {
            let found = source.product_lines().any(|line| line.contains(word) && !line.trim_start().starts_with("//"));
            assert!(!found, "{} has {word}", source.path.display());
        }
    }
}

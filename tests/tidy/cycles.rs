//! No file of a crate uses another one that uses it, unless one contains the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use super::{Source, all_sources};

/// The path of a module within its crate.
type Module = Vec<String>;

/// By module, the modules it names.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// The crate and the module of a source file.
fn place(path: &Path) -> Option<(String, Module)> {
    let parts: Vec<String> = path
        .with_extension("")
        .components()
        .map(|part: Component<'_>| part.as_os_str().to_string_lossy().into())
        .collect();
    let at = parts.iter().position(|part| part == "src")?;
    let mut module = parts[at + 1..].to_vec();
    if module.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        module.pop();
    }
    Some((parts[..at].join("/"), module))
}

/// The paths that the `use` statements and expressions of a file begin with, as module paths of its crate.
fn named(source: &Source, module: &Module) -> Vec<Module> {
    let code: String =
        source.product_lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut found = Vec::new();
    for (prefix, base) in [("crate::", Vec::new()), ("super::", parent(module))] {
        let mut rest = code.as_str();
        while let Some(at) = rest.find(prefix) {
            let starts = at == 0 || !rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            rest = &rest[at + prefix.len()..];
            if starts {
                flatten(&base, rest, &mut found);
            }
        }
    }
    found
}

/// The module that `super` means: a file that is `mod.rs` of its folder is that module itself.
fn parent(module: &Module) -> Module {
    module[..module.len().saturating_sub(1)].to_vec()
}

/// Adds the paths of `a::b`, `a::{b, c::d}` to `base`.
fn flatten(base: &[String], text: &str, found: &mut Vec<Module>) {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let rest = &text[name.len()..];
    if let Some(inner) = text.strip_prefix('{') {
        let (mut depth, mut start) = (0, 0);
        for (at, c) in inner.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => return flatten(base, inner[start..at].trim_start(), found),
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    flatten(base, inner[start..at].trim_start(), found);
                    start = at + 1;
                }
                _ => {}
            }
        }
        return;
    }
    if name.is_empty() {
        return;
    }
    let path: Module = base.iter().cloned().chain([name]).collect();
    match rest.strip_prefix("::") {
        Some(more) => flatten(&path, more, found),
        None => found.push(path),
    }
}

/// By crate, which files use which.
fn graphs(sources: &[Source]) -> BTreeMap<String, Graph> {
    let mut modules: BTreeMap<String, BTreeSet<Module>> = BTreeMap::new();
    let places: Vec<_> =
        sources.iter().filter(|source| !source.is_test()).filter_map(|s| Some((s, place(&s.path)?))).collect();
    for (_, (package, module)) in &places {
        modules.entry(package.clone()).or_default().insert(module.clone());
    }
    let mut graphs: BTreeMap<String, Graph> = BTreeMap::new();
    for (source, (package, module)) in &places {
        let known = &modules[package];
        let edges = graphs.entry(package.clone()).or_default().entry(module.clone()).or_default();
        for path in named(source, module) {
            let Some(target) = (0..=path.len()).rev().map(|n| path[..n].to_vec()).find(|part| known.contains(part))
            else {
                continue;
            };
            if !target.starts_with(module) && !module.starts_with(&target) {
                edges.insert(target);
            }
        }
    }
    graphs
}

/// The modules that lie on a cycle, each with those it uses on it.
fn cycles(graph: &Graph) -> Vec<String> {
    let reachable = |from: &Module| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = next.pop() {
            for target in graph.get(&module).into_iter().flatten() {
                if seen.insert(target.clone()) {
                    next.push(target.clone());
                }
            }
        }
        seen
    };
    let from: BTreeMap<&Module, BTreeSet<Module>> = graph.keys().map(|module| (module, reachable(module))).collect();
    let on_cycle = |a: &Module, b: &Module| from[a].contains(b) && from.get(b).is_some_and(|back| back.contains(a));
    let mut found = Vec::new();
    for (module, targets) in graph {
        for target in targets.iter().filter(|target| on_cycle(module, target)) {
            found.push(format!("{} -> {}", module.join("::"), target.join("::")));
        }
    }
    found
}

#[test]
fn no_two_files_use_each_other() {
    let mut found = Vec::new();
    for (package, graph) in graphs(&all_sources()) {
        found.extend(cycles(&graph).into_iter().map(|edge| format!("{package}: {edge}")));
    }
    assert!(found.is_empty(), "files on cycles:\n{}", found.join("\n"));
}

#[test]
fn a_cycle_is_noticed() {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.to_owned() };
    let sources = [
        source("crates/a/src/lib.rs", "mod b;\nmod c;\n"),
        source("crates/a/src/b.rs", "use crate::c::C;\n"),
        source("crates/a/src/c.rs", "use super::{b::B, d};\n"),
    ];
    assert_eq!(cycles(&graphs(&sources)["crates/a"]), ["b -> c", "c -> b"]);
    assert_eq!(cycles(&graphs(&sources[..2])["crates/a"]), Vec::<String>::new());
}

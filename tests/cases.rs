//! Tests as text: events in, changed rows out (`tests/cases/*.txt`).
//!
//! Lines that start with `{` are events. `commit` ends an epoch; the lines after it that start with
//! `+` or `-` are all rows that it changed, in the tables the case is about (`tables: ..`). Lines that start
//! with `#` are for people. `WATCHTOWER_BLESS=1` writes what was found back into the file.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use watchtower_core::events::{Limits, json};
use watchtower_core::tables::{Row, TableRow, transactional_changes};
use watchtower_dataflows::control::Control;
use watchtower_engine::replay::{Intake, Item};
use watchtower_engine::{Batch, Engine};
use watchtower_model::Rules;
use watchtower_model::VehicleState;
use watchtower_store::csv::write_row;

/// The case with the changes that a run on `workers` really makes.
fn played(case: &str, workers: usize) -> String {
    let tables = case.lines().find_map(|line| line.strip_prefix("tables: ")).unwrap_or("visits");
    let tables: Vec<&str> = tables.split_whitespace().collect();
    let mut intake = Intake::new(Limits::for_replay(), Rules::default());
    let mut engine = Engine::start(workers, Rules::default());
    let (mut batch, mut out, mut states) = (Batch::default(), String::new(), BTreeMap::new());
    for line in case.lines().filter(|line| !line.starts_with(['+', '-'])) {
        writeln!(out, "{line}").unwrap();
        if line.starts_with('{') {
            let event = json::decode(line.as_bytes(), &Limits::for_replay()).unwrap();
            match intake.admit(&event).unwrap() {
                Item::Position(mut position) => {
                    position.seq = batch.positions.len() as u32;
                    batch.positions.push(position);
                }
                Item::Control(control) => batch.control.push(control),
                Item::Clock(_) => {}
            }
        } else if line == "commit" {
            batch.control.push(Control::Now(intake.now()));
            engine.submit(std::mem::take(&mut batch));
            let (_, completed) = engine.next().unwrap();
            let mut changes = transactional_changes(&completed.deltas, &intake.lookup);
            for (vehicle, state) in completed.deltas.vehicle_state {
                let is = state.map(|state| state.cells(&intake.lookup));
                let was = states.insert(vehicle, is.clone()).flatten();
                let rows = [(was, -1), (is, 1)].into_iter().filter_map(|(row, diff)| Some((row?, diff)));
                changes.extend(rows.map(|(row, diff)| (VehicleState::TABLE, row, diff)));
            }
            let mut rows: Vec<String> = changes
                .into_iter()
                .filter(|(table, ..)| tables.contains(&table.name))
                .map(|(table, row, diff)| {
                    assert!(diff.abs() == 1, "{} has {diff} of {row:?}", table.name);
                    format!("{} {} {}", if diff > 0 { '+' } else { '-' }, table.name, text(&row))
                })
                .collect();
            rows.sort_by(|a, b| (&a[2..], &a[..1]).cmp(&(&b[2..], &b[..1])));
            rows.iter().for_each(|row| writeln!(out, "{row}").unwrap());
        }
    }
    engine.finish();
    out
}

fn text(row: &Row) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    write_row(&mut out, row).unwrap();
    String::from_utf8(out.into_inner().unwrap()).unwrap().trim_end().to_owned()
}

#[test]
fn every_case_changes_exactly_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let case = std::fs::read_to_string(&path).unwrap();
        let found = played(&case, 1);
        if std::env::var_os("WATCHTOWER_BLESS").is_some() {
            std::fs::write(&path, &found).unwrap();
            continue;
        }
        assert_eq!(case, found, "{}", path.display());
        for workers in [2, 4] {
            assert_eq!(case, played(&case, workers), "{} on {workers} workers", path.display());
        }
    }
}

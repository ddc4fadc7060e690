//! `watchtower demo`, run as a user runs it: the same seed has the same summary, and what it says is what the log
//! in the file comes to by the book.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use rusqlite::types::ValueRef;
use watchtower_core::events::Limits;
use watchtower_core::tables::{Column, Kind, TABLES, Table};
use watchtower_core::time_zone;
use watchtower_geopackage::GeoPackage;
use watchtower_log::file::{Reader, stream_names};
use watchtower_model::Rules;

use crate::support::admitted::Admitted;
use crate::support::entries::{Entry, Log};

type Rows = Vec<Vec<String>>;

/// Has geometry, which files write in another way; or is not computed from accepted events.
const NOT_COMPARED: [&str; 3] = ["geofences", "rejected_events", "rejected_counts"];

fn demo(file: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
    command.args(["demo", "--headless", "--embedded"]).arg(file).args(args).output().unwrap()
}

/// The summary of a run.
fn summary(file: &Path, args: &[&str]) -> String {
    let output = demo(file, args);
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{notes}");
    assert!(notes.contains(&format!("sqlite3 {}", file.display())), "it says where the file is: {notes}");
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that was appended.
fn log(file: &GeoPackage) -> Log {
    let reader = Reader::open(file).unwrap();
    let mut log = Log { keys: stream_names(1), entries: Vec::new() };
    loop {
        let read = reader.read(log.len(), u64::MAX).unwrap();
        if read.is_empty() {
            return log;
        }
        let (mut entries, mut fields) = (read.iter(), Vec::new());
        while let Some((stream, id)) = entries.next(&mut fields) {
            let fields = fields.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            log.entries.push(Entry { stream, id, fields });
        }
    }
}

/// The rows of a table in the file, as CSV would have them.
fn stored(file: &GeoPackage, table: &Table) -> Rows {
    let connection = file.connect_to_read().unwrap();
    let columns: Vec<String> = table.columns.iter().map(Column::quoted).collect();
    let mut select = connection.prepare(&format!("SELECT {} FROM {}", columns.join(", "), table.name)).unwrap();
    let rows = select.query_map((), |row| {
        let cells = table.columns.iter().enumerate().map(|(index, column)| match row.get_ref(index).unwrap() {
            ValueRef::Null => String::new(),
            ValueRef::Integer(flag) if column.kind == Kind::Boolean => (flag != 0).to_string(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
            ValueRef::Blob(_) => panic!("{} holds bytes", column.name),
        });
        Ok(cells.collect::<Vec<_>>())
    });
    let mut rows: Rows = rows.unwrap().map(Result::unwrap).collect();
    rows.sort();
    rows
}

/// The rows of a table as recomputed.
fn recomputed(folder: &Path, table: &Table) -> Rows {
    let mut reader = csv::Reader::from_path(folder.join(table.name).with_extension("csv")).unwrap();
    let row = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
    let mut rows: Rows = reader.records().map(|record| row(record.unwrap())).collect();
    rows.sort();
    rows
}

/// What the log comes to, by a fold over all of it that shares nothing with the engine.
fn recompute(file: &GeoPackage) -> BTreeMap<&'static str, Rows> {
    let folder = tempfile::tempdir().unwrap();
    let lagos = Arc::new(time_zone::local_time("Africa/Lagos").unwrap());
    let admitted = Admitted::new(&log(file), &Limits::default());
    admitted.write(&Rules { local_time: lagos, ..Rules::default() }, folder.path());
    let compared = TABLES.iter().filter(|table| !NOT_COMPARED.contains(&table.name));
    compared.map(|table| (table.name, recomputed(folder.path(), table))).collect()
}

/// The number of rows for which a column says this.
fn count(rows: &Rows, column: usize, is: &str) -> usize {
    rows.iter().filter(|row| row[column] == is).count()
}

/// A number with its thousands apart, as in `5 616`.
fn spaced(number: usize) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{} {rest:03}", spaced(thousands)),
    }
}

/// The lines on what happened, counted anew.
fn told(tables: &BTreeMap<&str, Rows>) -> Vec<String> {
    let (visits, trips) = (&tables["visits"], &tables["trips"]);
    let km = trips.iter().filter_map(|trip| trip[5].parse::<f64>().ok()).sum::<f64>() / 1000.0;
    let mut lines = vec![
        format!("positions    {:>9}", spaced(tables["positions"].len())),
        format!(
            "visits       {:>9}   {} confirmed, {} open",
            spaced(visits.len()),
            spaced(count(visits, 4, "true")),
            spaced(count(visits, 3, ""))
        ),
        format!(
            "trips        {:>9}   {} under way; of the others {} km",
            spaced(trips.len()),
            spaced(count(trips, 2, "")),
            spaced(km.round() as usize)
        ),
        format!("turnarounds  {:>9}", spaced(tables["turnarounds"].len())),
    ];
    for (table, ended_at) in [("stops", 2), ("idlings", 2), ("overspeeds", 2), ("offlines", 2)] {
        let rows = &tables[table];
        lines.push(format!("{table:<12} {:>9}   {} open", spaced(rows.len()), spaced(count(rows, ended_at, ""))));
    }
    lines
}

#[test]
fn the_demo_says_what_its_log_comes_to_and_says_it_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first.gpkg"), folder.path().join("second.gpkg"));
    let summary_of_first = summary(&first, &["--for", "60s", "--seed", "7"]);
    assert_eq!(summary_of_first, summary(&second, &["--for", "60s", "--seed", "7", "--workers", "2"]));

    let changes = ["late upload of T11985LA", "esslibra redrawn", "T12002LA at 11:18", "T11988LA in another fleet"];
    for change in changes {
        let line = summary_of_first.lines().find(|line| line.contains(change)).unwrap_or_default();
        assert!(line.contains("changed") && !line.contains("nothing"), "{change}:\n{summary_of_first}");
    }
    let file = GeoPackage::at(&first);
    let expected = recompute(&file);
    for line in told(&expected) {
        assert!(summary_of_first.contains(&line), "expected {line:?} in\n{summary_of_first}");
    }
    for table in TABLES.iter().filter(|table| expected.contains_key(table.name)) {
        let (stored, expected) = (stored(&file, table), &expected[table.name]);
        // The demo has no alert rules.
        let may_be_empty = ["alerts", "rules"].contains(&table.name);
        assert!(may_be_empty || !expected.is_empty(), "{} has no rows", table.name);
        assert_eq!(stored.len(), expected.len(), "rows of {}", table.name);
        for (stored, expected) in stored.iter().zip(expected) {
            assert_eq!(stored, expected, "{}", table.name);
        }
    }
}

#[test]
fn a_demo_leaves_what_is_there_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("precious.gpkg");
    std::fs::write(&file, "precious").unwrap();
    let output = demo(&file, &["--for", "1s", "--vehicles", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("exists already"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

//! Tables written as CSV, loaded into a database as a daemon would have left them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use watchtower_core::tables::{Column, Kind, TABLES, Table};
use watchtower_model::{BEGINNING, Millis};

use crate::support::servers::postgres::{PostgresServer, psql};

/// What tables are loaded into.
pub(crate) const SCHEMA: &str = "loaded";

/// Tables that are not loaded: what is refused depends on what arrived when.
const LEFT_OUT: [&str; 2] = ["rejected_events", "rejected_counts"];

/// A new database with the tables of a pipeline, as the migrations make them.
pub(crate) fn database() -> String {
    let url = PostgresServer::shared().database();
    make_tables(&url);
    url
}

/// Adds the tables of a pipeline to a database.
pub(crate) fn make_tables(url: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort_by_key(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name[1..].split("__").next().unwrap().parse::<u32>().unwrap()
    });
    let mut script = format!("BEGIN; CREATE SCHEMA {SCHEMA}; SET search_path = {SCHEMA}, public;\n");
    script.extend(files.iter().map(|path| std::fs::read_to_string(path).unwrap()));
    script.push_str("CREATE TABLE positions_rest PARTITION OF positions_log DEFAULT; COMMIT;\n");
    psql(url, &script);
}

/// Loads a folder of tables instead of what there was; the log's own time is `now`.
pub(crate) fn load(url: &str, folder: &Path, now: Millis) {
    let now = if now == BEGINNING {
        "'-infinity'".to_owned()
    } else {
        format!("to_timestamp({now}::double precision / 1000)")
    };
    let mut script = format!(
        "SET search_path = {SCHEMA}, public; SET synchronous_commit = off;
         BEGIN; DELETE FROM pipeline; INSERT INTO pipeline (id, streams, plan, archived, now) VALUES ('loaded', 1, '', true, {now});\n"
    );
    for table in TABLES.into_iter().filter(|table| !LEFT_OUT.contains(&table.name)) {
        let staged = table.columns.iter().map(|column| format!("{} text", column.name)).collect::<Vec<_>>().join(", ");
        let csv = folder.join(format!("{}.csv", table.name));
        writeln!(script, "CREATE TEMP TABLE staged ({staged});").unwrap();
        writeln!(script, "\\copy staged FROM '{}' CSV HEADER", csv.display()).unwrap();
        writeln!(script, "{};\nDROP TABLE staged;", replacement(table)).unwrap();
    }
    script.push_str("COMMIT;\n");
    psql(url, &script);
}

/// The rows of these tables that are in one of the schemas and not in the other, if there are any.
pub(crate) fn differences(url: &str, schema: &str, tables: &[&str]) -> Result<(), String> {
    let mut script = "SET search_path = public;\n".to_owned();
    for name in tables {
        let table = TABLES.into_iter().find(|table| table.name == *name).unwrap();
        // JSON has no equality of its own.
        let column = |column: &Column| match column.kind {
            Kind::Json => format!("{}::text", column.name),
            _ => column.name.to_owned(),
        };
        let columns = table.columns.iter().map(column).collect::<Vec<_>>().join(", ");
        for (one, other) in [(schema, SCHEMA), (SCHEMA, schema)] {
            writeln!(
                script,
                "SELECT '{name}: only in {one}: ' || d FROM (SELECT {columns} FROM {one}.{name} EXCEPT ALL \
                 SELECT {columns} FROM {other}.{name} LIMIT 5) AS d;"
            )
            .unwrap();
        }
    }
    let found = psql(url, &script);
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// The staged texts instead of the rows of the table.
fn replacement(table: &Table) -> String {
    let cells = table.columns.iter().enumerate().map(|(i, column)| match cell(column.name, column.kind) {
        // A file does not tell an empty text from none; a key is never none.
        text if i < table.key && column.kind == Kind::Text => format!("coalesce({text}, '')"),
        cell => cell,
    });
    let cells: Vec<String> = cells.collect();
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let (name, names, cells) = (table.name, names.join(", "), cells.join(", "));
    if name == "positions" {
        // A view of the archive, in which every position came once, in the order of the file, and of position_marks.
        let archived = || table.columns.iter().enumerate().filter(|(_, column)| column.name != "mark");
        let names = archived().map(|(_, column)| column.name).collect::<Vec<_>>().join(", ");
        let cells = archived().map(|(_, column)| cell(column.name, column.kind)).collect::<Vec<_>>().join(", ");
        return format!(
            "DELETE FROM positions_log;
             INSERT INTO positions_log (entry, entry_index, received_at, deleted, {names})
             SELECT row_number() OVER (), 0, ts::timestamptz, false, {cells} FROM staged"
        );
    }
    format!("DELETE FROM {name}; INSERT INTO {name} ({names}) SELECT {cells} FROM staged")
}

fn cell(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Text => name.to_owned(),
        Kind::Texts => format!("ARRAY(SELECT jsonb_array_elements_text({name}::jsonb))"),
        Kind::Time => format!("{name}::timestamptz"),
        Kind::Date => format!("{name}::date"),
        Kind::Boolean => format!("{name}::boolean"),
        Kind::Integer => format!("{name}::bigint"),
        Kind::Real => format!("{name}::double precision"),
        Kind::Json => format!("{name}::json"),
        Kind::Geometry => format!("ST_GeomFromText({name}, 4326)"),
        Kind::Bytes => panic!("no table that is loaded has bytes: {name}"),
    }
}

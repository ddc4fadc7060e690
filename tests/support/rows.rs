//! The rows of all tables in one form, whichever store they are in: so that two stores can be compared.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};
use watchtower_core::tables::{Column, Kind, TABLES, Table};
use watchtower_geopackage::time;
use watchtower_model::{BEGINNING, END};

use crate::support::servers::postgres::psql;

/// By table, its rows in the order of their text.
pub(crate) type Rows = BTreeMap<&'static str, Vec<String>>;

/// What is not the same: by table, the first rows that only one side has.
pub(crate) fn differences(found: &Rows, wanted: &Rows) -> String {
    let mut text = String::new();
    for table in TABLES {
        let (found, wanted) = (&found[table.name], &wanted[table.name]);
        let only = |these: &[String], those: &[String]| {
            these.iter().filter(|row| those.binary_search(row).is_err()).take(3).cloned().collect::<Vec<_>>()
        };
        if found != wanted {
            let (unexpected, missing) = (only(found, wanted), only(wanted, found));
            text.push_str(&format!(
                "{}: {} rows, not {}\n  unexpected {unexpected:#?}\n  missing {missing:#?}\n",
                table.name,
                found.len(),
                wanted.len()
            ));
        }
    }
    text
}

/// The rows in a GeoPackage.
pub(crate) fn of_a_file(connection: &Connection) -> Rows {
    let rows_of = |table: &&'static Table| {
        let names: Vec<String> = table.columns.iter().map(Column::quoted).collect();
        let mut statement = connection.prepare(&format!("SELECT {} FROM {}", names.join(", "), table.name)).unwrap();
        let mut rows = statement.query(()).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let cells = table.columns.iter().enumerate().map(|(i, column)| cell(column, row.get_ref(i).unwrap()));
            found.push(Value::Array(cells.collect()).to_string());
        }
        found.sort();
        (table.name, found)
    };
    TABLES.iter().map(rows_of).collect()
}

fn cell(column: &Column, value: ValueRef<'_>) -> Value {
    let text = |value: ValueRef<'_>| value.as_str().unwrap().to_owned();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match (column.kind, value) {
        (_, ValueRef::Null) => Value::Null,
        (Kind::Text | Kind::Time | Kind::Date | Kind::Json, value) => json!(text(value)),
        (Kind::Texts, value) => serde_json::from_str(&text(value)).unwrap(),
        (Kind::Boolean, value) => json!(value.as_i64().unwrap() == 1),
        (Kind::Integer, value) => json!(value.as_i64().unwrap()),
        (Kind::Real, value) => json!(value.as_f64().unwrap()),
        (Kind::Bytes, value) => json!(hex(value.as_blob().unwrap())),
        (Kind::Geometry, value) => {
            let blob = value.as_blob().unwrap();
            // Behind the header and, unless it is a point, the envelope.
            json!(hex(&blob[if blob[3] & 0b1110 == 0 { 8 } else { 40 }..]))
        }
    }
}

/// The rows in PostgreSQL, in the schema `lagos`.
pub(crate) fn of_postgres(url: &str) -> Rows {
    TABLES.iter().map(|table| (table.name, of_postgres_table(url, table))).collect()
}

fn of_postgres_table(url: &str, table: &Table) -> Vec<String> {
    let cells: Vec<String> = table.columns.iter().map(expression).collect();
    let sql = format!(
        "SET search_path = lagos, public; SELECT json_build_array({})::text FROM {}",
        cells.join(", "),
        table.name
    );
    let answer = psql(url, &sql);
    let row = |line: &str| {
        let Value::Array(mut cells) = serde_json::from_str(line).unwrap() else { panic!("no row: {line}") };
        for (column, cell) in table.columns.iter().zip(&mut cells) {
            if let (Kind::Real, Some(number)) = (column.kind, cell.as_f64()) {
                *cell = json!(number); // what is whole comes without a point
            }
            if let (Kind::Text, Some(name)) = (column.kind, cell.as_str()) {
                *cell = json!(name.strip_prefix("wt:lagos:").unwrap_or(name)); // a stream's name
            }
        }
        Value::Array(cells).to_string()
    };
    let mut rows: Vec<String> = answer.lines().filter(|line| line.starts_with('[')).map(row).collect();
    rows.sort();
    rows
}

fn expression(column: &Column) -> String {
    let name = column.name;
    match column.kind {
        Kind::Text | Kind::Boolean | Kind::Integer | Kind::Real | Kind::Texts => name.to_owned(),
        Kind::Date | Kind::Json => format!("{name}::text"),
        Kind::Time => format!(
            "CASE {name} WHEN '-infinity' THEN '{}' WHEN 'infinity' THEN '{}' \
             ELSE to_char({name} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') END",
            time::format(BEGINNING),
            time::format(END)
        ),
        Kind::Geometry => format!("encode(ST_AsBinary({name}, 'NDR'), 'hex')"),
        Kind::Bytes => format!("encode({name}, 'hex')"),
    }
}

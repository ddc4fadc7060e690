//! Tables as CSV files: a header, then rows sorted by key. An empty cell is an unknown value or an interval that is
//! still open. Several strings are a JSON array, shapes are well-known text, bytes that are not UTF-8 are escaped as in
//! PostgreSQL (`\377`).

use std::cmp::Ordering;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use watchtower_core::tables::{Cell, Row, Table};
use watchtower_model::rfc3339;

/// A table could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct CsvError {
    path: PathBuf,
    source: std::io::Error,
}

/// Writes `dir/<table>.csv`, sorting `rows` by the table's key.
///
/// # Errors
/// If the file cannot be created or written. The error names the file.
pub fn write(dir: &Path, table: &Table, mut rows: Vec<Row>) -> Result<(), CsvError> {
    rows.sort_by(|a, b| compare(&a[..table.key], &b[..table.key]));
    let path = dir.join(format!("{}.csv", table.name));
    write_sorted(&path, table, &rows).map_err(|source| CsvError { path, source })
}

fn write_sorted(path: &Path, table: &Table, rows: &[Row]) -> std::io::Result<()> {
    let mut out = csv::Writer::from_writer(BufWriter::with_capacity(1 << 18, File::create(path)?));
    out.write_record(table.columns.iter().map(|column| column.name))?;
    for row in rows {
        debug_assert_eq!(row.len(), table.columns.len(), "a row of {} has a cell per column", table.name);
        write_row(&mut out, row)?;
    }
    out.into_inner().map_err(|error| error.into_error())?.flush()
}

/// Writes one record.
///
/// # Errors
/// If the underlying writer fails.
pub fn write_row<W: Write>(out: &mut csv::Writer<W>, row: &Row) -> Result<(), csv::Error> {
    let mut text = String::new();
    for cell in row {
        text.clear();
        put(cell, &mut text);
        out.write_field(&text)?;
    }
    out.write_record(None::<&[u8]>)
}

/// Appends a cell as text.
fn put(cell: &Cell, out: &mut String) {
    use std::fmt::Write;
    let written = match cell {
        Cell::Empty => Ok(()),
        Cell::Text(text) | Cell::Json(text) => out.write_str(text),
        Cell::Texts(texts) => out.write_str(&serde_json::Value::from_iter(texts.iter().map(|t| &**t)).to_string()),
        Cell::Time(t) => out.write_str(&rfc3339::format(*t)),
        Cell::Date(day) => out.write_str(&rfc3339::format_day(*day)),
        Cell::Boolean(value) => write!(out, "{value}"),
        Cell::Integer(value) => write!(out, "{value}"),
        Cell::Real(value) => write!(out, "{value}"),
        Cell::Geometry(shape) => out.write_str(&shape.wkt()),
        Cell::Bytes(bytes) => {
            put_bytes(bytes, out);
            Ok(())
        }
    };
    written.expect("a string takes any text");
}

/// Writes valid UTF-8 unchanged, and each other byte as a backslash and three octal digits.
fn put_bytes(bytes: &[u8], out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\{byte:03o}"));
        }
    }
}

fn compare(a: &[Cell], b: &[Cell]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| compare_cells(a, b)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

/// Compares cells of a key: text, time, date or integer, of the same kind in every row.
fn compare_cells(a: &Cell, b: &Cell) -> Ordering {
    match (a, b) {
        (Cell::Text(a), Cell::Text(b)) => a.cmp(b),
        (Cell::Time(a), Cell::Time(b)) | (Cell::Integer(a), Cell::Integer(b)) => a.cmp(b),
        (Cell::Date(a), Cell::Date(b)) => a.cmp(b),
        _ => unreachable!("key columns hold text, time, date or integer: {a:?}, {b:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_text_are_escaped() {
        let mut out = String::new();
        put_bytes(b"caf\xc3\xa9 \xff\n", &mut out);
        assert_eq!(out, "café \\377\n");
    }
}

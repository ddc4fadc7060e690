//! Cells in SQLite's types.

use rusqlite::ToSql;
use rusqlite::types::{Null, ToSqlOutput};

use watchtower_core::tables::{Cell, KeyCell, Kind};
use watchtower_geopackage::{geometry, time};
use watchtower_model::rfc3339::format_day;

/// The declared type of a column. GeoPackage's own types state how readers interpret the values.
pub fn column_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Texts | Kind::Json => "TEXT",
        Kind::Time => "DATETIME",
        Kind::Date => "DATE",
        Kind::Boolean => "BOOLEAN",
        Kind::Integer => "INTEGER",
        Kind::Real => "DOUBLE",
        Kind::Geometry => "GEOMETRY",
        Kind::Bytes => "BLOB",
    }
}

/// A cell as a parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub struct Sql<'a>(pub &'a Cell);

impl ToSql for Sql<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        value(self.0)
    }
}

/// A cell as SQLite stores it.
pub fn value(cell: &Cell) -> rusqlite::Result<ToSqlOutput<'_>> {
    match cell {
        Cell::Empty => Null.to_sql(),
        Cell::Text(text) | Cell::Json(text) => Ok((&**text).into()),
        Cell::Texts(texts) => Ok(json_array(texts).into()),
        Cell::Time(t) => Ok(time::format(*t).into()),
        Cell::Date(day) => Ok(format_day(*day).into()),
        Cell::Boolean(value) => Ok((*value).into()),
        Cell::Integer(value) => Ok((*value).into()),
        Cell::Real(value) => Ok((*value).into()),
        Cell::Geometry(shape) => Ok(geometry::shape(shape).into()),
        Cell::Bytes(bytes) => Ok((&**bytes).into()),
    }
}

/// A cell of a primary key as a parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub struct SqlKey<'a>(pub &'a KeyCell);

impl ToSql for SqlKey<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        key_value(self.0)
    }
}

/// A cell of a primary key as SQLite stores it.
pub fn key_value(cell: &KeyCell) -> rusqlite::Result<ToSqlOutput<'_>> {
    match cell {
        KeyCell::Text(text) => Ok((&**text).into()),
        KeyCell::Time(t) => Ok(time::format(*t).into()),
        KeyCell::Date(day) => Ok(format_day(*day).into()),
    }
}

/// Several strings as one JSON array.
fn json_array(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    serde_json::json!(texts).to_string()
}

//! Cells as SQLite has them.

use rusqlite::ToSql;
use rusqlite::types::{Null, ToSqlOutput};

use crate::embedded::{geometry, time};
use crate::tables::{Cell, KeyCell, Kind, time::format_day};

/// The type of a column: those of a GeoPackage, which say how its values are to be read.
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

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Empty => Null.to_sql(),
            Self::Text(text) | Self::Json(text) => Ok((&**text).into()),
            Self::Texts(texts) => Ok(json_array(texts).into()),
            Self::Time(t) => Ok(time::format(*t).into()),
            Self::Date(day) => Ok(format_day(*day).into()),
            Self::Boolean(value) => Ok((*value).into()),
            Self::Integer(value) => Ok((*value).into()),
            Self::Real(value) => Ok((*value).into()),
            Self::Geometry(shape) => Ok(geometry::shape(shape).into()),
            Self::Bytes(bytes) => Ok((&**bytes).into()),
        }
    }
}

impl ToSql for KeyCell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => Ok((&**text).into()),
            Self::Time(t) => Ok(time::format(*t).into()),
            Self::Date(day) => Ok(format_day(*day).into()),
        }
    }
}

/// Several strings as one: SQLite reads JSON.
fn json_array(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    serde_json::json!(texts).to_string()
}

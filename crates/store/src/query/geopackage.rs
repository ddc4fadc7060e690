//! Rows from a GeoPackage.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{OptionalExtension, Row, ToSql, TransactionBehavior};
use watchtower_core::tables::{self, Cell, Class, Column, Kind, Table};
use watchtower_geopackage::{Connection, GeoPackage, geometry, time};
use watchtower_model::local_time::Day;

use super::statement::{Dialect, Parameter, Statement};
use super::{Answer, Query, QueryError, radius_m, wkb};
use crate::geopackage::encode::{key_value, value};
use crate::geopackage::{EmbeddedError, claim, switch};

const DIALECT: Dialect = Dialect {
    parameter: '?',
    select: Column::quoted,
    // SQLite compares text by its bytes.
    sort: Column::quoted,
    is_in: |column, parameter| format!("{column} IN (SELECT value FROM json_each({parameter}))"),
};

/// The answers to queries, from one snapshot.
pub(super) fn read(
    file: &GeoPackage,
    connection: &mut Connection,
    queries: &[&Query],
) -> Result<Vec<Answer>, QueryError> {
    let doing = || file.failed("read the tables");
    let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred);
    let snapshot = snapshot.map_err(doing()).map_err(EmbeddedError::from)?;
    let missing = || EmbeddedError::NoTables { path: file.path().to_owned() };
    let newest = claim::owner(file, &snapshot)?.ok_or_else(missing)?.commit_seq;
    let mut answers = Vec::with_capacity(queries.len());
    for query in queries {
        let as_of = match query.table.class {
            Class::Transactional => newest,
            Class::Lagging => lagging(&snapshot, query.table).map_err(doing()).map_err(EmbeddedError::from)?,
        };
        answers.push(Answer::new(query, as_of, rows(file, &snapshot, query)?));
    }
    Ok(answers)
}

/// The commit that a lagging table equals; 0 before its first flush.
fn lagging(snapshot: &Connection, table: &Table) -> rusqlite::Result<i64> {
    let sql = "SELECT commit_seq FROM table_progress WHERE table_name = ?1";
    Ok(snapshot.query_row(sql, [table.name], |row| row.get(0)).optional()?.unwrap_or(0))
}

fn rows(file: &GeoPackage, snapshot: &Connection, query: &Query) -> Result<Vec<tables::Row>, QueryError> {
    let Statement { sql, parameters, .. } = Statement::new(query, &DIALECT);
    let read = || {
        let mut statement = snapshot.prepare_cached(&sql)?;
        let rows = statement.query_map(rusqlite::params_from_iter(&parameters), |row| cells(query.table, row))?;
        rows.collect::<rusqlite::Result<Result<Vec<_>, _>>>()
    };
    match read() {
        Ok(rows) => rows,
        // A table of another version may lack a column.
        Err(_) if !switch::are_ours(file, snapshot)? => {
            Err(EmbeddedError::Tables { path: file.path().to_owned() }.into())
        }
        Err(error) => Err(EmbeddedError::from(file.failed(format!("read rows of {}", query.table.name))(error)).into()),
    }
}

fn cells(table: &'static Table, row: &Row<'_>) -> rusqlite::Result<Result<tables::Row, QueryError>> {
    let mut cells = Vec::with_capacity(table.columns.len());
    for (index, Column { name: column, kind, .. }) in table.columns.iter().enumerate() {
        match cell(row.get_ref(index)?, *kind, radius_m(table, &cells)) {
            Some(cell) => cells.push(cell),
            None => return Ok(Err(QueryError::Unreadable { table: table.name, column })),
        }
    }
    Ok(Ok(cells))
}

/// A cell; `None` if this program did not write it.
fn cell(value: ValueRef<'_>, kind: Kind, radius_m: Option<f64>) -> Option<Cell> {
    if value == ValueRef::Null {
        return Some(Cell::Empty);
    }
    let text = || value.as_str().ok();
    let integer = || value.as_i64().ok();
    Some(match kind {
        Kind::Text => Cell::Text(text()?.into()),
        Kind::Json => Cell::Json(text()?.into()),
        Kind::Texts => {
            let texts: Vec<String> = serde_json::from_str(text()?).ok()?;
            Cell::Texts(texts.into_iter().map(Into::into).collect())
        }
        Kind::Time => Cell::Time(time::parse(text()?)?),
        Kind::Date => Cell::Date(day(text()?)?),
        Kind::Boolean => Cell::Boolean(integer()? != 0),
        Kind::Integer => Cell::Integer(integer()?),
        Kind::Real => Cell::Real(match value {
            ValueRef::Integer(number) => number as f64,
            other => other.as_f64().ok()?,
        }),
        Kind::Geometry => {
            let blob = geometry::wkb(value.as_blob().ok()?)?;
            Cell::Geometry(wkb::shape(blob, radius_m)?.into())
        }
        Kind::Bytes => Cell::Bytes(value.as_blob().ok()?.into()),
    })
}

/// Parses a day, as in `2026-11-23`.
fn day(text: &str) -> Option<Day> {
    let midnight = text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    let days = midnight.timestamp().as_second().div_euclid(24 * 60 * 60);
    i32::try_from(days).ok().map(Day)
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Cell(cell) => value(cell),
            Self::Key(key) => key_value(key),
            Self::List(cells) => list(cells),
        }
    }
}

/// Cells as the JSON array that `json_each` reads.
fn list(cells: &[Cell]) -> rusqlite::Result<ToSqlOutput<'static>> {
    let mut values = Vec::with_capacity(cells.len());
    for cell in cells {
        values.push(match value(cell)? {
            ToSqlOutput::Borrowed(borrowed) => json(borrowed),
            ToSqlOutput::Owned(ref owned) => json(owned.into()),
            _ => serde_json::Value::Null,
        });
    }
    Ok(serde_json::Value::Array(values).to_string().into())
}

fn json(value: ValueRef<'_>) -> serde_json::Value {
    match value {
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Null | ValueRef::Blob(_) => serde_json::Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use watchtower_model::rfc3339::format_day;

    use super::*;

    #[test]
    fn a_day_comes_back() {
        for number in [-1, 0, 20_780] {
            assert_eq!(day(&format_day(Day(number))), Some(Day(number)));
        }
        assert_eq!(day("yesterday"), None);
    }
}

//! Writes rows of the tables.

use std::sync::Arc;

use rusqlite::types::ToSqlOutput;
use rusqlite::{CachedStatement, Connection, ToSql};

use super::encode::{Sql, SqlKey};
use super::schema::{column_names, place_columns};
use watchtower_core::ArchivedPosition;
use watchtower_core::tables::{Cell, KeyCell, Row, Table, TableChanges, positions};
use watchtower_geopackage::geometry;

/// Writes the changes of one table: deletions first, then rows, each in key order.
pub(super) fn write(connection: &Connection, changes: &TableChanges) -> rusqlite::Result<()> {
    let table = changes.table;
    let mut gone = changes.rows.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| key).peekable();
    if gone.peek().is_some() {
        let mut delete = connection.prepare_cached(&delete_sql(table))?;
        for key in gone {
            delete.execute(rusqlite::params_from_iter(key.iter().map(SqlKey)))?;
        }
    }
    let mut rows = changes.rows.values().flatten().peekable();
    if rows.peek().is_some() {
        let mut upsert = Upsert::new(connection, table)?;
        rows.try_for_each(|row| upsert.row(row))?;
    }
    Ok(())
}

/// Updates `positions`: of several for the same vehicle and instant the last one is kept.
pub(super) fn write_positions(connection: &Connection, archived: &[ArchivedPosition]) -> rusqlite::Result<()> {
    if archived.is_empty() {
        return Ok(());
    }
    let mut upsert = Upsert::new(connection, &positions::TABLE)?;
    let mut delete = connection.prepare_cached(&delete_sql(&positions::TABLE))?;
    for ArchivedPosition { vehicle_id, ts, measured, .. } in archived {
        match measured {
            Some(measured) => upsert.row(&positions::row(Arc::clone(vehicle_id), *ts, measured))?,
            None => {
                let key = [KeyCell::Text(Arc::clone(vehicle_id)), KeyCell::Time(*ts)];
                delete.execute(rusqlite::params_from_iter(key.iter().map(SqlKey)))?;
            }
        }
    }
    Ok(())
}

fn delete_sql(table: &Table) -> String {
    let key: Vec<String> =
        table.columns[..table.key].iter().enumerate().map(|(i, c)| format!("{} = ?{}", c.name, i + 1)).collect();
    format!("DELETE FROM {} WHERE {}", table.name, key.join(" AND "))
}

/// A prepared upsert: it replaces the row with the same key.
struct Upsert<'a> {
    statement: CachedStatement<'a>,
    /// Indices of the columns of longitude and latitude.
    place: Option<(usize, usize)>,
}

impl<'a> Upsert<'a> {
    fn new(connection: &'a Connection, table: &Table) -> rusqlite::Result<Self> {
        let names = column_names(table);
        let values: Vec<String> = (1..=names.len()).map(|i| format!("?{i}")).collect();
        let set: Vec<String> = names[table.key..].iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}",
            table.name,
            names.join(", "),
            values.join(", "),
            names[..table.key].join(", "),
            set.join(", ")
        );
        Ok(Self { statement: connection.prepare_cached(&sql)?, place: place_columns(table) })
    }

    fn row(&mut self, row: &Row) -> rusqlite::Result<()> {
        for (index, cell) in row.iter().enumerate() {
            self.statement.raw_bind_parameter(index + 1, Sql(cell))?;
        }
        if let Some((lon, lat)) = self.place {
            self.statement.raw_bind_parameter(row.len() + 1, Point(&row[lon], &row[lat]))?;
        }
        self.statement.raw_execute().map(drop)
    }
}

/// The geometry of a row, from its longitude and latitude; NULL if either is unknown.
struct Point<'a>(&'a Cell, &'a Cell);

impl ToSql for Point<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match (self.0, self.1) {
            (Cell::Real(lon), Cell::Real(lat)) => Ok(geometry::point([*lon, *lat]).to_vec().into()),
            _ => rusqlite::types::Null.to_sql(),
        }
    }
}

//! Writes rows of the tables.

use std::sync::Arc;

use rusqlite::types::ToSqlOutput;
use rusqlite::{CachedStatement, Connection, OptionalExtension, ToSql};

use super::encode::{Sql, SqlKey};
use super::schema::{column_names, place_columns};
use watchtower_core::ArchivedPosition;
use watchtower_core::tables::{Cell, KeyCell, Row, Table, TableChanges, positions};
use watchtower_geopackage::geometry;
use watchtower_model::Mark;

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
    let mut mark = connection.prepare_cached("SELECT mark FROM position_marks WHERE vehicle_id = ?1 AND ts = ?2")?;
    for ArchivedPosition { vehicle_id, ts, measured, .. } in archived {
        match measured {
            Some(measured) => {
                let key = [KeyCell::Text(Arc::clone(vehicle_id)), KeyCell::Time(*ts)];
                let name: Option<String> =
                    mark.query_row(rusqlite::params_from_iter(key.iter().map(SqlKey)), |row| row.get(0)).optional()?;
                let mark = name.as_deref().map_or(Mark::None, Mark::from_name);
                upsert.row(&positions::row(Arc::clone(vehicle_id), *ts, measured, mark))?;
            }
            None => {
                let key = [KeyCell::Text(Arc::clone(vehicle_id)), KeyCell::Time(*ts)];
                delete.execute(rusqlite::params_from_iter(key.iter().map(SqlKey)))?;
            }
        }
    }
    Ok(())
}

/// Brings `positions.mark` up to date with what changed in `position_marks`.
pub(super) fn write_marks(connection: &Connection, changes: &TableChanges) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached("UPDATE positions SET mark = ?3 WHERE vehicle_id = ?1 AND ts = ?2")?;
    for (key, row) in &changes.rows {
        for (index, cell) in key.iter().enumerate() {
            update.raw_bind_parameter(index + 1, SqlKey(cell))?;
        }
        update.raw_bind_parameter(3, Sql(row.as_ref().map_or(&Cell::Empty, |row| &row[2])))?;
        update.raw_execute()?;
    }
    Ok(())
}

fn delete_sql(table: &Table) -> String {
    let key: Vec<String> =
        table.columns[..table.key].iter().enumerate().map(|(i, c)| format!("{} = ?{}", c.quoted(), i + 1)).collect();
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

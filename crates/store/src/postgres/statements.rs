//! Writes the changes of a table: deletions first, then rows, each in key order.
//!
//! Few rows are sent as one array per column; many by COPY into a temporary table first, which keeps the server's
//! memory small.

use std::pin::pin;

use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use super::encode::{Sql, SqlKey, array_type, copy_type, from_array};
use super::error::StoreError;
use super::queue::{Parameters, StatementQueue};
use watchtower_core::tables::{Column, Key, Row, Table, TableChanges};

/// Up to this many rows are sent as arrays. Both ways cost some 5 us per row; arrays save round trips.
const MAX_ARRAY_ROWS: usize = 2_000;

/// Writes what changed in one table.
///
/// # Errors
/// If a statement fails; the transaction is then void.
pub async fn write<'a>(queue: &mut StatementQueue<'a>, changes: &'a TableChanges) -> Result<(), StoreError> {
    let table = changes.table;
    let gone: Vec<&Key> = changes.rows.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| key).collect();
    for keys in gone.chunks(MAX_ARRAY_ROWS) {
        delete(queue, table, keys).await?;
    }
    let rows: Vec<&Row> = changes.rows.values().flatten().collect();
    if rows.is_empty() {
        return Ok(());
    }
    if rows.len() <= MAX_ARRAY_ROWS {
        upsert_arrays(queue, table, &rows).await
    } else {
        upsert_copied(queue, table, &rows).await
    }
}

async fn delete(queue: &mut StatementQueue<'_>, table: &'static Table, keys: &[&Key]) -> Result<(), StoreError> {
    let columns = &table.columns[..table.key];
    let column = |i: usize| -> Vec<SqlKey> { keys.iter().map(|key| SqlKey(key[i].cell())).collect() };
    let parameters: Parameters<'_> = (0..columns.len()).map(|i| Box::new(column(i)) as _).collect();
    let (arrays, types) = arrays(columns);
    let same: Vec<String> = columns.iter().map(|c| format!("t.{0} = u.{0}", c.name)).collect();
    let sql = format!(
        "DELETE FROM {} AS t USING unnest({arrays}) AS u({}) WHERE {}",
        table.name,
        names(columns),
        same.join(" AND ")
    );
    queue.execute(&sql, &types, parameters, format!("delete rows of {}", table.name)).await
}

async fn upsert_arrays<'a>(
    queue: &mut StatementQueue<'a>,
    table: &'static Table,
    rows: &[&'a Row],
) -> Result<(), StoreError> {
    let column = |i: usize| -> Vec<Sql<'a>> { rows.iter().map(|row| Sql(&row[i])).collect() };
    let parameters: Parameters<'a> = (0..table.columns.len()).map(|i| Box::new(column(i)) as _).collect();
    let (arrays, types) = arrays(table.columns);
    let read: Vec<String> = table.columns.iter().map(from_array).collect();
    let names = names(table.columns);
    let source = format!("SELECT {} FROM unnest({arrays}) AS u({names})", read.join(", "));
    queue.execute(&upsert(table, &source), &types, parameters, writing(table)).await
}

async fn upsert_copied(queue: &mut StatementQueue<'_>, table: &'static Table, rows: &[&Row]) -> Result<(), StoreError> {
    let name = table.name;
    queue.stage(name).await?;
    let names = names(table.columns);
    let types: Vec<Type> = table.columns.iter().map(|c| copy_type(c.kind)).collect();
    let copy = format!("COPY stage_{name} ({names}) FROM STDIN BINARY");
    let failed = || StoreError::statement(writing(table));
    let sink = queue.client().await?.copy_in(&copy).await.map_err(failed())?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for row in rows {
        let cells: Vec<Sql<'_>> = row.iter().map(Sql).collect();
        writer.as_mut().write_raw(cells).await.map_err(failed())?;
    }
    writer.finish().await.map_err(failed())?;
    let source = format!("SELECT {names} FROM stage_{name}");
    queue.execute(&upsert(table, &source), &[], Vec::new(), writing(table)).await?;
    queue.run(format!("TRUNCATE stage_{name}"), writing(table)).await
}

fn writing(table: &Table) -> String {
    format!("write rows of {}", table.name)
}

/// `INSERT .. ON CONFLICT` from a query that yields the columns in order.
fn upsert(table: &Table, source: &str) -> String {
    let (key, rest) = table.columns.split_at(table.key);
    let set: Vec<String> = rest.iter().map(|c| format!("{0} = excluded.{0}", c.name)).collect();
    format!(
        "INSERT INTO {} ({}) {source} ON CONFLICT ({}) DO UPDATE SET {}",
        table.name,
        names(table.columns),
        names(key),
        set.join(", ")
    )
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|c| c.name).collect::<Vec<_>>().join(", ")
}

/// Placeholders such as `$1::text[], $2::..`, and their types.
fn arrays(columns: &[Column]) -> (String, Vec<Type>) {
    let mut types = Vec::new();
    let mut arrays = Vec::new();
    for (i, column) in columns.iter().enumerate() {
        let (array, name) = array_type(column.kind);
        types.push(array);
        arrays.push(format!("${}::{name}", i + 1));
    }
    (arrays.join(", "), types)
}

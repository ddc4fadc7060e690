//! Writing the changes of a table: deletions first, then rows, each in key order.
//!
//! Few rows travel as one array a column; many go by COPY into a temporary table first, which keeps the
//! server's memory small.

use std::collections::HashMap;
use std::pin::pin;

use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Statement};

use super::encode::{array_type, copy_type, from_array};
use super::error::StoreError;
use crate::tables::{Cell, Column, Key, Row, Table, TableChanges};

/// Up to this many rows travel as arrays. Both ways cost some 5 us a row; arrays save round trips.
const MAX_ARRAY_ROWS: usize = 2_000;

/// The statements of one session, prepared when first needed.
#[derive(Debug, Default)]
pub struct Statements {
    prepared: HashMap<String, Statement>,
    staged: Vec<&'static str>,
}

impl Statements {
    /// Writes what changed in one table.
    ///
    /// # Errors
    /// If a statement fails; the transaction is void then.
    pub async fn write(&mut self, client: &Client, changes: &TableChanges) -> Result<(), StoreError> {
        let table = changes.table;
        let gone: Vec<&Key> = changes.rows.iter().filter(|(_, row)| row.is_none()).map(|(key, _)| key).collect();
        for keys in gone.chunks(MAX_ARRAY_ROWS) {
            self.delete(client, table, keys).await?;
        }
        let rows: Vec<&Row> = changes.rows.values().flatten().collect();
        if rows.is_empty() {
            return Ok(());
        }
        if rows.len() <= MAX_ARRAY_ROWS {
            self.upsert_arrays(client, table, &rows).await
        } else {
            self.upsert_copied(client, table, &rows).await
        }
    }

    async fn delete(&mut self, client: &Client, table: &'static Table, keys: &[&Key]) -> Result<(), StoreError> {
        let columns = &table.columns[..table.key];
        let cells: Vec<Vec<Cell>> =
            (0..columns.len()).map(|i| keys.iter().map(|key| key[i].cell()).collect()).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = cells.iter().map(|column| column as _).collect();
        let (arrays, types) = arrays(columns);
        let same: Vec<String> = columns.iter().map(|c| format!("t.{0} = u.{0}", c.name)).collect();
        let sql = format!(
            "DELETE FROM {} AS t USING unnest({arrays}) AS u({}) WHERE {}",
            table.name,
            names(columns),
            same.join(" AND ")
        );
        let statement = self.prepare(client, sql, &types).await?;
        client.execute(&statement, &parameters).await.map_err(deleting(table))?;
        Ok(())
    }

    async fn upsert_arrays(&mut self, client: &Client, table: &'static Table, rows: &[&Row]) -> Result<(), StoreError> {
        let cells: Vec<Vec<&Cell>> =
            (0..table.columns.len()).map(|i| rows.iter().map(|row| &row[i]).collect()).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = cells.iter().map(|column| column as _).collect();
        let (arrays, types) = arrays(table.columns);
        let read: Vec<String> = table.columns.iter().map(from_array).collect();
        let names = names(table.columns);
        let source = format!("SELECT {} FROM unnest({arrays}) AS u({names})", read.join(", "));
        let statement = self.prepare(client, upsert(table, &source), &types).await?;
        client.execute(&statement, &parameters).await.map_err(writing(table))?;
        Ok(())
    }

    async fn upsert_copied(&mut self, client: &Client, table: &'static Table, rows: &[&Row]) -> Result<(), StoreError> {
        let name = table.name;
        if !self.staged.contains(&name) {
            let stage =
                format!("CREATE TEMPORARY TABLE IF NOT EXISTS stage_{name} (LIKE {name}) ON COMMIT DELETE ROWS");
            client.batch_execute(&stage).await.map_err(writing(table))?;
            self.staged.push(name);
        }
        let names = names(table.columns);
        let types: Vec<Type> = table.columns.iter().map(|c| copy_type(c.kind)).collect();
        let sink =
            client.copy_in(&format!("COPY stage_{name} ({names}) FROM STDIN BINARY")).await.map_err(writing(table))?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for row in rows {
            writer.as_mut().write_raw(row.iter()).await.map_err(writing(table))?;
        }
        writer.finish().await.map_err(writing(table))?;
        let statement = self.prepare(client, upsert(table, &format!("SELECT {names} FROM stage_{name}")), &[]).await?;
        client.execute(&statement, &[]).await.map_err(writing(table))?;
        client.batch_execute(&format!("TRUNCATE stage_{name}")).await.map_err(writing(table))
    }

    async fn prepare(&mut self, client: &Client, sql: String, types: &[Type]) -> Result<Statement, StoreError> {
        if let Some(statement) = self.prepared.get(&sql) {
            return Ok(statement.clone());
        }
        let statement =
            client.prepare_typed(&sql, types).await.map_err(StoreError::statement(format!("prepare {sql}")))?;
        self.prepared.insert(sql, statement.clone());
        Ok(statement)
    }
}

fn writing(table: &Table) -> impl FnOnce(tokio_postgres::Error) -> StoreError {
    StoreError::statement(format!("write rows of {}", table.name))
}

fn deleting(table: &Table) -> impl FnOnce(tokio_postgres::Error) -> StoreError {
    StoreError::statement(format!("delete rows of {}", table.name))
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

/// `$1::text[], $2::..` and the types.
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

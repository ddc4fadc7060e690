//! Reads the file with plain SQL while the daemon writes it.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Params, Row};

use super::DemoError;
use watchtower_geopackage::{Connection, GeoPackage};

/// A read-only connection to the file.
#[derive(Debug)]
pub(super) struct Tables {
    file: GeoPackage,
    connection: Connection,
}

impl Tables {
    /// If the file does not exist or cannot be read.
    /// If the file is not there or cannot be read.
    pub(super) fn open(file: &GeoPackage) -> Result<Self, DemoError> {
        Ok(Self { file: file.clone(), connection: file.connect_to_read()? })
    }

    /// Number of the last entry that the tables contain.
    pub(super) fn committed(&self) -> Result<u64, DemoError> {
        let sum = "SELECT coalesce(sum(entries), 0) FROM cursors";
        Ok(self.one(sum, (), |row| row.get::<_, i64>(0))?.unwrap_or(0).unsigned_abs())
    }

    /// Reads several tables in one transaction, so that all are of the same commit.
    pub(super) fn at_one_commit<T>(&self, read: impl FnOnce(&Self) -> Result<T, DemoError>) -> Result<T, DemoError> {
        self.execute("BEGIN")?;
        let result = read(self);
        self.execute("COMMIT")?;
        result
    }

    fn execute(&self, sql: &str) -> Result<(), DemoError> {
        Ok(self.connection.execute_batch(sql).map_err(self.file.failed("read the tables"))?)
    }

    /// The rows of a query.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, DemoError> {
        let rows = || self.connection.prepare_cached(sql)?.query_map(params, read)?.collect::<Result<Vec<T>, _>>();
        Ok(rows().map_err(self.file.failed("read a table"))?)
    }

    /// The only row of a query; `None` if it has none.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, DemoError> {
        let row = || self.connection.prepare_cached(sql)?.query_row(params, read).optional();
        Ok(row().map_err(self.file.failed("read a table"))?)
    }

    /// Number of rows of a table; `from` may have a WHERE clause.
    pub(super) fn count(&self, from: &str) -> Result<u64, DemoError> {
        let count = self.one(&format!("SELECT count(*) FROM {from}"), (), |row| row.get::<_, i64>(0))?;
        Ok(count.unwrap_or(0).unsigned_abs())
    }
}

/// A value as text; NULL as the empty text.
pub(super) fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

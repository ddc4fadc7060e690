//! Reads stored rows by the descriptor of their table: the same from PostgreSQL and from a GeoPackage.
//!
//! A [`Query`] names a table, conditions on its columns, and a page in the order of the key. The queries of one call of
//! [`Reader::read`] see one snapshot, and each [`Answer`] carries the commit that its rows equal. Rows are cells, as the
//! writer of the table made them.

mod geopackage;
mod postgres;
mod statement;
mod wkb;

use tokio::task::block_in_place;
use tokio_postgres::Client;
use watchtower_core::tables::{Cell, Column, Key, KeyCell, Kind, Row, Table, key};
use watchtower_geopackage::{Connection, GeoPackage};

use crate::WriterError;
use crate::geopackage::EmbeddedError;
use crate::postgres::Database;

/// Rows of one table, in the order of its key.
#[derive(Clone, Debug)]
pub struct Query {
    table: &'static Table,
    /// Index of a column, and the condition on it. A row must fulfil all of them.
    filters: Vec<(usize, Condition)>,
    after: Option<Key>,
    limit: Option<usize>,
}

/// A condition on the cell of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// It is this cell; [`Cell::Empty`] finds empty cells.
    Equals(Cell),
    /// It is one of these; none of them is empty.
    In(Vec<Cell>),
    /// It is this instant, day or number, or a later or greater one.
    From(Cell),
    /// It is before this instant or day, or less than this number.
    Before(Cell),
    /// As [`Self::From`], or it is empty: the end of an interval that was not over then.
    FromOrEmpty(Cell),
}

/// A query that a table cannot answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    /// The table has no such column.
    #[error("table {table} has no column {column:?}; it has {known}")]
    NoColumn {
        /// Name of the table.
        table: &'static str,
        /// Name of the column in the query.
        column: String,
        /// Names of the table's columns, with commas.
        known: String,
    },
    /// A condition does not suit the type of its column.
    #[error("column {column} of table {table} holds {holds}, to which this condition cannot be applied")]
    Condition {
        /// Name of the table.
        table: &'static str,
        /// Name of the column.
        column: &'static str,
        /// The type of its cells, in words.
        holds: &'static str,
    },
    /// The key of a page's beginning is not a key of the table.
    #[error("the key of table {table} is {key}")]
    Key {
        /// Name of the table.
        table: &'static str,
        /// Names of the columns of its key, with commas.
        key: String,
    },
}

impl Query {
    /// All rows of a table.
    pub fn all(table: &'static Table) -> Self {
        Self { table, filters: Vec::new(), after: None, limit: None }
    }

    /// The table.
    pub fn table(&self) -> &'static Table {
        self.table
    }

    /// Those of the rows that also fulfil a condition on a column.
    ///
    /// # Errors
    /// If there is no such column, or the condition does not suit its type.
    pub fn filter(mut self, column: &str, condition: Condition) -> Result<Self, InvalidQuery> {
        let Table { name: table, columns, .. } = self.table;
        let Some(index) = self.table.column(column) else {
            return Err(InvalidQuery::NoColumn { table, column: column.to_owned(), known: names(columns) });
        };
        let Column { name: column, kind, .. } = columns[index];
        if !suits(&condition, kind) {
            return Err(InvalidQuery::Condition { table, column, holds: in_words(kind) });
        }
        self.filters.push((index, condition));
        Ok(self)
    }

    /// Those of the rows whose key is greater: `key` is [`Answer::next`] of the page before.
    ///
    /// # Errors
    /// If it is not a key of the table.
    pub fn after(mut self, key: Key) -> Result<Self, InvalidQuery> {
        let columns = &self.table.columns[..self.table.key];
        let is_key = key.len() == columns.len()
            && key.iter().zip(columns).all(|(cell, column)| match cell {
                KeyCell::Text(_) => column.kind == Kind::Text,
                KeyCell::Time(_) => column.kind == Kind::Time,
                KeyCell::Date(_) => column.kind == Kind::Date,
            });
        if !is_key {
            return Err(InvalidQuery::Key { table: self.table.name, key: names(columns) });
        }
        self.after = Some(key);
        Ok(self)
    }

    /// At most the first `rows` of the rows, and at least one. Without a limit all are held in memory at once.
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = Some(rows.max(1));
        self
    }
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// Whether a condition can be applied to cells of a kind.
fn suits(condition: &Condition, kind: Kind) -> bool {
    match condition {
        Condition::Equals(Cell::Empty) => true,
        Condition::Equals(cell) => is_comparable(cell, kind),
        Condition::In(cells) => is_comparable_kind(kind) && cells.iter().all(|cell| is_comparable(cell, kind)),
        Condition::From(cell) | Condition::Before(cell) | Condition::FromOrEmpty(cell) => {
            matches!(kind, Kind::Time | Kind::Date | Kind::Integer | Kind::Real) && is_comparable(cell, kind)
        }
    }
}

/// Whether cells of a kind can be compared with a given one.
fn is_comparable_kind(kind: Kind) -> bool {
    match kind {
        Kind::Text | Kind::Time | Kind::Date | Kind::Boolean | Kind::Integer | Kind::Real => true,
        Kind::Texts | Kind::Json | Kind::Geometry | Kind::Bytes => false,
    }
}

/// Whether a cell is of a kind, and can be compared.
fn is_comparable(cell: &Cell, kind: Kind) -> bool {
    match cell {
        Cell::Text(_) => kind == Kind::Text,
        Cell::Time(_) => kind == Kind::Time,
        Cell::Date(_) => kind == Kind::Date,
        Cell::Boolean(_) => kind == Kind::Boolean,
        Cell::Integer(_) => kind == Kind::Integer,
        Cell::Real(number) => kind == Kind::Real && !number.is_nan(),
        Cell::Empty | Cell::Texts(_) | Cell::Json(_) | Cell::Geometry(_) | Cell::Bytes(_) => false,
    }
}

fn in_words(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Texts => "lists of texts",
        Kind::Time => "instants",
        Kind::Date => "days",
        Kind::Boolean => "true or false",
        Kind::Integer => "whole numbers",
        Kind::Real => "numbers",
        Kind::Json => "JSON objects",
        Kind::Geometry => "geometries",
        Kind::Bytes => "bytes",
    }
}

/// The rows that a query found.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Number of the commit whose contents the table had: that of the snapshot, of a lagging table the one in
    /// `table_progress`.
    pub as_of: i64,
    /// The rows, in the order of the key. Text is in the order of its bytes.
    pub rows: Vec<Row>,
    /// Key of the last of the rows, if the limit left out others: the argument of [`Query::after`] for the next page.
    pub next: Option<Key>,
}

impl Answer {
    /// The answer to a query that read `rows`, one more than its limit if there are more.
    fn new(query: &Query, as_of: i64, mut rows: Vec<Row>) -> Self {
        let mut next = None;
        if let Some(limit) = query.limit
            && rows.len() > limit
        {
            rows.truncate(limit);
            next = rows.last().map(|row| key(query.table, row));
        }
        Self { as_of, rows, next }
    }
}

/// Rows could not be read.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The store cannot be read, or has no tables.
    #[error(transparent)]
    Store(#[from] WriterError),
    /// A stored cell is none that this program writes.
    #[error("table {table} has a cell in column {column} that this program did not write")]
    Unreadable {
        /// Name of the table.
        table: &'static str,
        /// Name of the column.
        column: &'static str,
    },
}

impl From<crate::postgres::StoreError> for QueryError {
    fn from(error: crate::postgres::StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl From<EmbeddedError> for QueryError {
    fn from(error: EmbeddedError) -> Self {
        Self::Store(error.into())
    }
}

/// A session that reads rows; it writes nothing. [`Store::reader`](crate::Store::reader) opens it.
#[derive(Debug)]
pub struct Reader(Place);

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a session has one of it")]
enum Place {
    Postgres { database: Database, client: Client },
    File { file: GeoPackage, connection: Connection },
}

impl Reader {
    /// A session of a database.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses.
    pub(crate) async fn of_database(database: &Database) -> Result<Self, WriterError> {
        Ok(Self(Place::Postgres { database: database.clone(), client: database.connect().await? }))
    }

    /// A session of a file.
    ///
    /// # Errors
    /// If the file does not exist, is not ours, or cannot be opened.
    pub(crate) fn of_file(file: &GeoPackage) -> Result<Self, WriterError> {
        let connection = block_in_place(|| file.connect_to_read()).map_err(EmbeddedError::from)?;
        Ok(Self(Place::File { file: file.clone(), connection }))
    }

    /// The answers to queries, all from one snapshot of the tables.
    ///
    /// # Errors
    /// If there are no tables, or they cannot be read. After an error of the connection a new reader is needed.
    pub async fn read<const N: usize>(&mut self, queries: [&Query; N]) -> Result<[Answer; N], QueryError> {
        let answers = match &mut self.0 {
            Place::Postgres { database, client } => postgres::read(client, database, &queries).await?,
            Place::File { file, connection } => block_in_place(|| geopackage::read(file, connection, &queries))?,
        };
        Ok(answers.try_into().expect("every query has an answer"))
    }
}

/// The radius of the circle in a row whose cells were read up to its geometry; `None` for an area.
fn radius_m(table: &Table, cells: &[Cell]) -> Option<f64> {
    cells.get(table.column("radius_m")?)?.as_real()
}

#[cfg(test)]
mod tests {
    use watchtower_core::tables::{geofence_occupancy, geofences, visits};
    use watchtower_model::local_time::Day;

    use super::*;

    #[test]
    fn a_condition_suits_its_column() {
        let query = || Query::all(&visits::TABLE);
        let text = || Cell::Text("T1".into());
        assert!(query().filter("vehicle_id", Condition::Equals(text())).is_ok());
        assert!(query().filter("exited_at", Condition::Equals(Cell::Empty)).is_ok());
        assert!(query().filter("entered_at", Condition::From(Cell::Time(0))).is_ok());
        let refused = |column, condition| query().filter(column, condition).unwrap_err().to_string();
        let known = "it has vehicle_id, geofence_id, entered_at, exited_at, confirmed";
        assert!(refused("vehicle", Condition::Equals(text())).ends_with(known));
        assert!(refused("entered_at", Condition::Equals(text())).contains("entered_at of table visits holds instants"));
        assert!(refused("entered_at", Condition::From(Cell::Date(Day(0)))).contains("instants"));
        assert!(refused("vehicle_id", Condition::From(text())).contains("text"));
        assert!(refused("vehicle_id", Condition::In(vec![text(), Cell::Empty])).contains("text"));
        let tags = Query::all(&geofences::TABLE).filter("tags", Condition::In(vec![]));
        assert!(tags.unwrap_err().to_string().contains("lists of texts"));
    }

    #[test]
    fn a_page_begins_behind_a_key() {
        let text = |text: &str| KeyCell::Text(text.into());
        let query = || Query::all(&visits::TABLE);
        assert!(query().after(vec![text("T1"), text("yard"), KeyCell::Time(0)]).is_ok());
        let refused = query().after(vec![text("T1"), text("yard")]).unwrap_err().to_string();
        assert_eq!(refused, "the key of table visits is vehicle_id, geofence_id, entered_at");
        assert!(query().after(vec![text("T1"), KeyCell::Time(0), text("yard")]).is_err());
    }

    #[test]
    fn a_page_names_the_next_one_only_if_there_is_one() {
        let rows = |ids: &[&str]| ids.iter().map(|id| vec![Cell::Text((*id).into()), Cell::Integer(1)]).collect();
        let query = Query::all(&geofence_occupancy::TABLE).limit(2);
        assert_eq!(Answer::new(&query, 7, rows(&["a", "b"])).next, None);
        let more = Answer::new(&query, 7, rows(&["a", "b", "c"]));
        assert_eq!((more.rows.len(), more.next), (2, Some(vec![KeyCell::Text("b".into())])));
    }
}

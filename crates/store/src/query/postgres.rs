//! Rows from PostgreSQL.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, IsolationLevel, Row, Transaction};
use watchtower_core::tables::{self, Cell, Class, Column, Kind, Table};

use super::statement::{Dialect, Parameter, Statement};
use super::{Answer, Query, QueryError, radius_m, wkb};
use crate::postgres::decode::{Date, Time};
use crate::postgres::encode::Sql;
use crate::postgres::{Database, StoreError, claim};

const DIALECT: Dialect = Dialect {
    parameter: '$',
    select: |column| match column.kind {
        Kind::Json => format!("{}::text", column.name),
        Kind::Geometry => format!("ST_AsBinary({}, 'NDR')", column.name),
        Kind::Text
        | Kind::Texts
        | Kind::Time
        | Kind::Date
        | Kind::Boolean
        | Kind::Integer
        | Kind::Real
        | Kind::Bytes => column.name.to_owned(),
    },
    sort: |column| match column.kind {
        Kind::Text => format!("{} COLLATE \"C\"", column.name),
        _ => column.name.to_owned(),
    },
    is_in: |column, parameter| format!("{column} = ANY({parameter})"),
};

/// The answers to queries, from one snapshot.
pub(super) async fn read(
    client: &mut Client,
    database: &Database,
    queries: &[&Query],
) -> Result<Vec<Answer>, QueryError> {
    let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    let snapshot = begin.start().await.map_err(StoreError::statement("begin to read the tables"))?;
    if !claim::exists(snapshot.client(), database).await? {
        return Err(claim::missing(database).into());
    }
    let Some(owner) = claim::owner(snapshot.client(), database).await? else {
        return Err(claim::missing(database).into());
    };
    let mut answers = Vec::with_capacity(queries.len());
    for query in queries {
        let as_of = match query.table.class {
            Class::Transactional => owner.commit_seq,
            Class::Lagging => lagging(&snapshot, query.table).await?,
        };
        answers.push(Answer::new(query, as_of, rows(&snapshot, query).await?));
    }
    snapshot.commit().await.map_err(StoreError::statement("end reading the tables"))?;
    Ok(answers)
}

/// The commit that a lagging table equals; 0 before its first flush.
async fn lagging(snapshot: &Transaction<'_>, table: &Table) -> Result<i64, StoreError> {
    let sql = "SELECT commit_seq FROM table_progress WHERE table_name = $1";
    let row = snapshot.query_opt(sql, &[&table.name]).await;
    let row = row.map_err(StoreError::statement(format!("read the progress of {}", table.name)))?;
    Ok(row.map_or(0, |row| row.get(0)))
}

async fn rows(snapshot: &Transaction<'_>, query: &Query) -> Result<Vec<tables::Row>, QueryError> {
    let Statement { sql, parameters, .. } = Statement::new(query, &DIALECT);
    let parameters: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|parameter| parameter as _).collect();
    let rows = snapshot.query(&sql, &parameters).await;
    let rows = rows.map_err(StoreError::statement(format!("read rows of {}", query.table.name)))?;
    rows.iter().map(|row| cells(query.table, row)).collect()
}

fn cells(table: &'static Table, row: &Row) -> Result<tables::Row, QueryError> {
    let mut cells = Vec::with_capacity(table.columns.len());
    for (index, Column { name: column, kind, .. }) in table.columns.iter().enumerate() {
        let radius_m = radius_m(table, &cells);
        let read = cell(row, index, *kind, radius_m);
        let read = read.map_err(StoreError::statement(format!("read column {column} of {}", table.name)))?;
        cells.push(read.ok_or(QueryError::Unreadable { table: table.name, column })?);
    }
    Ok(cells)
}

/// A cell; `None` if this program did not write it.
fn cell(row: &Row, index: usize, kind: Kind, radius_m: Option<f64>) -> Result<Option<Cell>, tokio_postgres::Error> {
    let cell = match kind {
        Kind::Text => row.try_get::<_, Option<&str>>(index)?.map(|text| Cell::Text(text.into())),
        Kind::Json => row.try_get::<_, Option<&str>>(index)?.map(|text| Cell::Json(text.into())),
        Kind::Texts => row
            .try_get::<_, Option<Vec<&str>>>(index)?
            .map(|texts| Cell::Texts(texts.into_iter().map(Into::into).collect())),
        Kind::Time => row.try_get::<_, Option<Time>>(index)?.map(|Time(t)| Cell::Time(t)),
        Kind::Date => row.try_get::<_, Option<Date>>(index)?.map(|Date(day)| Cell::Date(day)),
        Kind::Boolean => row.try_get::<_, Option<bool>>(index)?.map(Cell::Boolean),
        Kind::Integer => row.try_get::<_, Option<i64>>(index)?.map(Cell::Integer),
        Kind::Real => row.try_get::<_, Option<f64>>(index)?.map(Cell::Real),
        Kind::Bytes => row.try_get::<_, Option<&[u8]>>(index)?.map(|bytes| Cell::Bytes(bytes.into())),
        Kind::Geometry => match row.try_get::<_, Option<&[u8]>>(index)? {
            Some(bytes) => return Ok(wkb::shape(bytes, radius_m).map(|shape| Cell::Geometry(shape.into()))),
            None => None,
        },
    };
    Ok(Some(cell.unwrap_or(Cell::Empty)))
}

impl ToSql for Parameter<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Cell(cell) => Sql(cell).to_sql(ty, out),
            Self::Key(key) => Sql(&key.cell()).to_sql(ty, out),
            Self::List(cells) => cells.iter().map(Sql).collect::<Vec<_>>().to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

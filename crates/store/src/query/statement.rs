//! A query as SQL: what differs between the databases is a [`Dialect`].

use watchtower_core::tables::{Cell, Column, KeyCell, Table};

use super::{Condition, Query};

/// How a database writes what a query needs.
pub(super) struct Dialect {
    /// First character of a parameter; its number follows, from 1.
    pub(super) parameter: char,
    /// Expression that reads a column.
    pub(super) select: fn(&Column) -> String,
    /// Expression that sorts a column of the key: text by its bytes.
    pub(super) sort: fn(&Column) -> String,
    /// Condition that a column is in the list of a parameter.
    pub(super) is_in: fn(&str, &str) -> String,
}

/// A value of a statement's parameter.
#[derive(Debug)]
pub(super) enum Parameter<'q> {
    Cell(&'q Cell),
    Key(&'q KeyCell),
    List(&'q [Cell]),
}

/// A query as text, with its parameters in order.
#[derive(Debug)]
pub(super) struct Statement<'q> {
    pub(super) sql: String,
    pub(super) parameters: Vec<Parameter<'q>>,
    dialect_parameter: char,
}

impl<'q> Statement<'q> {
    /// The statement of a query. It reads one row more than the limit, which shows whether there are more.
    pub(super) fn new(query: &'q Query, dialect: &Dialect) -> Self {
        let Query { table, filters, after, limit } = query;
        let Table { name, key, columns, .. } = table;
        let mut statement = Self { sql: String::new(), parameters: Vec::new(), dialect_parameter: dialect.parameter };
        let mut conditions: Vec<String> = filters
            .iter()
            .map(|(index, condition)| statement.condition(&columns[*index].quoted(), condition, dialect))
            .collect();
        let order: Vec<String> = columns[..*key].iter().map(dialect.sort).collect();
        if let Some(after) = after {
            let parameters: Vec<String> = after.iter().map(|cell| statement.add(Parameter::Key(cell))).collect();
            conditions.push(format!("({}) > ({})", order.join(", "), parameters.join(", ")));
        }
        let select: Vec<String> = columns.iter().map(dialect.select).collect();
        let mut sql = format!("SELECT {} FROM {name}", select.join(", "));
        if !conditions.is_empty() {
            sql.push_str(&format!(" WHERE {}", conditions.join(" AND ")));
        }
        sql.push_str(&format!(" ORDER BY {}", order.join(", ")));
        if let Some(limit) = limit {
            sql.push_str(&format!(" LIMIT {}", limit.saturating_add(1).min(i64::MAX as usize)));
        }
        statement.sql = sql;
        statement
    }

    fn condition(&mut self, column: &str, condition: &'q Condition, dialect: &Dialect) -> String {
        match condition {
            Condition::Equals(Cell::Empty) => format!("{column} IS NULL"),
            Condition::Equals(cell) => format!("{column} = {}", self.add(Parameter::Cell(cell))),
            Condition::In(cells) => (dialect.is_in)(column, &self.add(Parameter::List(cells))),
            Condition::From(cell) => format!("{column} >= {}", self.add(Parameter::Cell(cell))),
            Condition::Before(cell) => format!("{column} < {}", self.add(Parameter::Cell(cell))),
            Condition::FromOrEmpty(cell) => {
                format!("({column} >= {} OR {column} IS NULL)", self.add(Parameter::Cell(cell)))
            }
        }
    }

    /// Adds a parameter and returns its name.
    fn add(&mut self, parameter: Parameter<'q>) -> String {
        self.parameters.push(parameter);
        format!("{}{}", self.dialect_parameter, self.parameters.len())
    }
}

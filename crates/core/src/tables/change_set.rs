//! What changes in tables, by key: what a store writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchtower_model::Millis;
use watchtower_model::local_time::Day;

use crate::tables::{Cell, Row, Table};

/// The cells of a primary key.
pub type Key = Vec<KeyCell>;

/// A cell of a primary key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyCell {
    /// An id.
    Text(Arc<str>),
    /// An instant.
    Time(Millis),
    /// A local date.
    Date(Day),
}

impl KeyCell {
    /// The cell it was made of.
    pub fn cell(&self) -> Cell {
        match self {
            Self::Text(text) => Cell::Text(Arc::clone(text)),
            Self::Time(t) => Cell::Time(*t),
            Self::Date(day) => Cell::Date(*day),
        }
    }
}

/// What becomes of the row at a key: the row that is there now, or none.
pub type Outcome = Option<Row>;

/// What changes in one table.
#[derive(Debug)]
pub struct TableChanges {
    /// Which.
    pub table: &'static Table,
    /// In key order.
    pub rows: BTreeMap<Key, Outcome>,
}

/// What changes in tables. Setting is idempotent: writing the same set twice is as good as once.
#[derive(Debug, Default)]
pub struct ChangeSet {
    tables: Vec<TableChanges>,
}

impl ChangeSet {
    /// The set of one epoch's differences, in any order: of a key, +1 says what is there now, and -1
    /// alone that nothing is.
    pub fn of_epoch(changes: impl IntoIterator<Item = (&'static Table, Row, i64)>) -> Self {
        let mut set = Self::default();
        for (table, row, diff) in changes {
            let key = key(table, &row);
            let rows = set.rows_mut(table);
            if diff > 0 {
                rows.insert(key, Some(row));
            } else {
                rows.entry(key).or_insert(None);
            }
        }
        set
    }

    /// Sets a row.
    pub fn set(&mut self, table: &'static Table, row: Row) {
        self.rows_mut(table).insert(key(table, &row), Some(row));
    }

    /// Removes a row.
    pub fn remove(&mut self, table: &'static Table, key: Key) {
        self.rows_mut(table).insert(key, None);
    }

    /// Adds what changed afterwards.
    pub fn then(&mut self, later: Self) {
        for TableChanges { table, rows } in later.tables {
            let mine = self.rows_mut(table);
            if mine.is_empty() {
                *mine = rows;
            } else {
                mine.extend(rows);
            }
        }
    }

    /// Table by table, each with a change at least, in the order in which they first changed.
    pub fn tables(&self) -> &[TableChanges] {
        &self.tables
    }

    /// Rows to be written or deleted.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|changes| changes.rows.len()).sum()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    fn rows_mut(&mut self, table: &'static Table) -> &mut BTreeMap<Key, Outcome> {
        let index = self.tables.iter().position(|changes| changes.table.name == table.name).unwrap_or_else(|| {
            self.tables.push(TableChanges { table, rows: BTreeMap::new() });
            self.tables.len() - 1
        });
        &mut self.tables[index].rows
    }
}

fn key(table: &Table, row: &Row) -> Key {
    row[..table.key].iter().map(key_cell).collect()
}

fn key_cell(cell: &Cell) -> KeyCell {
    match cell {
        Cell::Text(text) => KeyCell::Text(Arc::clone(text)),
        Cell::Time(t) => KeyCell::Time(*t),
        Cell::Date(day) => KeyCell::Date(*day),
        other => unreachable!("a key column holds texts or times: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::geofence_occupancy::TABLE;

    fn row(id: &str, vehicles: i64) -> Row {
        vec![Cell::text(id), Cell::Integer(vehicles)]
    }

    fn outcomes(set: &ChangeSet) -> Vec<Option<i64>> {
        let vehicles = |row: &Row| match row[1] {
            Cell::Integer(vehicles) => vehicles,
            ref other => panic!("{other:?}"),
        };
        set.tables()[0].rows.values().map(|row| row.as_ref().map(vehicles)).collect()
    }

    #[test]
    fn an_epochs_differences_come_in_any_order() {
        let set = ChangeSet::of_epoch([
            (&TABLE, row("a", 2), 1),
            (&TABLE, row("a", 1), -1),
            (&TABLE, row("b", 1), -1),
            (&TABLE, row("b", 2), 1),
            (&TABLE, row("c", 1), -1),
        ]);
        assert_eq!(outcomes(&set), [Some(2), Some(2), None]);
    }

    #[test]
    fn the_later_epoch_wins() {
        let mut set = ChangeSet::of_epoch([(&TABLE, row("a", 1), 1), (&TABLE, row("b", 1), -1)]);
        set.then(ChangeSet::of_epoch([(&TABLE, row("a", 1), -1), (&TABLE, row("b", 4), 1)]));
        assert_eq!((outcomes(&set), set.len()), (vec![None, Some(4)], 2));
    }
}

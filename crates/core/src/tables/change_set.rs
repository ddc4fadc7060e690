//! Changes of tables, by key: the input of a store.

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
    /// An id: see [`Kind::Text`](super::Kind::Text).
    Text(Arc<str>),
    /// An instant, milliseconds since 1970.
    Time(Millis),
    /// A local date of the pipeline's time zone.
    Date(Day),
}

impl KeyCell {
    /// The same value as a cell of a row.
    pub fn cell(&self) -> Cell {
        match self {
            Self::Text(text) => Cell::Text(Arc::clone(text)),
            Self::Time(t) => Cell::Time(*t),
            Self::Date(day) => Cell::Date(*day),
        }
    }
}

/// New contents at a key: a row, or `None` for a deletion.
pub type Outcome = Option<Row>;

/// The changes of one table.
#[derive(Debug)]
pub struct TableChanges {
    /// Descriptor of the table.
    pub table: &'static Table,
    /// New contents by key.
    pub rows: BTreeMap<Key, Outcome>,
}

/// The changes of all tables. Writing the same set twice has the same effect as writing it once.
#[derive(Debug, Default)]
pub struct ChangeSet {
    tables: Vec<TableChanges>,
}

impl ChangeSet {
    /// The set of one epoch's differences, in any order: for each key, +1 gives the new row; -1 without a +1 deletes
    /// it.
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

    /// Sets the row at its key.
    pub fn set(&mut self, table: &'static Table, row: Row) {
        self.rows_mut(table).insert(key(table, &row), Some(row));
    }

    /// Deletes the row at a key.
    pub fn remove(&mut self, table: &'static Table, key: Key) {
        self.rows_mut(table).insert(key, None);
    }

    /// Adds later changes; at the same key they replace the earlier ones.
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

    /// The changed tables, in the order in which they first changed; none is empty.
    pub fn tables(&self) -> &[TableChanges] {
        &self.tables
    }

    /// Number of rows to write or delete.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|changes| changes.rows.len()).sum()
    }

    /// Whether the set has no changes.
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

/// The key of a row.
pub fn key(table: &Table, row: &Row) -> Key {
    row[..table.key].iter().map(key_cell).collect()
}

fn key_cell(cell: &Cell) -> KeyCell {
    match cell {
        Cell::Text(text) => KeyCell::Text(Arc::clone(text)),
        Cell::Time(t) => KeyCell::Time(*t),
        Cell::Date(day) => KeyCell::Date(*day),
        other => unreachable!("key columns hold text, time or date: {other:?}"),
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

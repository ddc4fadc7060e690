//! The tables: one descriptor each, which feeds every way of writing and explaining them.
//!
//! A file per table holds its [`Table`] and the [`TableRow`] of the dataflow's rows (dense numbers) that makes cells
//! (names, times, places). Nothing else knows the columns. [`Deltas::visit`] shows the changes of all of them.

mod change_set;
mod deltas;
pub mod fleet_daily;
pub mod geofence_hourly;
pub mod geofence_membership;
pub mod geofence_occupancy;
pub mod geofences;
pub mod idlings;
pub mod kind_daily;
mod materialized;
pub mod od_daily;
pub mod offlines;
pub mod overspeeds;
pub mod positions;
mod refused;
pub mod rejected_counts;
pub mod rejected_events;
pub mod stops;

pub mod trips;
pub mod turnarounds;
pub mod vehicle_daily;
pub mod vehicle_state;
pub mod vehicles;
pub mod visits;

pub use change_set::{ChangeSet, Key, KeyCell, Outcome, TableChanges};
pub use deltas::{Deltas, Visitor};
pub use materialized::{Materialized, transactional_changes};
pub use refused::Refused;

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;
use watchtower_model::geometry::Shape;
use watchtower_model::local_time::Day;
use watchtower_model::{Geofence, GeofenceEdit, GeofenceId, Millis, Speed, Vehicle, VehicleEdit, VehicleId};

use crate::admission::Names;

/// All tables, in the order they are listed to people.
pub const TABLES: [&Table; 20] = [
    &vehicle_state::TABLE,
    &geofence_membership::TABLE,
    &geofence_occupancy::TABLE,
    &visits::TABLE,
    &offlines::TABLE,
    &stops::TABLE,
    &idlings::TABLE,
    &overspeeds::TABLE,
    &trips::TABLE,
    &turnarounds::TABLE,
    &vehicle_daily::TABLE,
    &geofence_hourly::TABLE,
    &od_daily::TABLE,
    &fleet_daily::TABLE,
    &kind_daily::TABLE,
    &vehicles::TABLE,
    &geofences::TABLE,
    &positions::TABLE,
    &rejected_events::TABLE,
    &rejected_counts::TABLE,
];

/// A table as readers see it.
#[derive(Debug)]
pub struct Table {
    /// Plural, lower case.
    pub name: &'static str,
    /// One or two sentences for somebody who finds the table in a BI tool.
    pub comment: &'static str,
    /// When it is written.
    pub class: Class,
    /// How many of the leading columns are the primary key.
    pub key: usize,
    /// In order.
    pub columns: &'static [Column],
}

/// When a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// In the transaction of its commit: all such tables always equal the same prefix of the log.
    Transactional,
    /// On a slower clock; `table_progress` names the commit it equals.
    Lagging,
}

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    /// Lower case, units last.
    pub name: &'static str,
    /// What its cells are.
    pub kind: Kind,
    /// What it says, and what an empty cell means.
    pub comment: &'static str,
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// Several strings.
    Texts,
    /// An instant, UTC.
    Time,
    /// A local date of the pipeline's zone.
    Date,
    /// True or false.
    Boolean,
    /// A 64-bit integer.
    Integer,
    /// A double.
    Real,
    /// A JSON object.
    Json,
    /// A polygon, multipolygon, or the centre of a circle; degrees on WGS84.
    Geometry,
    /// Raw bytes.
    Bytes,
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Not known, or not over yet.
    Empty,
    /// See [`Kind::Text`].
    Text(Arc<str>),
    /// See [`Kind::Texts`].
    Texts(Vec<Arc<str>>),
    /// See [`Kind::Time`].
    Time(Millis),
    /// See [`Kind::Date`].
    Date(Day),
    /// See [`Kind::Boolean`].
    Boolean(bool),
    /// See [`Kind::Integer`].
    Integer(i64),
    /// See [`Kind::Real`].
    Real(f64),
    /// See [`Kind::Json`].
    Json(Arc<str>),
    /// See [`Kind::Geometry`].
    Geometry(Arc<Shape>),
    /// See [`Kind::Bytes`].
    Bytes(Arc<[u8]>),
}

impl Cell {
    fn or_empty<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Empty, cell)
    }

    fn text(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// A speed in km/h, if it is known.
fn kmh(speed: Speed) -> Cell {
    Cell::or_empty(speed.kmh(), Cell::Real)
}

/// Millimetres as metres.
fn metres(millimetres: i64) -> Cell {
    Cell::Real(millimetres as f64 / 1000.0)
}

/// Milliseconds as seconds.
fn seconds(milliseconds: i64) -> Cell {
    Cell::Real(milliseconds as f64 / 1000.0)
}

/// The cells of one row, in the order of its table's columns.
pub type Row = Vec<Cell>;

/// The rows of a computed table, as the dataflow has them.
pub trait TableRow: Clone + Debug + Eq + Hash {
    /// The descriptor of the table.
    const TABLE: &'static Table;

    /// The cells of the row, with the names that `lookup` has for its dense numbers.
    fn cells(&self, lookup: &Lookup) -> Row;
}

/// What the rim knows and the dataflow does not: names for dense numbers, and what each edit said.
#[derive(Debug, Default)]
pub struct Lookup {
    /// Of vehicles and geofences.
    pub names: Names,
    geofences: HashMap<(GeofenceId, u64), Arc<Geofence>, FxBuildHasher>,
    vehicles: HashMap<(VehicleId, u64), Arc<Vehicle>, FxBuildHasher>,
}

impl Lookup {
    /// Remembers what an accepted edit says.
    pub fn remember_geofence(&mut self, edit: &GeofenceEdit) {
        if let Some(definition) = &edit.definition {
            self.geofences.insert((edit.key, edit.seq), Arc::clone(definition));
        }
    }

    /// Remembers what an accepted edit says.
    pub fn remember_vehicle(&mut self, edit: &VehicleEdit) {
        if let Some(definition) = &edit.definition {
            self.vehicles.insert((edit.key, edit.seq), Arc::clone(definition));
        }
    }

    /// What an accepted edit said.
    ///
    /// # Panics
    /// If the edit was not remembered, or was a deletion.
    pub fn geofence(&self, key: GeofenceId, seq: u64) -> &Geofence {
        self.geofences.get(&(key, seq)).expect("every accepted edit is remembered before the dataflow hears of it")
    }

    /// What an accepted edit said.
    ///
    /// # Panics
    /// If the edit was not remembered, or was a deletion.
    pub fn vehicle(&self, key: VehicleId, seq: u64) -> &Vehicle {
        self.vehicles.get(&(key, seq)).expect("every accepted edit is remembered before the dataflow hears of it")
    }
}

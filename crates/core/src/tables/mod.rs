//! The tables: one descriptor each, which all stores, comments and pages are derived from.
//!
//! Each table has a file with its descriptor ([`Table`]) and its [`TableRow`], which converts rows of the dataflow
//! (dense numbers) to cells (names, times, coordinates). No other code knows the columns. [`Deltas::visit`] passes the
//! changes of all tables.

pub mod alerts;
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
pub mod moves_off;
pub mod od_daily;
pub mod offlines;
pub mod overspeeds;
pub mod position_marks;
pub mod positions;
mod refused;
pub mod rejected_counts;
pub mod rejected_events;
pub mod rules;
pub mod stops;
pub mod trips;
pub mod turnarounds;
pub mod vehicle_daily;
pub mod vehicle_state;
pub mod vehicles;
pub mod visits;

pub use change_set::{ChangeSet, Key, KeyCell, Outcome, TableChanges, key};
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
use watchtower_model::{
    AlertRule, Geofence, GeofenceEdit, GeofenceId, Millis, RuleEdit, RuleId, Speed, Vehicle, VehicleEdit, VehicleId,
};

use crate::admission::Names;

/// All tables, in the order in which documentation and exports list them.
pub const TABLES: [&Table; 24] = [
    &vehicle_state::TABLE,
    &geofence_membership::TABLE,
    &geofence_occupancy::TABLE,
    &visits::TABLE,
    &offlines::TABLE,
    &stops::TABLE,
    &idlings::TABLE,
    &overspeeds::TABLE,
    &moves_off::TABLE,
    &trips::TABLE,
    &turnarounds::TABLE,
    &alerts::TABLE,
    &vehicle_daily::TABLE,
    &geofence_hourly::TABLE,
    &od_daily::TABLE,
    &fleet_daily::TABLE,
    &kind_daily::TABLE,
    &vehicles::TABLE,
    &geofences::TABLE,
    &rules::TABLE,
    &position_marks::TABLE,
    &positions::TABLE,
    &rejected_events::TABLE,
    &rejected_counts::TABLE,
];

/// A table as readers see it.
#[derive(Debug)]
pub struct Table {
    /// Plural, lower case.
    pub name: &'static str,
    /// One or two sentences for a user of a BI tool.
    pub comment: &'static str,
    /// When the table is written.
    pub class: Class,
    /// Number of leading columns that form the primary key.
    pub key: usize,
    /// Columns in their stored order.
    pub columns: &'static [Column],
}

impl Table {
    /// Index of the column of a name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// When a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// In the transaction of its commit: all such tables always equal the same prefix of the log.
    Transactional,
    /// After the commit, at a longer interval; `table_progress` names the commit it equals.
    Lagging,
}

/// A column of a table.
#[derive(Debug)]
pub struct Column {
    /// Lower case, units last.
    pub name: &'static str,
    /// Type of its cells.
    pub kind: Kind,
    /// The meaning of a value, its unit, and the meaning of an empty cell.
    pub comment: &'static str,
}

impl Column {
    /// The name in quotes, for statements: some names are words of SQL.
    pub fn quoted(&self) -> String {
        format!("\"{}\"", self.name)
    }

    /// Of every table of vehicles.
    const VEHICLE_ID: Self =
        Self { name: "vehicle_id", kind: Kind::Text, comment: "Identifier of the vehicle, as its tracker sends it." };
    /// Of the tables of versions.
    const EFFECTIVE_FROM: Self = Self {
        name: "effective_from",
        kind: Kind::Time,
        comment: "First instant at which this version is in force, UTC: valid_from, or later if the edit arrived \
                  too late to change the past that far back; -infinity: no known beginning.",
    };
    /// Of the tables of versions.
    const EFFECTIVE_UNTIL: Self = Self {
        name: "effective_until",
        kind: Kind::Time,
        comment: "First instant at which this version is no longer in force, UTC; empty if no other version \
                  replaces it.",
    };
    /// Of the tables of versions.
    const VALID_FROM: Self = Self {
        name: "valid_from",
        kind: Kind::Time,
        comment: "Instant from which the author of this version wants it in force, UTC; -infinity: no known \
                  beginning.",
    };
}

/// Type of the cells of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string, UTF-8.
    Text,
    /// A list of strings.
    Texts,
    /// An instant, UTC.
    Time,
    /// A local date of the pipeline's zone.
    Date,
    /// `boolean` in PostgreSQL, 0 or 1 in GeoPackage.
    Boolean,
    /// A 64-bit integer.
    Integer,
    /// A 64-bit floating-point number.
    Real,
    /// A JSON object, as text.
    Json,
    /// A polygon, multipolygon, or the centre of a circle; degrees on WGS84.
    Geometry,
    /// A sequence of bytes.
    Bytes,
}

/// The value of one column in one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Unknown, or the end of an interval that is still open.
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
    /// A text or a JSON object; `None` of any other cell, as of all functions below.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Json(text) => Some(text),
            _ => None,
        }
    }

    /// A list of texts.
    pub fn as_texts(&self) -> Option<&[Arc<str>]> {
        match self {
            Self::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    /// An instant.
    pub fn as_time(&self) -> Option<Millis> {
        match self {
            Self::Time(t) => Some(*t),
            _ => None,
        }
    }

    /// True or false.
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// A floating-point number.
    pub fn as_real(&self) -> Option<f64> {
        match self {
            Self::Real(value) => Some(*value),
            _ => None,
        }
    }

    /// A geometry.
    pub fn as_shape(&self) -> Option<&Arc<Shape>> {
        match self {
            Self::Geometry(shape) => Some(shape),
            _ => None,
        }
    }

    fn or_empty<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Empty, cell)
    }

    fn text(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// A speed in km/h; empty if unknown.
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

/// A row of a computed table in the dataflow's form.
pub trait TableRow: Clone + Debug + Eq + Hash {
    /// Descriptor of the table.
    const TABLE: &'static Table;

    /// The cells of the row; `lookup` has the names of its dense numbers.
    fn cells(&self, lookup: &Lookup) -> Row;
}

/// Data that the dataflow does not carry: names of dense numbers, and the contents of accepted edits.
#[derive(Debug, Default)]
pub struct Lookup {
    /// Names of vehicles, geofences and alert rules.
    pub names: Names,
    geofences: HashMap<(GeofenceId, u64), Arc<Geofence>, FxBuildHasher>,
    vehicles: HashMap<(VehicleId, u64), Arc<Vehicle>, FxBuildHasher>,
    rules: HashMap<(RuleId, u64), Arc<AlertRule>, FxBuildHasher>,
}

impl Lookup {
    /// Stores the definition in an accepted edit.
    pub fn remember_geofence(&mut self, edit: &GeofenceEdit) {
        if let Some(definition) = &edit.definition {
            self.geofences.insert((edit.key, edit.seq), Arc::clone(definition));
        }
    }

    /// Stores the definition in an accepted edit.
    pub fn remember_vehicle(&mut self, edit: &VehicleEdit) {
        if let Some(definition) = &edit.definition {
            self.vehicles.insert((edit.key, edit.seq), Arc::clone(definition));
        }
    }

    /// Stores the definition in an accepted edit.
    pub fn remember_rule(&mut self, edit: &RuleEdit) {
        if let Some(definition) = &edit.definition {
            self.rules.insert((edit.key, edit.seq), Arc::clone(definition));
        }
    }

    /// The definition that an accepted edit set.
    ///
    /// # Panics
    /// If the edit was not remembered, or was a deletion.
    pub fn rule(&self, key: RuleId, seq: u64) -> &AlertRule {
        self.rules.get(&(key, seq)).expect("accepted edits are stored before the dataflow gets them")
    }

    /// The definition that an accepted edit set.
    ///
    /// # Panics
    /// If the edit was not remembered, or was a deletion.
    pub fn geofence(&self, key: GeofenceId, seq: u64) -> &Geofence {
        self.geofences.get(&(key, seq)).expect("accepted edits are stored before the dataflow gets them")
    }

    /// The definition that an accepted edit set.
    ///
    /// # Panics
    /// If the edit was not remembered, or was a deletion.
    pub fn vehicle(&self, key: VehicleId, seq: u64) -> &Vehicle {
        self.vehicles.get(&(key, seq)).expect("accepted edits are stored before the dataflow gets them")
    }
}

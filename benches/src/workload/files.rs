//! Workloads from files: geofences as GeoJSON, events as CSV with `ts` in milliseconds, `entity` (or `vehicle_id`),
//! `lon` and `lat`, in the order of `ts`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxBuildHasher;
use watchtower_dataflows::control::Control;
use watchtower_model::{Geofence, Millis, Outliers, Place, PositionEvent, Rules};

use super::{Workload, bare};
use watchtower_core::events::Limits;
use watchtower_engine::replay::{Intake, Item};
use watchtower_inputs::{self, FileFormat, SourceError};

/// A file cannot be read as a workload.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The geofences cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A geofence is invalid; a benchmark leaves none out.
    #[error("{}: feature {position} is rejected ({reason})", path.display())]
    Refused {
        /// Path of the file.
        path: PathBuf,
        /// Number of the feature, from 1.
        position: u64,
        /// The fault of the feature.
        reason: String,
    },
    /// The events cannot be read.
    #[error("cannot read events from {}", path.display())]
    Events {
        /// Path of the file.
        path: PathBuf,
        /// Cause reported by the CSV reader.
        source: csv::Error,
    },
    /// The header lacks a column.
    #[error("{} has no column {column}; expected a header with ts, entity (or vehicle_id), lon and lat", path.display())]
    Column {
        /// Path of the file.
        path: PathBuf,
        /// Name of the missing column.
        column: &'static str,
    },
    /// A cell does not hold a number in range.
    #[error("{}, line {line}: expected {column} to be {expected}, found {found:?}", path.display())]
    Cell {
        /// Path of the file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// Name of the column.
        column: &'static str,
        /// The expected value.
        expected: &'static str,
        /// The value found.
        found: String,
    },
}

/// The geofences of a file, in its order.
///
/// # Errors
/// If the file cannot be read, or a feature is invalid.
pub fn read_geofences(path: &Path) -> Result<Vec<Arc<Geofence>>, FileError> {
    let limits = Limits::for_replay();
    let mut intake = Intake::new(limits.clone(), Rules::default());
    let mut source = watchtower_inputs::open(path, FileFormat::GeoJson, &limits)?;
    let mut geofences = Vec::new();
    while let Some(record) = source.next_record()? {
        let position = record.position;
        let refused = |reason: String| FileError::Refused { path: path.to_owned(), position, reason };
        let event = record.result.map_err(|rejection| refused(rejection.to_string()))?;
        match intake.admit(&event).map_err(|rejection| refused(rejection.to_string()))? {
            Item::Control(Control::Geofence(edit)) => geofences.extend(edit.definition),
            Item::Control(_) | Item::Position(_) | Item::Clock(_) => {
                return Err(refused("it is not a geofence".to_owned()));
            }
        }
    }
    Ok(geofences)
}

/// The countries of the world; `None` if the folder of data does not have them.
///
/// # Errors
/// If the file exists and cannot be read.
pub fn countries(data: &Path) -> Result<Option<Vec<Arc<Geofence>>>, FileError> {
    let path = data.join("geofences/world_countries_50m.geojson.gz");
    path.is_file().then(|| read_geofences(&path)).transpose()
}

/// The workload of two files.
///
/// # Errors
/// If one of them cannot be read.
pub fn from_files(events: &Path, geofences: &Path) -> Result<Workload, FileError> {
    let geofences = read_geofences(geofences)?;
    let (events, vehicles) = read_events(events)?;
    Ok(Workload { name: "files", geofences, vehicles, events, warm: 0, outliers: Outliers::Use })
}

fn read_events(path: &Path) -> Result<(Vec<PositionEvent>, u32), FileError> {
    let failed = |source| FileError::Events { path: path.to_owned(), source };
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    let column = |names: &[&'static str]| {
        let found = header.iter().position(|cell| names.contains(&cell.trim()));
        found.ok_or_else(|| FileError::Column { path: path.to_owned(), column: names[0] })
    };
    let [ts, entity, lon, lat] =
        [column(&["ts"])?, column(&["entity", "vehicle_id"])?, column(&["lon"])?, column(&["lat"])?];
    let mut numbers: HashMap<String, u32, FxBuildHasher> = HashMap::default();
    let mut events = Vec::new();
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(failed)? {
        let line = row.position().map_or(0, csv::Position::line);
        let wrong = |column, expected, found: &str| FileError::Cell {
            path: path.to_owned(),
            line,
            column,
            expected,
            found: found.chars().take(64).collect(),
        };
        let degrees = |column, cell: usize, limit: f64| {
            let number = row[cell].parse::<f64>().ok().filter(|degrees| degrees.abs() <= limit);
            number.ok_or_else(|| wrong(column, "degrees", &row[cell]))
        };
        let ts = row[ts].parse::<Millis>().map_err(|_| wrong("ts", "milliseconds since 1970", &row[ts]))?;
        let place = Place::from_degrees(degrees("lon", lon, 180.0)?, degrees("lat", lat, 90.0)?);
        let next = numbers.len() as u32;
        let vehicle = match numbers.get(&row[entity]) {
            Some(&number) => number,
            None => *numbers.entry(row[entity].to_owned()).or_insert(next),
        };
        events.push(bare(vehicle, ts, place));
    }
    Ok((events, numbers.len() as u32))
}

//! Geofences and vehicles from the tables in the one file.

use rusqlite::Row;
use watchtower_geopackage::{Connection, GeoPackage, geometry as blobs, time};
use watchtower_model::{BEGINNING, Millis};
use watchtower_store::geopackage::{EmbeddedError, claim};

use super::{GeofenceVersion, LastSeen, VehicleVersion, geometry};

const GEOFENCES: &str = "SELECT geofence_id, effective_from, effective_until, valid_from, name, kind, anchor, tags, \
                         min_dwell_s, exit_buffer_m, speed_limit_kmh, radius_m, geometry, cut_off FROM geofences \
                         ORDER BY geofence_id, effective_from";
const VEHICLES: &str = "SELECT vehicle_id, effective_from, effective_until, name, fleet, speed_limit_kmh, \
                        offline_after_s, attributes FROM vehicles ORDER BY vehicle_id, effective_from";
const LAST_SEEN: &str = "SELECT vehicle_id, ts, status FROM vehicle_state ORDER BY vehicle_id";

/// All versions of geofences.
///
/// # Errors
/// If the file does not exist, or has no tables.
pub(super) fn geofences(file: &GeoPackage) -> Result<Vec<GeofenceVersion>, EmbeddedError> {
    Ok(file.rows(&connect(file)?, GEOFENCES, geofence)?)
}

/// All versions of vehicles, and where each was last seen.
///
/// # Errors
/// As [`geofences`].
pub(super) fn vehicles(file: &GeoPackage) -> Result<(Vec<VehicleVersion>, Vec<LastSeen>), EmbeddedError> {
    let connection = connect(file)?;
    let seen = |row: &Row<'_>| Ok(LastSeen { vehicle_id: row.get(0)?, ts: since(row, 1)?, status: row.get(2)? });
    Ok((file.rows(&connection, VEHICLES, vehicle)?, file.rows(&connection, LAST_SEEN, seen)?))
}

fn connect(file: &GeoPackage) -> Result<Connection, EmbeddedError> {
    let connection = file.connect_to_read()?;
    match claim::owner(file, &connection)? {
        Some(_) => Ok(connection),
        None => Err(EmbeddedError::NoTables { path: file.path().to_owned() }),
    }
}

fn since(row: &Row<'_>, column: usize) -> rusqlite::Result<Millis> {
    Ok(until(row, column)?.unwrap_or(BEGINNING))
}

fn until(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Millis>> {
    Ok(row.get::<_, Option<String>>(column)?.and_then(|text| time::parse(&text)))
}

fn geofence(row: &Row<'_>) -> rusqlite::Result<GeofenceVersion> {
    let blob: Vec<u8> = row.get(12)?;
    let tags: String = row.get(7)?;
    Ok(GeofenceVersion {
        geofence_id: row.get(0)?,
        effective_from: since(row, 1)?,
        effective_until: until(row, 2)?,
        valid_from: since(row, 3)?,
        name: row.get(4)?,
        kind: row.get(5)?,
        anchor: row.get(6)?,
        tags: serde_json::from_str(&tags).unwrap_or_default(),
        min_dwell_s: row.get(8)?,
        exit_buffer_m: row.get(9)?,
        speed_limit_kmh: row.get(10)?,
        radius_m: row.get(11)?,
        geometry: geometry(blobs::wkb(&blob).unwrap_or_default()),
        cut_off: row.get(13)?,
    })
}

fn vehicle(row: &Row<'_>) -> rusqlite::Result<VehicleVersion> {
    Ok(VehicleVersion {
        vehicle_id: row.get(0)?,
        effective_from: since(row, 1)?,
        effective_until: until(row, 2)?,
        name: row.get(3)?,
        fleet: row.get(4)?,
        speed_limit_kmh: row.get(5)?,
        offline_after_s: row.get(6)?,
        attributes: row.get(7)?,
    })
}

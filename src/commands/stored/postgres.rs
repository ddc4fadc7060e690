//! Geofences and vehicles from the tables in PostgreSQL.

use tokio_postgres::{Client, Row};
use watchtower_model::{BEGINNING, Millis};
use watchtower_store::instant_ms;
use watchtower_store::postgres::{Database, StoreError, claim};

use super::{GeofenceVersion, LastSeen, VehicleVersion, geometry};

const GEOFENCES: &str = concat!(
    "SELECT geofence_id, ",
    instant_ms!("effective_from"),
    ", ",
    instant_ms!("effective_until"),
    ", ",
    instant_ms!("valid_from"),
    ", name, kind, anchor, tags, min_dwell_s, exit_buffer_m, speed_limit_kmh, radius_m, ST_AsBinary(geometry), cut_off \
      FROM geofences AS g ORDER BY g.geofence_id, g.effective_from"
);
const VEHICLES: &str = concat!(
    "SELECT vehicle_id, ",
    instant_ms!("effective_from"),
    ", ",
    instant_ms!("effective_until"),
    ", name, fleet, speed_limit_kmh, offline_after_s, attributes::text FROM vehicles AS v \
      ORDER BY v.vehicle_id, v.effective_from"
);
const LAST_SEEN: &str =
    concat!("SELECT vehicle_id, ", instant_ms!("ts"), ", status FROM vehicle_state AS s ORDER BY s.vehicle_id");

/// All versions of geofences.
///
/// # Errors
/// If the database cannot be used, or has no such pipeline.
pub(super) async fn geofences(database: &Database) -> Result<Vec<GeofenceVersion>, StoreError> {
    let client = connect(database).await?;
    let rows = client.query(GEOFENCES, &[]).await.map_err(StoreError::statement("read the geofences"))?;
    Ok(rows.iter().map(geofence).collect())
}

/// All versions of vehicles, and where each was last seen.
///
/// # Errors
/// As [`geofences`].
pub(super) async fn vehicles(database: &Database) -> Result<(Vec<VehicleVersion>, Vec<LastSeen>), StoreError> {
    let client = connect(database).await?;
    let versions = client.query(VEHICLES, &[]).await.map_err(StoreError::statement("read the vehicles"))?;
    let seen = client.query(LAST_SEEN, &[]).await.map_err(StoreError::statement("read the state of the vehicles"))?;
    let seen = seen.iter().map(|row| LastSeen { vehicle_id: row.get(0), ts: since(row, 1), status: row.get(2) });
    Ok((versions.iter().map(vehicle).collect(), seen.collect()))
}

async fn connect(database: &Database) -> Result<Client, StoreError> {
    let client = database.connect().await?;
    if claim::exists(&client, database).await? { Ok(client) } else { Err(claim::missing(database)) }
}

fn since(row: &Row, column: usize) -> Millis {
    row.get::<_, Option<Millis>>(column).unwrap_or(BEGINNING)
}

fn geofence(row: &Row) -> GeofenceVersion {
    GeofenceVersion {
        geofence_id: row.get(0),
        effective_from: since(row, 1),
        effective_until: row.get(2),
        valid_from: since(row, 3),
        name: row.get(4),
        kind: row.get(5),
        anchor: row.get(6),
        tags: row.get(7),
        min_dwell_s: row.get(8),
        exit_buffer_m: row.get(9),
        speed_limit_kmh: row.get(10),
        radius_m: row.get(11),
        geometry: geometry(row.get(12)),
        cut_off: row.get(13),
    }
}

fn vehicle(row: &Row) -> VehicleVersion {
    VehicleVersion {
        vehicle_id: row.get(0),
        effective_from: since(row, 1),
        effective_until: row.get(2),
        name: row.get(3),
        fleet: row.get(4),
        speed_limit_kmh: row.get(5),
        offline_after_s: row.get(6),
        attributes: row.get(7),
    }
}

//! The fleet at a commit: the data of the screen, read from the tables.

use std::collections::HashMap;

use rusqlite::params;
use watchtower_model::{BEGINNING, Millis};

use super::DemoError;
use super::tables::Tables;
use watchtower_geopackage::time;

/// The fleet according to the tables.
#[derive(Debug)]
pub(super) struct Picture {
    /// Log time of the commit.
    pub(super) now: Millis,
    /// Numbers of lorries that move, stand, and are offline.
    pub(super) statuses: [u64; 3],
    /// Number of lorries inside an anchor geofence.
    pub(super) inside: u64,
    /// Numbers of rows so far: visits, completed trips, turnarounds.
    pub(super) so_far: [u64; 3],
    pub(super) fleets: Vec<Fleet>,
    pub(super) terminals: Vec<Terminal>,
    pub(super) trucks: Vec<Truck>,
}

/// The day of a fleet.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) name: String,
    pub(super) vehicles: u64,
    pub(super) distance_m: f64,
    pub(super) trips: u64,
    pub(super) turnarounds: u64,
    pub(super) turnaround_p50_s: Option<f64>,
    pub(super) utilisation: Option<f64>,
}

/// The current state of a terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) name: String,
    pub(super) inside: u64,
    pub(super) visits: u64,
}

/// The current state of a lorry.
#[derive(Debug)]
pub(super) struct Truck {
    pub(super) id: String,
    pub(super) fleet: String,
    pub(super) status: String,
    pub(super) speed_kmh: Option<f64>,
    pub(super) whereabouts: Whereabouts,
}

/// Location of a lorry.
#[derive(Debug)]
pub(super) enum Whereabouts {
    /// Inside a geofence, since this instant.
    At { place: String, since: Millis },
    /// On the way from a geofence that it left at this instant.
    From { place: String, since: Millis },
    /// On the way, without an earlier visit.
    Nowhere,
}

const STATUSES: &str = "SELECT coalesce(sum(status = 'moving'), 0), coalesce(sum(status = 'stopped'), 0), \
                        coalesce(sum(status = 'offline'), 0) FROM vehicle_state";

/// Fleets on the day of `now`, or on the day before while that has no rows.
const FLEETS: &str = "
SELECT fleet, vehicles_reporting, distance_m, trips_completed, turnarounds, turnaround_p50_s, utilisation
FROM fleet_daily WHERE day = (SELECT max(day) FROM fleet_daily WHERE vehicles_reporting > 0) AND vehicles_known > 0
ORDER BY fleet";

const TERMINALS: &str = "
SELECT g.name, o.vehicles, (SELECT count(*) FROM visits v WHERE v.geofence_id = g.geofence_id AND v.confirmed)
FROM geofences g JOIN geofence_occupancy o USING (geofence_id)
WHERE g.kind = 'terminal' AND g.effective_until IS NULL ORDER BY g.name";

/// The first lorries by id, each with its smallest anchor geofence, or the one it left last.
const TRUCKS: &str = "
SELECT s.vehicle_id, s.status, s.speed_kmh,
       (SELECT m.geofence_id FROM geofence_membership m JOIN geofences g USING (geofence_id)
        WHERE m.vehicle_id = s.vehicle_id AND g.kind <> 'zone' LIMIT 1),
       (SELECT m.entered_at FROM geofence_membership m JOIN geofences g USING (geofence_id)
        WHERE m.vehicle_id = s.vehicle_id AND g.kind <> 'zone' LIMIT 1),
       t.origin_id, t.departed_at,
       (SELECT fleet FROM vehicles v WHERE v.vehicle_id = s.vehicle_id AND v.effective_until IS NULL LIMIT 1)
FROM (SELECT * FROM vehicle_state ORDER BY vehicle_id LIMIT ?1) s
LEFT JOIN trips t ON t.vehicle_id = s.vehicle_id AND t.arrived_at IS NULL
ORDER BY s.vehicle_id";

impl Picture {
    /// Reads the fleet with its first `trucks` lorries.
    pub(super) fn of(tables: &Tables, trucks: usize) -> Result<Option<Self>, DemoError> {
        tables.at_one_commit(|tables| Self::read(tables, trucks))
    }

    fn read(tables: &Tables, trucks: usize) -> Result<Option<Self>, DemoError> {
        let now = tables.one("SELECT now FROM pipeline WHERE commit_seq > 0", (), |row| row.get::<_, String>(0))?;
        let Some(now) = now.as_deref().and_then(time::parse).filter(|now| *now != BEGINNING) else { return Ok(None) };
        let number = |row: &rusqlite::Row<'_>, index: usize| row.get::<_, i64>(index).map(i64::unsigned_abs);
        let statuses = tables
            .one(STATUSES, (), |row| Ok([number(row, 0)?, number(row, 1)?, number(row, 2)?]))?
            .unwrap_or_default();
        let inside = "geofence_membership m JOIN geofences g USING (geofence_id) \
                      WHERE g.kind <> 'zone' AND g.effective_until IS NULL";
        let so_far = [
            tables.count("visits")?,
            tables.count("trips WHERE arrived_at IS NOT NULL")?,
            tables.count("turnarounds")?,
        ];
        let fleets = tables.rows(FLEETS, (), |row| {
            Ok(Fleet {
                name: row.get(0)?,
                vehicles: number(row, 1)?,
                distance_m: row.get::<_, Option<f64>>(2)?.unwrap_or(0.0),
                trips: number(row, 3)?,
                turnarounds: number(row, 4)?,
                turnaround_p50_s: row.get(5)?,
                utilisation: row.get(6)?,
            })
        })?;
        let terminals = tables.rows(TERMINALS, (), |row| {
            Ok(Terminal { name: row.get(0)?, inside: number(row, 1)?, visits: number(row, 2)? })
        })?;
        Ok(Some(Self {
            now,
            statuses,
            inside: tables.count(inside)?,
            so_far,
            fleets,
            terminals,
            trucks: self::trucks(tables, trucks)?,
        }))
    }
}

fn trucks(tables: &Tables, limit: usize) -> Result<Vec<Truck>, DemoError> {
    let names = "SELECT geofence_id, coalesce(name, geofence_id) FROM geofences ORDER BY effective_from";
    let names: HashMap<String, String> =
        tables.rows(names, (), |row| Ok((row.get(0)?, row.get(1)?)))?.into_iter().collect();
    let named = |id: String| names.get(&id).cloned().unwrap_or(id);
    let instant = |text: Option<String>| text.as_deref().and_then(time::parse).unwrap_or(BEGINNING);
    tables.rows(TRUCKS, params![limit as i64], |row| {
        let (place, entered_at): (Option<String>, _) = (row.get(3)?, instant(row.get(4)?));
        let (origin, departed_at): (Option<String>, _) = (row.get(5)?, instant(row.get(6)?));
        let whereabouts = match (place, origin) {
            (Some(place), _) => Whereabouts::At { place: named(place), since: entered_at },
            (None, Some(origin)) => Whereabouts::From { place: named(origin), since: departed_at },
            (None, None) => Whereabouts::Nowhere,
        };
        Ok(Truck {
            id: row.get(0)?,
            status: row.get(1)?,
            speed_kmh: row.get(2)?,
            fleet: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
            whereabouts,
        })
    })
}

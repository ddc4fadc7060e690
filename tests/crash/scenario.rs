//! A night of thirty vehicles as entries of streams: the same log for everybody, ids included. Things come
//! late, are corrected and withdrawn, geofences are redrawn in the past, some of it is refused.

use redis::Connection;
use serde_json::{Value, json};
use watchtower_core::EntryId;
use watchtower_core::events::stream_of;
use watchtower_log::redis::stream_keys;

use crate::support::rng::Rng;

/// Number of event streams of every scenario.
pub(crate) const STREAMS: u16 = 2;
/// What is refused as late is further behind than this; some vehicles are too many, and some of their positions.
pub(crate) const LIMITS: &str = "lateness = \"30m\"\nmax_vehicles = 50\nmax_retained_positions = 150";

/// 2026-11-20T00:00:00Z
const START: i64 = 1_795_132_800_000;
const MINUTE: i64 = 60_000;
const MINUTES: i64 = 200;
const VEHICLES: usize = 30;
const GEOFENCES: usize = 8;

/// An entry of one of the streams.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Index of the key.
    pub(super) stream: usize,
    pub(super) id: EntryId,
    pub(super) fields: Vec<(&'static str, String)>,
}

/// The whole log, in an order in which it may be appended.
pub(crate) fn entries() -> Vec<Entry> {
    let vehicles = (0..VEHICLES).map(|number| Traveller { id: format!("truck-{number}"), ..Traveller::default() });
    let mut night = Night { rng: Rng::new(20), now: START, entries: Vec::new(), vehicles: vehicles.collect() };
    for minute in 0..MINUTES {
        night.minute(minute);
    }
    night.clock();
    night.entries
}

/// Appends entries with the ids they have.
pub(crate) fn append(redis: &mut Connection, entries: &[Entry]) {
    let keys = stream_keys("lagos", STREAMS);
    let mut pipe = redis::pipe();
    for Entry { stream, id, fields } in entries {
        pipe.cmd("XADD").arg(&keys[*stream]).arg(id.to_string());
        for (name, value) in fields {
            pipe.arg(name).arg(value);
        }
        pipe.ignore();
    }
    pipe.exec(redis).unwrap();
}

/// A vehicle underway on a grid of some 30 m.
#[derive(Debug, Default)]
struct Traveller {
    id: String,
    cell: (i64, i64),
    /// Says nothing until then.
    silent_until: i64,
    /// When it was somewhere, as far as it said so.
    said: Vec<i64>,
    /// Positions that it will send later, and when.
    held: Vec<(i64, Value)>,
}

struct Night {
    rng: Rng,
    now: i64,
    entries: Vec<Entry>,
    vehicles: Vec<Traveller>,
}

const CONTROL: usize = STREAMS as usize;

impl Night {
    fn minute(&mut self, minute: i64) {
        self.now += MINUTE;
        let mut batches = vec![Vec::new(); usize::from(STREAMS)];
        for vehicle in 0..VEHICLES {
            let stream = stream_of(&self.vehicles[vehicle].id, STREAMS);
            batches[usize::from(stream)].extend(self.travel(vehicle));
        }
        for (stream, batch) in batches.into_iter().enumerate() {
            self.push(stream, vec![("json", Value::Array(batch).to_string())]);
        }
        if minute % 3 == 0 {
            self.clock();
        }
        if minute % 4 == 0 {
            let edit = self.geofence();
            self.push(CONTROL, vec![("json", edit.to_string())]);
        }
        if minute % 7 == 0 {
            let edit = self.vehicle();
            self.push(CONTROL, vec![("json", edit.to_string())]);
        }
        if minute % 5 == 0 {
            self.nonsense();
        }
    }

    fn push(&mut self, stream: usize, fields: Vec<(&'static str, String)>) {
        let id = EntryId { ms: self.now.unsigned_abs(), seq: self.entries.len() as u64 };
        self.entries.push(Entry { stream, id, fields });
    }

    fn clock(&mut self) {
        for stream in 0..=CONTROL {
            self.push(stream, vec![("type", "clock".to_owned()), ("now", self.now.to_string())]);
        }
    }

    /// What a vehicle sends this minute.
    fn travel(&mut self, vehicle: usize) -> Vec<Value> {
        let (rng, now) = (&mut self.rng, self.now);
        let vehicle = &mut self.vehicles[vehicle];
        let (due, held) = std::mem::take(&mut vehicle.held).into_iter().partition(|(at, _)| *at <= now);
        vehicle.held = held;
        let due: Vec<(i64, Value)> = due;
        let mut events: Vec<Value> = due.into_iter().map(|(_, event)| event).collect();
        if now < vehicle.silent_until {
            return events;
        }
        if rng.chance(1) {
            vehicle.silent_until = now + 40 * MINUTE;
        }
        let stride = || [-1, 0, 0, 1];
        vehicle.cell.0 = (vehicle.cell.0 + rng.pick(&stride())).clamp(0, 12);
        vehicle.cell.1 = (vehicle.cell.1 + rng.pick(&stride())).clamp(0, 12);
        vehicle.said.push(now);
        let event = position(rng, &vehicle.id, now, vehicle.cell);
        if rng.chance(6) {
            vehicle.held.push((now + rng.between(2, 25) * MINUTE, event));
        } else {
            events.push(event);
        }
        if rng.chance(4) {
            // What was said before is put right, or was never so.
            let recent = vehicle.said.len().saturating_sub(20);
            let ts = *rng.pick(&vehicle.said[recent..]);
            let aside = (rng.between(0, 12), rng.between(0, 12));
            events.push(match rng.chance(40) {
                true => json!({"type": "position", "vehicle_id": vehicle.id, "ts": ts, "deleted": true}),
                false => position(rng, &vehicle.id, ts, aside),
            });
        }
        events
    }

    /// An edit, mostly of some time ago.
    fn geofence(&mut self) -> Value {
        let rng = &mut self.rng;
        let id = format!("yard-{}", rng.below(GEOFENCES));
        let valid_from = self.now + rng.between(-50, 5) * MINUTE;
        if rng.chance(20) {
            return json!({"type": "geofence", "geofence_id": id, "valid_from": valid_from, "deleted": true});
        }
        let (x, y) = (rng.between(0, 10), rng.between(0, 10));
        let (west, south) = degrees((x, y));
        let (east, north) = degrees((x + rng.between(1, 4), y + rng.between(1, 4)));
        let (geometry, radius_m) = match rng.chance(30) {
            true => (json!({"type": "Point", "coordinates": [west, south]}), Some(rng.between(20, 90))),
            false => {
                let ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
                (json!({"type": "Polygon", "coordinates": [ring]}), None)
            }
        };
        let kind = *rng.pick(&["terminal", "client", "depot"]);
        let mut edit = json!({
            "type": "geofence", "geofence_id": id, "valid_from": valid_from, "name": "yard", "kind": kind,
            "min_dwell_s": rng.between(0, 5) * 60, "exit_buffer_m": rng.between(0, 2) * 15, "geometry": geometry,
        });
        if let Some(radius_m) = radius_m {
            edit["radius_m"] = radius_m.into();
        }
        edit
    }

    fn vehicle(&mut self) -> Value {
        let rng = &mut self.rng;
        let id = format!("truck-{}", rng.below(VEHICLES));
        let valid_from = self.now + rng.between(-50, 5) * MINUTE;
        match rng.chance(15) {
            true => json!({"type": "vehicle", "vehicle_id": id, "valid_from": valid_from, "deleted": true}),
            false => {
                json!({"type": "vehicle", "vehicle_id": id, "valid_from": valid_from, "fleet": rng.below(3).to_string()})
            }
        }
    }

    /// Something that is refused.
    fn nonsense(&mut self) {
        let stream = self.rng.below(usize::from(STREAMS));
        let vehicle = format!("truck-{}", self.rng.below(VEHICLES));
        let own = usize::from(stream_of(&vehicle, STREAMS));
        let at = |ts: i64| {
            json!({"type": "position", "vehicle_id": vehicle, "ts": ts, "lon": 3.47, "lat": 6.55}).to_string()
        };
        let (stream, text) = match self.rng.below(6) {
            0 => (stream, "{\"type\":\"position\",\"vehicle_id\"".to_owned()),
            1 => (stream, json!({"type": "parrot", "vehicle_id": vehicle}).to_string()),
            2 => (1 - own, at(self.now)),
            3 => (own, at(self.now - 120 * MINUTE)),
            4 => (own, at(self.now + 10 * MINUTE)),
            _ => (CONTROL, at(self.now)),
        };
        self.push(stream, vec![("json", text)]);
    }
}

fn degrees((x, y): (i64, i64)) -> (f64, f64) {
    (3.47 + x as f64 * 0.00025, 6.55 + y as f64 * 0.00025)
}

fn position(rng: &mut Rng, id: &str, ts: i64, cell: (i64, i64)) -> Value {
    let (lon, lat) = degrees(cell);
    let mut event = json!({
        "type": "position", "vehicle_id": id, "ts": ts, "lon": lon, "lat": lat, "heading_deg": rng.between(0, 359),
        "ignition": rng.chance(80),
    });
    if rng.chance(60) {
        event["speed_kmh"] = rng.between(0, 60).into();
    }
    if rng.chance(10) {
        event["attributes"] = json!({"fuel": rng.between(0, 100)});
    }
    event
}

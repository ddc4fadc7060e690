//! Appends events to the streams of a pipeline, in any format of entries.

use std::borrow::Cow;
use std::sync::Arc;

use watchtower_model::{Geofence, Millis, PositionEvent};

use super::BenchError;
use super::stage::Pipeline;
use watchtower_core::EntryId;
use watchtower_core::events::{Event, Fix, GeofenceChange, GeofenceDefinition, Geometry, Measured, PositionReport};
use watchtower_log::append::{Batches, Chunk, Format, Place};

/// Format of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Encoding of events in an entry.
    pub format: Format,
    /// Limit of events per entry.
    pub batch: u32,
}

impl Shape {
    /// Name of the format in results.
    pub fn name(self) -> String {
        match self.format {
            Format::Bin => format!("bin{}", self.batch),
            Format::Json => format!("json{}", self.batch),
            Format::Plain => "plain".to_owned(),
        }
    }
}

/// A connection to Redis, and the entries being filled.
pub struct Loader {
    connection: redis::Connection,
    batches: Batches,
    chunk: Chunk,
    ids: Vec<String>,
    /// Id of the last entry appended.
    last: EntryId,
    entries: u64,
}

impl Loader {
    /// Connects, for vehicles with numbers below `vehicles`.
    ///
    /// # Errors
    /// If Redis cannot be reached.
    pub fn connect(pipeline: &Pipeline<'_>, shape: Shape, vehicles: u32) -> Result<Self, BenchError> {
        let connection = redis::Client::open(pipeline.redis_url())?.get_connection()?;
        let batches =
            Batches::new(vec![pipeline.name.events_key(0), pipeline.name.control_key()], shape.format, shape.batch);
        let ids = (0..vehicles).map(vehicle_id).collect();
        Ok(Self { connection, batches, chunk: Chunk::for_redis(), ids, last: EntryId::ZERO, entries: 0 })
    }

    /// Appends geofences, valid from an instant.
    ///
    /// # Errors
    /// If Redis refuses them.
    pub fn geofences(&mut self, geofences: &[Arc<Geofence>], valid_from: Millis) -> Result<(), BenchError> {
        for geofence in geofences {
            let geometry = match (geofence.shape.center(), geofence.shape.radius_m()) {
                (Some(center), Some(radius_m)) => Geometry::Circle { center, radius_m },
                _ => {
                    let polygons = geofence.shape.polygons();
                    let rings = polygons.map(|polygon| polygon.rings().map(<[_]>::to_vec).collect());
                    Geometry::MultiPolygon(rings.collect())
                }
            };
            let event = Event::Geofence(GeofenceChange {
                geofence_id: Cow::Borrowed(&geofence.id),
                valid_from: Some(valid_from),
                received_at: None,
                definition: Some(GeofenceDefinition { geofence: Arc::clone(geofence), geometry }),
            });
            self.batches.push(Place::Control, &event, true, &mut self.chunk);
            self.send_if_full()?;
        }
        self.flush()
    }

    /// Adds a position; full entries are appended.
    ///
    /// # Errors
    /// If Redis refuses the entries.
    pub fn position(&mut self, event: &PositionEvent) -> Result<(), BenchError> {
        let report = report(event, &self.ids[event.vehicle.0 as usize]);
        self.batches.push(Place::Positions(0), &report, true, &mut self.chunk);
        self.send_if_full()
    }

    /// Appends all entries that are not full.
    ///
    /// # Errors
    /// If Redis refuses them.
    pub fn flush(&mut self) -> Result<(), BenchError> {
        for place in self.batches.places() {
            self.batches.flush(place, &mut self.chunk);
        }
        self.send()
    }

    /// Id of the last entry appended.
    pub fn last(&self) -> EntryId {
        self.last
    }

    /// Number of entries appended.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    fn send_if_full(&mut self) -> Result<(), BenchError> {
        if self.chunk.is_full() { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> Result<(), BenchError> {
        let Chunk::Redis(commands) = self.chunk.take() else { return Ok(()) }; // chunks of this loader are for Redis
        if commands.events().is_empty() {
            return Ok(());
        }
        self.connection.send_packed_command(commands.bytes())?;
        for _ in commands.events() {
            let reply = self.connection.recv_response()?;
            let id: String = redis::from_redis_value(reply).map_err(redis::RedisError::from)?;
            self.last =
                id.parse().map_err(|_| BenchError::Setup(format!("Redis returned {id:?} as the id of an entry")))?;
            self.entries += 1;
        }
        Ok(())
    }
}

/// Identifier of a vehicle by its dense number.
pub(super) fn vehicle_id(vehicle: u32) -> String {
    format!("V{vehicle:06}")
}

/// A position event as its tracker reports it.
pub(super) fn report<'a>(event: &PositionEvent, vehicle_id: &'a str) -> Event<'a> {
    let PositionEvent { vehicle: _, seq: _, position, withdrawn: _ } = event;
    let measured = Measured {
        place: position.place,
        speed: position.speed,
        heading: position.heading,
        accuracy_m: None,
        altitude_m: None,
        ignition: position.ignition.is_on(),
        attributes: None,
    };
    let vehicle_id = Cow::Borrowed(vehicle_id);
    Event::Position(PositionReport { vehicle_id, ts: position.ts, received_at: None, fix: Fix::At(measured) })
}

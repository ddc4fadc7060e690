//! A batch of events in binary: what our own producers send, since it costs the least to read.
//!
//! All numbers are little-endian; a string is its length in bytes and its UTF-8.
//!
//! ```text
//! batch     "WTB"  version u8 = 1  count u32  event*count
//! event     kind u8, then by kind:
//!   1       position: presence u16  vehicle_id (u16 length)  ts i64  then what `presence` says,
//!           in the order of its bits:
//!             bit 0  lon f64, lat f64: without it, the position is withdrawn
//!             bit 1  received_at i64
//!             bit 2  speed_kmh f64
//!             bit 3  heading_deg f64
//!             bit 4  accuracy_m f64
//!             bit 5  altitude_m f64
//!             bit 6  nothing: the ignition is known
//!             bit 7  nothing: the ignition is on (with bit 6 only)
//!             bit 8  attributes (u32 length), a JSON object
//!   2       any event as JSON (u32 length)
//! ```
//!
//! Degrees are doubles, so that a position means the same in all shapes. A value that is refused
//! costs its event only; where the layout itself breaks, the rest of the batch is one `malformed`
//! event. Bytes behind the last event are `malformed` too.

use std::borrow::Cow;

use watchtower_model::{Heading, Speed};

use super::build;
use super::fields::check_time;
use super::ids::check_vehicle_id;
use super::json::utf8;
use super::limits::Limits;
use super::rejection::{Reason, Rejection};
use super::{Decoded, Event, Fix, Measured, PositionReport, attributes, json};

const MAGIC: &[u8; 3] = b"WTB";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 8;

const POSITION: u8 = 1;
const JSON: u8 = 2;

const PLACE: u16 = 1 << 0;
const RECEIVED_AT: u16 = 1 << 1;
const SPEED: u16 = 1 << 2;
const HEADING: u16 = 1 << 3;
const ACCURACY: u16 = 1 << 4;
const ALTITUDE: u16 = 1 << 5;
const IGNITION_KNOWN: u16 = 1 << 6;
const IGNITION_ON: u16 = 1 << 7;
const ATTRIBUTES: u16 = 1 << 8;
const KNOWN_BITS: u16 = (1 << 9) - 1;

/// The batch has a layout that this program does not know. Nothing is wrong with the batch: to
/// refuse it would lose it, so the reader must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("binary batch of version {0}, this watchtower knows version {VERSION}: it was written by a newer watchtower")]
pub struct UnknownVersion(pub u8);

/// Reads a batch and hands out its events in order.
pub fn decode<'a>(batch: &'a [u8], limits: &Limits, mut sink: impl FnMut(Decoded<'a>)) -> Result<(), UnknownVersion> {
    let mut one =
        |index, bytes: &'a [u8], result| sink(Decoded { index, bytes: Cow::Borrowed(bytes), whole: None, result });
    let mut cursor = match batch.split_first_chunk::<HEADER_BYTES>() {
        Some(([b'W', b'T', b'B', VERSION, count @ ..], rest)) => {
            Cursor { rest, left: u32::from_le_bytes(*count) as usize }
        }
        Some(([b'W', b'T', b'B', version, ..], _)) if *version > VERSION => return Err(UnknownVersion(*version)),
        Some(_) | None => {
            one(0, batch, Err(broken("expected the header of a binary batch")));
            return Ok(());
        }
    };
    let count = cursor.left;
    while cursor.left > 0 {
        let (index, start) = (count - cursor.left, cursor.rest);
        cursor.left -= 1;
        let Some(result) = cursor.event(limits) else {
            let detail = format!("event {index} of {count} has an unknown layout or ends early");
            one(index, start, Err(broken(&detail)));
            return Ok(());
        };
        one(index, &start[..start.len() - cursor.rest.len()], result);
    }
    if !cursor.rest.is_empty() {
        one(count, cursor.rest, Err(broken("bytes behind the last event of a batch")));
    }
    Ok(())
}

fn broken(detail: &str) -> Rejection {
    Rejection::new(Reason::Malformed, detail)
}

/// The unread rest of an event. Methods return `None` where the layout is broken.
struct Cursor<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Cursor<'a> {
    fn event(&mut self, limits: &Limits) -> Option<Result<Event<'a>, Rejection>> {
        match self.array()? {
            [POSITION] => self.position(limits),
            [JSON] => {
                let length = self.length()?;
                Some(json::decode(self.bytes(length)?, limits))
            }
            [_] => None,
        }
    }

    /// Reads all of the event before it judges any of it, so that the next one is found.
    fn position(&mut self, limits: &Limits) -> Option<Result<Event<'a>, Rejection>> {
        let presence = u16::from_le_bytes(self.array()?);
        if presence & !KNOWN_BITS != 0 {
            return None;
        }
        let id_length = usize::from(u16::from_le_bytes(self.array()?));
        let id = self.bytes(id_length)?;
        let ts = i64::from_le_bytes(self.array()?);
        let has = |bit| presence & bit != 0;
        let place = if has(PLACE) { Some((self.f64()?, self.f64()?)) } else { None };
        let received_at = if has(RECEIVED_AT) { Some(i64::from_le_bytes(self.array()?)) } else { None };
        let speed = if has(SPEED) { Speed::from_kmh(self.f64()?) } else { Speed::NONE };
        let heading = if has(HEADING) { Heading::from_degrees(self.f64()?) } else { Heading::NONE };
        let accuracy_m = if has(ACCURACY) { build::accuracy(self.f64()?) } else { None };
        let altitude_m = if has(ALTITUDE) { build::altitude(self.f64()?) } else { None };
        let ignition = has(IGNITION_KNOWN).then_some(has(IGNITION_ON));
        let json = if has(ATTRIBUTES) {
            let length = self.length()?;
            Some(self.bytes(length)?)
        } else {
            None
        };
        let judge = || {
            let vehicle_id = utf8(id)?;
            check_vehicle_id(vehicle_id)?;
            let ts = check_time("ts", ts, limits)?;
            let fix = match place {
                None => Fix::Withdrawn,
                Some((lon, lat)) => {
                    let place = build::place(lon, lat)?;
                    let attributes = match json {
                        Some(json) => attributes::checked("attributes", utf8(json)?, limits)?,
                        None => None,
                    };
                    Fix::At(Measured { place, speed, heading, accuracy_m, altitude_m, ignition, attributes })
                }
            };
            Ok(Event::Position(PositionReport { vehicle_id: Cow::Borrowed(vehicle_id), ts, received_at, fix }))
        };
        Some(judge())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    fn f64(&mut self) -> Option<f64> {
        self.array().map(f64::from_le_bytes)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }
}

/// Encoder of a binary batch of events.
#[derive(Clone, Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    count: u32,
}

impl Default for Batch {
    fn default() -> Self {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend(0_u32.to_le_bytes());
        Self { bytes, count: 0 }
    }
}

impl Batch {
    /// How many events it holds.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many bytes it takes.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Appends an event that was decoded, whose strings are no longer than decoding allows.
    pub fn push(&mut self, event: &Event<'_>) {
        self.count += 1;
        match event {
            Event::Position(report) => self.push_position(report),
            Event::Geofence(_) | Event::Vehicle(_) | Event::Rule(_) | Event::Clock(_) => {
                self.bytes.push(JSON);
                self.push_json(&json::encode(event));
            }
        }
    }

    /// The batch, and an empty one in its place.
    pub fn take(&mut self) -> Vec<u8> {
        let Self { mut bytes, count } = std::mem::take(self);
        bytes[4..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
        bytes
    }

    fn push_position(&mut self, report: &PositionReport<'_>) {
        let at = self.bytes.len() + 1;
        self.bytes.extend([POSITION, 0, 0]);
        let id = report.vehicle_id.as_bytes();
        let length = u16::try_from(id.len()).expect("an id has at most 128 characters");
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(id);
        self.bytes.extend(report.ts.to_le_bytes());
        let mut presence = 0;
        let mut put = |bit, bytes: Option<[u8; 8]>| {
            if let Some(bytes) = bytes {
                presence |= bit;
                self.bytes.extend(bytes);
            }
        };
        let measured = match &report.fix {
            Fix::Withdrawn => None,
            Fix::At(measured) => Some(measured),
        };
        let double = |value: Option<f64>| value.map(f64::to_le_bytes);
        put(PLACE, measured.map(|at| at.place.lon_degrees().to_le_bytes()));
        put(PLACE, measured.map(|at| at.place.lat_degrees().to_le_bytes()));
        put(RECEIVED_AT, report.received_at.map(i64::to_le_bytes));
        put(SPEED, double(measured.and_then(|at| at.speed.kmh())));
        put(HEADING, double(measured.and_then(|at| at.heading.degrees())));
        put(ACCURACY, double(measured.and_then(|at| at.accuracy_m)));
        put(ALTITUDE, double(measured.and_then(|at| at.altitude_m)));
        match measured.and_then(|at| at.ignition) {
            Some(true) => presence |= IGNITION_KNOWN | IGNITION_ON,
            Some(false) => presence |= IGNITION_KNOWN,
            None => {}
        }
        if let Some(attributes) = measured.and_then(|at| at.attributes.as_deref()) {
            presence |= ATTRIBUTES;
            self.push_json(attributes);
        }
        self.bytes[at..at + 2].copy_from_slice(&presence.to_le_bytes());
    }

    fn push_json(&mut self, json: &str) {
        let length = u32::try_from(json.len()).expect("an event is far smaller than 4 GiB");
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(json.as_bytes());
    }
}

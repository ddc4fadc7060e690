//! GTFS-realtime VehiclePositions, protobuf: one FeedMessage a message; speeds in m/s.
//!
//! The vehicle is `vehicle.id`, else `license_plate`, else `label`; the id of an entity names no vehicle, only a place
//! in the feed. A record without a time is of the feed's time, or of its arrival. Coordinates are 32-bit: what is kept
//! is the exact value, rounded to 1e-7 degrees, so 3.3792057 stays that, but 6.44 is 6.4400001
//! and -77.0365 is -77.036499. A feed that is
//! fetched again holds the same events again, equal in every field but the arrival.

use std::borrow::Cow;

use prost::Message as _;
use watchtower_core::events::{
    AttributesBuilder, Event, Fix, Limits, Measured, PositionReport, Reason, Rejection, check_time, check_vehicle_id,
    place,
};
use watchtower_model::{Heading, Millis, Speed};

use super::Format;
use super::collect::Items;
use super::message::{Item, Message, MessageError, Options};
use crate::reading::SpeedUnit;

/// The messages of gtfs-realtime.proto, version 2.0, as far as they are read. Every field is optional, so that one
/// that is missing is not its default; an enumeration is a number, so that a value of a later version is kept.
mod feed {
    /// `FeedMessage`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Feed {
        #[prost(message, optional, tag = "1")]
        pub(super) header: Option<Header>,
        #[prost(message, repeated, tag = "2")]
        pub(super) entities: Vec<Entity>,
    }

    /// `FeedHeader`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Header {
        #[prost(string, optional, tag = "1")]
        pub(super) version: Option<String>,
        #[prost(uint64, optional, tag = "3")]
        pub(super) timestamp: Option<u64>,
    }

    /// `FeedEntity`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Entity {
        #[prost(string, optional, tag = "1")]
        pub(super) id: Option<String>,
        #[prost(bool, optional, tag = "2")]
        pub(super) is_deleted: Option<bool>,
        #[prost(message, optional, tag = "4")]
        pub(super) vehicle: Option<VehiclePosition>,
    }

    /// `VehiclePosition`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct VehiclePosition {
        #[prost(message, optional, tag = "1")]
        pub(super) trip: Option<Trip>,
        #[prost(message, optional, tag = "2")]
        pub(super) position: Option<Position>,
        #[prost(uint32, optional, tag = "3")]
        pub(super) current_stop_sequence: Option<u32>,
        #[prost(int32, optional, tag = "4")]
        pub(super) current_status: Option<i32>,
        #[prost(uint64, optional, tag = "5")]
        pub(super) timestamp: Option<u64>,
        #[prost(int32, optional, tag = "6")]
        pub(super) congestion_level: Option<i32>,
        #[prost(string, optional, tag = "7")]
        pub(super) stop_id: Option<String>,
        #[prost(message, optional, tag = "8")]
        pub(super) vehicle: Option<Descriptor>,
        #[prost(int32, optional, tag = "9")]
        pub(super) occupancy_status: Option<i32>,
        #[prost(uint32, optional, tag = "10")]
        pub(super) occupancy_percentage: Option<u32>,
    }

    /// `Position`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Position {
        #[prost(float, optional, tag = "1")]
        pub(super) latitude: Option<f32>,
        #[prost(float, optional, tag = "2")]
        pub(super) longitude: Option<f32>,
        /// Degrees clockwise from north.
        #[prost(float, optional, tag = "3")]
        pub(super) bearing: Option<f32>,
        /// Metres.
        #[prost(double, optional, tag = "4")]
        pub(super) odometer: Option<f64>,
        /// Metres per second.
        #[prost(float, optional, tag = "5")]
        pub(super) speed: Option<f32>,
    }

    /// `VehicleDescriptor`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Descriptor {
        #[prost(string, optional, tag = "1")]
        pub(super) id: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub(super) label: Option<String>,
        #[prost(string, optional, tag = "3")]
        pub(super) license_plate: Option<String>,
    }

    /// `TripDescriptor`.
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Trip {
        #[prost(string, optional, tag = "1")]
        pub(super) trip_id: Option<String>,
        #[prost(string, optional, tag = "2")]
        pub(super) start_time: Option<String>,
        #[prost(string, optional, tag = "3")]
        pub(super) start_date: Option<String>,
        #[prost(string, optional, tag = "5")]
        pub(super) route_id: Option<String>,
        #[prost(uint32, optional, tag = "6")]
        pub(super) direction_id: Option<u32>,
    }
}

/// `VehicleStopStatus`, by number.
const STATUS: [&str; 3] = ["INCOMING_AT", "STOPPED_AT", "IN_TRANSIT_TO"];

/// `CongestionLevel`, by number.
const CONGESTION: [&str; 5] =
    ["UNKNOWN_CONGESTION_LEVEL", "RUNNING_SMOOTHLY", "STOP_AND_GO", "CONGESTION", "SEVERE_CONGESTION"];

/// `OccupancyStatus`, by number.
const OCCUPANCY: [&str; 9] = [
    "EMPTY",
    "MANY_SEATS_AVAILABLE",
    "FEW_SEATS_AVAILABLE",
    "STANDING_ROOM_ONLY",
    "CRUSHED_STANDING_ROOM_ONLY",
    "FULL",
    "NOT_ACCEPTING_PASSENGERS",
    "NO_DATA_AVAILABLE",
    "NOT_BOARDABLE",
];

/// Reads the vehicles of a feed. Trip updates, alerts, entities that are deleted and vehicles without a position have
/// nothing to report.
pub(super) fn read(message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    let feed = feed::Feed::decode(message.body).map_err(|fault| {
        let fault = format!("expected a FeedMessage of GTFS-realtime as protobuf, not as JSON or text: {fault}");
        MessageError::unreadable(Format::GtfsRealtime, "body", fault)
    })?;
    let Some(header) = &feed.header else {
        let fault = "expected a FeedMessage of GTFS-realtime: header is missing";
        return Err(MessageError::unreadable(Format::GtfsRealtime, "body", fault));
    };
    let of_feed = header.timestamp.and_then(millis).unwrap_or(message.received_at);
    let mut items = Items::new(message, options);
    for (index, entity) in feed.entities.iter().enumerate() {
        let Some(vehicle) = entity.vehicle.as_ref().filter(|_| entity.is_deleted != Some(true)) else { continue };
        let Some(at) = &vehicle.position else { continue };
        let vehicle_id = vehicle_of(vehicle).or(options.vehicle_id.as_deref());
        let result = event(vehicle, at, vehicle_id, of_feed, &options.limits);
        let bytes = if result.is_err() { entity.encode_to_vec() } else { Vec::new() };
        items.push(index, &bytes, vehicle_id, result)?;
    }
    Ok(items.finish())
}

fn vehicle_of(vehicle: &feed::VehiclePosition) -> Option<&str> {
    let descriptor = vehicle.vehicle.as_ref()?;
    let names = [&descriptor.id, &descriptor.license_plate, &descriptor.label];
    names.into_iter().flatten().map(|name| name.trim()).find(|name| !name.is_empty())
}

/// Epoch milliseconds of seconds; 0 is none, as writers of proto3 leave it.
fn millis(seconds: u64) -> Option<Millis> {
    Millis::try_from(seconds).ok().filter(|seconds| *seconds > 0)?.checked_mul(1000)
}

fn event(
    vehicle: &feed::VehiclePosition,
    at: &feed::Position,
    vehicle_id: Option<&str>,
    of_feed: Millis,
    limits: &Limits,
) -> Result<Event<'static>, Rejection> {
    let missing = |name: &str| Rejection::new(Reason::MissingField, format!("{name} is missing"));
    let vehicle_id = vehicle_id.ok_or_else(|| missing("vehicle: one of id, license_plate and label"))?;
    check_vehicle_id(vehicle_id)?;
    let ts = check_time("timestamp", vehicle.timestamp.and_then(millis).unwrap_or(of_feed), limits)?;
    let lon = at.longitude.ok_or_else(|| missing("position.longitude"))?;
    let lat = at.latitude.ok_or_else(|| missing("position.latitude"))?;
    let number = |value: Option<f32>| value.map(f64::from);
    let fix = Fix::At(Measured {
        place: place(f64::from(lon), f64::from(lat))?,
        speed: number(at.speed).map_or(Speed::NONE, |mps| Speed::from_kmh(mps * SpeedUnit::MetresPerSecond.kmh())),
        heading: number(at.bearing).map_or(Heading::NONE, Heading::from_degrees),
        accuracy_m: None,
        altitude_m: None,
        ignition: None,
        attributes: attributes(vehicle, at)?.finish(None, limits)?.map(|json| Cow::Owned(json.into_owned())),
    });
    Ok(Event::Position(PositionReport { vehicle_id: Cow::Owned(vehicle_id.to_owned()), ts, received_at: None, fix }))
}

/// What is present: a field that is not set is no attribute.
fn attributes(vehicle: &feed::VehiclePosition, at: &feed::Position) -> Result<AttributesBuilder, Rejection> {
    let mut attributes = AttributesBuilder::default();
    let mut text =
        |key: &str, value: Option<&String>| attributes.push(key, value.map(String::as_str).unwrap_or_default());
    if let Some(trip) = &vehicle.trip {
        text("\"trip_id\"", trip.trip_id.as_ref())?;
        text("\"route_id\"", trip.route_id.as_ref())?;
        text("\"start_date\"", trip.start_date.as_ref())?;
        text("\"start_time\"", trip.start_time.as_ref())?;
    }
    text("\"stop_id\"", vehicle.stop_id.as_ref())?;
    if let Some(descriptor) = &vehicle.vehicle {
        text("\"label\"", descriptor.label.as_ref())?;
        text("\"license_plate\"", descriptor.license_plate.as_ref())?;
    }
    text("\"current_status\"", named(vehicle.current_status, &STATUS).as_ref())?;
    text("\"congestion_level\"", named(vehicle.congestion_level, &CONGESTION).as_ref())?;
    text("\"occupancy_status\"", named(vehicle.occupancy_status, &OCCUPANCY).as_ref())?;
    let numbers = [
        ("\"direction_id\"", vehicle.trip.as_ref().and_then(|trip| trip.direction_id).map(|n| n.to_string())),
        ("\"current_stop_sequence\"", vehicle.current_stop_sequence.map(|n| n.to_string())),
        ("\"occupancy_percentage\"", vehicle.occupancy_percentage.map(|n| n.to_string())),
        ("\"odometer_m\"", at.odometer.filter(|metres| metres.is_finite()).map(|metres| metres.to_string())),
    ];
    for (key, value) in numbers {
        attributes.push_json(key, value.as_deref().unwrap_or("null"))?;
    }
    Ok(attributes)
}

/// The name of a value; of one that a later version has, its number.
fn named(value: Option<i32>, names: &[&str]) -> Option<String> {
    let value = value?;
    let name = usize::try_from(value).ok().and_then(|index| names.get(index));
    Some(name.map_or_else(|| value.to_string(), |name| (*name).to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use watchtower_core::events::json::encode;

    /// Written by gtfs-realtime-bindings 3.0.0 (Python): testdata/README.md.
    const FEED: &[u8] = include_bytes!("../../testdata/vehicle_positions.pb");

    fn outcomes(body: &[u8]) -> Vec<(usize, Result<String, String>)> {
        let items = read(&Message::from_body(body, 1_795_435_205_000), &Options::default()).unwrap();
        let without_arrival = |event| encode(&event).replace(r#","received_at":"2026-11-23T12:00:05Z""#, "");
        let outcome = |item: Item| (item.index, item.result.map(without_arrival).map_err(|refused| refused.detail));
        items.into_iter().map(outcome).collect()
    }

    #[test]
    fn a_feed_of_the_bindings_is_read() {
        let position = |rest: &str| Ok(format!(r#"{{"type":"position","vehicle_id":{rest}}}"#));
        let expected = [
            (
                0,
                position(
                    r#""bus-7","ts":"2026-11-23T11:59:50Z","lon":3.3792057,"lat":6.4400001,"speed_kmh":36.0,"heading_deg":90.0,"attributes":{"trip_id":"t1","route_id":"r1","start_date":"20261123","stop_id":"s4","label":"7","license_plate":"ABC-123","current_status":"STOPPED_AT","occupancy_status":"FULL","direction_id":0,"current_stop_sequence":4,"odometer_m":120.5}"#,
                ),
            ),
            // Neither occupancy nor status nor time is set: the time is the feed's. A float of 32 bits is not -77.0365.
            (
                1,
                position(
                    r#""XYZ-9","ts":"2026-11-23T12:00:00Z","lon":-77.036499,"lat":40.5,"attributes":{"license_plate":"XYZ-9"}"#,
                ),
            ),
            (2, position(r#""3","ts":"2026-11-23T12:00:00Z","lon":3.5,"lat":6.5,"attributes":{"label":"3"}"#)),
            (3, Err("vehicle: one of id, license_plate and label is missing".to_owned())),
            // An occupancy of a later version is its number, not EMPTY.
            (
                7,
                position(
                    r#""bus-10","ts":"2026-11-23T12:00:00Z","lon":3.5,"lat":6.5,"attributes":{"occupancy_status":"99"}"#,
                ),
            ),
        ];
        assert_eq!(outcomes(FEED), expected);
        assert_eq!(outcomes(FEED), outcomes(FEED), "a feed that is fetched again holds the same events");
    }

    #[test]
    fn a_refused_entity_is_kept_as_its_own_protobuf() {
        let items = read(&Message::from_body(FEED, 0), &Options::default()).unwrap();
        let refused = items.into_iter().find_map(|item| item.result.err()).unwrap();
        assert_eq!(feed::Entity::decode(refused.bytes.as_slice()).unwrap().id.as_deref(), Some("4"));
    }

    #[test]
    fn what_is_no_feed_is_an_error() {
        for body in [b"{\"header\":{}}".as_slice(), b"", b"<html>", &FEED[..FEED.len() - 1]] {
            let fault = read(&Message::from_body(body, 0), &Options::default()).unwrap_err();
            assert!(fault.to_string().contains("expected a FeedMessage of GTFS-realtime"), "{fault}");
        }
    }

    #[test]
    fn a_time_of_zero_is_none() {
        let mut feed = feed::Feed::decode(FEED).unwrap();
        feed.header.as_mut().unwrap().timestamp = Some(0);
        feed.entities.truncate(1);
        feed.entities[0].vehicle.as_mut().unwrap().timestamp = Some(0);
        let found = outcomes(&feed.encode_to_vec()).remove(0).1.unwrap();
        assert!(found.contains(r#""ts":"2026-11-23T12:00:05Z""#), "{found}");
        feed.entities[0].vehicle.as_mut().unwrap().timestamp = Some(u64::MAX);
        assert!(outcomes(&feed.encode_to_vec()).remove(0).1.unwrap().contains(r#""ts":"2026-11-23T12:00:05Z""#));
    }
}

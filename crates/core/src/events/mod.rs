//! The wire format: what an event is, and its three shapes.
//!
//! An event says where a vehicle was ([`PositionReport`]), what a geofence or vehicle is from some
//! instant on ([`GeofenceChange`], [`VehicleChange`]), what an alert rule is ([`RuleChange`], as JSON only), or what time
//! it is ([`Clock`]). It travels as
//! JSON ([`json`]), as plain fields of a stream entry ([`plain`]) or in a binary batch ([`binary`]);
//! an event that is written in any of them reads back equal. [`decode_entry`] takes an entry in
//! whichever shape it is.
//!
//! What is wrong with an event's *bytes* is decided here; whether it is accepted also depends on
//! what came before it: see [`crate::admission`]. Common to the shapes:
//!
//! * A required field is missing if it is absent, JSON `null` or, where fields are text, empty. An
//!   empty id is a bad id, not a missing one.
//! * In JSON types are strict, except that a time may be text or number and an id may be a number. Where
//!   fields are text, numbers, times and booleans may have spaces around them and booleans may be 1, 0, yes or no.
//! * A known field given twice is `malformed`. Unknown members, columns and plain fields of a position
//!   become attributes; those of other events are passed over.
//! * A measure that cannot be (negative or not finite speed or accuracy, a heading beyond 360) is
//!   unknown, as trackers send -1 for "none"; a text that is no number is `malformed`.
//! * Of several faults one is reported: a missing field first, then in the order id, time, place, rest.

use std::borrow::Cow;
use std::sync::Arc;

use watchtower_model::{AlertRule, Geofence, Heading, Millis, Place, Speed, Vehicle};

mod attributes;
pub mod binary;
mod build;
mod encode;
mod entry;
mod feature;
mod fields;
mod geometry;
mod ids;
pub mod json;
mod limits;
pub mod plain;
mod rejected;
mod rejection;
mod rule;
mod time;

pub use entry::{Decoded, decode_entry, field_lines, refused_fields};
pub use fields::MAX_TEXT_CHARS;
pub use geometry::{Geometry, Rings};
pub use ids::{MAX_ID_CHARS, check_geofence_id, check_rule_id, check_vehicle_id, stream_of};
pub use limits::{Limits, default_max_retained_positions};
pub use rejected::{MAX_KEPT_BYTES, Raw, RejectedEvent, Whole};
pub use rejection::{Reason, Rejection, quoted};
pub use rule::{RuleText, with_vehicles};

pub use attributes::{Builder as AttributesBuilder, checked as checked_attributes, push_string as push_json_string};
pub use build::{geofence_with_id, place, position};
pub use feature::Feature;
pub use fields::{Field, Fields, Value, check_time};
pub use json::{check_size, utf8};
pub use time::parse as parse_time;

/// One event of the log; its strings are borrowed from the bytes it was read from where they can be.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<'a> {
    /// Where a vehicle was.
    Position(PositionReport<'a>),
    /// Defines a geofence from an instant on, or deletes it.
    Geofence(GeofenceChange<'a>),
    /// Describes a vehicle from an instant on, or deletes it.
    Vehicle(VehicleChange<'a>),
    /// Defines an alert rule from an instant on, or deletes it.
    Rule(RuleChange<'a>),
    /// The log's own time.
    Clock(Clock),
}

/// A position, or the withdrawal of one.
#[derive(Clone, Debug, PartialEq)]
pub struct PositionReport<'a> {
    /// Identifier of the vehicle, as its tracker sends it; 1 to 128 characters.
    pub vehicle_id: Cow<'a, str>,
    /// When the vehicle was there.
    pub ts: Millis,
    /// Arrival of the event as its producer reports it, epoch milliseconds.
    pub received_at: Option<Millis>,
    /// Measurement at `ts`, or its withdrawal.
    pub fix: Fix<'a>,
}

/// Contents of a position event at its instant.
#[derive(Clone, Debug, PartialEq)]
pub enum Fix<'a> {
    /// Withdraws the position at the instant, if there is one.
    Withdrawn,
    /// The vehicle was there.
    At(Measured<'a>),
}

impl Fix<'_> {
    /// The accuracy radius that is reported, if one is. Metres.
    pub fn accuracy_m(&self) -> Option<f64> {
        match self {
            Self::Withdrawn => None,
            Self::At(measured) => measured.accuracy_m,
        }
    }
}

/// A place and what was measured there.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured<'a> {
    /// Longitude and latitude, WGS 84.
    pub place: Place,
    /// Speed that the tracker measured, if any.
    pub speed: Speed,
    /// Course over ground that the tracker measured, if any.
    pub heading: Heading,
    /// Metres, finite, not negative.
    pub accuracy_m: Option<f64>,
    /// Altitude that the tracker measured, metres; finite.
    pub altitude_m: Option<f64>,
    /// Whether the ignition was on, if known.
    pub ignition: Option<bool>,
    /// Anything else: a JSON object that is not empty, on one line.
    pub attributes: Option<Cow<'a, str>>,
}

/// A version of a geofence.
#[derive(Clone, Debug, PartialEq)]
pub struct GeofenceChange<'a> {
    /// Identifier of the geofence; 1 to 128 characters.
    pub geofence_id: Cow<'a, str>,
    /// Instant from which it holds; if absent, admission decides.
    pub valid_from: Option<Millis>,
    /// Arrival of the event as its producer reports it, epoch milliseconds.
    pub received_at: Option<Millis>,
    /// What holds from then on; nothing if it is deleted.
    pub definition: Option<GeofenceDefinition>,
}

/// A version of a geofence.
#[derive(Clone, Debug, PartialEq)]
pub struct GeofenceDefinition {
    /// The geofence as the engine looks it up.
    pub geofence: Arc<Geofence>,
    /// The geometry as given, for those who write the event again.
    pub geometry: Geometry,
}

/// A version of a vehicle's metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct VehicleChange<'a> {
    /// Identifier of the vehicle, as its tracker sends it; 1 to 128 characters.
    pub vehicle_id: Cow<'a, str>,
    /// Instant from which it holds; if absent, admission decides.
    pub valid_from: Option<Millis>,
    /// Arrival of the event as its producer reports it, epoch milliseconds.
    pub received_at: Option<Millis>,
    /// What holds from then on; nothing if it is deleted.
    pub definition: Option<Arc<Vehicle>>,
}

/// A version of an alert rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleChange<'a> {
    /// Identifier of the rule; 1 to 128 characters.
    pub rule_id: Cow<'a, str>,
    /// Instant from which it holds; if absent, its arrival.
    pub valid_from: Option<Millis>,
    /// Arrival of the event as its producer reports it, epoch milliseconds.
    pub received_at: Option<Millis>,
    /// What holds from then on; nothing if it is deleted.
    pub definition: Option<Arc<AlertRule>>,
}

/// The log's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// It is at least this.
    pub now: Millis,
    /// Arrival of the event as its producer reports it, epoch milliseconds.
    pub received_at: Option<Millis>,
}

/// One record of a file, with its event or the reason why it is refused.
#[derive(Debug)]
pub struct Record<'a> {
    /// Number of the line or feature, from 1. Of a CSV row on several lines, the first.
    pub position: u64,
    /// The bytes it was read from.
    pub raw: Raw<'a>,
    /// The event, or why it is refused.
    pub result: Result<Event<'a>, Rejection>,
}

impl Event<'_> {
    /// Arrival of the event as its producer reports it, epoch milliseconds.
    pub fn received_at(&self) -> Option<Millis> {
        match self {
            Self::Position(event) => event.received_at,
            Self::Geofence(event) => event.received_at,
            Self::Vehicle(event) => event.received_at,
            Self::Rule(event) => event.received_at,
            Self::Clock(event) => event.received_at,
        }
    }

    /// The arrival of the event, to be set.
    pub fn received_at_mut(&mut self) -> &mut Option<Millis> {
        match self {
            Self::Position(event) => &mut event.received_at,
            Self::Geofence(event) => &mut event.received_at,
            Self::Vehicle(event) => &mut event.received_at,
            Self::Rule(event) => &mut event.received_at,
            Self::Clock(event) => &mut event.received_at,
        }
    }

    /// The same event, borrowing nothing.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Self::Position(event) => Event::Position(PositionReport {
                vehicle_id: owned(event.vehicle_id),
                fix: match event.fix {
                    Fix::Withdrawn => Fix::Withdrawn,
                    Fix::At(measured) => Fix::At(measured.into_owned()),
                },
                ..event
            }),
            Self::Geofence(event) => Event::Geofence(GeofenceChange { geofence_id: owned(event.geofence_id), ..event }),
            Self::Vehicle(event) => Event::Vehicle(VehicleChange { vehicle_id: owned(event.vehicle_id), ..event }),
            Self::Rule(event) => Event::Rule(RuleChange { rule_id: owned(event.rule_id), ..event }),
            Self::Clock(clock) => Event::Clock(clock),
        }
    }
}

impl Measured<'_> {
    /// The same, borrowing nothing.
    pub fn into_owned(self) -> Measured<'static> {
        Measured { attributes: self.attributes.map(owned), ..self }
    }
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

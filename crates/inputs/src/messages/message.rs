//! A message that a device or server has sent, the settings of its source, and the items that are read from it.

use jiff::tz::TimeZone;
use watchtower_core::events::{Event, Limits, Reason, Rejection};
use watchtower_model::Millis;

use super::Format;
use crate::reading::SpeedUnit;

/// Events and refusals that one message may have, unless configured.
pub const DEFAULT_MAX_EVENTS: usize = 10_000;

/// Arrays and objects of JSON that may lie within each other, unless configured: a MultiPolygon needs six.
pub const DEFAULT_MAX_JSON_DEPTH: usize = 64;

/// One message: an HTTP request without its transport, a feed that was fetched, or a message of a broker.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// What follows the question mark of the address, still encoded.
    pub query: Option<&'a str>,
    /// The value of `Content-Type`, with its parameters.
    pub content_type: Option<&'a str>,
    /// Headers that a format puts data into.
    pub headers: Headers<'a>,
    /// The whole body, inflated.
    pub body: &'a [u8],
    /// When the last byte of it arrived, epoch milliseconds: the arrival of its events.
    pub received_at: Millis,
}

/// Headers that a format puts data into.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// `X-Limit-U` of OwnTracks: the user.
    pub limit_user: Option<&'a str>,
    /// `X-Limit-D` of OwnTracks: the device.
    pub limit_device: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// A message that is only a body, as a fetched feed is.
    pub fn from_body(body: &'a [u8], received_at: Millis) -> Self {
        Self { query: None, content_type: None, headers: Headers::default(), body, received_at }
    }

    /// The media type in lower case, without parameters; empty if there is none.
    pub(super) fn media_type(&self) -> String {
        let media_type = self.content_type.unwrap_or_default().split(';').next().unwrap_or_default();
        media_type.trim().to_ascii_lowercase()
    }
}

/// The settings of a source: what its format leaves open, and its limits.
#[derive(Clone, Debug)]
pub struct Options {
    /// Zone of times that name none. Without it such a time is refused.
    pub time_zone: Option<TimeZone>,
    /// Unit of speeds whose format or member names none. Without it such a speed is refused.
    pub speed_unit: Option<SpeedUnit>,
    /// The vehicle of messages that name none, as NMEA sentences.
    pub vehicle_id: Option<String>,
    /// Whether names that vessels report (AIS types 5, 19 and 24) become vehicle events. Such an event replaces the
    /// whole of what is known of the vehicle, its fleet and speed limit included.
    pub vessel_names: bool,
    /// Bounds of what is accepted, the same in every process of the pipeline.
    pub limits: Limits,
    /// Events and refusals that one message may have.
    pub max_events: usize,
    /// Arrays and objects of JSON that may lie within each other.
    pub max_json_depth: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            time_zone: None,
            speed_unit: None,
            vehicle_id: None,
            vessel_names: true,
            limits: Limits::default(),
            max_events: DEFAULT_MAX_EVENTS,
            max_json_depth: DEFAULT_MAX_JSON_DEPTH,
        }
    }
}

impl Options {
    /// Names of the settings without which hardly any message of the format could be read: a source that lacks one is
    /// refused at start. What only some messages leave open (a time without a zone of OsmAnd) is refused with each.
    pub fn missing_for(&self, format: Format) -> Vec<&'static str> {
        match format {
            Format::LocoNav if self.time_zone.is_none() => vec!["time_zone"],
            Format::Native
            | Format::OsmAnd
            | Format::OwnTracks
            | Format::Traccar
            | Format::LocoNav
            | Format::Nmea
            | Format::Ais
            | Format::GeoJson
            | Format::GtfsRealtime => Vec::new(),
        }
    }
}

/// What one record of a message is.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Number of the record in the message, from 0: the element of an array, the line, the entity of a feed. A record
    /// with nothing to report has no item; one with two events has two.
    pub index: usize,
    /// The event, or why the record is refused.
    pub result: Result<Event<'static>, Refused>,
}

/// A record that is refused: to be appended as an entry with the field `refused`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The kind of fault.
    pub reason: Reason,
    /// Which field, what it held, what was expected, and the cure where there is one; for people.
    pub detail: String,
    /// The bytes of the record.
    pub bytes: Vec<u8>,
    /// The vehicle that it names, if that much can be read.
    pub vehicle_id: Option<String>,
}

impl Refused {
    /// The refusal as entries and tables have it.
    pub fn rejection(&self) -> Rejection {
        Rejection::new(self.reason, self.detail.clone())
    }
}

/// The message as a whole is not one of its format: nothing is read from it, the sender has to be corrected (HTTP 400;
/// 413 if [`is_too_large`](MessageError::is_too_large)).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It cannot be read.
    #[error("not a message of format {}, {place}: {fault}", format.name())]
    Unreadable {
        /// The format that was expected.
        format: Format,
        /// Where: "query", "body, line 1, column 17".
        place: String,
        /// What was found or is missing, and what to send instead.
        fault: String,
    },
    /// Its JSON is nested too deeply.
    #[error("body: expected at most {most} arrays and objects within each other, found more at byte {at}")]
    TooDeep {
        /// The greatest depth that is read.
        most: usize,
        /// Offset of the bracket that is one too many.
        at: usize,
    },
    /// It has more records than one message may have.
    #[error("expected at most {most} events in one message: send them in several")]
    TooManyEvents {
        /// The greatest number that is read.
        most: usize,
    },
}

impl MessageError {
    /// It cannot be read at `place`.
    pub(super) fn unreadable(format: Format, place: impl Into<String>, fault: impl Into<String>) -> Self {
        Self::Unreadable { format, place: place.into(), fault: fault.into() }
    }

    /// Whether the message may be right but is too large.
    pub fn is_too_large(&self) -> bool {
        match self {
            Self::Unreadable { .. } => false,
            Self::TooDeep { .. } | Self::TooManyEvents { .. } => true,
        }
    }
}

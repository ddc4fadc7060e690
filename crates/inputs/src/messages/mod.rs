//! Events from messages: what devices, fleet servers and receivers send over HTTP, publish to a broker or serve as a
//! feed. Bytes in, events out; no socket is known here.
//!
//! A message is read on its own: nothing is remembered from one to the next, so any process may read it. Each format
//! is a file, and the contract suite has a line for each. Arrival is [`Message::received_at`], whatever the sender
//! states.

use std::str::FromStr;

mod ais;
mod collect;
mod form;
mod geojson;
mod gtfs_realtime;
mod json;
mod loconav;
mod message;
mod native;
mod nmea;
mod osmand;
mod osmand_json;
mod owntracks;
mod records;
mod terms;
mod traccar;
mod unchanged;

pub use form::decoded;
pub use message::{DEFAULT_MAX_EVENTS, DEFAULT_MAX_JSON_DEPTH, Headers, Item, Message, MessageError, Options, Refused};
pub use owntracks::read_published as read_owntracks_published;
pub use records::{Page, PageError, RECORD_FIELDS, Records, is_pointer, read_page};
pub use unchanged::{Fetched, Unchanged};

/// A format of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Watch Tower's own events as JSON: one, an array, or one a line.
    Native,
    /// The query, form or JSON that OsmAnd, Traccar Client and many phone apps send.
    OsmAnd,
    /// JSON of OwnTracks, over HTTP or a broker.
    OwnTracks,
    /// Positions and events that a Traccar server forwards as JSON.
    Traccar,
    /// Live locations and alerts of LocoNav.
    LocoNav,
    /// NMEA 0183 sentences of one receiver, one a line.
    Nmea,
    /// AIS sentences (AIVDM, AIVDO), one a line.
    Ais,
    /// GeoJSON: a Feature with a Point, or a FeatureCollection of them.
    GeoJson,
    /// A feed of GTFS-realtime VehiclePositions, protobuf.
    GtfsRealtime,
}

impl Format {
    /// Every format, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Native,
        Self::OsmAnd,
        Self::OwnTracks,
        Self::Traccar,
        Self::LocoNav,
        Self::Nmea,
        Self::Ais,
        Self::GeoJson,
        Self::GtfsRealtime,
    ];

    /// Its name in configurations and addresses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::OsmAnd => "osmand",
            Self::OwnTracks => "owntracks",
            Self::Traccar => "traccar",
            Self::LocoNav => "loconav",
            Self::Nmea => "nmea",
            Self::Ais => "ais",
            Self::GeoJson => "geojson",
            Self::GtfsRealtime => "gtfs-realtime",
        }
    }

    /// Whether its messages may come as a query, without a body (HTTP GET).
    pub fn accepts_query(self) -> bool {
        self == Self::OsmAnd
    }

    /// The body of the answer to a message that was accepted, and its media type, where the format demands one.
    pub fn answer(self) -> Option<Answer> {
        match self {
            // Whatever is in the array is shown by the app; without one it keeps the message and sends it again.
            Self::OwnTracks => Some(Answer { content_type: "application/json", body: "[]" }),
            Self::Native
            | Self::OsmAnd
            | Self::Traccar
            | Self::LocoNav
            | Self::Nmea
            | Self::Ais
            | Self::GeoJson
            | Self::GtfsRealtime => None,
        }
    }
}

/// No format has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no format is named {0}")]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}

/// What the sender of an accepted message expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Media type of `body`.
    pub content_type: &'static str,
    /// The whole body.
    pub body: &'static str,
}

/// Reads a message: its events and refusals in the order of the message. Each event has an arrival.
///
/// # Errors
/// If the message as a whole is not one of the format, or exceeds a limit.
pub fn read(format: Format, message: &Message<'_>, options: &Options) -> Result<Vec<Item>, MessageError> {
    match format {
        Format::Native => native::read(message, options),
        Format::OsmAnd => osmand::read(message, options),
        Format::OwnTracks => owntracks::read(message, options),
        Format::Traccar => traccar::read(message, options),
        Format::LocoNav => loconav::read(message, options),
        Format::Nmea => nmea::read(message, options),
        Format::GeoJson => geojson::read(message, options),
        Format::Ais => ais::read(message, options),
        Format::GtfsRealtime => gtfs_realtime::read(message, options),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod contract_tests;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod peers_tests;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_found_by_their_names() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert_eq!("OsmAnd".parse::<Format>().unwrap_err().to_string(), "no format is named OsmAnd");
    }
}

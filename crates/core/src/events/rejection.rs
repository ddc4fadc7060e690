//! Why an event is refused.

use std::fmt;

use serde::{Deserialize, Serialize};
use watchtower_model::Millis;

/// The kind of fault, as it stands in `rejected_events.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Not an event at all, or a value that is not what its field holds: text for a number, a bad
    /// `geofence_id` (there is no reason of its own for it), an unreadable time.
    Malformed,
    /// `type` names no kind of event.
    UnknownType,
    /// A field the event cannot do without is absent, null or (in plain fields) empty.
    MissingField,
    /// The bytes are not UTF-8.
    InvalidUtf8,
    /// The entry, its attributes or one of its texts is larger than allowed.
    TooLarge,
    /// A position is not on the globe: not finite or out of range.
    Coordinates,
    /// An instant outside the range that is accepted.
    TimeRange,
    /// A `vehicle_id` that is empty, too long or has control characters.
    VehicleId,
    /// The geofence's geometry is not an area, or not a valid one, or its exit buffer is too wide.
    Geometry,
    /// A feature of a file repeats the id and `valid_from` of an earlier one.
    DuplicateId,
    /// Longitude and latitude both 0: a receiver without a fix.
    NullIsland,
    /// A row of a file on days that few rows have, far from those that the others have.
    IsolatedTime,
    /// Too far ahead of its arrival; in a file, of the present.
    Future,
    /// Too far behind its arrival.
    Horizon,
    /// Too far behind the newest position of its vehicle.
    Late,
    /// In another stream than the one it belongs to.
    WrongStream,
    /// Of one vehicle more than the stream may hold.
    TooManyVehicles,
    /// More positions of its vehicle than may be held.
    TooManyPositions,
}

impl Reason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 18] = [
        Self::Malformed,
        Self::UnknownType,
        Self::MissingField,
        Self::InvalidUtf8,
        Self::TooLarge,
        Self::Coordinates,
        Self::TimeRange,
        Self::VehicleId,
        Self::Geometry,
        Self::DuplicateId,
        Self::NullIsland,
        Self::IsolatedTime,
        Self::Future,
        Self::Horizon,
        Self::Late,
        Self::WrongStream,
        Self::TooManyVehicles,
        Self::TooManyPositions,
    ];

    /// The reason that a row of `rejected_events` names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// The word for it in tables and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownType => "unknown_type",
            Self::MissingField => "missing_field",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::TooLarge => "too_large",
            Self::Coordinates => "coordinates",
            Self::TimeRange => "time_range",
            Self::VehicleId => "vehicle_id",
            Self::Geometry => "geometry",
            Self::DuplicateId => "duplicate_id",
            Self::NullIsland => "null_island",
            Self::IsolatedTime => "isolated_time",
            Self::Future => "future",
            Self::Horizon => "horizon",
            Self::Late => "late",
            Self::WrongStream => "wrong_stream",
            Self::TooManyVehicles => "too_many_vehicles",
            Self::TooManyPositions => "too_many_positions",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An event is refused. This is an outcome, not a failure: it is kept and the next event is read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Rejection {
    /// The kind of fault.
    pub reason: Reason,
    /// Which field, what it held and what was expected, for people.
    pub detail: String,
    /// The instant of the position that is refused, if that much of it can be read: it counts where the days of a
    /// file are judged, whatever else is wrong.
    pub position_ts: Option<Millis>,
}

impl Rejection {
    /// A refusal for `reason`; `detail` names the field and what was expected.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), position_ts: None }
    }
}

/// The longest piece of a refused value that is quoted in a detail, in characters.
const MAX_QUOTED_CHARS: usize = 64;

/// A value as quoted in a detail: cut when long, control characters escaped.
pub fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_QUOTED_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_QUOTED_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

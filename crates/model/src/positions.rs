//! Accepted positions, as a timeline keeps them.

use serde::{Deserialize, Serialize};

use crate::units::{Heading, Millis, Place, Speed, VehicleId};

/// Whether the engine was on, as far as a position reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ignition {
    /// The position does not report it.
    #[default]
    Unknown,
    /// The tracker reports that the ignition is off.
    Off,
    /// The tracker reports that the ignition is on.
    On,
}

impl Ignition {
    /// From what a position reports, if it does.
    pub fn from_report(is_on: Option<bool>) -> Self {
        match is_on {
            None => Self::Unknown,
            Some(false) => Self::Off,
            Some(true) => Self::On,
        }
    }

    /// Whether it was on, if that is known.
    pub fn is_on(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::Off => Some(false),
            Self::On => Some(true),
        }
    }

    /// What is known once another position has reported this, or nothing.
    pub fn then(self, reported: Self) -> Self {
        if reported == Self::Unknown { self } else { reported }
    }
}

/// Why a position takes no part in anything but offlines, counts and the ignition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Mark {
    /// It does take part: the position is usable.
    #[default]
    None,
    /// Its accuracy radius is larger than `max_accuracy_m`.
    Inaccurate,
    /// The vehicle cannot have been there: see [`crate::Rules::outliers`].
    Outlier,
}

impl Mark {
    /// By its name; an unknown one marks nothing.
    pub fn from_name(name: &str) -> Self {
        [Self::Inaccurate, Self::Outlier].into_iter().find(|mark| mark.name() == Some(name)).unwrap_or_default()
    }

    /// Its name in `positions.mark`; none for a usable position.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Inaccurate => Some("inaccurate"),
            Self::Outlier => Some("outlier"),
        }
    }
}

/// A position that is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Marked {
    /// Dense number of its vehicle.
    pub vehicle: VehicleId,
    /// Instant of the position, epoch milliseconds.
    pub ts: Millis,
    /// Why; never [`Mark::None`].
    pub mark: Mark,
}

/// One accepted position of a vehicle: what its timeline keeps, in 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// When the vehicle was there.
    pub ts: Millis,
    /// Longitude and latitude, WGS 84.
    pub place: Place,
    /// Speed that the tracker measured, if any.
    pub speed: Speed,
    /// Course over ground that the tracker measured, if any.
    pub heading: Heading,
    /// State of the ignition, if the tracker reports it.
    pub ignition: Ignition,
    /// On arrival `None` or `Inaccurate`: see [`crate::Rules::mark`]. Timelines mark outliers by themselves.
    pub mark: Mark,
}

impl Position {
    /// Whether it is not marked.
    pub fn is_usable(&self) -> bool {
        self.mark == Mark::None
    }

    /// Whether outliers are sought among positions such as this: all but the inaccurate ones.
    pub fn is_accurate(&self) -> bool {
        self.mark != Mark::Inaccurate
    }
}

/// What the log says of a vehicle at one instant: it was there, or an earlier such event is
/// withdrawn. Of several for the same (vehicle, ts), the last in the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionEvent {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// Order within the epoch among events of this vehicle: later in the log is greater.
    pub seq: u32,
    /// The position; of a withdrawn one, only `ts` means anything.
    pub position: Position,
    /// The event withdraws whatever was known at `position.ts`.
    pub withdrawn: bool,
}

//! Accepted positions, as a timeline keeps them.

use serde::{Deserialize, Serialize};

use crate::units::{Heading, Millis, Place, Speed, VehicleId};

/// One accepted position of a vehicle: what its timeline keeps, in 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// When the vehicle was there.
    pub ts: Millis,
    /// Where.
    pub place: Place,
    /// As reported.
    pub speed: Speed,
    /// As reported.
    pub heading: Heading,
    /// Whether the ignition was on; unknown counts as off.
    pub ignition: bool,
}

/// What the log says of a vehicle at one instant: it was there, or an earlier such event is
/// withdrawn. Of several for the same (vehicle, ts), the last in the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionEvent {
    /// Whose.
    pub vehicle: VehicleId,
    /// Order within the epoch among events of this vehicle: later in the log is greater.
    pub seq: u32,
    /// The position; of a withdrawn one, only `ts` means anything.
    pub position: Position,
    /// The event withdraws whatever was known at `position.ts`.
    pub withdrawn: bool,
}

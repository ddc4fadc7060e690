//! The rows of the present: who is where at the log's time.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::facts::Visit;
use crate::units::{GeofenceId, Heading, Millis, Place, Speed, VehicleId};

/// What a vehicle is doing at the log's present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// At its last position it was at least as fast as `idle_speed`.
    Moving,
    /// It was slower, or its speed cannot be told.
    Stopped,
    /// It has not been heard of for longer than `offline_after`.
    Offline,
}

/// Some geofences. A few need no memory of their own: every position brings such a list to another thread.
pub type GeofenceIds = SmallVec<[GeofenceId; 4]>;

/// Where a vehicle is, as far as its last position tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VehicleState {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// The last position's instant.
    pub ts: Millis,
    /// The last position's place.
    pub place: Place,
    /// The last position's speed as reported.
    pub speed: Speed,
    /// The last position's heading as reported.
    pub heading: Heading,
    /// What it is doing.
    pub status: Status,
    /// The geofences it is in, in ascending order of dense number.
    pub inside: GeofenceIds,
}

/// A visit that lasts: who is where at the log's present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Membership {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// Dense number of the geofence.
    pub geofence: GeofenceId,
    /// First instant inside, epoch milliseconds.
    pub entered_at: Millis,
}

impl Membership {
    /// That the visit lasts.
    pub fn of(visit: &Visit) -> Self {
        let Visit { vehicle, geofence, entered_at, exited_at: _, confirmed: _ } = *visit;
        Self { vehicle, geofence, entered_at }
    }
}

/// How many vehicles are inside a geofence at the log's present. A geofence in force at `now` has a
/// row even if there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Occupancy {
    /// Dense number of the geofence.
    pub geofence: GeofenceId,
    /// How many, confirmed or not.
    pub vehicles: i64,
}

//! The words the rest of the crate is written in: identifiers, events as the engine sees them, and
//! the facts it derives.
//!
//! Strings stay at the rim: vehicles and geofences are dense integers here, assigned by whoever
//! reads the log. A dense number depends on the order of arrival, so no output may be *ordered* by
//! it; where a rule says "smallest id", it means the string.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::geometry::Shape;
use crate::local_time::LocalTime;

/// Dataflow time: one dense number per batch of arrivals. Event time is data, never an epoch.
pub type Epoch = u64;

/// An instant of event time: milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// "Since ever": the `valid_from` of a geofence that names none in a replay, and `now` before the
/// log has said anything about time.
pub const BEGINNING: Millis = Millis::MIN;

/// "For ever": the end of what has no end yet.
pub const END: Millis = Millis::MAX;

/// Dense number of a vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VehicleId(pub u32);

/// Dense number of a geofence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GeofenceId(pub u32);

/// A place on WGS84 in units of 1e-7 degrees: what an accepted position is rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Longitude, 1e-7 degrees, -1_800_000_000..=1_800_000_000.
    pub lon: i32,
    /// Latitude, 1e-7 degrees, -900_000_000..=900_000_000.
    pub lat: i32,
}

impl Place {
    /// Rounds degrees to 1e-7 degrees, halves away from zero. The caller has checked the range.
    pub fn from_degrees(lon: f64, lat: f64) -> Self {
        Self { lon: (lon * 1e7).round() as i32, lat: (lat * 1e7).round() as i32 }
    }

    /// Longitude in degrees: the double nearest to the decimal (a division, never `* 1e-7`).
    pub fn lon_degrees(self) -> f64 {
        f64::from(self.lon) / 1e7
    }

    /// Latitude in degrees: the double nearest to the decimal.
    pub fn lat_degrees(self) -> f64 {
        f64::from(self.lat) / 1e7
    }
}

/// A speed in millionths of a km/h, so that equal speeds are equal integers. Speeds too large to
/// say (above 4 294 km/h) are kept as the largest one, which no vehicle rule finds plausible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Speed(u32);

impl Speed {
    const UNKNOWN: u32 = u32::MAX;

    /// No speed was reported.
    pub const NONE: Self = Self(Self::UNKNOWN);

    /// From km/h, rounded to 1e-6; negative or not finite is unknown (trackers send -1 for "none").
    pub fn from_kmh(kmh: f64) -> Self {
        if !kmh.is_finite() || kmh < 0.0 {
            return Self::NONE;
        }
        Self((kmh * 1e6).round().min(f64::from(Self::UNKNOWN - 1)) as u32)
    }

    /// The mean over a distance in millimetres and a positive time in milliseconds, rounded down to
    /// 1e-6 km/h. Integers only: 1 mm/ms is 3.6 km/h.
    pub fn mean(distance_mm: i64, elapsed_ms: i64) -> Self {
        // Nothing on earth is so far apart that this saturates.
        let micro = distance_mm.saturating_mul(3_600_000) / elapsed_ms;
        Self(micro.clamp(0, i64::from(Self::UNKNOWN - 1)) as u32)
    }

    /// In millionths of a km/h, if known.
    pub fn micro_kmh(self) -> Option<u32> {
        (self.0 != Self::UNKNOWN).then_some(self.0)
    }

    /// In km/h, if known.
    pub fn kmh(self) -> Option<f64> {
        self.micro_kmh().map(|micro| f64::from(micro) / 1e6)
    }
}

/// A course over ground in hundredths of a degree clockwise from north.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Heading(u16);

impl Heading {
    const UNKNOWN: u16 = u16::MAX;

    /// No heading was reported.
    pub const NONE: Self = Self(Self::UNKNOWN);

    /// From degrees, rounded to 0.01; outside 0..=360 (or not finite) is unknown.
    pub fn from_degrees(degrees: f64) -> Self {
        if !(0.0..=360.0).contains(&degrees) {
            return Self::NONE;
        }
        Self((degrees * 100.0).round() as u16)
    }

    /// In degrees, if known.
    pub fn degrees(self) -> Option<f64> {
        (self.0 != Self::UNKNOWN).then(|| f64::from(self.0) / 100.0)
    }
}

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

/// What a geofence is while one of its versions is in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Geofence {
    /// The id in the log.
    pub id: Arc<str>,
    /// For people.
    pub name: Option<String>,
    /// `terminal`, `client`, `depot`, or whatever the producer says.
    pub kind: Option<String>,
    /// Whether trips begin and end here; if the log does not say, by kind: see [`Geofence::is_anchor`].
    pub anchor: Option<bool>,
    /// Labels for people and reports.
    pub tags: Vec<String>,
    /// A visit counts as confirmed once it lasted this long.
    pub min_dwell_ms: i64,
    /// A vehicle inside stays inside until it is farther than this from the geometry. Metres, 0..=5000.
    pub exit_buffer_m: f64,
    /// Speed limit inside, if there is one.
    pub speed_limit: Speed,
    /// Where.
    pub shape: Arc<Shape>,
}

impl Geofence {
    /// Whether trips begin and end here: the flag, or else kind terminal, client or depot.
    pub fn is_anchor(&self) -> bool {
        self.anchor.unwrap_or(matches!(self.kind.as_deref(), Some("terminal" | "client" | "depot")))
    }
}

/// An accepted version of something that is edited: a geofence or a vehicle's metadata.
///
/// In force at `t` is, of the versions with `effective_from <= t`, the one with the greatest
/// `(valid_from, seq)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit<K, D> {
    /// What is edited.
    pub key: K,
    /// From when the producer wants it.
    pub valid_from: Millis,
    /// From when it can hold: `valid_from`, or later if the edit came too late for that.
    pub effective_from: Millis,
    /// Place in the control log: of two edits with the same `valid_from` the greater holds.
    pub seq: u64,
    /// What holds from then on; nothing if it is deleted.
    pub definition: Option<Arc<D>>,
}

/// An accepted `geofence` event.
pub type GeofenceEdit = Edit<GeofenceId, Geofence>;

/// What is known of a vehicle besides its positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vehicle {
    /// For people.
    pub name: Option<String>,
    /// The group it is counted in.
    pub fleet: Option<String>,
    /// Its own speed limit, if it has one.
    pub speed_limit: Speed,
    /// Anything else the producer said, as a JSON object.
    pub attributes: Option<String>,
}

/// An accepted `vehicle` event.
pub type VehicleEdit = Edit<VehicleId, Vehicle>;

/// What reaches every worker: edits, and the log's own time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Control {
    /// A version of a geofence.
    Geofence(GeofenceEdit),
    /// A version of a vehicle's metadata.
    Vehicle(VehicleEdit),
    /// The log's time reached this instant.
    Now(Millis),
    /// No part of the log: the timelines and the groups of the aggregates are to be handed out as they are
    /// after this epoch.
    Snapshot,
    /// No part of the log: this epoch brings what an earlier one handed out. Restored groups hold the
    /// facts that restored timelines say again.
    Restored,
}

/// Which tables there are. Those of no set that was asked for stay empty: nothing is kept or computed for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViewSet {
    /// Who is where: `visits`, `geofence_membership`, `geofence_occupancy`, `vehicle_state` and `offlines`, and
    /// the versions of geofences and vehicles.
    Membership,
    /// That; stops, idlings, overspeeds, trips and turnarounds; and all aggregates.
    #[default]
    All,
}

impl ViewSet {
    /// What people call them.
    pub const NAMES: [(&'static str, Self); 2] = [("membership", Self::Membership), ("all", Self::All)];

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Membership => "membership",
            Self::All => "all",
        }
    }

    /// Whether there is more than who is where.
    pub fn has_analytics(self) -> bool {
        match self {
            Self::Membership => false,
            Self::All => true,
        }
    }
}

/// The parameters that decide what the tables say. All workers have the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Which tables there are.
    pub views: ViewSet,
    /// Silence longer than this is an offline. Milliseconds.
    pub offline_after_ms: i64,
    /// Slower than this is standing.
    pub idle_speed: Speed,
    /// A reported or mean speed above this is a fault of the receiver.
    pub max_plausible: Speed,
    /// A stop's positions are no farther than this from its first one. Metres.
    pub stop_radius_m: f64,
    /// A stop lasts at least this long. Milliseconds.
    pub stop_min_ms: i64,
    /// An idling lasts at least this long. Milliseconds.
    pub idle_min_ms: i64,
    /// An overspeed lasts at least this long. Milliseconds.
    pub overspeed_min_ms: i64,
    /// The speed limit where neither a geofence nor the vehicle has one.
    pub default_speed_limit: Speed,
    /// Through a gap a vehicle counts as present in a geofence for at most this long. Milliseconds.
    pub presence_limit_ms: i64,
    /// The zone of days and hours.
    pub local_time: Arc<LocalTime>,
    /// How far behind the log's clock an accepted position may be; aggregates are kept in memory as long
    /// after their end. `None` keeps everything. Milliseconds.
    pub horizon_ms: Option<i64>,
    /// How far behind the newest position of its vehicle an accepted position may be; tracks are
    /// kept as long. `None` keeps everything. Milliseconds.
    pub retention_ms: Option<i64>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            views: ViewSet::All,
            offline_after_ms: 30 * 60 * 1000,
            idle_speed: Speed::from_kmh(5.0),
            max_plausible: Speed::from_kmh(250.0),
            stop_radius_m: 50.0,
            stop_min_ms: 5 * 60 * 1000,
            idle_min_ms: 20 * 60 * 1000,
            overspeed_min_ms: 0,
            default_speed_limit: Speed::from_kmh(60.0),
            presence_limit_ms: 24 * 60 * 60 * 1000,
            local_time: Arc::new(LocalTime::utc()),
            horizon_ms: None,
            retention_ms: None,
        }
    }
}

/// A maximal interval during which a vehicle was inside a geofence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Visit {
    /// Who.
    pub vehicle: VehicleId,
    /// Where.
    pub geofence: GeofenceId,
    /// First instant inside.
    pub entered_at: Millis,
    /// First instant no longer inside; none while it lasts.
    pub exited_at: Option<Millis>,
    /// It lasted the geofence's `min_dwell_s`, by exit or by the log's clock.
    pub confirmed: bool,
}

/// A silence longer than `offline_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Offline {
    /// Who.
    pub vehicle: VehicleId,
    /// The position before the silence.
    pub started_at: Millis,
    /// The position after it; none while it lasts.
    pub ended_at: Option<Millis>,
}

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
    /// Who.
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
    /// Who.
    pub vehicle: VehicleId,
    /// Where.
    pub geofence: GeofenceId,
    /// Since when.
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
    /// Where.
    pub geofence: GeofenceId,
    /// How many, confirmed or not.
    pub vehicles: i64,
}

/// The interval during which one version of a geofence or vehicle is in force. Versions that never
/// are, and the time after a deletion, have none. What the version says is found by `(key, seq)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InForce<K> {
    /// Of what.
    pub key: K,
    /// First instant in force.
    pub effective_from: Millis,
    /// First instant no longer in force; [`END`] while nothing replaces it.
    pub effective_until: Millis,
    /// From when the producer wanted it.
    pub valid_from: Millis,
    /// Which edit it is: [`Edit::seq`].
    pub seq: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_speed_is_rounded_down_and_has_a_greatest() {
        assert_eq!(Speed::mean(1_000, 1_000), Speed::from_kmh(3.6));
        assert_eq!(Speed::mean(0, 1), Speed::from_kmh(0.0));
        assert_eq!(Speed::mean(1, 7).micro_kmh(), Some(514_285));
        assert_eq!(Speed::mean(1_194, 1).micro_kmh(), Some(u32::MAX - 1), "4 298.4 km/h");
        assert_eq!(Speed::mean(i64::MAX, 1), Speed::from_kmh(1e9));
    }
}

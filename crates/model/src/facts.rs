//! The facts of fleet analytics: what a vehicle's timeline says besides visits and offlines.
//!
//! Intervals are half-open. A fact without an end lasts: it is there because positions have confirmed it,
//! and its measures are not told until it has ended. The types from [`Motion`] on are no tables: they
//! are what the aggregates are made of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::local_time::Day;
use crate::units::{GeofenceId, Millis, Place, Speed, VehicleId};

/// A maximal interval during which a vehicle was inside a geofence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Visit {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// Dense number of the geofence.
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
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// The position before the silence.
    pub started_at: Millis,
    /// The position after it; none while it lasts.
    pub ended_at: Option<Millis>,
}

/// A vehicle stayed where it was: see `timeline::standing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stop {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// The anchor's instant.
    pub started_at: Millis,
    /// The last position of it; none while that is the vehicle's last usable one.
    pub ended_at: Option<Millis>,
    /// The anchor's place.
    pub place: Place,
    /// Of the geofences it was inside during it: anchors first, then the longest time in sum, then the smallest id.
    pub geofence: Option<GeofenceId>,
}

/// The ignition was on and the vehicle did not get away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Idling {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// Its first position.
    pub started_at: Millis,
    /// The ignition was off, a moving position was away, or an offline began; none while it lasts.
    pub ended_at: Option<Millis>,
}

/// A vehicle went some way with its ignition off: by ferry, or towed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MovesOff {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// Where the first of its legs starts, but not before the ignition was off nor before the end of a stop.
    pub started_at: Millis,
    /// The end of the last leg so far.
    pub ended_at: Millis,
    /// Along the counted positions, millimetres.
    pub distance_mm: i64,
}

/// How far a vehicle went on a local day in one [`MovesOff`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Towing {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// The local day on which the legs end.
    pub day: Day,
    /// When the [`MovesOff`] started.
    pub started_at: Millis,
    /// Millimetres, more than 0.
    pub distance_mm: i64,
}

/// A vehicle was faster than the limit in force where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Overspeed {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// First instant above the limit, or of this limit.
    pub started_at: Millis,
    /// First instant no longer above it, or of another limit, or the last position before a gap; none
    /// while it lasts.
    pub ended_at: Option<Millis>,
    /// Whose limit; none if it is the vehicle's or the default.
    pub geofence: Option<GeofenceId>,
    /// Speed limit that was exceeded.
    pub limit: Speed,
    /// The measures, once it has ended.
    pub measures: Option<OverspeedMeasures>,
}

/// What adds up during an [`Overspeed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OverspeedMeasures {
    /// The greatest speed.
    pub max_speed: Speed,
    /// Along the positions, millimetres.
    pub distance_mm: i64,
}

/// From leaving the last confirmed visit to an anchor geofence to entering the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Trip {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// The anchor geofence left; of several at once, the one with the smallest id.
    pub origin: GeofenceId,
    /// The first instant outside of it.
    pub departed_at: Millis,
    /// Where it went, when, and how; none while it is on its way.
    pub arrival: Option<Arrival>,
}

/// The end of a [`Trip`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Arrival {
    /// The anchor geofence reached; of several at once, the one with the smallest id.
    pub destination: GeofenceId,
    /// The first instant inside.
    pub arrived_at: Millis,
    /// Between the two.
    pub measures: TripMeasures,
}

/// What adds up during a [`Trip`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TripMeasures {
    /// Along the counted positions, millimetres.
    pub distance_mm: i64,
    /// Straight ways across offlines, millimetres.
    pub gap_mm: i64,
    /// Time at `idle_speed` or faster.
    pub moving_ms: i64,
    /// Time slower than that, or at an unknown speed; without offlines.
    pub stopped_ms: i64,
    /// Stops that start on the way.
    pub stops: i64,
    /// The greatest speed; [`Speed::NONE`] if none can be told.
    pub max_speed: Speed,
}

/// From leaving a terminal to reaching one again, with clients in between.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Turnaround {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// The terminal left; of several at once, the one with the smallest id.
    pub terminal_left: GeofenceId,
    /// The first instant outside of it.
    pub departed_at: Millis,
    /// The terminal reached; of several at once, the one with the smallest id.
    pub terminal_reached: GeofenceId,
    /// The first instant inside it.
    pub returned_at: Millis,
    /// The other anchors visited, in order of entry (of entries at once, by id).
    pub clients: Arc<[GeofenceId]>,
    /// Along the positions, millimetres.
    pub distance_mm: i64,
}

/// What a vehicle's positions of one local day add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Motion {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// Local day, by `[rules] time_zone`.
    pub day: Day,
    /// Legs between counted positions that end on the day, millimetres.
    pub distance_mm: i64,
    /// Straight ways across offlines, millimetres.
    pub gap_mm: i64,
    /// Time at `idle_speed` or faster, up to the last usable position.
    pub moving_ms: i64,
    /// Time slower than that, or at an unknown speed; without offlines.
    pub stopped_ms: i64,
    /// Time in offlines, of each at most `offline_count`: one that lasts, up to the last full local hour.
    pub offline_ms: i64,
    /// The greatest speed; [`Speed::NONE`] if none can be told.
    pub max_speed: Speed,
    /// The first and the last position of the day at which it moved.
    pub moved: Option<(Millis, Millis)>,
    /// How many positions the day has, marked ones included.
    pub positions: i64,
}

/// A vehicle was in a geofence, as far as its positions or the clock's full hours tell: a piece of a visit
/// within one local hour, without what a gap longer than `presence_limit` leaves open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Presence {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// Dense number of the geofence.
    pub geofence: GeofenceId,
    /// First instant present.
    pub from: Millis,
    /// First instant no longer present; equal to `from` for one that has just come.
    pub until: Millis,
}

/// An idling or an overspeed, as far as positions have confirmed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Spell {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// Whether it is an idling or an overspeed.
    pub kind: SpellKind,
    /// First instant, epoch milliseconds.
    pub from: Millis,
    /// Its end, or the newest position while it lasts.
    pub until: Millis,
}

/// What a [`Spell`] is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SpellKind {
    /// From an [`Idling`].
    Idling,
    /// See [`Overspeed`].
    Overspeed,
}

/// A confirmed visit that has ended, and of what kind its geofence was when it began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KindVisit {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// The kind; empty if it had none.
    pub kind: Arc<str>,
    /// First instant inside.
    pub entered_at: Millis,
    /// First instant no longer inside.
    pub exited_at: Millis,
}

/// Something of a vehicle that counts for the fleet it is in at the end of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FleetFact {
    /// The fleet; empty if the vehicle has none then.
    pub fleet: Arc<str>,
    /// The local day of it.
    pub day: Day,
    /// The kind of fact, with what it adds.
    pub part: FleetPart,
}

/// Local days on which facts of a vehicle may still change however long ago they were: what decides them has not come
/// yet, or may be withdrawn at any time. Groups of aggregates that have such facts stay in memory meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pin {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// The first of the days.
    pub first: Day,
    /// The last of the days.
    pub last: Day,
    /// Groups that have such facts.
    pub groups: Pinned,
}

/// Groups of aggregates that a [`Pin`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Pinned {
    /// Rows of `vehicle_daily` of the vehicle: a move with the ignition off counts on its days once it is far enough.
    OwnDays,
    /// Of all aggregates: the vehicle is silent, and what it sends next decides about its last positions.
    All,
}

/// What the [`Motion`]s of a day add up to, or how much more than before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FleetMotions {
    /// Vehicles of which something is known.
    pub known: i64,
    /// Those of them with a position.
    pub reporting: i64,
    /// Those of them that moved.
    pub moving: i64,
    /// Length of the way, millimetres.
    pub distance_mm: i64,
    /// Straight ways across offlines, millimetres.
    pub gap_mm: i64,
    /// Time moving, milliseconds.
    pub moving_ms: i64,
    /// Time of which it is known whether they moved, or that they were silent. Milliseconds.
    pub known_ms: i64,
}

impl FleetMotions {
    /// Adds `diff` times the day of a vehicle.
    pub fn add(&mut self, motion: &Motion, diff: i64) {
        let Motion {
            vehicle: _,
            day: _,
            distance_mm,
            gap_mm,
            moving_ms,
            stopped_ms,
            offline_ms,
            max_speed: _,
            moved,
            positions,
        } = motion;
        self.known += diff;
        self.reporting += i64::from(*positions > 0) * diff;
        self.moving += i64::from(moved.is_some()) * diff;
        self.distance_mm += distance_mm * diff;
        self.gap_mm += gap_mm * diff;
        self.moving_ms += moving_ms * diff;
        self.known_ms += (moving_ms + stopped_ms + offline_ms) * diff;
    }
}

/// See [`FleetFact`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FleetPart {
    /// Vehicles' days, which end with the day.
    Motions(FleetMotions),
    /// A trip departed from an anchor.
    TripStarted,
    /// A trip arrived at an anchor.
    TripCompleted,
    /// A turnaround ended, so many milliseconds after it began.
    Turnaround(i64),
}

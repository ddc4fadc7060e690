//! The rows of the aggregates: what facts add up to by vehicle, by geofence and by way.
//!
//! A fact counts on the local day or hour of its end (entries: of its start); what lasts is split exactly.
//! Lengths of time are milliseconds, distances millimetres. A row is there as long as any fact is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::local_time::Day;
use crate::units::{GeofenceId, Millis, Speed, VehicleId};

/// What a vehicle did on a local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VehicleDaily {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// Local day, by `[rules] time_zone`.
    pub day: Day,
    /// Legs between counted positions that end on the day.
    pub distance_mm: i64,
    /// Straight ways across offlines.
    pub gap_mm: i64,
    /// Legs with the ignition off, of those moves that are long enough to be told.
    pub towed_mm: i64,
    /// At `idle_speed` or faster.
    pub moving_ms: i64,
    /// Slower, or at a speed that cannot be told; without offlines.
    pub stopped_ms: i64,
    /// Time in idlings, milliseconds.
    pub idling_ms: i64,
    /// Time in offlines, milliseconds.
    pub offline_ms: i64,
    /// Above the speed limit.
    pub overspeed_ms: i64,
    /// The greatest speed; [`Speed::NONE`] if none can be told.
    pub max_speed: Speed,
    /// Positions of the day.
    pub positions: i64,
    /// Overspeeds that ended.
    pub overspeeds: i64,
    /// Stops that ended.
    pub stops: i64,
    /// Confirmed visits that ended.
    pub visits: i64,
    /// Trips that arrived.
    pub trips: i64,
    /// The first and the last position at which it moved.
    pub moved: Option<(Millis, Millis)>,
}

/// What happened in a geofence during a local hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GeofenceHourly {
    /// Dense number of the geofence.
    pub geofence: GeofenceId,
    /// The first instant of the hour.
    pub hour: Millis,
    /// Visits that began.
    pub entries: i64,
    /// Visits that ended.
    pub exits: i64,
    /// Confirmed visits that ended.
    pub confirmed_visits: i64,
    /// Vehicles that were inside at any time.
    pub unique_vehicles: i64,
    /// How long the visits that ended took together.
    pub dwell_total_ms: i64,
    /// Their mean, halves rounded up; none if none ended.
    pub dwell_mean_ms: Option<i64>,
    /// Their median, within 1 %.
    pub dwell_p50_ms: Option<i64>,
    /// Their 95th percentile, within 1 %.
    pub dwell_p95_ms: Option<i64>,
    /// How long all vehicles were inside during the hour, together.
    pub vehicle_ms_inside: i64,
    /// The greatest number of vehicles inside at one instant.
    pub peak_vehicles: i64,
}

/// The trips from one geofence to another that arrived on a local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OdDaily {
    /// Dense number of the anchor that was left.
    pub origin: GeofenceId,
    /// Dense number of the anchor that was reached.
    pub destination: GeofenceId,
    /// Local day, by `[rules] time_zone`.
    pub day: Day,
    /// Number of trips that arrived.
    pub trips: i64,
    /// How long they took together.
    pub duration_total_ms: i64,
    /// Their mean, halves rounded up.
    pub duration_mean_ms: i64,
    /// Their median, within 1 %.
    pub duration_p50_ms: i64,
    /// Their 95th percentile, within 1 %.
    pub duration_p95_ms: i64,
    /// Along the positions, together.
    pub distance_mm: i64,
}

/// What the vehicles of a fleet did on a local day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FleetDaily {
    /// Which; empty for vehicles that are in none.
    pub fleet: Arc<str>,
    /// Local day, by `[rules] time_zone`.
    pub day: Day,
    /// Vehicles in it at the end of the day that had been heard of by then.
    pub vehicles_known: i64,
    /// Those of them that were heard of on the day.
    pub vehicles_reporting: i64,
    /// Those of them that moved.
    pub vehicles_moving: i64,
    /// Along the counted positions.
    pub distance_mm: i64,
    /// Straight ways across offlines.
    pub gap_mm: i64,
    /// At `idle_speed` or faster.
    pub moving_ms: i64,
    /// That time, and the time slower or in offlines.
    pub known_ms: i64,
    /// Trips that began.
    pub trips_started: i64,
    /// Trips that arrived.
    pub trips_completed: i64,
    /// Turnarounds that ended.
    pub turnarounds: i64,
    /// Their mean duration, halves rounded up; none if none ended.
    pub turnaround_mean_ms: Option<i64>,
    /// Their median, within 1 %.
    pub turnaround_p50_ms: Option<i64>,
    /// Their 95th percentile, within 1 %.
    pub turnaround_p95_ms: Option<i64>,
}

/// The confirmed visits to geofences of one kind that ended on a local day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KindDaily {
    /// The kind when the visit began; empty if it had none.
    pub kind: Arc<str>,
    /// Local day, by `[rules] time_zone`.
    pub day: Day,
    /// Number of confirmed visits.
    pub visits: i64,
    /// By how many different vehicles.
    pub unique_vehicles: i64,
    /// How long they took together.
    pub dwell_total_ms: i64,
    /// Their mean, halves rounded up.
    pub dwell_mean_ms: i64,
    /// Their median, within 1 %.
    pub dwell_p50_ms: i64,
    /// Their 95th percentile, within 1 %.
    pub dwell_p95_ms: i64,
}

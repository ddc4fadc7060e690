//! The rules: parameters that decide the contents of the tables.

use std::sync::Arc;

use crate::local_time::LocalTime;
use crate::units::Speed;

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

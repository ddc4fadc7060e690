//! The rules: parameters that decide the contents of the tables.

use std::sync::Arc;

use crate::local_time::LocalTime;
use crate::positions::Mark;
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

/// What becomes of positions that a vehicle cannot have been at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outliers {
    /// They are marked.
    #[default]
    Skip,
    /// They are used like all others.
    Use,
}

impl Outliers {
    /// Their names in the configuration.
    pub const NAMES: [(&'static str, Self); 2] = [("skip", Self::Skip), ("use", Self::Use)];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Use => "use",
        }
    }
}

/// The most positions in a row that are taken for outliers.
pub const OUTLIER_RUN: usize = 5;

/// The longest time from the first to the last position of a run of outliers. Milliseconds.
pub const OUTLIER_RUN_MS: i64 = 10 * 60 * 1000;

/// How soon a vehicle that has left the radius of a stop must be back for the stop to go on. Milliseconds.
pub const STOP_RETURN_MS: i64 = 2 * 60 * 1000;

/// The length of a UTC hour, of which the first position outside stops is counted for distance. Milliseconds.
pub const UTC_HOUR_MS: i64 = 60 * 60 * 1000;

/// The parameters that decide what the tables say. All workers have the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Which tables there are.
    pub views: ViewSet,
    /// Silence longer than this is an offline, unless the vehicle has a limit of its own. Milliseconds.
    pub offline_after_ms: i64,
    /// How much of one offline a vehicle's days count at most. Milliseconds.
    pub offline_count_ms: i64,
    /// A position with a larger accuracy radius is inaccurate; 0: none is. Metres.
    pub max_accuracy_m: f64,
    /// Whether positions a vehicle cannot have been at are marked.
    pub outliers: Outliers,
    /// A way is implausible only if it is longer than this. Millimetres.
    pub jump_mm: i64,
    /// Slower than this is standing.
    pub idle_speed: Speed,
    /// A reported or mean speed above this is a fault of the receiver.
    pub max_plausible: Speed,
    /// A reported speed holds for a segment at most this long. Milliseconds.
    pub speed_hold_ms: i64,
    /// A mean speed is taken over at least this long. Milliseconds.
    pub speed_span_ms: i64,
    /// A position is counted for distance if it is at least this far from the counted one before. Millimetres.
    pub min_step_mm: i64,
    /// A vehicle that goes farther than this with the ignition off is moved. Millimetres.
    pub tow_min_mm: i64,
    /// A stop's positions are no farther than this from its anchor. Metres.
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
            offline_count_ms: 7 * 24 * 60 * 60 * 1000,
            max_accuracy_m: 1_000.0,
            outliers: Outliers::Skip,
            jump_mm: 100_000,
            idle_speed: Speed::from_kmh(5.0),
            max_plausible: Speed::from_kmh(250.0),
            speed_hold_ms: 2 * 60 * 1000,
            speed_span_ms: 10 * 1000,
            min_step_mm: 25_000,
            tow_min_mm: 500_000,
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

impl Rules {
    /// The mark of a position on arrival, by the accuracy radius it reports. Metres.
    pub fn mark(&self, accuracy_m: Option<f64>) -> Mark {
        let is_inaccurate = self.max_accuracy_m > 0.0 && accuracy_m.is_some_and(|radius| radius > self.max_accuracy_m);
        if is_inaccurate { Mark::Inaccurate } else { Mark::None }
    }

    /// Whether a vehicle cannot have gone a way of so many millimetres in so many milliseconds.
    pub fn is_implausible(&self, way_mm: i64, elapsed_ms: i64) -> bool {
        way_mm > self.jump_mm && Speed::mean(way_mm, elapsed_ms) > self.max_plausible
    }

    /// The speed, if it is one that a vehicle can have.
    pub fn plausible(&self, speed: Speed) -> Speed {
        if speed <= self.max_plausible { speed } else { Speed::NONE }
    }
}

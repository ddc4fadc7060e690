//! `od_daily`: the trips from each geofence to each other that arrived on each local day.
//!
//! Counts and distances add up; how long the trips took is a histogram.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::views::grouped::{Given, Grouped, grouped};
use crate::views::groups::{Group, Key};
use crate::views::histogram::Histogram;
use crate::views::{GroupSnapshot, Rows};
use watchtower_model::aggregates::OdDaily;
use watchtower_model::facts::{Arrival, Trip};
use watchtower_model::local_time::{Day, LocalTime};
use watchtower_model::{GeofenceId, Millis};

/// The way from one geofence to another on a local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OdDay {
    /// Dense number of the anchor that was left.
    pub origin: GeofenceId,
    /// Dense number of the anchor that was reached.
    pub destination: GeofenceId,
    /// Local day, by `[rules] time_zone`.
    pub day: Day,
}

/// Contribution of a trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// How long it took.
    pub duration_ms: i64,
    /// Length of the trip, millimetres.
    pub distance_mm: i64,
}

/// The state of a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OdDailyGroup {
    duration: Histogram,
    distance_mm: i64,
}

/// The table. Open trips count nowhere.
pub fn od_daily<'s>(trips: Rows<'s, Trip>, given: &Given<'s>) -> Grouped<'s, OdDaily> {
    let zone = Arc::clone(&given.local_time);
    let trips = trips.flat_map(move |Trip { vehicle: _, origin, departed_at, arrival }| {
        let Arrival { destination, arrived_at, measures } = arrival?;
        let key = OdDay { origin, destination, day: zone.day(arrived_at) };
        Some((key, Part { duration_ms: arrived_at - departed_at, distance_mm: measures.distance_mm }))
    });
    grouped::<OdDailyGroup>("OdDaily", trips, given)
}

impl Key for OdDay {
    fn route(&self) -> u64 {
        u64::from(self.origin.0) + u64::from(self.destination.0) * 7
    }

    fn end(&self, local_time: &LocalTime) -> Millis {
        local_time.day_end(self.day)
    }
}

impl Group for OdDailyGroup {
    type Key = OdDay;
    type Value = Part;
    type Row = OdDaily;

    fn update(&mut self, value: &Part, diff: i64) {
        self.duration.add(value.duration_ms, diff);
        self.distance_mm += value.distance_mm * diff;
    }

    fn row(&self, key: &OdDay) -> Option<OdDaily> {
        Some(OdDaily {
            origin: key.origin,
            destination: key.destination,
            day: key.day,
            trips: self.duration.count(),
            duration_total_ms: self.duration.total(),
            duration_mean_ms: self.duration.mean()?,
            duration_p50_ms: self.duration.percentile(50)?,
            duration_p95_ms: self.duration.percentile(95)?,
            distance_mm: self.distance_mm,
        })
    }

    fn is_empty(&self) -> bool {
        self.duration.is_empty() && self.distance_mm == 0
    }

    fn heap_bytes(&self) -> usize {
        self.duration.heap_bytes()
    }

    fn snapshot(key: OdDay, group: Arc<Self>) -> GroupSnapshot {
        GroupSnapshot::OdDaily(key, group)
    }

    fn restored(snapshot: GroupSnapshot) -> Option<(OdDay, Arc<Self>)> {
        let GroupSnapshot::OdDaily(key, group) = snapshot else { return None };
        Some((key, group))
    }
}

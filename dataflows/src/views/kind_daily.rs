//! `kind_daily`: the confirmed visits to geofences of each kind that ended on each local day.
//!
//! How long they took is a histogram; different vehicles are counted by the visits of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::views::grouped::{Given, Grouped, grouped};
use crate::views::groups::{Group, Key, route_of};
use crate::views::histogram::Histogram;
use crate::views::{GroupSnapshot, Rows};
use watchtower_model::aggregates::KindDaily;
use watchtower_model::facts::KindVisit;
use watchtower_model::local_time::{Day, LocalTime};
use watchtower_model::{Millis, VehicleId};

/// A kind's local day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KindDay {
    /// Kind of the geofences.
    pub kind: Arc<str>,
    /// Local day, by `[rules] time_zone`.
    pub day: Day,
}

/// Contribution of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// Dense number of the vehicle that visited.
    pub vehicle: VehicleId,
    /// How long it took.
    pub dwell_ms: i64,
}

/// The state of a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KindDailyGroup {
    dwell: Histogram,
    /// The number of each vehicle's visits.
    vehicles: BTreeMap<VehicleId, i64>,
}

/// Rows of the table, from the facts that it counts.
pub fn kind_daily<'s>(visits: Rows<'s, KindVisit>, given: &Given<'s>) -> Grouped<'s, KindDaily> {
    let zone = Arc::clone(&given.local_time);
    let visits = visits.map(move |KindVisit { vehicle, kind, entered_at, exited_at }| {
        (KindDay { kind, day: zone.day(exited_at) }, Part { vehicle, dwell_ms: exited_at - entered_at })
    });
    grouped::<KindDailyGroup>("KindDaily", visits, given)
}

impl Key for KindDay {
    fn route(&self) -> u64 {
        route_of(&self.kind)
    }

    fn end(&self, local_time: &LocalTime) -> Millis {
        local_time.day_end(self.day)
    }
}

impl Group for KindDailyGroup {
    type Key = KindDay;
    type Value = Part;
    type Row = KindDaily;

    fn update(&mut self, value: &Part, diff: i64) {
        self.dwell.add(value.dwell_ms, diff);
        let visits = self.vehicles.entry(value.vehicle).or_default();
        *visits += diff;
        if *visits == 0 {
            self.vehicles.remove(&value.vehicle);
        }
    }

    fn row(&self, key: &KindDay) -> Option<KindDaily> {
        Some(KindDaily {
            kind: Arc::clone(&key.kind),
            day: key.day,
            visits: self.dwell.count(),
            unique_vehicles: self.vehicles.len() as i64,
            dwell_total_ms: self.dwell.total(),
            dwell_mean_ms: self.dwell.mean()?,
            dwell_p50_ms: self.dwell.percentile(50)?,
            dwell_p95_ms: self.dwell.percentile(95)?,
        })
    }

    fn is_empty(&self) -> bool {
        self.dwell.is_empty() && self.vehicles.is_empty()
    }

    fn heap_bytes(&self) -> usize {
        self.dwell.heap_bytes() + self.vehicles.len() * size_of::<(VehicleId, i64)>() * 2
    }

    fn snapshot(key: KindDay, group: Arc<Self>) -> GroupSnapshot {
        GroupSnapshot::KindDaily(key, group)
    }

    fn restored(snapshot: GroupSnapshot) -> Option<(KindDay, Arc<Self>)> {
        let GroupSnapshot::KindDaily(key, group) = snapshot else { return None };
        Some((key, group))
    }
}

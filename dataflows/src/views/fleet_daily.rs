//! `fleet_daily`: what the vehicles of each fleet did on each local day.
//!
//! Counts, times and distances add up: a vehicle has one motion a day, so that vehicles need not be told
//! apart. How long turnarounds took is a histogram.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::views::grouped::{Given, Grouped, grouped};
use crate::views::groups::{Group, Key, route_of};
use crate::views::histogram::Histogram;
use crate::views::{GroupSnapshot, Rows};
use watchtower_model::Millis;
use watchtower_model::aggregates::FleetDaily;
use watchtower_model::facts::{FleetFact, FleetMotions, FleetPart};
use watchtower_model::local_time::{Day, LocalTime};

/// A fleet's local day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FleetDay {
    /// Name of the fleet.
    pub fleet: Arc<str>,
    /// Local day, by `[rules] time_zone`.
    pub day: Day,
}

/// The state of a group.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FleetDailyGroup {
    known: i64,
    reporting: i64,
    moving: i64,
    distance_mm: i64,
    gap_mm: i64,
    moving_ms: i64,
    known_ms: i64,
    started: i64,
    completed: i64,
    turnaround: Histogram,
}

/// Rows of the table, from the facts that it counts.
pub fn fleet_daily<'s>(facts: Rows<'s, FleetFact>, given: &Given<'s>) -> Grouped<'s, FleetDaily> {
    let facts = facts.map(|FleetFact { fleet, day, part }| (FleetDay { fleet, day }, part));
    grouped::<FleetDailyGroup>("FleetDaily", facts, given)
}

impl Key for FleetDay {
    fn route(&self) -> u64 {
        route_of(&self.fleet)
    }

    fn end(&self, local_time: &LocalTime) -> Millis {
        local_time.day_end(self.day)
    }
}

impl Group for FleetDailyGroup {
    type Key = FleetDay;
    type Value = FleetPart;
    type Row = FleetDaily;

    fn update(&mut self, value: &FleetPart, diff: i64) {
        match value {
            FleetPart::Motions(motions) => {
                let FleetMotions { known, reporting, moving, distance_mm, gap_mm, moving_ms, known_ms } = motions;
                self.known += known * diff;
                self.reporting += reporting * diff;
                self.moving += moving * diff;
                self.distance_mm += distance_mm * diff;
                self.gap_mm += gap_mm * diff;
                self.moving_ms += moving_ms * diff;
                self.known_ms += known_ms * diff;
            }
            FleetPart::TripStarted => self.started += diff,
            FleetPart::TripCompleted => self.completed += diff,
            FleetPart::Turnaround(duration_ms) => self.turnaround.add(*duration_ms, diff),
        }
    }

    fn row(&self, key: &FleetDay) -> Option<FleetDaily> {
        if self.is_empty() {
            return None;
        }
        Some(FleetDaily {
            fleet: Arc::clone(&key.fleet),
            day: key.day,
            vehicles_known: self.known,
            vehicles_reporting: self.reporting,
            vehicles_moving: self.moving,
            distance_mm: self.distance_mm,
            gap_mm: self.gap_mm,
            moving_ms: self.moving_ms,
            known_ms: self.known_ms,
            trips_started: self.started,
            trips_completed: self.completed,
            turnarounds: self.turnaround.count(),
            turnaround_mean_ms: self.turnaround.mean(),
            turnaround_p50_ms: self.turnaround.percentile(50),
            turnaround_p95_ms: self.turnaround.percentile(95),
        })
    }

    fn is_empty(&self) -> bool {
        let Self { known, reporting, moving, distance_mm, gap_mm, moving_ms, known_ms, started, completed, turnaround } =
            self;
        let sums = [known, reporting, moving, distance_mm, gap_mm, moving_ms, known_ms, started, completed];
        sums.into_iter().all(|sum| *sum == 0) && turnaround.is_empty()
    }

    fn heap_bytes(&self) -> usize {
        self.turnaround.heap_bytes()
    }

    fn snapshot(key: FleetDay, group: Arc<Self>) -> GroupSnapshot {
        GroupSnapshot::FleetDaily(key, group)
    }

    fn restored(snapshot: GroupSnapshot) -> Option<(FleetDay, Arc<Self>)> {
        let GroupSnapshot::FleetDaily(key, group) = snapshot else { return None };
        Some((key, group))
    }
}

//! Every table that is computed, as a differential collection.
//!
//! [`Views`] is the checklist: it is always taken apart without `..`, so that a view without a
//! destination does not compile.

pub mod alerts;
pub mod crowds;
pub mod epochs;
pub mod fleet_daily;
pub mod geofence_hourly;
pub mod grouped;
pub mod groups;
pub mod histogram;
mod in_force;
pub mod kind_daily;
mod occupancy;
pub mod od_daily;
pub mod peak;
pub(crate) mod pins;
pub mod plain;
mod present;
#[cfg(test)]
mod tests;
pub mod vehicle_daily;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use timely::dataflow::{Scope, StreamVec};

use crate::alerts::{AlertState, CrowdState, Owner};
use crate::control::{Control, Epoch};
use crate::timeline::operator::{Facts, timelines};
pub use crate::timeline::operator::{Rows, States};
use crate::timeline::{Stats, TimelineSnapshot};
use alerts::Alerts;
use fleet_daily::{FleetDailyGroup, FleetDay};
use geofence_hourly::{GeofenceHour, GeofenceHourlyGroup};
use grouped::{Given, Grouped};
use groups::{GroupStats, reach_ms};
use kind_daily::{KindDailyGroup, KindDay};
use od_daily::{OdDailyGroup, OdDay};
use vehicle_daily::{VehicleDailyGroup, VehicleDay, VehicleFacts};
use watchtower_model::aggregates::{FleetDaily, GeofenceHourly, KindDaily, OdDaily, VehicleDaily};
use watchtower_model::facts::{Idling, MovesOff, Overspeed, Stop, Trip, Turnaround};
use watchtower_model::{
    Alert, GeofenceId, InForce, Marked, Membership, Occupancy, Offline, PositionEvent, RuleId, Rules, VehicleId,
    ViewSet, Visit,
};

/// A group of an aggregate as it was after some epoch: what it takes to go on from there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum GroupSnapshot {
    /// Of `vehicle_daily`.
    VehicleDaily(VehicleDay, Arc<VehicleDailyGroup>),
    /// Of `geofence_hourly`.
    GeofenceHourly(GeofenceHour, Arc<GeofenceHourlyGroup>),
    /// A group of `od_daily`.
    OdDaily(OdDay, Arc<OdDailyGroup>),
    /// Of `fleet_daily`.
    FleetDaily(FleetDay, Arc<FleetDailyGroup>),
    /// Of `kind_daily`.
    KindDaily(KindDay, Arc<KindDailyGroup>),
    /// No group: what `alerts` are made of.
    Alerts(Owner, Arc<AlertState>),
    /// No group: what alerts about occupancy are made of.
    Crowds(GeofenceId, Arc<CrowdState>),
}

/// The aggregates that are made of groups, in the order of [`Views::groups`].
pub const AGGREGATES: [&str; 5] = ["vehicle_daily", "geofence_hourly", "od_daily", "fleet_daily", "kind_daily"];

/// State of the dataflow after an epoch, from which it can continue.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    /// The timelines, in no order.
    pub timelines: Vec<TimelineSnapshot>,
    /// The groups of the aggregates, in no order.
    pub groups: Vec<GroupSnapshot>,
}

/// Collections of all tables that are computed.
pub struct Views<'s> {
    /// The mark of every position that has one.
    pub marks: Rows<'s, Marked>,
    /// Every visit, ended or not.
    pub visits: Rows<'s, Visit>,
    /// Every offline, ended or not.
    pub offlines: Rows<'s, Offline>,
    /// Every stop, ended or not.
    pub stops: Rows<'s, Stop>,
    /// Every idling, ended or not.
    pub idlings: Rows<'s, Idling>,
    /// Every overspeed.
    pub overspeeds: Rows<'s, Overspeed>,
    /// Every move with the ignition off.
    pub moves_off: Rows<'s, MovesOff>,
    /// Every trip, arrived or not.
    pub trips: Rows<'s, Trip>,
    /// Every turnaround.
    pub turnarounds: Rows<'s, Turnaround>,
    /// The last position of every vehicle, and what it is doing.
    pub vehicle_state: States<'s>,
    /// Every fact that a rule selects.
    pub alerts: Rows<'s, Alert>,
    /// Rows of `vehicle_daily`, by vehicle and local day.
    pub vehicle_daily: Rows<'s, VehicleDaily>,
    /// Rows of `geofence_hourly`, by geofence and hour.
    pub geofence_hourly: Rows<'s, GeofenceHourly>,
    /// The trips between any two geofences on each day.
    pub od_daily: Rows<'s, OdDaily>,
    /// Rows of `fleet_daily`, by fleet and local day.
    pub fleet_daily: Rows<'s, FleetDaily>,
    /// The visits to each kind of geofence on each day.
    pub kind_daily: Rows<'s, KindDaily>,
    /// Vehicles and the geofences that they are inside.
    pub membership: Rows<'s, Membership>,
    /// How many are where.
    pub occupancy: Rows<'s, Occupancy>,
    /// The versions of geofences.
    pub geofences: Rows<'s, InForce<GeofenceId>>,
    /// The versions of vehicles' metadata.
    pub vehicles: Rows<'s, InForce<VehicleId>>,
    /// The versions of alert rules.
    pub rules: Rows<'s, InForce<RuleId>>,
    /// No table: the timelines themselves, in the epochs in which they were asked for.
    pub timelines: Rows<'s, TimelineSnapshot>,
    /// No table: the groups of the aggregates, in the same epochs.
    pub groups: Rows<'s, GroupSnapshot>,
    /// No table: about this worker's timelines.
    pub stats: Rc<Cell<Stats>>,
    /// No table: about this worker's groups, in the order of [`AGGREGATES`].
    pub group_stats: [Rc<Cell<GroupStats>>; AGGREGATES.len()],
}

impl std::fmt::Debug for Views<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Views").finish_non_exhaustive()
    }
}

/// State of a checkpoint from which the operators continue.
pub struct Restored<'s> {
    /// Timelines, each on any worker.
    pub timelines: StreamVec<'s, Epoch, TimelineSnapshot>,
    /// Groups of aggregates, each on any worker.
    pub groups: StreamVec<'s, Epoch, GroupSnapshot>,
}

impl std::fmt::Debug for Restored<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restored").finish_non_exhaustive()
    }
}

/// Outputs of the operators of all aggregates.
struct Aggregates<'s> {
    vehicle_daily: Grouped<'s, VehicleDaily>,
    geofence_hourly: Grouped<'s, GeofenceHourly>,
    od_daily: Grouped<'s, OdDaily>,
    fleet_daily: Grouped<'s, FleetDaily>,
    kind_daily: Grouped<'s, KindDaily>,
}

impl<'s> Aggregates<'s> {
    fn none(scope: Scope<'s, Epoch>) -> Self {
        Self {
            vehicle_daily: Grouped::none(scope),
            geofence_hourly: Grouped::none(scope),
            od_daily: Grouped::none(scope),
            fleet_daily: Grouped::none(scope),
            kind_daily: Grouped::none(scope),
        }
    }
}

impl<'s> Aggregates<'s> {
    /// Those that a set of views has.
    fn of(set: ViewSet, scope: Scope<'s, Epoch>, facts: &Facts<'s>, given: &Given<'s>) -> Self {
        match set {
            ViewSet::Membership => Aggregates::none(scope),
            ViewSet::All => Aggregates {
                geofence_hourly: geofence_hourly::geofence_hourly(facts.visits.clone(), facts.presences.clone(), given),
                od_daily: od_daily::od_daily(facts.trips.clone(), given),
                fleet_daily: fleet_daily::fleet_daily(facts.fleet_facts.clone(), given),
                kind_daily: kind_daily::kind_daily(facts.kind_visits.clone(), given),
                vehicle_daily: vehicle_daily::vehicle_daily(
                    VehicleFacts {
                        motions: facts.motions.clone(),
                        towings: facts.towings.clone(),
                        spells: facts.spells.clone(),
                        overspeeds: facts.overspeeds.clone(),
                        stops: facts.stops.clone(),
                        visits: facts.visits.clone(),
                        trips: facts.trips.clone(),
                    },
                    given,
                ),
            },
        }
    }

    /// The groups of all of them, when they are asked for, and what there is of each, in the order of [`AGGREGATES`].
    fn told(&self) -> (Rows<'s, GroupSnapshot>, [Rc<Cell<GroupStats>>; AGGREGATES.len()]) {
        let Self { vehicle_daily, geofence_hourly, od_daily, fleet_daily, kind_daily } = self;
        let others = [&geofence_hourly.snapshots, &od_daily.snapshots, &fleet_daily.snapshots, &kind_daily.snapshots];
        let stats =
            [&vehicle_daily.stats, &geofence_hourly.stats, &od_daily.stats, &fleet_daily.stats, &kind_daily.stats];
        (vehicle_daily.snapshots.clone().concatenate(others.map(Clone::clone)), stats.map(Rc::clone))
    }
}

/// The dataflow. `control` must carry the same to every worker, in the order of the log within an
/// epoch; `positions` may reach any worker in any order. `restored` is what to go on from: it comes
/// with all edits, the time of the log it was taken from and [`Control::Restored`], before anything else.
pub fn views<'s>(
    scope: Scope<'s, Epoch>,
    positions: StreamVec<'s, Epoch, PositionEvent>,
    control: StreamVec<'s, Epoch, Control>,
    restored: Restored<'s>,
    rules: Rules,
) -> Views<'s> {
    let facts = timelines(scope, positions, control.clone(), restored.timelines, rules.clone());
    let given = Given::new(control.clone(), restored.groups, facts.pins.clone(), &rules, reach_ms(&rules));
    let aggregates = Aggregates::of(rules.views, scope, &facts, &given);
    let Alerts { rows: alerts, snapshots: alert_states } = Alerts::of(scope, &facts, &given, &rules);
    let Facts {
        marks,
        visits,
        offlines,
        stops,
        idlings,
        overspeeds,
        moves_off,
        towings: _,
        trips,
        turnarounds,
        motions: _,
        presences: _,
        spells: _,
        kind_visits: _,
        fleet_facts: _,
        pins: _,
        membership,
        vehicle_state,
        snapshots,
        stats,
    } = facts;
    let (geofences, vehicles) = (in_force::geofences(control.clone()), in_force::vehicles(control.clone()));
    let rules = in_force::rules(control.clone());
    let (groups, group_stats) = aggregates.told();
    let Aggregates { vehicle_daily, geofence_hourly, od_daily, fleet_daily, kind_daily } = aggregates;
    let present = present::present(geofences.clone(), control);
    let occupancy = occupancy::occupancy(membership.clone(), present.map(|version| version.key));
    Views {
        marks,
        visits,
        offlines,
        stops,
        idlings,
        overspeeds,
        moves_off,
        trips,
        turnarounds,
        alerts,
        vehicle_daily: vehicle_daily.rows,
        geofence_hourly: geofence_hourly.rows,
        od_daily: od_daily.rows,
        fleet_daily: fleet_daily.rows,
        kind_daily: kind_daily.rows,
        vehicle_state,
        membership,
        occupancy,
        geofences,
        vehicles,
        rules,
        timelines: snapshots,
        groups: groups.concat(alert_states),
        stats,
        group_stats,
    }
}

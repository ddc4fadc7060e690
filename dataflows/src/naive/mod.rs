//! The tables recomputed from the whole log: the definition that the incremental engine is held to.
//!
//! Everything here is a transcription of the rules, one function a rule, by search over all events.
//! Nothing is indexed, remembered or shared with the engine, save the geometry, the local days and hours,
//! and the row types.
//!
//! * Of the events of one (vehicle, ts) the last in the log holds; a withdrawn one leaves nothing.
//! * The version of a geofence in force at `t` is, of its edits with `effective_from <= t`, the one
//!   with the greatest `(valid_from, seq)`; a deletion is a version that says nothing.
//! * A vehicle is at a position from its `ts` until the next one's. Its *instants* are its positions'
//!   times, and every time from its first position on at which some version begins or ends, up to the
//!   present: the later of `now` and its last position. Between two instants nothing can change.
//! * What is said of geofences rests on visits, and what is said of movement on a speed, a step and
//!   perhaps a gap for each position: see `visits` and `path`.

mod groups;
mod journeys;
mod motion;
mod overspeeds;
mod path;
mod presence;
mod stays;
mod versions;
mod visits;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::views::plain::{self, PlainFacts};
use path::Path;
use versions::{histories, in_force_rows};
use watchtower_model::aggregates::{FleetDaily, GeofenceHourly, KindDaily, OdDaily, VehicleDaily};
use watchtower_model::facts::{Idling, Motion, Overspeed, Presence, Spell, Stop, Trip, Turnaround};
use watchtower_model::{
    GeofenceEdit, GeofenceId, InForce, Membership, Millis, Occupancy, Offline, Position, PositionEvent, Rules, Status,
    VehicleEdit, VehicleId, VehicleState, Visit,
};

/// Every table, each row once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// `visits`.
    pub visits: BTreeSet<Visit>,
    /// `geofence_membership`.
    pub membership: BTreeSet<Membership>,
    /// `geofence_occupancy`.
    pub occupancy: BTreeSet<Occupancy>,
    /// `offlines`.
    pub offlines: BTreeSet<Offline>,
    /// `stops`.
    pub stops: BTreeSet<Stop>,
    /// `idlings`.
    pub idlings: BTreeSet<Idling>,
    /// `overspeeds`.
    pub overspeeds: BTreeSet<Overspeed>,
    /// `trips`.
    pub trips: BTreeSet<Trip>,
    /// `turnarounds`.
    pub turnarounds: BTreeSet<Turnaround>,
    /// No table: what days are made of.
    pub motions: BTreeSet<Motion>,
    /// No table: what a geofence's hours are made of.
    pub presences: BTreeSet<Presence>,
    /// No table: what days say of idlings and overspeeds.
    pub spells: BTreeSet<Spell>,
    /// `vehicle_daily`.
    pub vehicle_daily: BTreeSet<VehicleDaily>,
    /// `geofence_hourly`.
    pub geofence_hourly: BTreeSet<GeofenceHourly>,
    /// `od_daily`.
    pub od_daily: BTreeSet<OdDaily>,
    /// `fleet_daily`.
    pub fleet_daily: BTreeSet<FleetDaily>,
    /// `kind_daily`.
    pub kind_daily: BTreeSet<KindDaily>,
    /// `vehicle_state`.
    pub vehicle_state: BTreeSet<VehicleState>,
    /// `geofences`.
    pub geofences: BTreeSet<InForce<GeofenceId>>,
    /// `vehicles`.
    pub vehicles: BTreeSet<InForce<VehicleId>>,
}

/// The tables after a prefix of the log: `positions`, all accepted, in the order of the log (their
/// `seq` is not looked at), the edits in any order, and the log's own time, `BEGINNING` if it has
/// said nothing about it. What `rules` lets be forgotten plays no part: nothing is forgotten here.
pub fn recompute(
    positions: &[PositionEvent],
    geofences: &[GeofenceEdit],
    vehicles: &[VehicleEdit],
    now: Millis,
    rules: &Rules,
) -> Tables {
    let geofences = histories(geofences);
    let vehicles = histories(vehicles);
    let mut tables =
        Tables { geofences: in_force_rows(&geofences), vehicles: in_force_rows(&vehicles), ..Tables::default() };

    let has_analytics = rules.views.has_analytics();

    for (vehicle, track) in tracks(positions) {
        let path = Path { vehicle, positions: track.values().copied().collect(), now, rules };
        let metadata = vehicles.get(&vehicle).map_or(&[][..], Vec::as_slice);
        let visits = visits::visits(vehicle, &track, &geofences, now);
        let offlines = offlines(vehicle, &track, now, rules);
        tables.vehicle_state.insert(vehicle_state(&path, &visits, &offlines));
        tables.membership.extend(visits.iter().filter(|visit| visit.exited_at.is_none()).map(visits::membership));
        tables.visits.extend(visits.iter().copied());
        tables.offlines.extend(offlines);
        if !has_analytics {
            continue;
        }
        let stops = stays::stops(&path, &visits, &geofences);
        let idlings = stays::idlings(&path);
        let overspeeds = overspeeds::overspeeds(&path, &visits, &geofences, metadata);

        tables.trips.extend(journeys::trips(&path, &visits, &stops, &geofences));
        tables.turnarounds.extend(journeys::turnarounds(&path, &visits, &geofences));
        tables.motions.extend(motion::motions(&path));
        tables.presences.extend(presence::presences(&path, &visits));
        tables.spells.extend(presence::spells(&path, &idlings, &overspeeds));
        tables.stops.extend(stops);
        tables.idlings.extend(idlings);
        tables.overspeeds.extend(overspeeds);
    }
    tables.occupancy = visits::occupancy(&tables.membership, &geofences, now);
    if !has_analytics {
        return tables;
    }
    let (facts, zone) = (plain_facts(&tables), &rules.local_time);
    tables.vehicle_daily.extend(plain::vehicle_daily(&facts, zone));
    tables.geofence_hourly.extend(plain::geofence_hourly(&facts, zone));
    tables.od_daily.extend(plain::od_daily(&facts, zone));
    tables.fleet_daily = groups::fleet_daily(&tables, &vehicles, zone);
    tables.kind_daily = groups::kind_daily(&tables, &geofences, zone);
    tables
}

/// What aggregates are made of.
fn plain_facts(tables: &Tables) -> PlainFacts {
    PlainFacts {
        motions: tables.motions.iter().copied().collect(),
        spells: tables.spells.iter().copied().collect(),
        overspeeds: tables.overspeeds.iter().copied().collect(),
        stops: tables.stops.iter().copied().collect(),
        visits: tables.visits.iter().copied().collect(),
        trips: tables.trips.iter().copied().collect(),
        presences: tables.presences.iter().copied().collect(),
    }
}

/// A vehicle's positions by time.
type Track = BTreeMap<Millis, Position>;

/// The track of each vehicle that has a position left.
fn tracks(positions: &[PositionEvent]) -> BTreeMap<VehicleId, Track> {
    let mut tracks = BTreeMap::<VehicleId, Track>::new();
    for event in positions {
        let track = tracks.entry(event.vehicle).or_default();
        if event.withdrawn {
            track.remove(&event.position.ts);
        } else {
            track.insert(event.position.ts, event.position);
        }
    }
    tracks.retain(|_, track| !track.is_empty());
    tracks
}

/// Every silence longer than `offline_after_ms`, the one that still lasts included.
fn offlines(vehicle: VehicleId, track: &Track, now: Millis, rules: &Rules) -> Vec<Offline> {
    let times: Vec<Millis> = track.keys().copied().collect();
    let mut offlines = Vec::new();
    for pair in times.windows(2) {
        if is_offline_gap(pair[0], pair[1], rules) {
            offlines.push(Offline { vehicle, started_at: pair[0], ended_at: Some(pair[1]) });
        }
    }
    let silent = times.last().filter(|&&last| is_offline_gap(last, now, rules));
    offlines.extend(silent.map(|&started_at| Offline { vehicle, started_at, ended_at: None }));
    offlines
}

fn is_offline_gap(from: Millis, until: Millis, rules: &Rules) -> bool {
    i128::from(until) - i128::from(from) > i128::from(rules.offline_after_ms)
}

/// The state of a vehicle as of its last position, but for silence, which the clock tells.
fn vehicle_state(path: &Path<'_>, visits: &[Visit], offlines: &[Offline]) -> VehicleState {
    let last = &path.positions[path.last()];
    let status = if offlines.iter().any(|offline| offline.ended_at.is_none()) {
        Status::Offline
    } else if path.is_moving(path.last()) {
        Status::Moving
    } else {
        Status::Stopped
    };
    let open = visits.iter().filter(|visit| visit.exited_at.is_none());
    let inside: BTreeSet<GeofenceId> = open.map(|visit| visit.geofence).collect();
    VehicleState {
        vehicle: path.vehicle,
        ts: last.ts,
        place: last.place,
        speed: last.speed,
        heading: last.heading,
        status,
        inside: inside.into_iter().collect(),
    }
}

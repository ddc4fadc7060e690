//! The tables recomputed from the whole log: the definition that the incremental engine is held to.
//!
//! Everything here is a transcription of the rules, one function a rule, by search over all events.
//! Nothing is indexed, remembered or shared with the engine, save the geometry, the local days and hours,
//! and the row types.
//!
//! * Of the events of one (vehicle, ts) the last in the log holds; a withdrawn one leaves nothing.
//! * The version of a geofence in force at `t` is, of its edits with `effective_from <= t`, the one
//!   with the greatest `(valid_from, seq)`; a deletion is a version that says nothing.
//! * A vehicle is at a usable position from its `ts` until the next one's. Its *instants* are their
//!   times, and every time from its first position on at which some version begins or ends, up to the
//!   present: the later of `now` and its last position. Between two instants nothing can change.
//! * Marked positions are left out first (`marks`). What is said of geofences rests on visits, and what is said
//!   of movement on stops, speeds and legs: see `visits` and `path`.

mod alerts;
mod crowds;
mod fact_sums;
mod groups;
#[cfg(test)]
pub(crate) mod invariants;
mod journeys;
mod marks;
mod motion;
mod overspeeds;
mod path;
mod presence;
mod stays;
mod surroundings;
mod versions;
mod visits;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use fact_sums::FactSums;

use crate::views::plain::{self, PlainFacts};
use path::Path;
use surroundings::Surroundings;
use versions::{histories, in_force_rows};
use watchtower_model::aggregates::{FleetDaily, GeofenceHourly, KindDaily, OdDaily, VehicleDaily};
use watchtower_model::facts::{Idling, Motion, MovesOff, Overspeed, Presence, Spell, Stop, Towing, Trip, Turnaround};
use watchtower_model::{
    Alert, GeofenceEdit, GeofenceId, InForce, Mark, Marked, Membership, Millis, Occupancy, Offline, Position,
    PositionEvent, RuleEdit, RuleId, Rules, Status, VehicleEdit, VehicleId, VehicleState, Visit,
};

/// Every table, each row once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// `positions.mark`.
    pub marks: BTreeSet<Marked>,
    /// Rows of `visits`.
    pub visits: BTreeSet<Visit>,
    /// `geofence_membership`.
    pub membership: BTreeSet<Membership>,
    /// `geofence_occupancy`.
    pub occupancy: BTreeSet<Occupancy>,
    /// Rows of `offlines`.
    pub offlines: BTreeSet<Offline>,
    /// Rows of `stops`.
    pub stops: BTreeSet<Stop>,
    /// Rows of `idlings`.
    pub idlings: BTreeSet<Idling>,
    /// Rows of `overspeeds`.
    pub overspeeds: BTreeSet<Overspeed>,
    /// Rows of `moves_off`.
    pub moves_off: BTreeSet<MovesOff>,
    /// Rows of `trips`.
    pub trips: BTreeSet<Trip>,
    /// Rows of `turnarounds`.
    pub turnarounds: BTreeSet<Turnaround>,
    /// Rows of `alerts`.
    pub alerts: BTreeSet<Alert>,
    /// No table: what days are made of.
    pub motions: BTreeSet<Motion>,
    /// No table: what a geofence's hours are made of.
    pub presences: BTreeSet<Presence>,
    /// No table: what days say of `moves_off`.
    pub towings: BTreeSet<Towing>,
    /// No table: what days say of idlings and overspeeds.
    pub spells: BTreeSet<Spell>,
    /// `vehicle_daily`.
    pub vehicle_daily: BTreeSet<VehicleDaily>,
    /// `geofence_hourly`.
    pub geofence_hourly: BTreeSet<GeofenceHourly>,
    /// Rows of `od_daily`.
    pub od_daily: BTreeSet<OdDaily>,
    /// Rows of `fleet_daily`.
    pub fleet_daily: BTreeSet<FleetDaily>,
    /// Rows of `kind_daily`.
    pub kind_daily: BTreeSet<KindDaily>,
    /// `vehicle_state`.
    pub vehicle_state: BTreeSet<VehicleState>,
    /// Rows of `geofences`.
    pub geofences: BTreeSet<InForce<GeofenceId>>,
    /// Rows of `vehicles`.
    pub vehicles: BTreeSet<InForce<VehicleId>>,
    /// Rows of `rules`.
    pub rules: BTreeSet<InForce<RuleId>>,
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
    recompute_with_alerts(positions, Edits { geofences, vehicles, rules: &[] }, now, rules)
}

/// Accepted edits, in any order.
#[derive(Clone, Copy, Debug)]
pub struct Edits<'a> {
    /// Of geofences.
    pub geofences: &'a [GeofenceEdit],
    /// Of vehicles' metadata.
    pub vehicles: &'a [VehicleEdit],
    /// Of alert rules.
    pub rules: &'a [RuleEdit],
}

/// As [`recompute`], with the alerts of rules.
pub fn recompute_with_alerts(positions: &[PositionEvent], edits: Edits<'_>, now: Millis, rules: &Rules) -> Tables {
    let Edits { geofences, vehicles, rules: alert_rules } = edits;
    let alert_rules = histories(alert_rules);
    let geofences = histories(geofences);
    let vehicles = histories(vehicles);
    let mut tables = Tables {
        geofences: in_force_rows(&geofences),
        vehicles: in_force_rows(&vehicles),
        rules: in_force_rows(&alert_rules),
        ..Tables::default()
    };

    let has_analytics = rules.views.has_analytics();

    for (vehicle, track) in tracks(positions) {
        let metadata = vehicles.get(&vehicle).map_or(&[][..], Vec::as_slice);
        let path = Path::new(vehicle, &track, metadata, now, rules);
        let usable: Track = path.positions.iter().map(|position| (position.ts, *position)).collect();
        let visits = visits::visits(vehicle, &usable, &geofences, now);
        let marked = path.heard.iter().filter(|position| position.mark != Mark::None);
        tables.marks.extend(marked.map(|position| Marked { vehicle, ts: position.ts, mark: position.mark }));
        tables.vehicle_state.extend(vehicle_state(&path, &visits));
        tables.membership.extend(visits.iter().filter(|visit| visit.exited_at.is_none()).map(visits::membership));
        tables.visits.extend(visits.iter().copied());
        tables.offlines.extend(path.offlines.iter().copied());
        if !has_analytics {
            continue;
        }
        let stops = stays::stops(&path, &visits, &geofences);
        let idlings = stays::idlings(&path);
        let overspeeds = overspeeds::overspeeds(&path, &visits, &geofences, metadata);

        let (moves_off, towings) = stays::moves_off(&path);

        tables.moves_off.extend(moves_off);
        tables.towings.extend(towings);
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
    let (vehicles, geofences) = (&vehicles, &geofences);
    let surroundings = Surroundings { rules: alert_rules, vehicles, geofences, now, parameters: rules };
    tables.alerts = surroundings.alerts(&tables);
    tables
}

/// The facts from which aggregates are computed.
fn plain_facts(tables: &Tables) -> PlainFacts {
    PlainFacts {
        towings: tables.towings.iter().copied().collect(),
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

/// The state of a vehicle as of its last usable position, but for silence, which the clock tells.
fn vehicle_state(path: &Path<'_>, visits: &[Visit]) -> Option<VehicleState> {
    let last = &path.positions[path.last()?];
    let status = if path.offlines.iter().any(|offline| offline.ended_at.is_none()) {
        Status::Offline
    } else if path.is_moving(path.last()?) {
        Status::Moving
    } else {
        Status::Stopped
    };
    let open = visits.iter().filter(|visit| visit.exited_at.is_none());
    let inside: BTreeSet<GeofenceId> = open.map(|visit| visit.geofence).collect();
    Some(VehicleState {
        vehicle: path.vehicle,
        ts: last.ts,
        place: last.place,
        speed: last.speed,
        heading: last.heading,
        status,
        inside: inside.into_iter().collect(),
    })
}

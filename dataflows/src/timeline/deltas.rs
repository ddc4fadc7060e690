//! What folds say: facts, and how many more or fewer of each there are.

use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;
use serde::{Deserialize, Serialize};

use crate::timeline::sums::Measures;
use watchtower_model::Span;
use watchtower_model::facts::{
    Arrival, FleetFact, Idling, KindVisit, Motion, MovesOff, Overspeed, OverspeedMeasures, Presence, Spell, Stop,
    Towing, Trip, TripMeasures, Turnaround,
};
use watchtower_model::local_time::Day;
use watchtower_model::{GeofenceId, Marked, Millis, Offline, Rules, Speed, VehicleId, Visit};

/// Facts and how many more (or fewer) of each there are.
#[derive(Debug, Default)]
pub struct FactDeltas {
    /// Marks of positions.
    pub marks: Vec<(Marked, i64)>,
    /// Visits.
    pub visits: Vec<(Visit, i64)>,
    /// Offlines.
    pub offlines: Vec<(Offline, i64)>,
    /// Stops.
    pub stops: Vec<(Stop, i64)>,
    /// Idlings.
    pub idlings: Vec<(Idling, i64)>,
    /// Overspeeds.
    pub overspeeds: Vec<(Overspeed, i64)>,
    /// Moves with the ignition off.
    pub moves_off: Vec<(MovesOff, i64)>,
    /// Their days.
    pub towings: Vec<(Towing, i64)>,
    /// Trips.
    pub trips: Vec<(Trip, i64)>,
    /// Turnarounds.
    pub turnarounds: Vec<(Turnaround, i64)>,
    /// Days of vehicles.
    pub motions: Vec<(Motion, i64)>,
    /// Hours in geofences.
    pub presences: Vec<(Presence, i64)>,
    /// Idlings and overspeeds as intervals.
    pub spells: Vec<(Spell, i64)>,
    /// Confirmed visits by kind.
    pub kind_visits: Vec<(KindVisit, i64)>,
    /// What counts for a fleet.
    pub fleet_facts: Vec<(FleetFact, i64)>,
    /// Facts that have ended and are still to be measured.
    pub legs: Vec<(Leg, i64)>,
}

impl FactDeltas {
    /// Cancels what was added against what was removed.
    pub fn consolidate(&mut self) {
        let Self {
            marks,
            visits,
            offlines,
            stops,
            idlings,
            overspeeds,
            moves_off,
            towings,
            trips,
            turnarounds,
            motions,
            presences,
            spells,
            kind_visits,
            fleet_facts,
            legs,
        } = self;
        consolidate(marks);
        consolidate(visits);
        consolidate(offlines);
        consolidate(stops);
        consolidate(idlings);
        consolidate(overspeeds);
        consolidate(moves_off);
        consolidate(towings);
        consolidate(trips);
        consolidate(turnarounds);
        consolidate(motions);
        consolidate(presences);
        consolidate(spells);
        consolidate(kind_visits);
        consolidate(fleet_facts);
        consolidate(legs);
    }

    /// Drops what open facts never are, but what has ended as far as is known as yet: who goes on from a snapshot
    /// reports only what is open.
    pub fn forget_ended(&mut self) {
        self.offlines.retain(|(offline, _)| offline.ended_at.is_none());
        self.stops.retain(|(stop, _)| stop.ended_at.is_none());
        self.idlings.retain(|(idling, _)| idling.ended_at.is_none());
        self.overspeeds.retain(|(overspeed, _)| overspeed.ended_at.is_none());
    }

    /// Takes everything out of `other`.
    pub fn append(&mut self, other: &mut Self) {
        let Self {
            marks,
            visits,
            offlines,
            stops,
            idlings,
            overspeeds,
            moves_off,
            towings,
            trips,
            turnarounds,
            motions,
            presences,
            spells,
            kind_visits,
            fleet_facts,
            legs,
        } = other;
        append(&mut self.marks, marks);
        append(&mut self.visits, visits);
        append(&mut self.offlines, offlines);
        append(&mut self.stops, stops);
        append(&mut self.idlings, idlings);
        append(&mut self.overspeeds, overspeeds);
        append(&mut self.moves_off, moves_off);
        append(&mut self.towings, towings);
        append(&mut self.trips, trips);
        append(&mut self.turnarounds, turnarounds);
        append(&mut self.motions, motions);
        append(&mut self.presences, presences);
        append(&mut self.spells, spells);
        append(&mut self.kind_visits, kind_visits);
        append(&mut self.fleet_facts, fleet_facts);
        append(&mut self.legs, legs);
    }
}

/// `Vec::append`, but for an empty one, which most are.
#[inline]
fn append<T>(all: &mut Vec<T>, some: &mut Vec<T>) {
    if !some.is_empty() {
        all.append(some);
    }
}

/// A fact that has ended, but for what adds up during it: the fold knows its ends, the track the sums.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Leg {
    /// See [`Overspeed`].
    Overspeed {
        /// Its start.
        started_at: Millis,
        /// Its end.
        ended_at: Millis,
        /// Whose limit.
        geofence: Option<GeofenceId>,
        /// The limit.
        limit: Speed,
    },
    /// See [`MovesOff`]: if it is far enough.
    MovesOff {
        /// Its start.
        started_at: Millis,
        /// Its end.
        ended_at: Millis,
    },
    /// See [`Trip`].
    Trip {
        /// The anchor left.
        origin: GeofenceId,
        /// Its start.
        departed_at: Millis,
        /// The anchor reached.
        destination: GeofenceId,
        /// Its end.
        arrived_at: Millis,
    },
    /// See [`Turnaround`].
    Turnaround {
        /// The terminal left.
        left: GeofenceId,
        /// Its start.
        departed_at: Millis,
        /// The terminal reached.
        reached: GeofenceId,
        /// Its end.
        returned_at: Millis,
        /// What was visited in between.
        clients: Arc<[GeofenceId]>,
    },
}

impl Leg {
    /// From its start to its end.
    pub fn span(&self) -> Span {
        match *self {
            Self::Overspeed { started_at: from, ended_at: until, .. }
            | Self::MovesOff { started_at: from, ended_at: until }
            | Self::Trip { departed_at: from, arrived_at: until, .. }
            | Self::Turnaround { departed_at: from, returned_at: until, .. } => Span { from, until },
        }
    }

    /// Adds the fact that it is, with its measures, to those of `vehicle`.
    pub fn say(&self, vehicle: VehicleId, measured: &Measured, diff: i64, rules: &Rules, facts: &mut FactDeltas) {
        let Measures { distance_mm, gap_mm, moving_ms, stopped_ms, stops, max_speed } = measured.sum;
        let max_speed = max_speed.unwrap_or(Speed::NONE);
        match *self {
            Self::Overspeed { started_at, ended_at, geofence, limit } => {
                let measures = Some(OverspeedMeasures { max_speed, distance_mm });
                let ended_at = Some(ended_at);
                facts.overspeeds.push((Overspeed { vehicle, started_at, ended_at, geofence, limit, measures }, diff));
            }
            Self::MovesOff { started_at, ended_at } => {
                if distance_mm > rules.tow_min_mm {
                    facts.moves_off.push((MovesOff { vehicle, started_at, ended_at, distance_mm }, diff));
                    facts.towings.extend(
                        measured
                            .days
                            .iter()
                            .map(|&(day, distance_mm)| (Towing { vehicle, day, started_at, distance_mm }, diff)),
                    );
                }
            }
            Self::Trip { origin, departed_at, destination, arrived_at } => {
                let measures = TripMeasures { distance_mm, gap_mm, moving_ms, stopped_ms, stops, max_speed };
                let arrival = Some(Arrival { destination, arrived_at, measures });
                facts.trips.push((Trip { vehicle, origin, departed_at, arrival }, diff));
            }
            Self::Turnaround { left, departed_at, reached, returned_at, ref clients } => {
                let fact = Turnaround {
                    vehicle,
                    terminal_left: left,
                    departed_at,
                    terminal_reached: reached,
                    returned_at,
                    clients: Arc::clone(clients),
                    distance_mm,
                };
                facts.turnarounds.push((fact, diff));
            }
        }
    }
}

/// What adds up during a [`Leg`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// All of it.
    pub sum: Measures,
    /// Of a [`Leg::MovesOff`], how far it went on each local day on which it did. Millimetres.
    pub days: Vec<(Day, i64)>,
}

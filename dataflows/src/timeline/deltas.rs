//! Facts of folds, with the change in the number of each.

use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;
use serde::{Deserialize, Serialize};

use crate::timeline::sums::Measures;
use watchtower_model::Span;
use watchtower_model::facts::{
    Arrival, MovesOff, Overspeed, OverspeedMeasures, Towing, Trip, TripMeasures, Turnaround,
};
use watchtower_model::local_time::Day;
use watchtower_model::{GeofenceId, Millis, Rules, Speed, VehicleId};

/// Every kind of fact that timelines give, with its rows: `$then!` gets the list.
macro_rules! facts {
    ($then:ident) => {
        $then! {
            /// The mark of every position that has one.
            marks: watchtower_model::Marked,
            /// Every visit, ended or not.
            visits: watchtower_model::Visit,
            /// Every silence, ended or not.
            offlines: watchtower_model::Offline,
            /// Every stop, ended or not.
            stops: watchtower_model::facts::Stop,
            /// Every idling, ended or not.
            idlings: watchtower_model::facts::Idling,
            /// Every overspeed, ended or not.
            overspeeds: watchtower_model::facts::Overspeed,
            /// Every move with the ignition off that is far enough.
            moves_off: watchtower_model::facts::MovesOff,
            /// The parts of these moves, by local day.
            towings: watchtower_model::facts::Towing,
            /// Every trip, arrived or not.
            trips: watchtower_model::facts::Trip,
            /// Every completed turnaround.
            turnarounds: watchtower_model::facts::Turnaround,
            /// Movement of every vehicle on every local day.
            motions: watchtower_model::facts::Motion,
            /// Presence of vehicles in geofences, by local hour.
            presences: watchtower_model::facts::Presence,
            /// Idlings and overspeeds as intervals, the open ones as far as they have lasted.
            spells: watchtower_model::facts::Spell,
            /// Confirmed visits, by kind of geofence.
            kind_visits: watchtower_model::facts::KindVisit,
            /// What counts in `fleet_daily`.
            fleet_facts: watchtower_model::facts::FleetFact,
            /// Days of which something is not decided yet.
            pins: watchtower_model::facts::Pin,
        }
    };
}
pub(crate) use facts;

macro_rules! fact_deltas {
    ($($(#[$what:meta])* $name:ident: $row:ty,)*) => {
        /// Facts and how many more (or fewer) of each there are.
        #[derive(Debug, Default)]
        pub struct FactDeltas {
            $($(#[$what])* pub $name: Vec<($row, i64)>,)*
            /// Facts that have ended and are still to be measured.
            pub legs: Vec<(Leg, i64)>,
        }

        impl FactDeltas {
            /// Cancels what was added against what was removed.
            pub fn consolidate(&mut self) {
                let Self { $($name,)* legs } = self;
                $(consolidate($name);)*
                consolidate(legs);
            }

            /// Takes everything out of `other`.
            pub fn append(&mut self, other: &mut Self) {
                let Self { $($name,)* legs } = other;
                $(append(&mut self.$name, $name);)*
                append(&mut self.legs, legs);
            }
        }
    };
}

facts!(fact_deltas);

impl FactDeltas {
    /// Drops what open facts never are, but what has ended as far as is known as yet: who goes on from a snapshot
    /// reports only what is open.
    pub fn forget_ended(&mut self) {
        self.offlines.retain(|(offline, _)| offline.ended_at.is_none());
        self.stops.retain(|(stop, _)| stop.ended_at.is_none());
        self.idlings.retain(|(idling, _)| idling.ended_at.is_none());
        self.overspeeds.retain(|(overspeed, _)| overspeed.ended_at.is_none());
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
        /// Start of the fact, epoch milliseconds.
        started_at: Millis,
        /// End of the fact, epoch milliseconds.
        ended_at: Millis,
        /// Geofence that has the limit; `None` if it is the vehicle's own or the default.
        geofence: Option<GeofenceId>,
        /// Speed limit that was exceeded.
        limit: Speed,
    },
    /// See [`MovesOff`]: if it is far enough.
    MovesOff {
        /// Start of the fact, epoch milliseconds.
        started_at: Millis,
        /// End of the fact, epoch milliseconds.
        ended_at: Millis,
    },
    /// A [`Trip`] that has arrived.
    Trip {
        /// The anchor left.
        origin: GeofenceId,
        /// First instant outside the anchor left, epoch milliseconds.
        departed_at: Millis,
        /// The anchor reached.
        destination: GeofenceId,
        /// First instant inside the anchor reached, epoch milliseconds.
        arrived_at: Millis,
    },
    /// See [`Turnaround`].
    Turnaround {
        /// The terminal left.
        left: GeofenceId,
        /// First instant outside the anchor left, epoch milliseconds.
        departed_at: Millis,
        /// The terminal reached.
        reached: GeofenceId,
        /// First instant inside a terminal again, epoch milliseconds.
        returned_at: Millis,
        /// Geofences visited in between, in order.
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

/// Sums over a [`Leg`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Sum over the whole leg.
    pub sum: Measures,
    /// Of a [`Leg::MovesOff`], how far it went on each local day on which it did. Millimetres.
    pub days: Vec<(Day, i64)>,
}

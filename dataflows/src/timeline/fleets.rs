//! What counts for a fleet: a vehicle's days, trips and turnarounds, each for the fleet that the vehicle is
//! in when it ends (a trip's start: when it starts).
//!
//! Which fleet that is may change long after: an edit of the metadata takes what was said from one fleet
//! and gives it to another. What such an edit can reach is in the [`Ledger`] still.
//!
//! Days change with every position. They add up, so of an epoch each fleet is told the sum.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use crate::catalogue::View;
use crate::roster::Roster;
use crate::timeline::deltas::{FactDeltas, Leg};
use crate::timeline::ledger::Ledger;
use watchtower_model::facts::{FleetFact, FleetMotions, FleetPart, Trip, Turnaround};
use watchtower_model::local_time::Day;
use watchtower_model::{Millis, Rules, VehicleId};

/// How much more the days of vehicles come to, by fleet and day.
#[derive(Debug, Default)]
pub struct FleetDays(HashMap<(Arc<str>, Day), FleetMotions, FxBuildHasher>);

impl FleetDays {
    /// Takes them out, as facts.
    pub fn drain(&mut self) -> impl Iterator<Item = (FleetFact, i64)> {
        let changed = self.0.drain().filter(|(_, motions)| *motions != FleetMotions::default());
        changed.map(|((fleet, day), motions)| (FleetFact { fleet, day, part: FleetPart::Motions(motions) }, 1))
    }
}

/// Says for which fleet facts of one vehicle count.
#[derive(Clone, Copy)]
pub struct Labels<'a> {
    /// Dense number of the vehicle.
    pub vehicle: VehicleId,
    /// Metadata of vehicles, which name their fleets.
    pub roster: &'a Roster,
    /// Parameters of the rules.
    pub rules: &'a Rules,
}

impl Labels<'_> {
    /// Labels the facts that come and go, if what the metadata says stays as it is.
    pub fn label(&self, facts: &mut FactDeltas, days: &mut FleetDays) {
        let FactDeltas { motions, trips, turnarounds, fleet_facts, .. } = facts;
        for of_a_day in motions.chunk_by(|(a, _), (b, _)| a.day == b.day) {
            let sums = self.day(of_a_day[0].0.day, View::New, days);
            of_a_day.iter().for_each(|(motion, diff)| sums.add(motion, *diff));
        }
        for (Trip { departed_at, arrival, .. }, diff) in trips.iter() {
            fleet_facts.push((self.at(*departed_at, FleetPart::TripStarted, View::New), *diff));
            fleet_facts
                .extend(arrival.map(|end| (self.at(end.arrived_at, FleetPart::TripCompleted, View::New), *diff)));
        }
        for (Turnaround { departed_at, returned_at, .. }, diff) in turnarounds.iter() {
            let part = FleetPart::Turnaround(returned_at - departed_at);
            fleet_facts.push((self.at(*returned_at, part, View::New), *diff));
        }
        differential_dataflow::consolidation::consolidate(fleet_facts);
    }

    /// Labels everything that stands: what is in the ledger, and the trips under way.
    pub fn label_all(
        &self,
        ledger: &Ledger,
        under_way: &[(Trip, i64)],
        view: View,
        facts: &mut FactDeltas,
        days: &mut FleetDays,
    ) {
        let (out, sign) = (&mut facts.fleet_facts, view.sign());
        ledger.motions().iter().for_each(|motion| self.day(motion.day, view, days).add(motion, sign));
        for (trip, _) in under_way {
            out.push((self.at(trip.departed_at, FleetPart::TripStarted, view), sign));
        }
        for leg in ledger.legs() {
            match *leg {
                Leg::Overspeed { .. } | Leg::MovesOff { .. } => {}
                Leg::Trip { departed_at, arrived_at, .. } => {
                    out.push((self.at(departed_at, FleetPart::TripStarted, view), sign));
                    out.push((self.at(arrived_at, FleetPart::TripCompleted, view), sign));
                }
                Leg::Turnaround { departed_at, returned_at, .. } => {
                    let part = FleetPart::Turnaround(returned_at - departed_at);
                    out.push((self.at(returned_at, part, view), sign));
                }
            }
        }
    }

    /// Sums of a day, for the fleet that the vehicle is in at its end.
    fn day<'d>(&self, day: Day, view: View, days: &'d mut FleetDays) -> &'d mut FleetMotions {
        let end = self.rules.local_time.day_end(day);
        let fleet = self.roster.fleet(self.vehicle, end - 1, view);
        days.0.entry((fleet, day)).or_default()
    }

    fn at(&self, t: Millis, part: FleetPart, view: View) -> FleetFact {
        self.fact(t, self.rules.local_time.day(t), part, view)
    }

    fn fact(&self, t: Millis, day: Day, part: FleetPart, view: View) -> FleetFact {
        FleetFact { fleet: self.roster.fleet(self.vehicle, t, view), day, part }
    }
}

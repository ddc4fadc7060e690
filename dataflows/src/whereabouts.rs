//! Which geofences many vehicles are in, batch by batch: the kernel of the timelines, without event time.
//!
//! What covers a place is asked of the [`Catalogue`] only when a vehicle has left its safe region, and for
//! many vehicles at a time: most of what an answer costs is waiting for memory, and what is waited for
//! together is waited for once.

use crate::catalogue::{Catalogue, View};
use crate::cells::SafeRegion;
use watchtower_model::{BEGINNING, GeofenceId, Millis, Place, VehicleId};

/// Vehicles that are looked at together. From 16 to 64 it makes no difference (measured).
const TOGETHER: usize = 32;

/// Where vehicles are, as far as geofences go.
#[derive(Debug)]
pub struct Whereabouts {
    regions: Vec<SafeRegion>,
    /// Ascending.
    inside: Vec<Vec<GeofenceId>>,
    t: Millis,
    found: Vec<GeofenceId>,
    leaving: Vec<(VehicleId, Place)>,
}

impl Default for Whereabouts {
    fn default() -> Self {
        Self { regions: Vec::new(), inside: Vec::new(), t: BEGINNING, found: Vec::new(), leaving: Vec::new() }
    }
}

impl Whereabouts {
    /// The geofences that a vehicle was found in last, ascending.
    pub fn inside(&self, vehicle: VehicleId) -> &[GeofenceId] {
        self.inside.get(vehicle.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// At `t` vehicles are at places, one after the other. Calls `changed` with what a vehicle was in and
    /// what it is in, both ascending, where that is not the same.
    pub fn advance(
        &mut self,
        catalogue: &Catalogue,
        t: Millis,
        batch: &[(VehicleId, Place)],
        mut changed: impl FnMut(VehicleId, &[GeofenceId], &[GeofenceId]),
    ) {
        let vehicles = batch.iter().map(|(vehicle, _)| vehicle.0 as usize + 1).max().unwrap_or(0);
        if self.regions.len() < vehicles {
            self.regions.resize(vehicles, SafeRegion::NONE);
            self.inside.resize_with(vehicles, Vec::new);
        }
        if t < self.t {
            // They may be relied on later, not earlier.
            self.regions.fill(SafeRegion::NONE);
        }
        self.t = t;
        let generation = catalogue.generation();
        for together in batch.chunks(TOGETHER) {
            self.leaving.clear();
            let holds =
                |&(vehicle, place): &(VehicleId, Place)| self.regions[vehicle.0 as usize].holds(place, t, generation);
            self.leaving.extend(together.iter().filter(|seen| !holds(seen)));
            catalogue.look_ahead(self.leaving.iter().map(|&(_, place)| place));
            let inside = self.leaving.iter().map(|(vehicle, _)| self.inside[vehicle.0 as usize].first());
            std::hint::black_box(inside.flatten().fold(0, |read, geofence| read ^ geofence.0));
            for &(vehicle, place) in together {
                // Asked again, because the vehicle may have been among those before.
                if !self.regions[vehicle.0 as usize].holds(place, t, generation) {
                    self.locate(catalogue, vehicle, place, &mut changed);
                }
            }
        }
    }

    fn locate(
        &mut self,
        catalogue: &Catalogue,
        vehicle: VehicleId,
        place: Place,
        changed: &mut impl FnMut(VehicleId, &[GeofenceId], &[GeofenceId]),
    ) {
        let found = &mut self.found;
        found.clear();
        let region = &mut self.regions[vehicle.0 as usize];
        *region = catalogue.covering(place, self.t, View::New, region, |_, geofence| found.push(geofence));
        found.sort_unstable();
        found.dedup();
        let inside = &mut self.inside[vehicle.0 as usize];
        if inside != found {
            changed(vehicle, inside, found);
            std::mem::swap(inside, found);
        }
    }
}

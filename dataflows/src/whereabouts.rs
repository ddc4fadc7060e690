//! The geofences that vehicles are in, batch by batch: the kernel of the timelines, without event time.
//!
//! The [`Catalogue`] is only consulted when a vehicle has left its safe region, and for many vehicles at a time: the
//! cost of a lookup is mostly cache misses, and those of several vehicles overlap.

use crate::catalogue::{Catalogue, View};
use crate::cells::SafeRegion;
use watchtower_model::{BEGINNING, GeofenceId, Millis, Place, VehicleId};

/// Vehicles whose lookups overlap. From 16 to 64 the speed is the same (measured).
const TOGETHER: usize = 32;

/// The geofences that each vehicle is in.
#[derive(Debug)]
pub struct Whereabouts {
    regions: Vec<SafeRegion>,
    /// For each vehicle, its geofences in ascending order.
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
    /// The geofences of a vehicle at its last position, ascending.
    pub fn inside(&self, vehicle: VehicleId) -> &[GeofenceId] {
        self.inside.get(vehicle.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// Processes positions at `t`, in order. Calls `changed` with the previous and the current geofences of a vehicle,
    /// both ascending, if they differ.
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
            // Regions are valid at later instants, not at earlier ones.
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
                // Tested again, because the vehicle may have had a position earlier in the batch.
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

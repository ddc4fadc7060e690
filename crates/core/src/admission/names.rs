//! Ids as dense numbers and back.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;
use watchtower_model::{GeofenceId, RuleId, VehicleId};

/// The dense numbers of vehicles, geofences and alert rules, given in the order in which they are first accepted.
/// All streams of a process share one.
#[derive(Clone, Debug, Default)]
pub struct Names {
    vehicles: Interner,
    geofences: Interner,
    rules: Interner,
}

impl Names {
    /// The number of a vehicle, if it has one.
    pub fn vehicle(&self, id: &str) -> Option<VehicleId> {
        self.vehicles.get(id).map(VehicleId)
    }

    /// The number of a geofence, if it has one.
    pub fn geofence(&self, id: &str) -> Option<GeofenceId> {
        self.geofences.get(id).map(GeofenceId)
    }

    /// The id of a vehicle that has a number.
    pub fn vehicle_id(&self, vehicle: VehicleId) -> &Arc<str> {
        &self.vehicles.ids[vehicle.0 as usize]
    }

    /// The id of a geofence that has a number.
    pub fn geofence_id(&self, geofence: GeofenceId) -> &Arc<str> {
        &self.geofences.ids[geofence.0 as usize]
    }

    /// The ids of all vehicles, by number.
    pub fn vehicle_ids(&self) -> &[Arc<str>] {
        &self.vehicles.ids
    }

    /// The ids of all geofences, by number.
    pub fn geofence_ids(&self) -> &[Arc<str>] {
        &self.geofences.ids
    }

    /// The number of a rule, if it has one.
    pub fn rule(&self, id: &str) -> Option<RuleId> {
        self.rules.get(id).map(RuleId)
    }

    /// The id of a rule that has a number.
    pub fn rule_id(&self, rule: RuleId) -> &Arc<str> {
        &self.rules.ids[rule.0 as usize]
    }

    /// The ids of all rules, by number.
    pub fn rule_ids(&self) -> &[Arc<str>] {
        &self.rules.ids
    }

    /// The number of a rule; if it has none, the next.
    pub fn intern_rule(&mut self, id: &str) -> RuleId {
        RuleId(self.rules.intern(id))
    }

    /// The number of a vehicle; if it has none, the next.
    pub fn intern_vehicle(&mut self, id: &str) -> VehicleId {
        VehicleId(self.vehicles.intern(id))
    }

    /// The number of a geofence; if it has none, the next.
    pub fn intern_geofence(&mut self, id: &str) -> GeofenceId {
        GeofenceId(self.geofences.intern(id))
    }
}

#[derive(Clone, Debug, Default)]
struct Interner {
    numbers: HashMap<Arc<str>, u32, FxBuildHasher>,
    ids: Vec<Arc<str>>,
}

impl Interner {
    fn get(&self, id: &str) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    fn intern(&mut self, id: &str) -> u32 {
        if let Some(number) = self.get(id) {
            return number;
        }
        let number = u32::try_from(self.ids.len()).expect("memory holds fewer than 2^32 ids");
        let id: Arc<str> = id.into();
        self.ids.push(Arc::clone(&id));
        self.numbers.insert(id, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_found_both_ways() {
        let mut names = Names::default();
        assert_eq!(names.vehicle("a"), None);
        assert_eq!((names.intern_vehicle("a"), names.intern_vehicle("b")), (VehicleId(0), VehicleId(1)));
        assert_eq!((names.intern_vehicle("a"), names.intern_geofence("a")), (VehicleId(0), GeofenceId(0)));
        assert_eq!((names.vehicle("b"), &**names.vehicle_id(VehicleId(1))), (Some(VehicleId(1)), "b"));
        assert_eq!((names.geofence("b"), names.geofence("a")), (None, Some(GeofenceId(0))));
        assert_eq!(names.vehicle_ids().len(), 2);
    }
}

//! What alerts depend on besides facts.

use std::sync::Arc;

use super::versions::{Geofences, Histories, definition_at};
use watchtower_model::{AlertRule, Millis, RuleId, Rules, Span, Vehicle, VehicleId};

/// The other things that rules ask about.
pub(super) struct Surroundings<'a> {
    pub(super) rules: Histories<'a, RuleId, AlertRule>,
    pub(super) vehicles: &'a Histories<'a, VehicleId, Vehicle>,
    pub(super) geofences: &'a Geofences<'a>,
    pub(super) now: Millis,
    pub(super) parameters: &'a Rules,
}

/// A version of a rule, and when it is in force.
#[derive(Clone, Copy)]
pub(super) struct Version<'a> {
    pub(super) rule: RuleId,
    pub(super) seq: u64,
    pub(super) definition: &'a AlertRule,
    pub(super) span: Span,
}

impl Surroundings<'_> {
    pub(super) fn vehicle_at(&self, vehicle: Option<VehicleId>, t: Millis) -> Option<&Vehicle> {
        definition_at(self.vehicles.get(&vehicle?)?, t)
    }
}

/// Whether a list of a rule is empty or has the value.
pub(super) fn has(wanted: &[Arc<str>], value: Option<&str>) -> bool {
    wanted.is_empty() || value.is_some_and(|value| wanted.iter().any(|one| **one == *value))
}

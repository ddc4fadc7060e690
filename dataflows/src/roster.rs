//! Speed limits and fleets of vehicles: the part of their metadata that facts depend on.
//!
//! As in the catalogue of geofences, every edited vehicle has two histories between [`Roster::prepare`] and
//! [`Roster::commit`], one for each [`View`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use crate::catalogue::View;
use crate::versions::History;
use watchtower_model::Span;
use watchtower_model::{Millis, Speed, Vehicle, VehicleEdit, VehicleId};

/// Values with the intervals in which they hold; ascending, without the intervals of no value.
type Intervals<T> = Vec<(Span, T)>;

/// The values in a vehicle's metadata.
#[derive(Clone, Debug, Default, PartialEq)]
struct Values {
    limits: Intervals<Speed>,
    fleets: Intervals<Arc<str>>,
}

/// The vehicles for which an epoch's edits change a value.
#[derive(Debug, Default)]
pub struct Edited {
    /// Vehicles whose limit differs between the views at some time.
    pub limits: BTreeSet<VehicleId>,
    /// Vehicles whose fleet differs between the views at some time.
    pub fleets: BTreeSet<VehicleId>,
}

/// The metadata of one vehicle under both views.
#[derive(Debug, Default)]
struct Entry {
    history: History<VehicleId, Vehicle>,
    values: [Values; 2],
}

/// The metadata of all vehicles.
#[derive(Debug, Default)]
pub struct Roster {
    entries: HashMap<VehicleId, Entry, FxBuildHasher>,
    pending: Vec<VehicleId>,
    /// The fleet of vehicles without a fleet: the empty text.
    none: Arc<str>,
}

impl Roster {
    /// Applies an epoch's edits to the new view. Until [`Roster::commit`] the views differ for the vehicles returned.
    pub fn prepare(&mut self, edits: Vec<VehicleEdit>) -> Edited {
        debug_assert!(self.pending.is_empty(), "one epoch at a time");
        let vehicles: BTreeSet<VehicleId> = edits.iter().map(|edit| edit.key).collect();
        for edit in edits {
            self.entries.entry(edit.key).or_default().history.insert(edit);
        }
        let mut edited = Edited::default();
        for vehicle in vehicles {
            let Some(Entry { history, values: [old, new] }) = self.entries.get_mut(&vehicle) else { continue };
            *new = Values {
                limits: intervals(history, |vehicle| vehicle.speed_limit.micro_kmh().map(|_| vehicle.speed_limit)),
                fleets: intervals(history, |vehicle| vehicle.fleet.as_deref().map(Arc::from)),
            };
            edited.limits.extend((old.limits != new.limits).then_some(vehicle));
            edited.fleets.extend((old.fleets != new.fleets).then_some(vehicle));
            self.pending.push(vehicle);
        }
        edited
    }

    /// Drops the old view.
    pub fn commit(&mut self) {
        for vehicle in self.pending.drain(..) {
            if let Some(Entry { values: [old, new], .. }) = self.entries.get_mut(&vehicle) {
                old.clone_from(new);
            }
        }
    }

    /// The fleet of the vehicle at `t`; empty if it has none.
    pub fn fleet(&self, vehicle: VehicleId, t: Millis, view: View) -> Arc<str> {
        let fleets = self.values(vehicle, view).map_or(&[][..], |values| &values.fleets);
        let fleet = fleets.iter().find(|(span, _)| span.contains(t)).map(|(_, fleet)| Arc::clone(fleet));
        fleet.unwrap_or_else(|| Arc::clone(&self.none))
    }

    /// The vehicle's own limit at `t`; [`Speed::NONE`] if it has none.
    pub fn limit(&self, vehicle: VehicleId, t: Millis, view: View) -> Speed {
        let limits = self.limits(vehicle, view);
        limits.iter().find(|(span, _)| span.contains(t)).map_or(Speed::NONE, |&(_, limit)| limit)
    }

    /// The instants in `after < t <= until` at which the vehicle's limit changes, ascending.
    pub fn changes(&self, vehicle: VehicleId, view: View, after: Millis, until: Millis) -> Vec<Millis> {
        let ends = self.limits(vehicle, view).iter().flat_map(|(span, _)| [span.from, span.until]);
        let mut changes: Vec<Millis> = ends.filter(|&t| after < t && t <= until).collect();
        changes.dedup();
        changes
    }

    /// Whether the limit changes in `after < t <= until` under either view.
    pub fn changes_limit(&self, vehicle: VehicleId, after: Millis, until: Millis) -> bool {
        !self.entries.is_empty()
            && [View::Old, View::New].into_iter().any(|view| !self.changes(vehicle, view, after, until).is_empty())
    }

    fn limits(&self, vehicle: VehicleId, view: View) -> &[(Span, Speed)] {
        self.values(vehicle, view).map_or(&[], |values| &values.limits)
    }

    fn values(&self, vehicle: VehicleId, view: View) -> Option<&Values> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.get(&vehicle).map(|entry| &entry.values[view as usize])
    }
}

/// Intervals of a value over all versions; adjacent intervals with the same value are merged.
fn intervals<T: PartialEq>(history: &History<VehicleId, Vehicle>, of: impl Fn(&Vehicle) -> Option<T>) -> Intervals<T> {
    let mut intervals = Intervals::new();
    for version in history.versions() {
        let Some(says) = of(version.definition) else { continue };
        match intervals.last_mut() {
            Some((span, same)) if *same == says && span.until == version.span.from => span.until = version.span.until,
            _ => intervals.push((version.span, says)),
        }
    }
    intervals
}

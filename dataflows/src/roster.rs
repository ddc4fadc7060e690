//! The speed limits, limits of silence and fleets of vehicles: what of their metadata the facts depend on.
//!
//! As in the catalogue of geofences, between [`Roster::prepare`] and [`Roster::commit`] every vehicle that
//! is edited has two histories, one for each [`View`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use crate::catalogue::View;
use crate::versions::History;
use watchtower_model::Span;
use watchtower_model::{Millis, Speed, Vehicle, VehicleEdit, VehicleId};

/// From when until when what holds; ascending, without the times at which nothing does.
type Reigns<T> = Vec<(Span, T)>;

/// What the metadata of a vehicle says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    limits: Reigns<Speed>,
    offline_after: Reigns<i64>,
    fleets: Reigns<Arc<str>>,
}

/// The vehicles for which an epoch's edits change something.
#[derive(Debug, Default)]
pub struct Edited {
    /// Those whose limit was or will be another at some time.
    pub limits: BTreeSet<VehicleId>,
    /// Those that may be silent for a time that was or will be another.
    pub silences: BTreeSet<VehicleId>,
    /// Those whose fleet was or will be another.
    pub fleets: BTreeSet<VehicleId>,
}

/// The versions of one vehicle's metadata.
#[derive(Debug, Default)]
struct Entry {
    history: History<VehicleId, Vehicle>,
    said: [Said; 2],
}

/// What is said of all vehicles that have metadata.
#[derive(Debug, Default)]
pub struct Roster {
    entries: HashMap<VehicleId, Entry, FxBuildHasher>,
    pending: Vec<VehicleId>,
    /// Some vehicle has, or had, an `offline_after` of its own.
    knows_silences: bool,
    /// The fleet of those that are in none.
    none: Arc<str>,
}

impl Roster {
    /// Takes in an epoch's edits. Until [`Roster::commit`] the views differ for the vehicles returned.
    pub fn prepare(&mut self, edits: Vec<VehicleEdit>) -> Edited {
        debug_assert!(self.pending.is_empty(), "one epoch at a time");
        let vehicles: BTreeSet<VehicleId> = edits.iter().map(|edit| edit.key).collect();
        for edit in edits {
            self.entries.entry(edit.key).or_default().history.insert(edit);
        }
        let mut edited = Edited::default();
        for vehicle in vehicles {
            let Some(Entry { history, said: [old, new] }) = self.entries.get_mut(&vehicle) else { continue };
            *new = Said {
                limits: reigns(history, |vehicle| vehicle.speed_limit.micro_kmh().map(|_| vehicle.speed_limit)),
                offline_after: reigns(history, |vehicle| vehicle.offline_after_ms),
                fleets: reigns(history, |vehicle| vehicle.fleet.as_deref().map(Arc::from)),
            };
            edited.limits.extend((old.limits != new.limits).then_some(vehicle));
            edited.silences.extend((old.offline_after != new.offline_after).then_some(vehicle));
            self.knows_silences |= !new.offline_after.is_empty();
            edited.fleets.extend((old.fleets != new.fleets).then_some(vehicle));
            self.pending.push(vehicle);
        }
        edited
    }

    /// Forgets the old view.
    pub fn commit(&mut self) {
        for vehicle in self.pending.drain(..) {
            if let Some(Entry { said: [old, new], .. }) = self.entries.get_mut(&vehicle) {
                old.clone_from(new);
            }
        }
    }

    /// The fleet the vehicle is in at `t`; empty if it is in none.
    pub fn fleet(&self, vehicle: VehicleId, t: Millis, view: View) -> Arc<str> {
        let fleets = self.said(vehicle, view).map_or(&[][..], |said| &said.fleets);
        let fleet = fleets.iter().find(|(span, _)| span.contains(t)).map(|(_, fleet)| Arc::clone(fleet));
        fleet.unwrap_or_else(|| Arc::clone(&self.none))
    }

    /// The vehicle's own limit at `t`; [`Speed::NONE`] if it has none.
    pub fn limit(&self, vehicle: VehicleId, t: Millis, view: View) -> Speed {
        let limits = self.limits(vehicle, view);
        limits.iter().find(|(span, _)| span.contains(t)).map_or(Speed::NONE, |&(_, limit)| limit)
    }

    /// How long the vehicle may be silent after `t` before it is offline, if it has a limit of its own. Milliseconds.
    pub fn offline_after_ms(&self, vehicle: VehicleId, t: Millis, view: View) -> Option<i64> {
        if !self.knows_silences {
            return None;
        }
        let silences = &self.said(vehicle, view)?.offline_after;
        silences.iter().find(|(span, _)| span.contains(t)).map(|&(_, offline_after_ms)| offline_after_ms)
    }

    /// The instants in `after < t <= until` at which the vehicle's limit changes, ascending.
    pub fn changes(&self, vehicle: VehicleId, view: View, after: Millis, until: Millis) -> Vec<Millis> {
        let ends = self.limits(vehicle, view).iter().flat_map(|(span, _)| [span.from, span.until]);
        let mut changes: Vec<Millis> = ends.filter(|&t| after < t && t <= until).collect();
        changes.dedup();
        changes
    }

    /// Whether there are any.
    pub fn changes_limit(&self, vehicle: VehicleId, view: View, after: Millis, until: Millis) -> bool {
        let is_between = |t: Millis| after < t && t <= until;
        self.limits(vehicle, view).iter().any(|(span, _)| is_between(span.from) || is_between(span.until))
    }

    fn limits(&self, vehicle: VehicleId, view: View) -> &[(Span, Speed)] {
        self.said(vehicle, view).map_or(&[], |said| &said.limits)
    }

    fn said(&self, vehicle: VehicleId, view: View) -> Option<&Said> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.get(&vehicle).map(|entry| &entry.said[view as usize])
    }
}

/// What the versions say of something; neighbours that say the same are one.
fn reigns<T: PartialEq>(history: &History<VehicleId, Vehicle>, of: impl Fn(&Vehicle) -> Option<T>) -> Reigns<T> {
    let mut reigns = Reigns::new();
    for version in history.versions() {
        let Some(says) = of(version.definition) else { continue };
        match reigns.last_mut() {
            Some((span, same)) if *same == says && span.until == version.span.from => span.until = version.span.until,
            _ => reigns.push((version.span, says)),
        }
    }
    reigns
}

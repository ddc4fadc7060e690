//! The speed limits of vehicles: the one thing in their metadata that a timeline depends on.
//!
//! As in the catalogue of geofences, between [`Roster::prepare`] and [`Roster::commit`] every vehicle that
//! is edited has two histories, one for each [`View`].

use std::collections::{BTreeSet, HashMap};

use rustc_hash::FxBuildHasher;

use crate::catalogue::View;
use crate::model::{Millis, Speed, Vehicle, VehicleEdit, VehicleId};
use crate::versions::{History, Span};

/// From when until when which limit holds; ascending, without the times at which there is none.
type Limits = Vec<(Span, Speed)>;

/// The versions of one vehicle's metadata.
#[derive(Debug, Default)]
struct Entry {
    history: History<VehicleId, Vehicle>,
    limits: [Limits; 2],
}

/// The limits of all vehicles that have metadata.
#[derive(Debug, Default)]
pub struct Roster {
    entries: HashMap<VehicleId, Entry, FxBuildHasher>,
    pending: Vec<VehicleId>,
}

impl Roster {
    /// Takes in an epoch's edits. Until [`Roster::commit`] the views differ for the vehicles returned.
    pub fn prepare(&mut self, edits: Vec<VehicleEdit>) -> BTreeSet<VehicleId> {
        debug_assert!(self.pending.is_empty(), "one epoch at a time");
        let edited: BTreeSet<VehicleId> = edits.iter().map(|edit| edit.key).collect();
        for edit in edits {
            self.entries.entry(edit.key).or_default().history.insert(edit);
        }
        let entries = &mut self.entries;
        let changed = edited.into_iter().filter(|vehicle| {
            entries.get_mut(vehicle).is_some_and(|entry| {
                entry.limits[View::New as usize] = limits(&entry.history);
                entry.limits[View::Old as usize] != entry.limits[View::New as usize]
            })
        });
        let changed: BTreeSet<VehicleId> = changed.collect();
        self.pending.extend(&changed);
        changed
    }

    /// Forgets the old view.
    pub fn commit(&mut self) {
        for vehicle in self.pending.drain(..) {
            if let Some(Entry { limits: [old, new], .. }) = self.entries.get_mut(&vehicle) {
                old.clone_from(new);
            }
        }
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

    fn limits(&self, vehicle: VehicleId, view: View) -> &[(Span, Speed)] {
        if self.entries.is_empty() {
            return &[];
        }
        self.entries.get(&vehicle).map_or(&[], |entry| &entry.limits[view as usize])
    }
}

/// What the versions say of the limit; neighbours that say the same are one.
fn limits(history: &History<VehicleId, Vehicle>) -> Limits {
    let mut limits = Limits::new();
    for version in history.versions() {
        let limit = version.definition.speed_limit;
        match limits.last_mut() {
            _ if limit == Speed::NONE => {}
            Some((span, same)) if *same == limit && span.until == version.span.from => span.until = version.span.until,
            _ => limits.push((version.span, limit)),
        }
    }
    limits
}

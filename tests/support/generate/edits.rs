//! Edits of geofences and vehicles.

use std::sync::Arc;

use watchtower_model::{BEGINNING, Edit, Geofence, GeofenceId, Millis, Speed, Vehicle, VehicleId};

use super::{Generator, geofence_id};
use crate::support::log::Event;
use crate::support::shapes::Outline;

impl Generator<'_> {
    /// When an edit can hold that wants to from `valid_from` on.
    fn effective_from(&mut self, valid_from: Millis) -> Millis {
        let raised = if self.habits.raised && self.rng.chance(40) { self.past() } else { BEGINNING };
        let earliest = self.habits.lateness.map_or(BEGINNING, |lateness| self.now.saturating_sub(lateness));
        valid_from.max(raised).max(earliest)
    }

    fn valid_from(&mut self, earlier: &[Millis]) -> Millis {
        let ahead = self.frontier() + self.rng.between(0, 8) * self.habits.unit;
        match self.rng.below(100) {
            0..20 if !earlier.is_empty() => *self.rng.pick(earlier),
            0..30 if earlier.is_empty() => BEGINNING,
            0..60 => self.past(),
            60..80 => self.frontier(),
            _ => self.nudged(ahead),
        }
    }

    fn next_seq(&mut self) -> u64 {
        self.edits += 1;
        self.edits
    }

    pub(super) fn edit_geofence(&mut self) {
        let geofence = self.rng.below(self.habits.geofences);
        let earlier: Vec<Millis> = self.histories[geofence].iter().map(|(edit, _)| edit.valid_from).collect();
        let valid_from = self.valid_from(&earlier);
        let definition = self.definition(geofence);
        self.push_edit(geofence, valid_from, definition);
    }

    pub(super) fn push_edit(&mut self, geofence: usize, valid_from: Millis, definition: Option<(Geofence, Outline)>) {
        let effective_from = self.effective_from(valid_from);
        let edit = Edit {
            key: GeofenceId(geofence as u32),
            valid_from,
            effective_from,
            seq: self.next_seq(),
            definition: definition.as_ref().map(|(geofence, _)| Arc::new(geofence.clone())),
        };
        let outline = definition.map(|(_, outline)| outline);
        self.histories[geofence].push((edit.clone(), outline.clone()));
        self.log.push(Event::Geofence(edit, outline));
    }

    /// A new shape, an earlier version with other rules or none changed, or a deletion.
    pub(super) fn definition(&mut self, geofence: usize) -> Option<(Geofence, Outline)> {
        let history = &self.histories[geofence];
        let defined: Vec<_> =
            history.iter().filter_map(|(edit, outline)| Some((edit.definition.as_ref()?, outline.as_ref()?))).collect();
        let same = defined.last().map(|(geofence, outline)| (Geofence::clone(geofence), Outline::clone(outline)));
        let deletes = self.rng.chance(if defined.is_empty() { 5 } else { 20 });
        if deletes {
            return None;
        }
        match (same, self.rng.below(100)) {
            (Some(same), 0..15) => Some(same),
            (Some((same, outline)), 15..45) => {
                let (min_dwell_ms, exit_buffer_m) = self.visit_rules();
                let (kind, anchor, speed_limit) = self.role();
                let changed = Geofence { min_dwell_ms, exit_buffer_m, kind, anchor, speed_limit, ..same };
                Some((changed, outline))
            }
            (Some(_), 45..55) => {
                let (geofence, outline) = *self.rng.pick(&defined);
                Some((Geofence::clone(geofence), outline.clone()))
            }
            _ => {
                let outline = Outline::random(self.rng, self.habits.grid);
                Some(self.defined(geofence, outline))
            }
        }
    }

    /// A geofence of this outline under some rules.
    pub(super) fn defined(&mut self, geofence: usize, outline: Outline) -> (Geofence, Outline) {
        let (min_dwell_ms, exit_buffer_m) = self.visit_rules();
        let (kind, anchor, speed_limit) = self.role();
        let definition = Geofence {
            id: geofence_id(geofence).into(),
            name: None,
            kind,
            anchor,
            tags: Vec::new(),
            min_dwell_ms,
            exit_buffer_m,
            speed_limit,
            shape: Arc::clone(&outline.shape),
        };
        (definition, outline)
    }

    /// What it is for trips, and its speed limit.
    fn role(&mut self) -> (Option<String>, Option<bool>, Speed) {
        if self.habits.roads {
            let kind = *self.rng.pick(&["terminal", "client"]);
            return (Some(kind.to_owned()), None, self.speed_limit());
        }
        let kind =
            *self.rng.pick(&[None, Some("terminal"), Some("terminal"), Some("client"), Some("depot"), Some("zone")]);
        let anchor = *self.rng.pick(&[None, None, None, Some(true), Some(false)]);
        (kind.map(str::to_owned), anchor, self.speed_limit())
    }

    fn speed_limit(&mut self) -> Speed {
        *self.rng.pick(&[Speed::NONE, Speed::from_kmh(0.0), Speed::from_kmh(5.0), Speed::from_kmh(60.0)])
    }

    /// `min_dwell_ms` and `exit_buffer_m`.
    fn visit_rules(&mut self) -> (i64, f64) {
        let unit = self.habits.unit;
        if self.habits.roads && self.rng.chance(80) {
            return (self.rng.weighted(&[(3, 0), (2, unit), (1, 2 * unit)]), 0.0);
        }
        let dwell =
            self.rng.weighted(&[(4, 0), (2, unit), (2, unit + 1), (2, 3 * unit), (2, 10 * unit), (1, i64::MAX)]);
        (dwell, self.rng.weighted(&[(4, 0.0), (2, 15.0), (2, 30.0), (2, 60.0), (2, 150.0), (1, 5_000.0)]))
    }

    pub(super) fn edit_vehicle(&mut self, vehicle: usize) {
        let earlier: Vec<Millis> = Vec::from_iter(self.cursors[vehicle].known.first().map(|event| event.position.ts));
        let valid_from = self.valid_from(&earlier);
        let effective_from = self.effective_from(valid_from);
        let definition = (!self.rng.chance(30)).then(|| {
            let fleet = Some(self.rng.below(3).to_string());
            let unit = self.habits.unit;
            let offline_after_ms = *self.rng.pick(&[None, None, Some(4 * unit), Some(60 * unit)]);
            Arc::new(Vehicle { name: None, fleet, speed_limit: self.speed_limit(), offline_after_ms, attributes: None })
        });
        let seq = self.next_seq();
        let key = VehicleId(vehicle as u32);
        self.log.push(Event::Vehicle(Edit { key, valid_from, effective_from, seq, definition }));
    }
}

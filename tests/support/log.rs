//! A log cut into epochs, as the engine and the oracle take it, and as people read it.

use std::fmt;

use serde_json::{Value, json};
use watchtower_core::events::{RuleChange, json as event_json};
use watchtower_dataflows::control::Control;
use watchtower_dataflows::naive::{self, Edits, Tables};
use watchtower_dataflows::views::Snapshots;
use watchtower_engine::Batch;
use watchtower_model::{BEGINNING, GeofenceEdit, Mark, Millis, PositionEvent, RuleEdit, Rules, VehicleEdit};

use crate::support::generate::{INACCURATE_M, rule_id};
use crate::support::shapes::Outline;

/// What was accepted. The `seq` of a position is assigned when an epoch is handed in.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Position(PositionEvent),
    /// With the outline of its definition, if it has one.
    Geofence(GeofenceEdit, Option<Outline>),
    Vehicle(VehicleEdit),
    Rule(RuleEdit),
    Now(Millis),
}

/// A test case: the log, its cuts, and what decides the tables.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) rules: Rules,
    pub(crate) epochs: Vec<Vec<Event>>,
    /// Each epoch is handed in back to front: only `seq` tells its order.
    pub(crate) backwards: bool,
    /// All epochs are handed in before the first answer is taken.
    pub(crate) ahead: bool,
    /// After this epoch the engine is replaced by one on another number of workers, which goes on from
    /// what the first one held.
    pub(crate) restarts_after: Option<usize>,
}

impl Case {
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.epochs.iter().flatten()
    }

    /// What arrived in one epoch.
    pub(crate) fn batch(&self, epoch: usize) -> Batch {
        let mut batch = Batch::default();
        let mut now = None;
        for (seq, event) in (0..).zip(&self.epochs[epoch]) {
            match event {
                Event::Position(position) => batch.positions.push(PositionEvent { seq, ..*position }),
                Event::Geofence(edit, _) => batch.control.push(Control::Geofence(edit.clone())),
                Event::Vehicle(edit) => batch.control.push(Control::Vehicle(edit.clone())),
                Event::Rule(edit) => batch.control.push(Control::Rule(edit.clone())),
                Event::Now(t) => now = now.max(Some(*t)),
            }
        }
        batch.control.extend(now.map(Control::Now));
        if self.backwards {
            batch.positions.reverse();
            batch.control.reverse();
        }
        batch
    }

    /// What an engine goes on from after an epoch: what it held through their stored form, all edits,
    /// the time.
    pub(crate) fn resumed(&self, epoch: usize, snapshots: &Snapshots) -> Batch {
        let Snapshots { timelines, groups } = snapshots;
        let stored = (serde_json::to_vec(timelines).unwrap(), serde_json::to_vec(groups).unwrap());
        let timelines = serde_json::from_slice(&stored.0).unwrap();
        let groups = serde_json::from_slice(&stored.1).unwrap();
        let mut batch = Batch { restored: Some(Snapshots { timelines, groups }), ..Batch::default() };
        let mut now = None;
        for control in (0..=epoch).flat_map(|epoch| self.batch(epoch).control) {
            match control {
                Control::Now(t) => now = now.max(Some(t)),
                control => batch.control.push(control),
            }
        }
        batch.control.extend(now.map(Control::Now));
        batch
    }

    /// The tables after the first `epochs` epochs.
    pub(crate) fn expected(&self, epochs: usize) -> Tables {
        let (mut positions, mut geofences, mut vehicles) = (Vec::new(), Vec::new(), Vec::new());
        let (mut rules, mut now) = (Vec::new(), BEGINNING);
        for event in self.epochs[..epochs].iter().flatten() {
            match event {
                Event::Position(position) => positions.push(*position),
                Event::Geofence(edit, _) => geofences.push(edit.clone()),
                Event::Vehicle(edit) => vehicles.push(edit.clone()),
                Event::Rule(edit) => rules.push(edit.clone()),
                Event::Now(t) => now = now.max(*t),
            }
        }
        let edits = Edits { geofences: &geofences, vehicles: &vehicles, rules: &rules };
        naive::recompute_with_alerts(&positions, edits, now, &self.rules)
    }
}

/// The rules, then the log as NDJSON, one event a line, a comment before each epoch. The times are
/// epoch milliseconds; `effective_from` and `seq` are ours.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {:?}", self.rules)?;
        writeln!(
            f,
            "# backwards: {}, ahead: {}, restarts after: {:?}",
            self.backwards, self.ahead, self.restarts_after
        )?;
        for (epoch, events) in self.epochs.iter().enumerate() {
            writeln!(f, "# epoch {epoch}")?;
            for event in events {
                writeln!(f, "{}", json(event))?;
            }
        }
        Ok(())
    }
}

fn json(event: &Event) -> Value {
    let mut object = match event {
        Event::Position(event) => position_json(event),
        Event::Geofence(edit, outline) => geofence_json(edit, outline.as_ref()),
        Event::Vehicle(edit) => json!({
            "type": "vehicle", "vehicle_id": edit.key.0.to_string(), "valid_from": edit.valid_from,
            "effective_from": edit.effective_from, "seq": edit.seq,
            "deleted": edit.definition.is_none().then_some(true),
            "offline_after_s": edit.definition.as_ref().and_then(|vehicle| vehicle.offline_after_ms).map(|ms| ms as f64 / 1e3),
            "speed_limit_kmh": edit.definition.as_ref().and_then(|vehicle| vehicle.speed_limit.kmh()),
            "fleet": edit.definition.as_ref().and_then(|vehicle| vehicle.fleet.as_deref()),
        }),
        Event::Rule(edit) => rule_json(edit),
        Event::Now(now) => json!({"type": "clock", "now": now}),
    };
    if let Value::Object(fields) = &mut object {
        fields.retain(|_, value| !value.is_null());
    }
    object
}

fn position_json(event: &PositionEvent) -> Value {
    let position = &event.position;
    if event.withdrawn {
        let id = event.vehicle.0.to_string();
        return json!({"type": "position", "vehicle_id": id, "ts": position.ts, "deleted": true});
    }
    json!({
        "type": "position", "vehicle_id": event.vehicle.0.to_string(), "ts": position.ts,
        "lon": position.place.lon_degrees(), "lat": position.place.lat_degrees(),
        "speed_kmh": position.speed.kmh(), "heading_deg": position.heading.degrees(),
        "ignition": position.ignition.is_on(),
        "accuracy_m": (position.mark == Mark::Inaccurate).then_some(INACCURATE_M),
    })
}

/// As it would be written: `effective_from` and `seq` are left out.
fn rule_json(edit: &RuleEdit) -> Value {
    let change = RuleChange {
        rule_id: rule_id(edit.key.0 as usize).into(),
        valid_from: (edit.valid_from != BEGINNING).then_some(edit.valid_from),
        received_at: None,
        definition: edit.definition.clone(),
    };
    let written = event_json::encode(&watchtower_core::events::Event::Rule(change));
    serde_json::from_str(&written).unwrap()
}

fn geofence_json(edit: &GeofenceEdit, outline: Option<&Outline>) -> Value {
    let definition = edit.definition.as_deref();
    json!({
        "type": "geofence", "geofence_id": edit.key.0.to_string(),
        // Since ever is what a geofence without a time is.
        "valid_from": (edit.valid_from != BEGINNING).then_some(edit.valid_from),
        "effective_from": (edit.effective_from != edit.valid_from).then_some(edit.effective_from), "seq": edit.seq,
        "deleted": definition.is_none().then_some(true),
        "min_dwell_s": definition.map(|geofence| geofence.min_dwell_ms as f64 / 1e3),
        "exit_buffer_m": definition.map(|geofence| geofence.exit_buffer_m),
        "geometry": outline.map(|outline| &outline.geojson.0),
        "radius_m": outline.and_then(|outline| outline.geojson.1),
    })
}

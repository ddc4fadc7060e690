//! Alert rules among the events of a log. They have their own randomness, so that the logs of old seeds stay what they were.

use std::sync::Arc;

use serde_json::{Value, json};
use watchtower_core::events::{Limits, RuleText, with_vehicles};
use watchtower_model::local_time::LocalTime;
use watchtower_model::{AlertKind, AlertRule, BEGINNING, Edit, Millis, RuleId, VehicleId};

use super::rule_id;
use crate::support::habits::Habits;
use crate::support::log::Event;
use crate::support::rng::Rng;

/// Rules of one log.
const MOST_RULES: usize = 5;

pub(super) struct RuleGenerator {
    rng: Rng,
    unit: Millis,
    base: Millis,
    zone: Arc<LocalTime>,
    /// Vehicles go from anchor to anchor.
    roads: bool,
    edits: u64,
}

impl RuleGenerator {
    pub(super) fn new(habits: &Habits, rng: &Rng) -> Self {
        let rng = Rng::new(rng.clone().next() ^ 0xA1E7);
        let Habits { rules, unit, base, roads, .. } = habits;
        Self { rng, unit: *unit, base: *base, zone: Arc::clone(&rules.local_time), roads: *roads, edits: 0 }
    }

    /// The log with edits of rules in it.
    pub(super) fn among(mut self, log: Vec<Event>, lateness: Option<Millis>) -> Vec<Event> {
        if self.rng.chance(20) {
            return log;
        }
        let rules = 1 + self.rng.below(MOST_RULES);
        let mut all = Vec::with_capacity(log.len() + rules);
        let mut now = BEGINNING;
        for rule in 0..rules {
            let edit = self.edit(rule, now, lateness, None);
            all.push(edit);
        }
        let often = *self.rng.pick(&[0, 2, 10]);
        let mut newest = self.base;
        for event in log {
            match &event {
                Event::Now(t) => now = now.max(*t),
                Event::Position(event) => newest = newest.max(event.position.ts),
                Event::Geofence(..) | Event::Vehicle(_) | Event::Rule(_) => {}
            }
            all.push(event);
            if self.rng.chance(often) {
                let rule = self.rng.below(rules);
                let edit = self.edit(rule, now, lateness, Some(newest));
                all.push(edit);
            }
        }
        all
    }

    /// A version of a rule; it holds from the beginning, or from about `newest`.
    fn edit(&mut self, rule: usize, now: Millis, lateness: Option<Millis>, newest: Option<Millis>) -> Event {
        let valid_from = match newest {
            None if self.rng.chance(70) => BEGINNING,
            None => self.base + self.rng.between(-2, 20) * self.unit,
            Some(newest) => newest + self.rng.between(-20, 4) * self.unit,
        };
        let earliest = lateness.map_or(BEGINNING, |lateness| now.saturating_sub(lateness));
        let effective_from = valid_from.max(earliest);
        self.edits += 1;
        let deleted = newest.is_some() && self.rng.chance(15);
        let definition = if deleted { None } else { Some(Arc::new(self.rule(rule))) };
        Event::Rule(Edit { key: RuleId(rule as u32), valid_from, effective_from, seq: self.edits, definition })
    }

    fn rule(&mut self, rule: usize) -> AlertRule {
        let (name, kind) = match self.roads && self.rng.chance(45) {
            true => ("turnaround_completed", AlertKind::TurnaroundCompleted),
            false => *self.rng.pick(&AlertKind::NAMES),
        };
        let mut text = json!({ "rule_id": rule_id(rule), "on": name });
        let mut put = |name: &str, value: Value| text[name] = value;
        let unit = self.unit;
        let seconds = |ms: Millis| Value::from(format!("{ms}ms"));
        if kind == AlertKind::Dwell || (kind.lasts() && kind != AlertKind::Enter && self.rng.chance(40)) {
            put("after", seconds(*self.rng.pick(&[unit, unit + 1, 4 * unit, 30 * unit])));
        }
        if kind == AlertKind::Occupancy {
            let number = if self.rng.chance(50) { "more_than" } else { "fewer_than" };
            put(number, Value::from(self.rng.below(4)));
        }
        if self.rng.chance(30) {
            put("cooldown", seconds(*self.rng.pick(&[1, unit, 3 * unit, 60 * unit])));
        }
        if self.rng.chance(15) {
            put("mode", "final".into());
        }
        if self.rng.chance(if kind.lasts() { 50 } else { 15 }) {
            put("hours", self.hours());
        }
        if self.rng.chance(40) {
            put("where", self.scope(kind));
        }
        put("severity", (*self.rng.pick(&["info", "warning", "critical"])).into());
        let text: RuleText = serde_json::from_value(text).unwrap();
        let change = text.change(&Limits::for_replay()).unwrap();
        with_vehicles(&change.definition.unwrap(), |id| VehicleId(id.parse().unwrap()))
    }

    /// Hours that begin or end around the time of the log.
    fn hours(&mut self) -> Value {
        let zone = if self.rng.chance(50) { self.zone.name() } else { "Africa/Lagos" };
        let mut clock = || {
            let t = self.base + self.rng.between(0, 150) * self.unit;
            let minute = (t + self.zone.offset_and_span(t).0).rem_euclid(24 * 3_600_000) / 60_000;
            format!("{:02}:{:02}", minute / 60, minute % 60)
        };
        let (from, to) = (clock(), clock());
        let days = *self.rng.pick(&["mon-sun", "mon-sun", "mon-fri", "sat,sun", "wed"]);
        match self.rng.below(3) {
            0 => json!({ "from": from, "to": to }),
            1 => json!({ "from": from, "to": to, "days": days }),
            _ => json!({ "from": from, "to": to, "days": days, "zone": zone }),
        }
    }

    fn scope(&mut self, kind: AlertKind) -> Value {
        let mut scope = json!({});
        let some =
            |rng: &mut Rng, of: &[&str]| (0..1 + rng.below(2)).map(|_| (*rng.pick(of)).to_owned()).collect::<Vec<_>>();
        let has_vehicle = kind != AlertKind::GeofenceChanged;
        if has_vehicle && self.rng.chance(50) {
            scope["vehicle"] = some(&mut self.rng, &["0", "1", "2", "7"]).into();
        }
        if has_vehicle && self.rng.chance(40) {
            scope["fleet"] = some(&mut self.rng, &["0", "1", "2"]).into();
        }
        if kind.has_geofence() && self.rng.chance(40) {
            scope["geofence"] = some(&mut self.rng, &["0", "7", "3", "1"]).into();
        }
        if kind.has_geofence() && self.rng.chance(40) {
            scope["kind"] = some(&mut self.rng, &["terminal", "client", "depot", "zone"]).into();
        }
        scope
    }
}

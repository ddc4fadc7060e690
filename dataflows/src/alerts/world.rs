//! What alerts depend on besides facts: versions of rules, geofences and vehicles, and the log's time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use crate::alerts::fact::{Fact, FactKind};
use crate::versions::History;
use watchtower_model::alerts::AlertDetail;
use watchtower_model::{
    AlertKind, AlertRule, BEGINNING, Edit, Geofence, GeofenceEdit, GeofenceId, Millis, RuleEdit, RuleId, Rules, Span,
    Vehicle, VehicleEdit, VehicleId,
};

/// A version of an alert rule, and the interval in which it is in force.
#[derive(Clone, Debug)]
pub struct RuleVersion {
    /// The rule.
    pub rule: RuleId,
    /// Interval in which the version is in force.
    pub span: Span,
    /// Which edit made it.
    pub seq: u64,
    /// The rule in this version.
    pub definition: Arc<AlertRule>,
}

type Histories<K, D> = HashMap<K, History<K, D>, FxBuildHasher>;

/// What alerts depend on besides facts.
#[derive(Debug)]
pub struct World {
    /// Parameters of the pipeline.
    pub parameters: Rules,
    /// The log's time.
    pub now: Millis,
    rules: Histories<RuleId, AlertRule>,
    /// Cooldowns of the versions that have one, milliseconds.
    cooldowns: HashMap<(RuleId, u64), i64, FxBuildHasher>,
    /// Whether a rule ever was about occupancy.
    has_occupancy: bool,
    /// Versions of rules by the kind of their alerts.
    by_kind: [Vec<RuleVersion>; AlertKind::NAMES.len()],
    geofences: Histories<GeofenceId, Geofence>,
    vehicles: Histories<VehicleId, Vehicle>,
}

impl World {
    /// No rules yet.
    pub fn new(parameters: Rules) -> Self {
        Self {
            parameters,
            now: BEGINNING,
            rules: Histories::default(),
            cooldowns: HashMap::default(),
            has_occupancy: false,
            by_kind: Default::default(),
            geofences: Histories::default(),
            vehicles: Histories::default(),
        }
    }

    /// Whether there is any rule.
    pub fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Whether a rule is, or was, about how many vehicles geofences hold.
    pub fn has_occupancy(&self) -> bool {
        self.has_occupancy
    }

    /// The versions of all rules about a kind of alert.
    pub fn versions(&self, kind: AlertKind) -> &[RuleVersion] {
        &self.by_kind[kind as usize]
    }

    /// Cooldown of a version of a rule, whether it is ever in force or not. Milliseconds.
    pub fn cooldown_ms(&self, rule: RuleId, seq: u64) -> i64 {
        self.cooldowns.get(&(rule, seq)).copied().unwrap_or(0)
    }

    /// Takes in edits of rules.
    pub fn edit_rules(&mut self, edits: Vec<RuleEdit>) {
        if edits.is_empty() {
            return;
        }
        for edit in edits {
            if let Some(rule) = &edit.definition {
                self.has_occupancy |= rule.kind == AlertKind::Occupancy;
                if rule.cooldown_ms > 0 {
                    self.cooldowns.insert((edit.key, edit.seq), rule.cooldown_ms);
                }
            }
            insert(&mut self.rules, edit);
        }
        self.by_kind = Default::default();
        for (rule, history) in &self.rules {
            for version in history.versions() {
                self.by_kind[version.definition.kind as usize].push(RuleVersion {
                    rule: *rule,
                    span: version.span,
                    seq: version.seq,
                    definition: Arc::clone(version.definition),
                });
            }
        }
        for versions in &mut self.by_kind {
            versions.sort_by_key(|version| (version.rule, version.span.from));
        }
    }

    /// Takes in an edit of a geofence.
    pub fn edit_geofence(&mut self, edit: GeofenceEdit) {
        insert(&mut self.geofences, edit);
    }

    /// Takes in an edit of a vehicle.
    pub fn edit_vehicle(&mut self, edit: VehicleEdit) {
        insert(&mut self.vehicles, edit);
    }

    /// The geofence in the version in force at `t`.
    pub fn geofence(&self, geofence: GeofenceId, t: Millis) -> Option<&Geofence> {
        at(&self.geofences, geofence, t)
    }

    /// The metadata of a vehicle in force at `t`.
    pub fn vehicle(&self, vehicle: VehicleId, t: Millis) -> Option<&Vehicle> {
        at(&self.vehicles, vehicle, t)
    }

    /// The instants at which versions of a geofence begin or end.
    pub fn begins_and_ends(&self, geofence: GeofenceId) -> impl Iterator<Item = Millis> {
        self.geofences.get(&geofence).into_iter().flat_map(History::beginnings).map(|(t, _)| t)
    }

    /// The instants at which versions of a geofence begin, or at which it is deleted.
    pub fn changes(&self, geofence: GeofenceId) -> impl Iterator<Item = Fact> {
        let history = self.geofences.get(&geofence);
        history.into_iter().flat_map(History::beginnings).filter(|(t, _)| *t != BEGINNING).map(
            move |(t, is_deleted)| Fact {
                kind: FactKind::Version,
                geofence: Some(geofence),
                from: t,
                until: Some(t),
                detail: if is_deleted { AlertDetail::Deleted } else { AlertDetail::None },
            },
        )
    }
}

fn insert<K: Copy + Eq + Hash, D>(histories: &mut Histories<K, D>, edit: Edit<K, D>) {
    histories.entry(edit.key).or_default().insert(edit);
}

fn at<K: Copy + Eq + Hash, D>(histories: &Histories<K, D>, key: K, t: Millis) -> Option<&D> {
    let mut versions = histories.get(&key)?.versions();
    versions.find(|version| version.span.contains(t)).map(|version| &**version.definition)
}

//! Facts and alerts of vehicles and geofences, without the dataflow around them.
//!
//! An epoch's change is what the facts give in the world after it minus what they gave in the world before. Facts that
//! have neither come nor gone are looked at only if something else may have changed their alerts: an edit, or an instant
//! that they waited for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::alerts::cooldown::{Chain, ChainKey, raise};
use crate::alerts::crowds::Stay;
use crate::alerts::evaluate::evaluate;
use crate::alerts::fact::{Fact, FactKind, Owner};
use crate::alerts::world::World;
use crate::views::pins::Pins;
use watchtower_model::alerts::AlertDetail;
use watchtower_model::facts::Pin;
use watchtower_model::{Alert, END, GeofenceEdit, GeofenceId, Millis, RuleEdit, Rules, VehicleEdit};

/// What is kept of the facts and alerts of one owner.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertState {
    /// Facts whose alerts something else than a change of the fact can change, ascending.
    facts: Vec<Fact>,
    /// Alerts of rules with a cooldown that may still change, ascending by key.
    chains: Vec<(ChainKey, Chain)>,
}

/// The state of an owner, with its timer.
#[derive(Debug)]
struct Held {
    state: Arc<AlertState>,
    /// The entry of the timer queue that counts; [`END`] if none does.
    armed: Millis,
}

impl Default for Held {
    fn default() -> Self {
        Self { state: Arc::default(), armed: END }
    }
}

/// Input of an epoch.
#[derive(Debug)]
pub struct Arrivals {
    /// Facts that come and go.
    pub facts: Vec<((Owner, Fact), i64)>,
    /// Edits of geofences, in the order of the log.
    pub geofences: Vec<GeofenceEdit>,
    /// Edits of vehicles.
    pub vehicles: Vec<VehicleEdit>,
    /// Edits of rules.
    pub rules: Vec<RuleEdit>,
    /// Days of vehicles on which facts may change however long ago they were.
    pub pins: Vec<(Pin, i64)>,
    /// The log's time; `BEGINNING` if it did not advance.
    pub now: Millis,
    /// States to continue from; then the facts are those that they hold.
    pub restored: Option<Vec<(Owner, Arc<AlertState>)>>,
}

/// What an epoch changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Alerts that are no longer raised and those that are now.
    pub alerts: Vec<(Alert, i64)>,
    /// Visits that come and go, once there is a rule about how many vehicles geofences hold: then all that are kept.
    pub stays: Vec<((GeofenceId, Stay), i64)>,
}

/// Facts and alerts of the owners of one worker.
#[derive(Debug)]
pub struct Owners {
    world: World,
    /// This worker has the owners whose number is `index` modulo `peers`.
    index: u64,
    peers: u64,
    owners: HashMap<Owner, Held, FxBuildHasher>,
    timers: BTreeSet<(Millis, Owner)>,
    pins: Pins,
    /// Alerts so long before the log's time change no more, unless they are pinned; `None`: any may.
    sealed_after_ms: Option<i64>,
    /// The longest dwell, and the reach of the longest silence, of any edit so far.
    slack_ms: (i64, i64),
}

impl Owners {
    /// Without any facts. Alerts change no more `sealed_after_ms` after their instant, if ever.
    pub fn new(parameters: Rules, sealed_after_ms: Option<i64>, index: u64, peers: u64) -> Self {
        Self {
            world: World::new(parameters),
            index,
            peers,
            owners: HashMap::default(),
            timers: BTreeSet::new(),
            pins: Pins::default(),
            sealed_after_ms,
            slack_ms: (0, 0),
        }
    }

    /// Edits may make facts change so much longer afterwards: the longest dwell of a geofence and the reach of the longest
    /// silence of a vehicle. Milliseconds.
    pub fn keep_for(&mut self, dwell_ms: i64, silence_ms: i64) {
        self.slack_ms = (self.slack_ms.0.max(dwell_ms), self.slack_ms.1.max(silence_ms));
    }

    /// Takes in one epoch.
    pub fn advance(&mut self, arrivals: Arrivals) -> Changes {
        let Arrivals { mut facts, geofences, vehicles, rules, pins, now, restored } = arrivals;
        let now = now.max(self.world.now);
        let mut changes = Vec::new();
        self.pin(&pins, |diff| diff > 0);
        if let Some(restored) = restored {
            self.edit(geofences, vehicles, rules);
            self.world.now = now;
            restored.into_iter().for_each(|(owner, state)| self.restore(owner, state));
            self.pin(&pins, |diff| diff < 0);
            return Changes::default();
        }
        consolidate(&mut facts);
        let edited: BTreeSet<GeofenceId> = geofences.iter().map(|edit| edit.key).collect();
        let is_mine = |geofence: &GeofenceId| u64::from(geofence.0) % self.peers == self.index;
        let versioned: Vec<GeofenceId> = edited.iter().copied().filter(is_mine).collect();
        let (versions, had_occupancy) = (self.versions_of(&versioned), self.world.has_occupancy());
        let revisited = self.revisited(&facts, &edited, &vehicles, !rules.is_empty(), now);

        let mut diffs = Vec::new();
        let gone = facts.iter().filter(|(_, diff)| *diff < 0).map(|(fact, _)| fact);
        for (owner, fact) in gone.chain(&revisited).chain(&versions) {
            self.diff(*owner, fact, -1, &mut diffs);
        }
        self.edit(geofences, vehicles, rules);
        self.world.now = now;
        self.apply(&facts);
        let begun = self.versions_of(&versioned);
        let ended = versions.iter().map(|version| (*version, -1));
        let mut replaced: Vec<_> = ended.chain(begun.iter().map(|version| (*version, 1))).collect();
        consolidate(&mut replaced);
        self.apply(&replaced);
        let stays = self.stays(&facts, had_occupancy);
        let come = facts.iter().filter(|(_, diff)| *diff > 0).map(|(fact, _)| fact);
        for (owner, fact) in come.chain(&revisited).chain(&begun) {
            let due = self.diff(*owner, fact, 1, &mut diffs);
            self.arm(*owner, due);
        }
        consolidate(&mut diffs);
        self.raise(diffs, &mut changes);
        self.pin(&pins, |diff| diff < 0);
        let touched = facts.iter().chain(&replaced).map(|((owner, _), _)| *owner);
        let mut touched: Vec<Owner> = touched.chain(revisited.iter().map(|(owner, _)| *owner)).collect();
        touched.dedup();
        touched.into_iter().for_each(|owner| self.forget(owner));
        Changes { alerts: changes, stays }
    }

    /// Facts that have neither come nor gone but whose alerts may change: those of owners that edits concern or whose time
    /// has come. Versions of edited geofences are left out.
    fn revisited(
        &mut self,
        facts: &[((Owner, Fact), i64)],
        geofences: &BTreeSet<GeofenceId>,
        vehicles: &[VehicleEdit],
        edits_rules: bool,
        now: Millis,
    ) -> Vec<(Owner, Fact)> {
        let mut owners = self.affected(geofences, vehicles, edits_rules);
        owners.extend(self.due(now));
        let is_edited = |owner: &Owner| matches!(owner, Owner::Geofence(geofence) if geofences.contains(geofence));
        let mut revisited = Vec::new();
        for owner in owners.into_iter().filter(|owner| !is_edited(owner)) {
            let held = self.owners.get(&owner);
            let kept = held.into_iter().flat_map(|held| &held.state.facts).map(|fact| (owner, *fact));
            let has_gone = |fact: &(Owner, Fact)| facts.binary_search_by_key(fact, |(fact, _)| *fact).is_ok();
            revisited.extend(kept.filter(|fact| !has_gone(fact)));
        }
        revisited
    }

    /// Visits that come and go; all that are kept, when they are asked for first.
    fn stays(&self, facts: &[((Owner, Fact), i64)], had_occupancy: bool) -> Vec<((GeofenceId, Stay), i64)> {
        match (self.world.has_occupancy(), had_occupancy) {
            (false, _) => Vec::new(),
            (true, true) => {
                facts.iter().filter_map(|((owner, fact), diff)| Some((stay(*owner, fact)?, *diff))).collect()
            }
            (true, false) => {
                let kept = self.owners.iter().flat_map(|(owner, held)| {
                    held.state.facts.iter().filter_map(|fact| Some((stay(*owner, fact)?, 1)))
                });
                kept.collect()
            }
        }
    }

    /// The states as they are now, without what can no longer change: a function of the facts and the log's time alone.
    pub fn states(&mut self) -> impl Iterator<Item = (Owner, Arc<AlertState>)> {
        let owners: Vec<Owner> = self.owners.keys().copied().collect();
        owners.into_iter().for_each(|owner| self.forget(owner));
        self.owners.iter().map(|(owner, held)| (*owner, Arc::clone(&held.state)))
    }

    fn pin(&mut self, pins: &[(Pin, i64)], which: impl Fn(i64) -> bool) {
        for (pin, diff) in pins.iter().filter(|(_, diff)| which(*diff)) {
            self.pins.add(pin, *diff, true);
        }
        self.pins.settle();
    }

    fn edit(&mut self, geofences: Vec<GeofenceEdit>, vehicles: Vec<VehicleEdit>, rules: Vec<RuleEdit>) {
        geofences.into_iter().for_each(|edit| self.world.edit_geofence(edit));
        vehicles.into_iter().for_each(|edit| self.world.edit_vehicle(edit));
        self.world.edit_rules(rules);
    }

    /// The facts of the versions of geofences.
    fn versions_of(&self, geofences: &[GeofenceId]) -> Vec<(Owner, Fact)> {
        let of =
            |&geofence: &GeofenceId| self.world.changes(geofence).map(move |fact| (Owner::Geofence(geofence), fact));
        geofences.iter().flat_map(of).collect()
    }

    /// Owners whose facts edits may concern.
    fn affected(&self, geofences: &BTreeSet<GeofenceId>, vehicles: &[VehicleEdit], rules: bool) -> BTreeSet<Owner> {
        if rules {
            return self.owners.keys().copied().collect();
        }
        if !self.world.has_rules() {
            return BTreeSet::new();
        }
        let vehicles = vehicles.iter().map(|edit| Owner::Vehicle(edit.key));
        let mut affected: BTreeSet<Owner> = vehicles.filter(|owner| self.owners.contains_key(owner)).collect();
        if !geofences.is_empty() {
            let is_in = |fact: &Fact| concerns(fact, geofences);
            let inside = self.owners.iter().filter(|(_, held)| held.state.facts.iter().any(is_in));
            affected.extend(inside.map(|(owner, _)| *owner));
        }
        affected
    }

    /// Takes the owners whose timers have come out of the queue.
    fn due(&mut self, now: Millis) -> BTreeSet<Owner> {
        let mut due = BTreeSet::new();
        while let Some(&(at, owner)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, owner));
            if let Some(held) = self.owners.get_mut(&owner).filter(|held| held.armed == at) {
                held.armed = END;
                due.insert(owner);
            }
        }
        due
    }

    /// Appends the alerts of a fact `diff` times. Returns when they may change next.
    fn diff(&self, owner: Owner, fact: &Fact, diff: i64, diffs: &mut Vec<(Alert, i64)>) -> Millis {
        if !self.world.has_rules() {
            return END;
        }
        let mut alerts = Vec::new();
        let due = evaluate(&self.world, owner, fact, &mut alerts);
        diffs.extend(alerts.into_iter().map(|alert| (alert, diff)));
        due
    }

    /// Adds and removes facts.
    fn apply(&mut self, facts: &[((Owner, Fact), i64)]) {
        for ((owner, fact), diff) in facts {
            if *diff > 0 {
                let facts = &mut Arc::make_mut(&mut self.owners.entry(*owner).or_default().state).facts;
                if let Err(place) = facts.binary_search(fact) {
                    facts.insert(place, *fact);
                }
            } else if let Some(held) = self.owners.get_mut(owner)
                && let Ok(place) = held.state.facts.binary_search(fact)
            {
                Arc::make_mut(&mut held.state).facts.remove(place);
            }
        }
    }

    /// Sees to it that an owner is looked at when the log's time is `due`.
    fn arm(&mut self, owner: Owner, due: Millis) {
        let Some(held) = self.owners.get_mut(&owner).filter(|held| due < held.armed) else { return };
        self.timers.remove(&(held.armed, owner));
        held.armed = due;
        self.timers.insert((due, owner));
    }

    /// Passes on changes of alerts, those of rules with a cooldown owner by owner.
    fn raise(&mut self, diffs: Vec<(Alert, i64)>, changes: &mut Vec<(Alert, i64)>) {
        let mut by_owner = BTreeMap::<Owner, Vec<(Alert, i64)>>::new();
        for (alert, diff) in diffs {
            match self.world.cooldown_ms(alert.rule, alert.seq) {
                0 => changes.push((alert, diff)),
                _ => by_owner.entry(owner_of(&alert)).or_default().push((alert, diff)),
            }
        }
        if by_owner.is_empty() {
            return;
        }
        for (owner, diffs) in by_owner {
            let state = Arc::make_mut(&mut self.owners.entry(owner).or_default().state);
            raise(&self.world, diffs, &mut state.chains, changes);
        }
        consolidate(changes);
    }

    /// Gives up what can no longer change.
    fn forget(&mut self, owner: Owner) {
        let (dwell_ms, silence_ms) = self.slack_ms;
        let sealed_before = self
            .sealed_after_ms
            .map(|kept_ms| self.world.now.saturating_sub(kept_ms.saturating_add(dwell_ms).saturating_add(silence_ms)));
        let edited_from = self.world.parameters.retention_ms.map(|kept_ms| self.world.now.saturating_sub(kept_ms));
        let Some(held) = self.owners.get_mut(&owner) else { return };
        let is_kept = |fact: &Fact| fact.until.is_none_or(|until| edited_from.is_none_or(|from| until >= from));
        if !held.state.facts.iter().all(is_kept) {
            Arc::make_mut(&mut held.state).facts.retain(is_kept);
        }
        if let Some(sealed_before) = sealed_before.filter(|_| !held.state.chains.is_empty()) {
            let (pins, zone) = (&self.pins, &self.world.parameters.local_time);
            let vehicle = match owner {
                Owner::Vehicle(vehicle) => Some(vehicle),
                Owner::Geofence(_) => None,
            };
            let is_pinned = |t: Millis| {
                if vehicle.is_none() || pins.is_empty() {
                    return false;
                }
                let day = zone.day(t);
                pins.since(vehicle) <= day || pins.has(vehicle, day, zone.day(t.saturating_add(dwell_ms)))
            };
            let is_sealed = |t: Millis| t < sealed_before && !is_pinned(t);
            let state = Arc::make_mut(&mut held.state);
            state.chains.iter_mut().for_each(|(_, chain)| chain.forget(is_sealed));
            state.chains.retain(|(_, chain)| !chain.is_over(sealed_before));
        }
        if held.state.facts.is_empty() && held.state.chains.is_empty() {
            self.timers.remove(&(held.armed, owner));
            self.owners.remove(&owner);
        }
    }

    fn restore(&mut self, owner: Owner, state: Arc<AlertState>) {
        let due = state.facts.iter().map(|fact| self.diff(owner, fact, 1, &mut Vec::new())).min().unwrap_or(END);
        let before = self.owners.insert(owner, Held { state, armed: END });
        debug_assert!(before.is_none(), "a state is restored before anything happens to its owner");
        self.arm(owner, due);
    }
}

/// The visit that a fact is, with its geofence.
fn stay(owner: Owner, fact: &Fact) -> Option<(GeofenceId, Stay)> {
    match (owner, fact.kind, fact.geofence) {
        (Owner::Vehicle(vehicle), FactKind::Visit, Some(geofence)) => {
            Some((geofence, (fact.from, fact.until, vehicle)))
        }
        _ => None,
    }
}

/// Whether alerts of a fact may depend on one of the geofences.
fn concerns(fact: &Fact, geofences: &BTreeSet<GeofenceId>) -> bool {
    let reached = match fact.detail {
        AlertDetail::From(geofence, _) => Some(geofence),
        AlertDetail::None | AlertDetail::Place(_) | AlertDetail::LimitMicroKmh(_) => None,
        AlertDetail::Vehicles(_) | AlertDetail::Deleted => None,
    };
    [fact.geofence, reached].into_iter().flatten().any(|geofence| geofences.contains(&geofence))
}

/// The owner of an alert: the vehicle, if it is about one.
fn owner_of(alert: &Alert) -> Owner {
    match (alert.vehicle, alert.geofence) {
        (Some(vehicle), _) => Owner::Vehicle(vehicle),
        (None, Some(geofence)) => Owner::Geofence(geofence),
        (None, None) => unreachable!("an alert is about a vehicle or a geofence"),
    }
}

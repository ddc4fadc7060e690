//! Alerts about how many vehicles geofences hold, without the dataflow around them.
//!
//! A version of a rule holds at an instant of its interval if the geofence exists then and the vehicles in it that the rule is
//! about are more, or fewer, than its number. Where it holds for long enough without a break there is an alert. So the alerts
//! of a geofence are a function of all visits to it: they are computed anew when any of these changes, from the first instant
//! on that may still change. What held before is remembered as the start of what lasts there.
//!
//! Visits come from the first rule about occupancy on; those that ended long before are never asked for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use differential_dataflow::consolidation::consolidate;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::alerts::cooldown::{Chain, ChainKey, raise};
use crate::alerts::evaluate::{is_about_geofence, is_about_vehicle};
use crate::alerts::world::{RuleVersion, World};
use watchtower_model::alerts::{AlertDetail, AlertMode, Than};
use watchtower_model::{
    Alert, AlertKind, BEGINNING, END, GeofenceEdit, GeofenceId, Millis, RuleEdit, RuleId, Rules, VehicleEdit, VehicleId,
};

/// A visit, as far as it is counted: from when until when which vehicle was inside.
pub type Stay = (Millis, Option<Millis>, VehicleId);

/// What is kept of one geofence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrowdState {
    /// Visits that last or ended after `from`, ascending, with the number of each.
    stays: Vec<(Stay, i64)>,
    /// Alerts before this instant change no more.
    from: Millis,
    /// Since when versions of rules have held at `from`; those that did not are left out.
    since: Vec<((RuleId, u64), Millis)>,
    /// Alerts from `from` on before cooldowns, ascending.
    alerts: Vec<Alert>,
    /// Alerts of rules with a cooldown that may still change, ascending by key.
    chains: Vec<(ChainKey, Chain)>,
}

impl Default for CrowdState {
    fn default() -> Self {
        Self { stays: Vec::new(), from: BEGINNING, since: Vec::new(), alerts: Vec::new(), chains: Vec::new() }
    }
}

#[derive(Debug)]
struct Held {
    state: Arc<CrowdState>,
    /// The entry of the timer queue that counts; [`END`] if none does.
    armed: Millis,
}

/// Input of an epoch.
#[derive(Debug)]
pub struct Arrivals {
    /// Visits that come and go.
    pub stays: Vec<((GeofenceId, Stay), i64)>,
    /// Edits of geofences.
    pub geofences: Vec<GeofenceEdit>,
    /// Edits of vehicles.
    pub vehicles: Vec<VehicleEdit>,
    /// Edits of rules.
    pub rules: Vec<RuleEdit>,
    /// The log's time; [`BEGINNING`] if it did not advance.
    pub now: Millis,
    /// States to continue from.
    pub restored: Option<Vec<(GeofenceId, Arc<CrowdState>)>>,
}

/// Where the number of vehicles in a geofence meets a rule, from `from` until `until`.
#[derive(Clone, Copy, Debug)]
struct Holding {
    from: Millis,
    until: Millis,
}

/// The geofences of one worker.
#[derive(Debug)]
pub struct Crowds {
    world: World,
    /// This worker has the geofences whose number is `index` modulo `peers`.
    index: u64,
    peers: u64,
    /// Geofences that ever existed or were visited.
    crowds: HashMap<GeofenceId, Held, FxBuildHasher>,
    timers: BTreeSet<(Millis, GeofenceId)>,
}

impl Crowds {
    /// Without any geofence.
    pub fn new(parameters: Rules, index: u64, peers: u64) -> Self {
        let (crowds, timers) = (HashMap::default(), BTreeSet::new());
        Self { world: World::new(parameters), index, peers, crowds, timers }
    }

    /// Takes in one epoch; alerts before `sealed_before` change no more. Returns the alerts that are no longer raised and
    /// those that are now.
    pub fn advance(&mut self, arrivals: Arrivals, sealed_before: Option<Millis>) -> Vec<(Alert, i64)> {
        let Arrivals { mut stays, geofences, vehicles, rules, now, restored } = arrivals;
        let (edits_rules, edited_vehicles) = (!rules.is_empty(), !vehicles.is_empty());
        let mut touched: BTreeSet<GeofenceId> = geofences.iter().map(|edit| edit.key).collect();
        touched.retain(|geofence| u64::from(geofence.0) % self.peers == self.index);
        geofences.into_iter().for_each(|edit| self.world.edit_geofence(edit));
        vehicles.into_iter().for_each(|edit| self.world.edit_vehicle(edit));
        self.world.edit_rules(rules);
        self.world.now = self.world.now.max(now);
        for geofence in &touched {
            self.crowds.entry(*geofence).or_insert_with(|| Held { state: Arc::default(), armed: END });
        }
        let mut changes = Vec::new();
        if let Some(restored) = restored {
            for (geofence, state) in restored {
                self.crowds.insert(geofence, Held { state, armed: END });
            }
            let all: Vec<GeofenceId> = self.crowds.keys().copied().collect();
            all.into_iter().for_each(|geofence| self.recompute(geofence, &mut Vec::new()));
            return changes;
        }
        consolidate(&mut stays);
        for ((geofence, stay), diff) in stays {
            let held = self.crowds.entry(geofence).or_insert_with(|| Held { state: Arc::default(), armed: END });
            add(&mut Arc::make_mut(&mut held.state).stays, stay, diff);
            touched.insert(geofence);
        }
        if !self.world.has_occupancy() {
            return changes;
        }
        if edits_rules || edited_vehicles {
            touched.extend(self.crowds.keys());
        }
        touched.extend(self.due());
        for geofence in touched {
            self.recompute(geofence, &mut changes);
            if let Some(sealed_before) = sealed_before {
                self.forget(geofence, sealed_before);
            }
        }
        consolidate(&mut changes);
        changes
    }

    /// The states as they are now, without what can no longer change: a function of the visits and the log's time alone.
    pub fn states(&mut self, sealed_before: Option<Millis>) -> impl Iterator<Item = (GeofenceId, Arc<CrowdState>)> {
        if let Some(sealed_before) = sealed_before.filter(|_| self.world.has_occupancy()) {
            let crowds: Vec<GeofenceId> = self.crowds.keys().copied().collect();
            crowds.into_iter().for_each(|geofence| self.forget(geofence, sealed_before));
        }
        self.crowds.iter().map(|(geofence, held)| (*geofence, Arc::clone(&held.state)))
    }

    /// Takes the geofences whose timers have come out of the queue.
    fn due(&mut self) -> Vec<GeofenceId> {
        let mut due = Vec::new();
        while let Some(&(at, geofence)) = self.timers.first().filter(|(at, _)| *at <= self.world.now) {
            self.timers.remove(&(at, geofence));
            if let Some(held) = self.crowds.get_mut(&geofence).filter(|held| held.armed == at) {
                held.armed = END;
                due.push(geofence);
            }
        }
        due
    }

    /// Computes the alerts of a geofence anew, and appends what has changed.
    fn recompute(&mut self, geofence: GeofenceId, changes: &mut Vec<(Alert, i64)>) {
        let Some(held) = self.crowds.get(&geofence) else { return };
        let (mut alerts, mut due) = (Vec::new(), END);
        for version in self.world.versions(AlertKind::Occupancy) {
            due = due.min(self.alerts_of(geofence, &held.state, version, &mut alerts));
        }
        alerts.sort_unstable();
        let mut diffs: Vec<(Alert, i64)> = alerts.iter().map(|alert| (*alert, 1)).collect();
        diffs.extend(held.state.alerts.iter().map(|alert| (*alert, -1)));
        consolidate(&mut diffs);
        let Some(held) = self.crowds.get_mut(&geofence) else { return };
        if !diffs.is_empty() {
            let state = Arc::make_mut(&mut held.state);
            state.alerts = alerts;
            raise(&self.world, diffs, &mut state.chains, changes);
        }
        if due != held.armed {
            self.timers.remove(&(held.armed, geofence));
            held.armed = due;
            if due != END {
                self.timers.insert((due, geofence));
            }
        }
    }

    /// Appends the alerts of a version of a rule. Returns when they may become others, as time goes on.
    fn alerts_of(
        &self,
        geofence: GeofenceId,
        state: &CrowdState,
        version: &RuleVersion,
        alerts: &mut Vec<Alert>,
    ) -> Millis {
        let (world, rule) = (&self.world, &version.definition);
        let (mut due, zone) = (END, &world.parameters.local_time);
        let numbers = self.numbers(state, version);
        let mut raise = |at: Millis, from: Millis, is_opening: bool| -> Option<Millis> {
            if at > world.now {
                return Some(at);
            }
            let final_from = match rule.mode {
                AlertMode::Immediate => at,
                AlertMode::Final => at.saturating_add(world.parameters.retention_ms.unwrap_or(0)),
            };
            let is_active = rule.hours.as_ref().is_none_or(|hours| hours.is_active(at, zone));
            if at < state.from || !is_active || !is_about_geofence(world, version, geofence, at) {
                return None;
            }
            if final_from > world.now {
                return Some(final_from);
            }
            let vehicles = numbers.range(..=at).next_back().map_or(0, |(_, number)| *number);
            let RuleVersion { rule, seq, .. } = *version;
            alerts.push(Alert {
                at,
                rule,
                seq,
                kind: AlertKind::Occupancy,
                vehicle: None,
                geofence: Some(geofence),
                started_at: from,
                is_opening,
                ended_at: None,
                detail: AlertDetail::Vehicles(vehicles),
            });
            None
        };
        for Holding { from, until } in self.holdings(geofence, state, version, &numbers) {
            let since = from.saturating_add(rule.after_ms);
            if from == BEGINNING || since >= until {
                continue;
            }
            let waits = raise(since, from, false);
            due = due.min(waits.unwrap_or(END));
            let (mut after, mut is_future) = (since, waits.is_some_and(|waits| waits == since));
            while let Some(hours) = rule.hours.as_ref().filter(|_| !is_future) {
                let Some(opening) = hours.next_opening(after, until, zone) else { break };
                let waits = raise(opening, from, true);
                due = due.min(waits.unwrap_or(END));
                (after, is_future) = (opening, opening > world.now);
            }
        }
        due
    }

    /// How many vehicles that a rule is about there are, from each instant on at which the number changes.
    fn numbers(&self, state: &CrowdState, version: &RuleVersion) -> BTreeMap<Millis, i64> {
        let mut steps = BTreeMap::<Millis, i64>::new();
        for ((entered_at, exited_at, vehicle), count) in &state.stays {
            if is_about_vehicle(&self.world, version, *vehicle, *entered_at) {
                *steps.entry(*entered_at).or_default() += count;
                if let Some(exited_at) = exited_at {
                    *steps.entry(*exited_at).or_default() -= count;
                }
            }
        }
        let mut number = 0;
        for step in steps.values_mut() {
            number += *step;
            *step = number;
        }
        steps
    }

    /// Where a version holds, from `state.from` on: maximal intervals within the version's own.
    fn holdings(
        &self,
        geofence: GeofenceId,
        state: &CrowdState,
        version: &RuleVersion,
        numbers: &BTreeMap<Millis, i64>,
    ) -> Vec<Holding> {
        let Some(than) = version.definition.than else { return Vec::new() };
        let begin = version.span.from.max(state.from);
        let mut instants: BTreeSet<Millis> = numbers.keys().copied().collect();
        instants.extend(self.world.begins_and_ends(geofence));
        let mut instants: Vec<Millis> = instants.into_iter().filter(|&t| t > begin && t < version.span.until).collect();
        instants.insert(0, begin);
        let mut holdings = Vec::<Holding>::new();
        for (index, &t) in instants.iter().enumerate() {
            let until = instants.get(index + 1).copied().unwrap_or(version.span.until);
            if !self.holds(geofence, than, numbers, t) {
                continue;
            }
            match holdings.last_mut() {
                Some(last) if last.until == t => last.until = until,
                Some(_) | None => {
                    let key = (version.rule, version.seq);
                    let since = state.since.iter().find(|(version, _)| *version == key && t == state.from);
                    holdings.push(Holding { from: since.map_or(t, |(_, since)| *since), until });
                }
            }
        }
        holdings
    }

    fn holds(&self, geofence: GeofenceId, than: Than, numbers: &BTreeMap<Millis, i64>, t: Millis) -> bool {
        let number = numbers.range(..=t).next_back().map_or(0, |(_, number)| *number);
        than.holds(number) && self.world.geofence(geofence, t).is_some()
    }

    /// Gives up what can no longer change.
    fn forget(&mut self, geofence: GeofenceId, sealed_before: Millis) {
        let Some(held) = self.crowds.get(&geofence).filter(|held| held.state.from < sealed_before) else { return };
        let mut since = Vec::new();
        for version in self.world.versions(AlertKind::Occupancy) {
            let numbers = self.numbers(&held.state, version);
            let holdings = self.holdings(geofence, &held.state, version, &numbers);
            let lasting = holdings.iter().find(|holding| holding.from < sealed_before && sealed_before < holding.until);
            since.extend(lasting.map(|holding| ((version.rule, version.seq), holding.from)));
        }
        let Some(held) = self.crowds.get_mut(&geofence) else { return };
        let state = Arc::make_mut(&mut held.state);
        (state.from, state.since) = (sealed_before, since);
        state.stays.retain(|((_, exited_at, _), _)| exited_at.is_none_or(|exited_at| exited_at > sealed_before));
        state.alerts.retain(|alert| alert.at >= sealed_before);
        state.chains.iter_mut().for_each(|(_, chain)| chain.forget(|t| t < sealed_before));
        state.chains.retain(|(_, chain)| !chain.is_over(sealed_before));
    }
}

/// Adds `diff` to the number of a stay.
fn add(stays: &mut Vec<(Stay, i64)>, stay: Stay, diff: i64) {
    match stays.binary_search_by_key(&stay, |(stay, _)| *stay) {
        Ok(place) => {
            stays[place].1 += diff;
            if stays[place].1 == 0 {
                stays.remove(place);
            }
        }
        Err(place) => stays.insert(place, (stay, diff)),
    }
}

//! The alerts of one fact: a function of the fact and of the [`World`].
//!
//! A condition that lasts (a visit, a silence) gives an alert once it has lasted long enough, if the rule is active then, and
//! one whenever the rule's hours begin while it lasts. A change (an exit, an arrival) gives one at its instant, if the rule
//! is active. The version of the rule in force at that instant decides; of several versions that would raise the same
//! alert, as a dwell whose time was changed amid a visit, the first one does.

use std::sync::Arc;

use crate::alerts::fact::{Fact, Owner};
use crate::alerts::world::{RuleVersion, World};
use watchtower_model::alerts::{AlertDetail, AlertMode, Scope};
use watchtower_model::{Alert, AlertKind, END, Geofence, GeofenceId, Millis, VehicleId};

/// When something happens that a kind of alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occurrence {
    /// At an instant.
    Change { at: Millis },
    /// From an instant on, until `end` if it has ended; of others it is true only once the log's time is `known_from`.
    Condition { since: Millis, end: Option<Millis>, known_from: Option<Millis> },
}

/// Appends the alerts of a fact to `alerts`. Returns the next instant of the log's time at which they may become
/// others; [`END`] if there is none.
pub fn evaluate(world: &World, owner: Owner, fact: &Fact, alerts: &mut Vec<Alert>) -> Millis {
    let mut due = END;
    for &kind in fact.kind.alerts() {
        let versions = world.versions(kind);
        for versions in versions.chunk_by(|a, b| a.rule == b.rule) {
            let first = alerts.len();
            for version in versions {
                due = due.min(of_version(world, owner, fact, version, alerts));
            }
            if versions.len() > 1 {
                keep_first(alerts, first);
            }
            due = due.min(hold_back(world, versions, alerts, first));
        }
    }
    due
}

/// Of the alerts of one rule from index `first` on that are no openings, keeps the first.
fn keep_first(alerts: &mut Vec<Alert>, first: usize) {
    let others = alerts[first..].iter().filter(|alert| !alert.is_opening);
    let Some(kept) = others.min_by_key(|alert| (alert.at, alert.seq)).copied() else { return };
    let mut index = 0;
    alerts.retain(|alert| {
        index += 1;
        index <= first || alert.is_opening || *alert == kept
    });
}

/// Removes the alerts from index `first` on that are to wait until they are final. Returns when the next one is.
fn hold_back(world: &World, versions: &[RuleVersion], alerts: &mut Vec<Alert>, first: usize) -> Millis {
    if versions.iter().all(|version| version.definition.mode == AlertMode::Immediate) {
        return END;
    }
    let (mut due, mut index) = (END, 0);
    alerts.retain(|alert| {
        index += 1;
        let version = versions.iter().find(|version| version.seq == alert.seq);
        let waits = version.is_some_and(|version| version.definition.mode == AlertMode::Final);
        if index <= first || !waits {
            return true;
        }
        let final_from = alert.at.saturating_add(world.parameters.retention_ms.unwrap_or(0));
        let is_final = world.now >= final_from;
        due = if is_final { due } else { due.min(final_from) };
        is_final
    });
    due
}

/// The alerts of a fact by one version of a rule.
fn of_version(world: &World, owner: Owner, fact: &Fact, version: &RuleVersion, alerts: &mut Vec<Alert>) -> Millis {
    let RuleVersion { span, definition, .. } = version;
    let zone = &world.parameters.local_time;
    match occurrence(world, owner, fact, version) {
        None => END,
        Some(Occurrence::Change { at }) => {
            let is_active = definition.hours.as_ref().is_none_or(|hours| hours.is_active(at, zone));
            if is_active && span.contains(at) && is_in_scope(world, owner, fact, version, at) {
                alerts.push(alert(owner, fact, version, at, false));
            }
            END
        }
        Some(Occurrence::Condition { since, end, known_from }) => {
            if let Some(known_from) = known_from.filter(|known_from| world.now < *known_from) {
                return known_from;
            }
            let is_active = definition.hours.as_ref().is_none_or(|hours| hours.is_active(since, zone));
            if is_active && span.contains(since) && is_in_scope(world, owner, fact, version, since) {
                alerts.push(alert(owner, fact, version, since, false));
            }
            let Some(hours) = &definition.hours else { return END };
            let before = end.unwrap_or(END).min(span.until);
            let mut after = since.max(span.from.saturating_sub(1));
            while let Some(opening) = hours.next_opening(after, before, zone) {
                if end.is_none() && opening > world.now {
                    return opening;
                }
                if is_in_scope(world, owner, fact, version, opening) {
                    alerts.push(alert(owner, fact, version, opening, true));
                }
                after = opening;
            }
            END
        }
    }
}

/// When it happens, if it does.
fn occurrence(world: &World, owner: Owner, fact: &Fact, version: &RuleVersion) -> Option<Occurrence> {
    let rules = &world.parameters;
    let Fact { kind: _, geofence: _, from, until, detail: _ } = *fact;
    let change = |at: Millis| Some(Occurrence::Change { at });
    let after_ms = version.definition.after_ms;
    let condition = |least_ms: i64| {
        let since = from.saturating_add(least_ms.max(after_ms));
        match until {
            Some(end) if end < since => None,
            Some(end) => Some(Occurrence::Condition { since, end: Some(end), known_from: None }),
            // The table tells that it lasted `least_ms`.
            None if after_ms <= least_ms => Some(Occurrence::Condition { since, end: None, known_from: None }),
            None => Some(Occurrence::Condition { since, end: None, known_from: Some(since) }),
        }
    };
    match version.definition.kind {
        AlertKind::Enter => condition(0),
        AlertKind::Dwell => condition(0),
        AlertKind::Overspeed => condition(rules.overspeed_min_ms),
        AlertKind::Idling => condition(rules.idle_min_ms),
        AlertKind::Stop => condition(rules.stop_min_ms),
        AlertKind::Offline => condition(offline_after_ms(world, owner, from)),
        AlertKind::Occupancy => None, // no fact of its own: see `crowds`
        AlertKind::TripStarted => change(from),
        AlertKind::Exit | AlertKind::BackOnline | AlertKind::TripCompleted | AlertKind::TurnaroundCompleted => {
            until.and_then(change)
        }
        AlertKind::GeofenceChanged => Some(Occurrence::Condition { since: from, end: until, known_from: Some(from) }),
    }
}

/// Silence after which a vehicle that was last heard at `t` is offline. Milliseconds.
fn offline_after_ms(world: &World, owner: Owner, t: Millis) -> i64 {
    let own = match owner {
        Owner::Vehicle(vehicle) => world.vehicle(vehicle, t).and_then(|vehicle| vehicle.offline_after_ms),
        Owner::Geofence(_) => None,
    };
    own.unwrap_or(world.parameters.offline_after_ms)
}

/// Whether the rule is about the fact: about its vehicle as it is at `at`, and about its geofence as it was when the fact
/// began there.
fn is_in_scope(world: &World, owner: Owner, fact: &Fact, version: &RuleVersion, at: Millis) -> bool {
    let is_about_owner = match owner {
        Owner::Vehicle(vehicle) => is_about_vehicle(world, version, vehicle, at),
        Owner::Geofence(_) => true,
    };
    is_about_owner
        && match place_in_question(version.definition.kind, fact) {
            (Some(geofence), t) => is_about_geofence(world, version, geofence, t),
            (None, _) => !asks_geofence(&version.definition.scope),
        }
}

/// Whether the rule is about a vehicle, with the fleet that it has at `t`.
pub fn is_about_vehicle(world: &World, version: &RuleVersion, vehicle: VehicleId, t: Millis) -> bool {
    let Scope { vehicle_ids, vehicles, fleets, .. } = &version.definition.scope;
    if !vehicle_ids.is_empty() && vehicles.binary_search(&vehicle).is_err() {
        return false;
    }
    let fleet = || world.vehicle(vehicle, t).and_then(|vehicle| vehicle.fleet.as_deref());
    fleets.is_empty() || fleet().is_some_and(|fleet| fleets.iter().any(|wanted| **wanted == *fleet))
}

/// Whether the rule is about a geofence, in the version in force at `t`.
pub fn is_about_geofence(world: &World, version: &RuleVersion, geofence: GeofenceId, t: Millis) -> bool {
    let scope = &version.definition.scope;
    if !asks_geofence(scope) {
        return true;
    }
    let Some(Geofence { id, kind, tags, .. }) = world.geofence(geofence, t) else { return false };
    let is_any = |wanted: &[Arc<str>], of: &str| wanted.is_empty() || wanted.iter().any(|one| **one == *of);
    is_any(&scope.geofences, id)
        && is_any(&scope.kinds, kind.as_deref().unwrap_or_default())
        && (scope.tags.is_empty() || tags.iter().any(|tag| is_any(&scope.tags, tag)))
}

/// Whether the rule is about some geofences only.
fn asks_geofence(scope: &Scope) -> bool {
    !scope.geofences.is_empty() || !scope.kinds.is_empty() || !scope.tags.is_empty()
}

/// The geofence of an alert, and the instant whose version of it counts.
fn place_in_question(kind: AlertKind, fact: &Fact) -> (Option<GeofenceId>, Millis) {
    let end = fact.until.unwrap_or(fact.from);
    match kind {
        AlertKind::TripCompleted => match fact.detail {
            AlertDetail::From(destination, _) => (Some(destination), end),
            AlertDetail::None | AlertDetail::Place(_) | AlertDetail::LimitMicroKmh(_) => (None, end),
            AlertDetail::Vehicles(_) | AlertDetail::Deleted => (None, end),
        },
        AlertKind::TurnaroundCompleted => (fact.geofence, end),
        // The last instant inside: it may have been deleted at the next.
        AlertKind::TripStarted => (fact.geofence, fact.from - 1),
        AlertKind::GeofenceChanged if fact.detail == AlertDetail::Deleted => (fact.geofence, fact.from - 1),
        AlertKind::Enter | AlertKind::Exit | AlertKind::Dwell | AlertKind::Overspeed => (fact.geofence, fact.from),
        AlertKind::Idling | AlertKind::Stop | AlertKind::Offline | AlertKind::BackOnline => (fact.geofence, fact.from),
        AlertKind::Occupancy | AlertKind::GeofenceChanged => (fact.geofence, fact.from),
    }
}

fn alert(owner: Owner, fact: &Fact, version: &RuleVersion, at: Millis, is_opening: bool) -> Alert {
    let kind = version.definition.kind;
    let (vehicle, geofence) = match owner {
        Owner::Vehicle(vehicle) => (Some(vehicle), place_in_question(kind, fact).0),
        Owner::Geofence(geofence) => (None, Some(geofence)),
    };
    let (ended_at, detail) = match kind {
        AlertKind::Exit | AlertKind::BackOnline | AlertKind::TurnaroundCompleted => (fact.until, fact.detail),
        // A completed trip names the anchor left, and its fact the one reached.
        AlertKind::TripCompleted => match (fact.detail, fact.geofence) {
            (AlertDetail::From(_, distance_mm), Some(origin)) => (fact.until, AlertDetail::From(origin, distance_mm)),
            (detail, _) => (fact.until, detail),
        },
        AlertKind::TripStarted => (None, AlertDetail::None),
        AlertKind::Enter | AlertKind::Dwell | AlertKind::Overspeed | AlertKind::Idling => (None, fact.detail),
        AlertKind::Stop | AlertKind::Offline | AlertKind::Occupancy => (None, fact.detail),
        AlertKind::GeofenceChanged => (None, fact.detail),
    };
    let RuleVersion { rule, seq, .. } = *version;
    Alert { at, rule, seq, kind, vehicle, geofence, started_at: fact.from, is_opening, ended_at, detail }
}

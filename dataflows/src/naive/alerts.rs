//! Alerts: every fact against every version of every rule, instant by instant.

use std::collections::{BTreeMap, BTreeSet};

use super::Tables;
use super::surroundings::{Surroundings, Version, has};
use super::versions::{changes, geofence_at, name};
use watchtower_model::alerts::{AlertDetail, AlertMode};
use watchtower_model::{Alert, AlertKind, AlertRule, BEGINNING, END, GeofenceId, Millis, RuleId, Span, VehicleId};

const MINUTE_MS: i64 = 60_000;

/// Something that an alert of one kind may be about.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    kind: AlertKind,
    vehicle: Option<VehicleId>,
    geofence: Option<GeofenceId>,
    /// The instant whose version of the geofence counts.
    judged_at: Millis,
    started_at: Millis,
    /// Its instant, if it is a change; else `None`, and it lasts from `started_at` until `ended_at`.
    instant: Option<Millis>,
    ended_at: Option<Millis>,
    detail: AlertDetail,
}

impl Surroundings<'_> {
    /// Every alert that is raised.
    pub(super) fn alerts(&self, tables: &Tables) -> BTreeSet<Alert> {
        let candidates = self.candidates(tables);
        let mut alerts = BTreeSet::new();
        for (rule, history) in &self.rules {
            let begun = changes(history);
            let mut of_rule = Vec::new();
            for candidate in &candidates {
                let mut found = Vec::new();
                for (i, (from, edit)) in begun.iter().enumerate() {
                    let span = Span { from: *from, until: begun.get(i + 1).map_or(END, |(until, _)| *until) };
                    let Some(definition) = edit.definition.as_deref() else { continue };
                    if definition.kind == candidate.kind {
                        self.of_version(*rule, edit.seq, definition, span, candidate, &mut found);
                    }
                }
                // A fact is raised once, but for openings, each of which is a raise of its own.
                let first =
                    found.iter().filter(|(alert, _)| !alert.is_opening).map(|(alert, _)| (alert.at, alert.seq)).min();
                found.retain(|(alert, _)| alert.is_opening || Some((alert.at, alert.seq)) == first);
                of_rule.extend(found);
            }
            for (i, (from, edit)) in begun.iter().enumerate() {
                let span = Span { from: *from, until: begun.get(i + 1).map_or(END, |(until, _)| *until) };
                let Some(definition) = edit.definition.as_deref() else { continue };
                let version = Version { rule: *rule, seq: edit.seq, definition, span };
                of_rule.extend(self.occupancy(version, tables).into_iter().map(|alert| (alert, definition)));
            }
            of_rule.retain(|(alert, definition)| match definition.mode {
                AlertMode::Immediate => true,
                AlertMode::Final => self.now >= alert.at.saturating_add(self.parameters.retention_ms.unwrap_or(0)),
            });
            alerts.extend(after_cooldowns(of_rule));
        }
        alerts
    }

    fn of_version<'r>(
        &self,
        rule: RuleId,
        seq: u64,
        definition: &'r AlertRule,
        span: Span,
        candidate: &Candidate,
        found: &mut Vec<(Alert, &'r AlertRule)>,
    ) {
        let Candidate { kind, vehicle, geofence, judged_at: _, started_at, instant, ended_at, detail } = *candidate;
        let zone = &self.parameters.local_time;
        let is_active = |t: Millis| definition.hours.as_ref().is_none_or(|hours| hours.is_active(t, zone));
        let ended_at_then = match kind {
            AlertKind::Exit | AlertKind::BackOnline => ended_at,
            AlertKind::TripCompleted | AlertKind::TurnaroundCompleted => ended_at,
            _ => None,
        };
        let mut raise = |at: Millis, is_opening: bool| {
            if span.contains(at) && is_active(at) && self.is_about(definition, candidate, at) {
                let ended_at = ended_at_then;
                let alert = Alert { at, rule, seq, kind, vehicle, geofence, started_at, is_opening, ended_at, detail };
                found.push((alert, definition));
            }
        };
        if let Some(at) = instant {
            return raise(at, false);
        }
        let least_ms = self.least_ms(candidate);
        let since = started_at + least_ms.max(definition.after_ms);
        let lasted = match ended_at {
            Some(ended_at) => ended_at >= since,
            None => self.now >= since || definition.after_ms <= least_ms,
        };
        if !lasted || (kind == AlertKind::GeofenceChanged && self.now < since) {
            return;
        }
        raise(since, false);
        let until = ended_at.unwrap_or(self.now.saturating_add(1));
        let mut t = since.div_euclid(MINUTE_MS) * MINUTE_MS + MINUTE_MS;
        while definition.hours.is_some() && t < until {
            if !is_active(t - 1) {
                raise(t, true);
            }
            t += MINUTE_MS;
        }
    }

    /// How long a fact of this kind lasts at least. Milliseconds.
    fn least_ms(&self, candidate: &Candidate) -> i64 {
        match candidate.kind {
            AlertKind::Overspeed => self.parameters.overspeed_min_ms,
            AlertKind::Idling => self.parameters.idle_min_ms,
            AlertKind::Stop => self.parameters.stop_min_ms,
            AlertKind::Offline => {
                let own = self.vehicle_at(candidate.vehicle, candidate.started_at);
                own.and_then(|vehicle| vehicle.offline_after_ms).unwrap_or(self.parameters.offline_after_ms)
            }
            _ => 0,
        }
    }

    fn is_about(&self, rule: &AlertRule, candidate: &Candidate, at: Millis) -> bool {
        let scope = &rule.scope;
        let vehicle =
            scope.vehicle_ids.is_empty() || candidate.vehicle.is_some_and(|vehicle| scope.vehicles.contains(&vehicle));
        let fleet = self.vehicle_at(candidate.vehicle, at).and_then(|vehicle| vehicle.fleet.as_deref());
        let geofence =
            candidate.geofence.and_then(|geofence| geofence_at(self.geofences, geofence, candidate.judged_at));
        let id = geofence.and(candidate.geofence).and_then(|geofence| name(self.geofences, geofence));
        let kind = geofence.map(|geofence| geofence.kind.as_deref().unwrap_or_default());
        let tagged =
            || geofence.is_some_and(|geofence| geofence.tags.iter().any(|tag| has(&scope.tags, Some(tag.as_str()))));
        vehicle
            && has(&scope.fleets, fleet)
            && has(&scope.geofences, id)
            && has(&scope.kinds, kind)
            && (scope.tags.is_empty() || tagged())
    }

    fn candidates(&self, tables: &Tables) -> Vec<Candidate> {
        let mut all = Vec::new();
        for visit in &tables.visits {
            let lasting = Candidate {
                kind: AlertKind::Enter,
                vehicle: Some(visit.vehicle),
                geofence: Some(visit.geofence),
                judged_at: visit.entered_at,
                started_at: visit.entered_at,
                instant: None,
                ended_at: visit.exited_at,
                detail: AlertDetail::None,
            };
            all.extend([lasting, Candidate { kind: AlertKind::Dwell, ..lasting }]);
            all.extend(changed(Candidate { kind: AlertKind::Exit, ..lasting }, visit.exited_at));
        }
        for offline in &tables.offlines {
            let lasting = of_vehicle(AlertKind::Offline, offline.vehicle, offline.started_at, offline.ended_at);
            all.push(lasting);
            all.extend(changed(Candidate { kind: AlertKind::BackOnline, ..lasting }, offline.ended_at));
        }
        for stop in &tables.stops {
            let lasting = of_vehicle(AlertKind::Stop, stop.vehicle, stop.started_at, stop.ended_at);
            all.push(Candidate { geofence: stop.geofence, detail: AlertDetail::Place(stop.place), ..lasting });
        }
        for idling in &tables.idlings {
            all.push(of_vehicle(AlertKind::Idling, idling.vehicle, idling.started_at, idling.ended_at));
        }
        for over in &tables.overspeeds {
            let lasting = of_vehicle(AlertKind::Overspeed, over.vehicle, over.started_at, over.ended_at);
            let detail = over.limit.micro_kmh().map_or(AlertDetail::None, AlertDetail::LimitMicroKmh);
            all.push(Candidate { geofence: over.geofence, detail, ..lasting });
        }
        self.ways(tables, &mut all);
        for (&geofence, history) in self.geofences {
            let mut exists = false;
            for (t, edit) in changes(history) {
                let existed = std::mem::replace(&mut exists, edit.definition.is_some());
                if t == BEGINNING || !(existed || exists) {
                    continue;
                }
                all.push(Candidate {
                    kind: AlertKind::GeofenceChanged,
                    vehicle: None,
                    geofence: Some(geofence),
                    judged_at: if exists { t } else { t - 1 },
                    started_at: t,
                    instant: None,
                    ended_at: Some(t),
                    detail: if exists { AlertDetail::None } else { AlertDetail::Deleted },
                });
            }
        }
        all
    }

    /// Trips and turnarounds.
    fn ways(&self, tables: &Tables, all: &mut Vec<Candidate>) {
        for trip in &tables.trips {
            let started = of_vehicle(AlertKind::TripStarted, trip.vehicle, trip.departed_at, None);
            let instant = Some(trip.departed_at);
            all.push(Candidate { geofence: Some(trip.origin), judged_at: trip.departed_at - 1, instant, ..started });
            let Some(arrival) = trip.arrival else { continue };
            all.push(Candidate {
                kind: AlertKind::TripCompleted,
                geofence: Some(arrival.destination),
                judged_at: arrival.arrived_at,
                instant: Some(arrival.arrived_at),
                ended_at: Some(arrival.arrived_at),
                detail: AlertDetail::From(trip.origin, arrival.measures.distance_mm),
                ..started
            });
        }
        for turnaround in &tables.turnarounds {
            let started = of_vehicle(AlertKind::TurnaroundCompleted, turnaround.vehicle, turnaround.departed_at, None);
            all.push(Candidate {
                geofence: Some(turnaround.terminal_reached),
                judged_at: turnaround.returned_at,
                instant: Some(turnaround.returned_at),
                ended_at: Some(turnaround.returned_at),
                detail: AlertDetail::From(turnaround.terminal_left, turnaround.distance_mm),
                ..started
            });
        }
    }
}

fn of_vehicle(kind: AlertKind, vehicle: VehicleId, started_at: Millis, ended_at: Option<Millis>) -> Candidate {
    Candidate {
        kind,
        vehicle: Some(vehicle),
        geofence: None,
        judged_at: started_at,
        started_at,
        instant: None,
        ended_at,
        detail: AlertDetail::None,
    }
}

/// A candidate that happens at an instant, if that has come.
fn changed(candidate: Candidate, instant: Option<Millis>) -> Option<Candidate> {
    instant.map(|_| Candidate { instant, ..candidate })
}

/// Those that are raised, of each version, vehicle and geofence.
fn after_cooldowns(alerts: Vec<(Alert, &AlertRule)>) -> Vec<Alert> {
    let mut series = BTreeMap::<_, BTreeMap<Alert, i64>>::new();
    for (alert, definition) in alerts {
        let key = (alert.seq, alert.vehicle, alert.geofence);
        series.entry(key).or_default().insert(alert, definition.cooldown_ms);
    }
    let mut raised = Vec::new();
    for alerts in series.values() {
        let mut last = None;
        for (alert, cooldown_ms) in alerts {
            if *cooldown_ms == 0 || last.is_none_or(|last| alert.at - last >= *cooldown_ms) {
                raised.push(*alert);
                last = Some(alert.at);
            }
        }
    }
    raised
}

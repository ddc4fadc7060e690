//! Alerts about how many vehicles a geofence holds: the number at every instant at which it may change.

use std::collections::BTreeSet;

use super::Tables;
use super::surroundings::{Surroundings, Version, has};
use super::versions::{changes, geofence_at, name};
use watchtower_model::alerts::{AlertDetail, Than};
use watchtower_model::{Alert, AlertKind, AlertRule, BEGINNING, GeofenceId, Millis, Span, Visit};

const MINUTE_MS: i64 = 60_000;

impl Surroundings<'_> {
    /// The alerts of a version, before cooldowns.
    pub(super) fn occupancy(&self, version: Version<'_>, tables: &Tables) -> Vec<Alert> {
        let Some(than) = version.definition.than else { return Vec::new() };
        let mut alerts = Vec::new();
        for &geofence in self.geofences.keys() {
            let of_rule =
                |visit: &&Visit| visit.geofence == geofence && self.is_about_visitor(version.definition, visit);
            let visits: Vec<Visit> = tables.visits.iter().filter(of_rule).copied().collect();
            for span in self.holding(version.span, than, geofence, &visits) {
                self.of_holding(version, geofence, &visits, span, &mut alerts);
            }
        }
        alerts
    }

    fn is_about_visitor(&self, rule: &AlertRule, visit: &Visit) -> bool {
        let scope = &rule.scope;
        let fleet = self.vehicle_at(Some(visit.vehicle), visit.entered_at).and_then(|vehicle| vehicle.fleet.as_deref());
        (scope.vehicle_ids.is_empty() || scope.vehicles.contains(&visit.vehicle)) && has(&scope.fleets, fleet)
    }

    /// The maximal intervals within `span` in which the number of vehicles meets the rule and the geofence exists.
    fn holding(&self, span: Span, than: Than, geofence: GeofenceId, visits: &[Visit]) -> Vec<Span> {
        let ends = visits.iter().flat_map(|visit| [Some(visit.entered_at), visit.exited_at]).flatten();
        let versions = self.geofences.get(&geofence).map(|history| changes(history)).unwrap_or_default();
        let instants: BTreeSet<Millis> =
            ends.chain(versions.iter().map(|(t, _)| *t)).chain([span.from]).filter(|&t| span.contains(t)).collect();
        let holds = |t: Millis| than.holds(inside(visits, t)) && geofence_at(self.geofences, geofence, t).is_some();
        let mut holding = Vec::<Span>::new();
        let mut since = None;
        for t in instants {
            match (holds(t), since) {
                (true, None) => since = Some(t),
                (false, Some(from)) => {
                    holding.push(Span { from, until: t });
                    since = None;
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
        holding.extend(since.map(|from| Span { from, until: span.until }));
        holding
    }

    fn of_holding(
        &self,
        version: Version<'_>,
        geofence: GeofenceId,
        visits: &[Visit],
        holding: Span,
        alerts: &mut Vec<Alert>,
    ) {
        let Version { rule, seq, definition, .. } = version;
        let since = holding.from.saturating_add(definition.after_ms);
        if holding.from == BEGINNING || since >= holding.until || since > self.now {
            return;
        }
        let zone = &self.parameters.local_time;
        let is_active = |t: Millis| definition.hours.as_ref().is_none_or(|hours| hours.is_active(t, zone));
        let mut raise = |at: Millis, is_opening: bool| {
            if !is_active(at) || !self.is_about_place(definition, geofence, at) {
                return;
            }
            let (kind, started_at) = (AlertKind::Occupancy, holding.from);
            let detail = AlertDetail::Vehicles(inside(visits, at));
            let (vehicle, geofence, ended_at) = (None, Some(geofence), None);
            alerts.push(Alert { at, rule, seq, kind, vehicle, geofence, started_at, is_opening, ended_at, detail });
        };
        raise(since, false);
        let until = holding.until.min(self.now.saturating_add(1));
        let mut t = since.div_euclid(MINUTE_MS) * MINUTE_MS + MINUTE_MS;
        while definition.hours.is_some() && t < until {
            if !is_active(t - 1) {
                raise(t, true);
            }
            t += MINUTE_MS;
        }
    }

    fn is_about_place(&self, rule: &AlertRule, geofence: GeofenceId, at: Millis) -> bool {
        let scope = &rule.scope;
        let version = geofence_at(self.geofences, geofence, at);
        let id = version.and_then(|_| name(self.geofences, geofence));
        let kind = version.map(|geofence| geofence.kind.as_deref().unwrap_or_default());
        let tagged = |tags: &[String]| tags.iter().any(|tag| has(&scope.tags, Some(tag.as_str())));
        has(&scope.geofences, id)
            && has(&scope.kinds, kind)
            && (scope.tags.is_empty() || version.is_some_and(|geofence| tagged(&geofence.tags)))
    }
}

/// How many of the visits last at `t`.
fn inside(visits: &[Visit], t: Millis) -> i64 {
    visits.iter().filter(|visit| visit.entered_at <= t && visit.exited_at.is_none_or(|exited_at| t < exited_at)).count()
        as i64
}

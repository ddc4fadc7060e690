//! Presences and spells: visits, idlings and overspeeds as far as aggregates count them.

use super::path::Path;
use watchtower_model::facts::{Idling, Overspeed, Presence, Spell, SpellKind};
use watchtower_model::{END, Millis, Visit};

/// When each visit counts as presence: after a position for at most `presence_limit_ms`; one that lasts, up
/// to the newest usable position, in silence up to the beginning of the hour that it is now. Cut at the hours.
///
/// Where it lasts, the instant of the newest position is one of presence: a piece of its own, without
/// length, unless a piece in the same hour reaches it.
pub(super) fn presences(path: &Path<'_>, visits: &[Visit]) -> Vec<Presence> {
    let mut presences = Vec::new();
    let Some(last) = path.last() else { return presences };
    let newest = path.ts(last);
    let presence =
        |visit: &Visit, from, until| Presence { vehicle: path.vehicle, geofence: visit.geofence, from, until };
    for visit in visits {
        let mut pieces: Vec<(Millis, Millis)> =
            stays(path, visit, last).into_iter().flat_map(|(from, until)| hours(path, from, until)).collect();
        if visit.exited_at.is_none() && visit.entered_at <= newest {
            let hour = path.rules.local_time.hour_span(newest);
            if !pieces.iter().any(|&(from, until)| hour.contains(from) && from <= newest && newest <= until) {
                pieces.push((newest, newest));
            }
        }
        presences.extend(pieces.into_iter().map(|(from, until)| presence(visit, from, until)));
    }
    presences
}

/// The longest intervals of presence of one visit.
fn stays(path: &Path<'_>, visit: &Visit, last: usize) -> Vec<(Millis, Millis)> {
    let newest = path.ts(last);
    let full_hour = if path.now > newest { path.rules.local_time.hour_span(path.now).from } else { newest };
    let end = visit.exited_at.unwrap_or(newest.max(full_hour));
    let mut stays = Vec::<(Millis, Millis)>::new();
    for i in 0..=last {
        let next = if i < last { path.ts(i + 1) } else { END };
        let from = path.ts(i).max(visit.entered_at);
        let until = path.ts(i).saturating_add(path.rules.presence_limit_ms).min(next).min(end);
        if from >= until {
            continue;
        }
        match stays.last_mut() {
            Some(stay) if stay.1 == from => stay.1 = until,
            Some(_) | None => stays.push((from, until)),
        }
    }
    stays
}

/// The parts of an interval in each local hour.
fn hours(path: &Path<'_>, from: Millis, until: Millis) -> Vec<(Millis, Millis)> {
    let mut parts = Vec::new();
    let mut t = from;
    while t < until {
        let end = path.rules.local_time.hour_span(t).until.min(until);
        parts.push((t, end));
        t = end;
    }
    parts
}

/// Every idling and every overspeed, one that lasts up to the newest position.
pub(super) fn spells(path: &Path<'_>, idlings: &[Idling], overspeeds: &[Overspeed]) -> Vec<Spell> {
    let Some(last) = path.last() else { return Vec::new() };
    let newest = path.ts(last);
    let spell =
        |kind, from, until: Option<Millis>| Spell { vehicle: path.vehicle, kind, from, until: until.unwrap_or(newest) };
    let idle = idlings.iter().map(|idling| spell(SpellKind::Idling, idling.started_at, idling.ended_at));
    let fast = overspeeds.iter().map(|row| spell(SpellKind::Overspeed, row.started_at, row.ended_at));
    idle.chain(fast).collect()
}

//! Who is where: visits, and what follows from those that last.
//!
//! At each instant a vehicle is inside a geofence if the shape in force covers its place, or if it was
//! inside at the instant before and is within the `exit_buffer_m` in force. A visit is a maximal run of
//! instants inside.

use std::collections::BTreeSet;

use super::Track;
use super::versions::{Geofences, changes, definition_at};
use watchtower_model::{BEGINNING, Edit, Geofence, GeofenceId, Membership, Millis, Occupancy, Place, VehicleId, Visit};

/// Where the vehicle is deemed to be at `t`, which is not before its first position.
fn place_at(track: &Track, t: Millis) -> Option<Place> {
    track.range(..=t).next_back().map(|(_, position)| position.place)
}

/// The visits of one vehicle to every geofence.
pub(super) fn visits(vehicle: VehicleId, track: &Track, histories: &Geofences<'_>, now: Millis) -> Vec<Visit> {
    let (Some(&first), Some(&last)) = (track.keys().next(), track.keys().next_back()) else {
        return Vec::new();
    };
    let mut instants: BTreeSet<Millis> = track.keys().copied().collect();
    for history in histories.values() {
        let boundaries = changes(history).into_iter().map(|(t, _)| t);
        instants.extend(boundaries.filter(|&t| first <= t && t <= last.max(now)));
    }

    let mut visits = Vec::new();
    for (&geofence, history) in histories {
        let mut entered = None;
        for &t in &instants {
            let inside = is_inside(definition_at(history, t), place_at(track, t), entered.is_some());
            match (entered, inside) {
                (None, true) => entered = Some(t),
                (Some(entered_at), false) => {
                    visits.push(visit(vehicle, geofence, history, entered_at, Some(t), now));
                    entered = None;
                }
                (None, false) | (Some(_), true) => {}
            }
        }
        visits.extend(entered.map(|entered_at| visit(vehicle, geofence, history, entered_at, None, now)));
    }
    visits
}

/// Plain two-threshold hysteresis: the shape lets in, the buffer around it lets out.
fn is_inside(geofence: Option<&Geofence>, place: Option<Place>, was_inside: bool) -> bool {
    let (Some(geofence), Some(place)) = (geofence, place) else {
        return false;
    };
    let buffer_m = geofence.exit_buffer_m;
    geofence.shape.covers(place) || (was_inside && buffer_m > 0.0 && geofence.shape.covers_buffered(place, buffer_m))
}

/// A visit is confirmed once it lasted the dwell asked for when it began, by its exit or by the clock.
fn visit(
    vehicle: VehicleId,
    geofence: GeofenceId,
    history: &[&Edit<GeofenceId, Geofence>],
    entered_at: Millis,
    exited_at: Option<Millis>,
    now: Millis,
) -> Visit {
    let until = i128::from(exited_at.unwrap_or(now));
    let confirmed = definition_at(history, entered_at).is_some_and(|at_entry| {
        (exited_at.is_some() || now != BEGINNING) && until - i128::from(entered_at) >= i128::from(at_entry.min_dwell_ms)
    });
    Visit { vehicle, geofence, entered_at, exited_at, confirmed }
}

/// Whether the visit holds the instant `t`.
pub(super) fn is_during(visit: &Visit, t: Millis) -> bool {
    visit.entered_at <= t && visit.exited_at.is_none_or(|exited_at| t < exited_at)
}

/// An open visit, as who is where.
pub(super) fn membership(visit: &Visit) -> Membership {
    Membership { vehicle: visit.vehicle, geofence: visit.geofence, entered_at: visit.entered_at }
}

/// How many are inside each geofence that is in force at `now`, and each other one with anybody inside.
pub(super) fn occupancy(
    membership: &BTreeSet<Membership>,
    histories: &Geofences<'_>,
    now: Millis,
) -> BTreeSet<Occupancy> {
    let mut rows = BTreeSet::new();
    for (&geofence, history) in histories {
        let vehicles = membership.iter().filter(|member| member.geofence == geofence).count();
        if vehicles > 0 || definition_at(history, now).is_some() {
            rows.insert(Occupancy { geofence, vehicles: vehicles as i64 });
        }
    }
    rows
}

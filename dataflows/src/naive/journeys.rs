//! Trips and turnarounds: from one confirmed visit to the next.

use std::collections::BTreeSet;

use super::path::Path;
use super::versions::{Geofences, geofence_at, name, smallest};
use super::visits::is_during;
use watchtower_model::facts::{Arrival, Stop, Trip, TripMeasures, Turnaround};
use watchtower_model::{Geofence, GeofenceId, Millis, Visit};

/// The confirmed visits to geofences that were such when they were entered.
fn confirmed(visits: &[Visit], geofences: &Geofences<'_>, such: impl Fn(&Geofence) -> bool) -> Vec<Visit> {
    let of_such = |visit: &&Visit| geofence_at(geofences, visit.geofence, visit.entered_at).is_some_and(&such);
    visits.iter().filter(|visit| visit.confirmed).filter(of_such).copied().collect()
}

fn is_terminal(geofence: &Geofence) -> bool {
    geofence.kind.as_deref() == Some("terminal")
}

/// The instants at which a visit ends and no other lasts or begins, with the geofence left.
fn departures(visits: &[Visit], geofences: &Geofences<'_>) -> Vec<(Millis, GeofenceId)> {
    let exits: BTreeSet<Millis> = visits.iter().filter_map(|visit| visit.exited_at).collect();
    let outside = exits.into_iter().filter(|&t| !visits.iter().any(|visit| is_during(visit, t)));
    let with_origin = outside.filter_map(|t| {
        let left = visits.iter().filter(|visit| visit.exited_at == Some(t)).map(|visit| visit.geofence);
        Some((t, smallest(geofences, left)?))
    });
    with_origin.collect()
}

/// The first entry after `t`, with the geofence reached.
fn next_arrival(visits: &[Visit], geofences: &Geofences<'_>, t: Millis) -> Option<(Millis, GeofenceId)> {
    let arrived_at = visits.iter().map(|visit| visit.entered_at).filter(|&entered_at| entered_at > t).min()?;
    let reached = visits.iter().filter(|visit| visit.entered_at == arrived_at).map(|visit| visit.geofence);
    Some((arrived_at, smallest(geofences, reached)?))
}

/// From leaving an anchor to reaching the next one.
pub(super) fn trips(path: &Path<'_>, visits: &[Visit], stops: &[Stop], geofences: &Geofences<'_>) -> Vec<Trip> {
    let anchors = confirmed(visits, geofences, Geofence::is_anchor);
    let trip = |(departed_at, origin)| {
        let arrival = next_arrival(&anchors, geofences, departed_at).map(|(arrived_at, destination)| Arrival {
            destination,
            arrived_at,
            measures: measures(path, stops, departed_at, arrived_at),
        });
        Trip { vehicle: path.vehicle, origin, departed_at, arrival }
    };
    departures(&anchors, geofences).into_iter().map(trip).collect()
}

fn measures(path: &Path<'_>, stops: &[Stop], departed_at: Millis, arrived_at: Millis) -> TripMeasures {
    let measures = path.measures(departed_at, arrived_at);
    let on_the_way = stops.iter().filter(|stop| departed_at <= stop.started_at && stop.started_at < arrived_at);
    TripMeasures {
        distance_mm: measures.distance_mm,
        gap_mm: measures.gap_mm,
        moving_ms: measures.moving_ms,
        stopped_ms: measures.stopped_ms,
        stops: on_the_way.count() as i64,
        max_speed: measures.max_speed,
    }
}

/// From leaving a terminal to reaching one, if another anchor is entered in between.
pub(super) fn turnarounds(path: &Path<'_>, visits: &[Visit], geofences: &Geofences<'_>) -> Vec<Turnaround> {
    let terminals = confirmed(visits, geofences, |geofence| geofence.is_anchor() && is_terminal(geofence));
    let others = confirmed(visits, geofences, |geofence| geofence.is_anchor() && !is_terminal(geofence));
    let turnaround = |(departed_at, terminal_left)| {
        let (returned_at, terminal_reached) = next_arrival(&terminals, geofences, departed_at)?;
        let mut clients: Vec<&Visit> =
            others.iter().filter(|visit| departed_at <= visit.entered_at && visit.entered_at < returned_at).collect();
        clients.sort_by_key(|visit| (visit.entered_at, name(geofences, visit.geofence)));
        (!clients.is_empty()).then(|| Turnaround {
            vehicle: path.vehicle,
            terminal_left,
            departed_at,
            terminal_reached,
            returned_at,
            clients: clients.iter().map(|visit| visit.geofence).collect(),
            distance_mm: path.measures(departed_at, returned_at).distance_mm,
        })
    };
    departures(&terminals, geofences).into_iter().filter_map(turnaround).collect()
}

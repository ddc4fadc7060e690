//! The tables recomputed from the whole log: the definition that the incremental engine is held to.
//!
//! Everything here is a transcription of the rules, one function a rule, by search over all events.
//! Nothing is indexed, remembered or shared with the engine, save the geometry and the row types.
//!
//! * Of the events of one (vehicle, ts) the last in the log holds; a withdrawn one leaves nothing.
//! * The version of a geofence in force at `t` is, of its edits with `effective_from <= t`, the one
//!   with the greatest `(valid_from, seq)`; a deletion is a version that says nothing.
//! * A vehicle is at a position from its `ts` until the next one's. Its *instants* are its positions'
//!   times, and every time from its first position on at which some version begins or ends, up to the
//!   present: the later of `now` and its last position. Between two instants nothing can change.
//! * At each instant it is inside a geofence if the shape in force covers its place, or if it was
//!   inside at the instant before and is within the `exit_buffer_m` in force. A visit is a maximal
//!   run of instants inside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::geometry::geodesic::distance_mm;
use crate::model::{
    BEGINNING, END, Edit, Geofence, GeofenceEdit, GeofenceId, InForce, Membership, Millis, Occupancy, Offline, Place,
    Position, PositionEvent, Rules, Speed, Status, VehicleEdit, VehicleId, VehicleState, Visit,
};

/// Every table, each row once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// `visits`.
    pub visits: BTreeSet<Visit>,
    /// `geofence_membership`.
    pub membership: BTreeSet<Membership>,
    /// `geofence_occupancy`.
    pub occupancy: BTreeSet<Occupancy>,
    /// `offlines`.
    pub offlines: BTreeSet<Offline>,
    /// `vehicle_state`.
    pub vehicle_state: BTreeSet<VehicleState>,
    /// `geofences`.
    pub geofences: BTreeSet<InForce<GeofenceId>>,
    /// `vehicles`.
    pub vehicles: BTreeSet<InForce<VehicleId>>,
}

/// The tables after a prefix of the log: `positions`, all accepted, in the order of the log (their
/// `seq` is not looked at), the edits in any order, and the log's own time, [`BEGINNING`] if it has
/// said nothing about it. `rules.retention_ms` plays no part: nothing is forgotten here.
pub fn recompute(
    positions: &[PositionEvent],
    geofences: &[GeofenceEdit],
    vehicles: &[VehicleEdit],
    now: Millis,
    rules: &Rules,
) -> Tables {
    let histories = histories(geofences);
    let mut tables = Tables {
        geofences: in_force_rows(&histories),
        vehicles: in_force_rows(&self::histories(vehicles)),
        ..Tables::default()
    };

    for (vehicle, track) in tracks(positions) {
        let visits = visits(vehicle, &track, &histories, now);
        let offlines = offlines(vehicle, &track, now, rules);
        tables.vehicle_state.extend(vehicle_state(vehicle, &track, &visits, &offlines, rules));
        tables.membership.extend(visits.iter().filter(|visit| visit.exited_at.is_none()).map(membership));
        tables.visits.extend(visits);
        tables.offlines.extend(offlines);
    }
    tables.occupancy = occupancy(&tables.membership, &histories, now);
    tables
}

/// A vehicle's positions by time.
type Track = BTreeMap<Millis, Position>;

/// The track of each vehicle that has a position left.
fn tracks(positions: &[PositionEvent]) -> BTreeMap<VehicleId, Track> {
    let mut tracks = BTreeMap::<VehicleId, Track>::new();
    for event in positions {
        let track = tracks.entry(event.vehicle).or_default();
        if event.withdrawn {
            track.remove(&event.position.ts);
        } else {
            track.insert(event.position.ts, event.position);
        }
    }
    tracks.retain(|_, track| !track.is_empty());
    tracks
}

/// The edits of each key.
type Histories<'a, K, D> = BTreeMap<K, Vec<&'a Edit<K, D>>>;

fn histories<K: Copy + Ord, D>(edits: &[Edit<K, D>]) -> Histories<'_, K, D> {
    let mut histories = Histories::new();
    for edit in edits {
        histories.entry(edit.key).or_default().push(edit);
    }
    histories
}

/// The edit in force at `t`, which may be a deletion.
fn edit_at<'a, K, D>(history: &[&'a Edit<K, D>], t: Millis) -> Option<&'a Edit<K, D>> {
    let effective = history.iter().filter(|edit| edit.effective_from <= t);
    effective.max_by_key(|edit| (edit.valid_from, edit.seq)).copied()
}

/// What holds at `t`: nothing before the first edit, nor after a deletion.
fn definition_at<'a, K, D>(history: &[&'a Edit<K, D>], t: Millis) -> Option<&'a D> {
    edit_at(history, t).and_then(|edit| edit.definition.as_deref())
}

/// The times at which another edit comes into force, ascending, with that edit.
fn changes<'a, K, D>(history: &[&'a Edit<K, D>]) -> Vec<(Millis, &'a Edit<K, D>)> {
    let times: BTreeSet<Millis> = history.iter().map(|edit| edit.effective_from).collect();
    let mut changes: Vec<(Millis, &Edit<K, D>)> =
        times.into_iter().filter_map(|t| Some((t, edit_at(history, t)?))).collect();
    changes.dedup_by_key(|(_, edit)| (edit.valid_from, edit.seq));
    changes
}

/// When which version is in force.
fn in_force_rows<K: Copy + Ord, D>(histories: &Histories<'_, K, D>) -> BTreeSet<InForce<K>> {
    let mut rows = BTreeSet::new();
    for (&key, history) in histories {
        let changes = changes(history);
        for (i, &(effective_from, edit)) in changes.iter().enumerate() {
            let effective_until = changes.get(i + 1).map_or(END, |&(t, _)| t);
            if edit.definition.is_some() {
                rows.insert(InForce {
                    key,
                    effective_from,
                    effective_until,
                    valid_from: edit.valid_from,
                    seq: edit.seq,
                });
            }
        }
    }
    rows
}

/// Where the vehicle is deemed to be at `t`, which is not before its first position.
fn place_at(track: &Track, t: Millis) -> Option<Place> {
    track.range(..=t).next_back().map(|(_, position)| position.place)
}

/// The visits of one vehicle to every geofence.
fn visits(
    vehicle: VehicleId,
    track: &Track,
    histories: &Histories<'_, GeofenceId, Geofence>,
    now: Millis,
) -> Vec<Visit> {
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

/// Every silence longer than `offline_after_ms`, the one that still lasts included.
fn offlines(vehicle: VehicleId, track: &Track, now: Millis, rules: &Rules) -> Vec<Offline> {
    let times: Vec<Millis> = track.keys().copied().collect();
    let mut offlines = Vec::new();
    for pair in times.windows(2) {
        if is_offline_gap(pair[0], pair[1], rules) {
            offlines.push(Offline { vehicle, started_at: pair[0], ended_at: Some(pair[1]) });
        }
    }
    let silent = times.last().filter(|&&last| is_offline_gap(last, now, rules));
    offlines.extend(silent.map(|&started_at| Offline { vehicle, started_at, ended_at: None }));
    offlines
}

fn is_offline_gap(from: Millis, until: Millis, rules: &Rules) -> bool {
    i128::from(until) - i128::from(from) > i128::from(rules.offline_after_ms)
}

/// The state of a vehicle as of its last position, but for silence, which the clock tells.
fn vehicle_state(
    vehicle: VehicleId,
    track: &Track,
    visits: &[Visit],
    offlines: &[Offline],
    rules: &Rules,
) -> Option<VehicleState> {
    let (_, last) = track.last_key_value()?;
    let status = if offlines.iter().any(|offline| offline.ended_at.is_none()) {
        Status::Offline
    } else if speed(track, last, rules).is_some_and(|speed| speed >= rules.idle_speed) {
        Status::Moving
    } else {
        Status::Stopped
    };
    let open = visits.iter().filter(|visit| visit.exited_at.is_none());
    let inside: BTreeSet<GeofenceId> = open.map(|visit| visit.geofence).collect();
    Some(VehicleState {
        vehicle,
        ts: last.ts,
        place: last.place,
        speed: last.speed,
        heading: last.heading,
        status,
        inside: inside.into_iter().collect::<Arc<[GeofenceId]>>(),
    })
}

/// The speed at a position: as reported if plausible, else the mean since the position before, if
/// that is plausible and spans no offline; else it cannot be told.
fn speed(track: &Track, position: &Position, rules: &Rules) -> Option<Speed> {
    let plausible = |speed: &Speed| *speed != Speed::NONE && *speed <= rules.max_plausible;
    if plausible(&position.speed) {
        return Some(position.speed);
    }
    let (_, before) = track.range(..position.ts).next_back()?;
    if is_offline_gap(before.ts, position.ts, rules) {
        return None;
    }
    let mean = Speed::mean(distance_mm(before.place, position.place), position.ts - before.ts);
    Some(mean).filter(plausible)
}

/// An open visit, as who is where.
fn membership(visit: &Visit) -> Membership {
    Membership { vehicle: visit.vehicle, geofence: visit.geofence, entered_at: visit.entered_at }
}

/// How many are inside each geofence that is in force at `now`, and each other one with anybody inside.
fn occupancy(
    membership: &BTreeSet<Membership>,
    histories: &Histories<'_, GeofenceId, Geofence>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Shape;
    use crate::model::{Heading, Vehicle};

    const V: VehicleId = VehicleId(1);
    const G: GeofenceId = GeofenceId(7);

    /// The vehicle is `lon` degrees east of the west side of [`square`].
    fn at(ts: Millis, lon: f64) -> PositionEvent {
        let place = Place::from_degrees(lon, 0.5);
        let position = Position { ts, place, speed: Speed::NONE, heading: Heading::NONE, ignition: false };
        PositionEvent { vehicle: V, seq: 0, position, withdrawn: false }
    }

    fn withdrawn(ts: Millis) -> PositionEvent {
        PositionEvent { withdrawn: true, ..at(ts, 0.0) }
    }

    fn reported(ts: Millis, lon: f64, kmh: f64) -> PositionEvent {
        let mut event = at(ts, lon);
        event.position.speed = Speed::from_kmh(kmh);
        event
    }

    /// One degree wide, from longitude `west`.
    fn square(west: f64) -> Geofence {
        let east = west + 1.0;
        let ring = vec![[west, 0.0], [east, 0.0], [east, 1.0], [west, 1.0], [west, 0.0]];
        Geofence {
            id: "yard".into(),
            name: None,
            kind: None,
            anchor: None,
            tags: Vec::new(),
            min_dwell_ms: 0,
            exit_buffer_m: 0.0,
            speed_limit: Speed::NONE,
            shape: Arc::new(Shape::from_polygons(vec![vec![ring]]).expect("a square is valid")),
        }
    }

    fn edit(valid_from: Millis, effective_from: Millis, seq: u64, definition: Option<Geofence>) -> GeofenceEdit {
        Edit { key: G, valid_from, effective_from, seq, definition: definition.map(Arc::new) }
    }

    fn since_ever(definition: Geofence) -> GeofenceEdit {
        edit(BEGINNING, BEGINNING, 0, Some(definition))
    }

    fn rules() -> Rules {
        Rules { offline_after_ms: 1_000, ..Rules::default() }
    }

    fn tables(positions: &[PositionEvent], geofences: &[GeofenceEdit], now: Millis) -> Tables {
        recompute(positions, geofences, &[], now, &rules())
    }

    /// `(entered_at, exited_at, confirmed)` of each visit.
    fn visits_of(tables: &Tables) -> Vec<(Millis, Option<Millis>, bool)> {
        tables.visits.iter().map(|visit| (visit.entered_at, visit.exited_at, visit.confirmed)).collect()
    }

    #[test]
    fn a_visit_lasts_until_the_first_position_outside() {
        let track = [at(0, -1.0), at(10, 0.0), at(20, 0.5), at(30, 1.5), at(40, 1.0)];
        let tables = tables(&track, &[since_ever(square(0.0))], BEGINNING);
        assert_eq!(visits_of(&tables), [(10, Some(30), true), (40, None, false)], "the border is inside");
        assert_eq!(tables.membership, BTreeSet::from([Membership { vehicle: V, geofence: G, entered_at: 40 }]));
        assert_eq!(tables.occupancy, BTreeSet::from([Occupancy { geofence: G, vehicles: 1 }]));
        assert_eq!(tables.vehicle_state.first().map(|state| state.inside.to_vec()), Some(vec![G]));
    }

    #[test]
    fn of_equal_times_the_last_in_the_log_holds() {
        let geofences = [since_ever(square(0.0))];
        let late = [at(10, 0.5), at(30, 1.5), at(0, 0.5), at(20, 2.0)];
        assert_eq!(visits_of(&tables(&late, &geofences, BEGINNING)), [(0, Some(20), true)]);
        let corrected = [at(10, 0.5), at(30, 1.5), at(10, 2.0), at(30, 0.5)];
        assert_eq!(visits_of(&tables(&corrected, &geofences, BEGINNING)), [(30, None, false)]);
        let gone = [at(10, 0.5), at(30, 1.5), withdrawn(30), withdrawn(99)];
        assert_eq!(visits_of(&tables(&gone, &geofences, BEGINNING)), [(10, None, false)]);
        let back = [at(10, 0.5), withdrawn(10), at(10, 0.6)];
        assert_eq!(visits_of(&tables(&back, &geofences, BEGINNING)), [(10, None, false)]);
        let nothing = tables(&[at(10, 0.5), withdrawn(10)], &geofences, 50);
        assert_eq!(nothing.vehicle_state, BTreeSet::new());
        assert_eq!(nothing.occupancy, BTreeSet::from([Occupancy { geofence: G, vehicles: 0 }]));
    }

    #[test]
    fn a_dwell_is_that_of_the_version_at_entry() {
        let dwell = |min_dwell_ms| Geofence { min_dwell_ms, ..square(0.0) };
        let geofences = [since_ever(dwell(20)), edit(15, 15, 1, Some(dwell(5)))];
        let track = [at(10, 0.5), at(29, 1.5), at(40, 0.5), at(45, 1.5), at(50, 0.5)];
        let confirmed =
            |now| visits_of(&tables(&track, &geofences, now)).iter().map(|visit| visit.2).collect::<Vec<_>>();
        assert_eq!(confirmed(BEGINNING), [false, true, false]);
        assert_eq!(confirmed(54), [false, true, false]);
        assert_eq!(confirmed(55), [false, true, true]);
        let never = [since_ever(dwell(i64::MAX))];
        assert_eq!(visits_of(&tables(&[at(10, 0.5)], &never, 1_000)), [(10, None, false)]);
        assert_eq!(visits_of(&tables(&[at(10, 0.5)], &[since_ever(dwell(0))], BEGINNING)), [(10, None, false)]);
        assert_eq!(
            visits_of(&tables(&[at(10, 0.5)], &[since_ever(dwell(0))], 9)),
            [(10, None, false)],
            "now is behind"
        );
    }

    #[test]
    fn versions_begin_and_end_visits_between_positions() {
        let track = [at(10, 0.5), at(100, 0.6)];
        let created = [edit(40, 40, 0, Some(square(0.0)))];
        assert_eq!(visits_of(&tables(&track, &created, BEGINNING)), [(40, None, false)]);
        let same_again = [since_ever(square(0.0)), edit(40, 40, 1, Some(square(0.0)))];
        assert_eq!(visits_of(&tables(&track, &same_again, BEGINNING)), [(10, None, false)]);
        let moved_and_back =
            [since_ever(square(0.0)), edit(40, 40, 1, Some(square(5.0))), edit(60, 60, 2, Some(square(0.0)))];
        assert_eq!(visits_of(&tables(&track, &moved_and_back, BEGINNING)), [(10, Some(40), true), (60, None, false)]);
        let deleted_later = [since_ever(square(0.0)), edit(150, 150, 1, None)];
        assert_eq!(visits_of(&tables(&track, &deleted_later, 149)), [(10, None, true)]);
        assert_eq!(visits_of(&tables(&track, &deleted_later, 150)), [(10, Some(150), true)], "now has reached it");
        let ahead_of_now = tables(&[at(200, 0.5)], &deleted_later, 20);
        assert_eq!(visits_of(&ahead_of_now), [], "a position of the vehicle has reached it");
    }

    #[test]
    fn the_buffer_keeps_in_but_does_not_let_in() {
        // 0.001 degrees of longitude are 111 m here.
        let buffered = |exit_buffer_m| Geofence { exit_buffer_m, ..square(0.0) };
        let geofences = [since_ever(buffered(150.0))];
        let track = [at(0, 1.001), at(10, 1.0), at(20, 1.001), at(30, 1.002), at(40, 1.001)];
        assert_eq!(visits_of(&tables(&track, &geofences, BEGINNING)), [(10, Some(30), true)]);
        let narrowed = [since_ever(buffered(150.0)), edit(25, 25, 1, Some(buffered(50.0)))];
        assert_eq!(visits_of(&tables(&track, &narrowed, BEGINNING)), [(10, Some(25), true)]);
        let none = [since_ever(square(0.0))];
        assert_eq!(visits_of(&tables(&track, &none, BEGINNING)), [(10, Some(20), true)]);
    }

    #[test]
    fn in_force_is_the_greatest_valid_from_that_is_effective() {
        let row = |effective_from, effective_until, valid_from, seq| InForce {
            key: G,
            effective_from,
            effective_until,
            valid_from,
            seq,
        };
        let square = || Some(square(0.0));
        let rows = |edits: &[GeofenceEdit]| tables(&[], edits, 0).geofences.into_iter().collect::<Vec<_>>();
        assert_eq!(rows(&[edit(5, 5, 0, square()), edit(9, 9, 1, None)]), [row(5, 9, 5, 0)]);
        assert_eq!(rows(&[edit(5, 5, 0, square()), edit(5, 5, 1, square())]), [row(5, END, 5, 1)], "replaced");
        assert_eq!(
            rows(&[edit(5, 5, 0, square()), edit(5, 8, 1, square())]),
            [row(5, 8, 5, 0), row(8, END, 5, 1)],
            "raised: until then what it replaces stays"
        );
        assert_eq!(
            rows(&[edit(7, 7, 0, square()), edit(3, 9, 1, square())]),
            [row(7, END, 7, 0)],
            "raised past its successor"
        );
        assert_eq!(
            rows(&[edit(7, 20, 0, square()), edit(9, 12, 1, None), edit(3, 3, 2, square())]),
            [row(3, 12, 3, 2)],
            "back-dated, then deleted before the one between could hold"
        );
    }

    #[test]
    fn occupancy_has_a_row_while_a_version_is_in_force() {
        let geofences = [edit(10, 10, 0, Some(square(0.0))), edit(20, 20, 1, None)];
        let rows = |positions: &[PositionEvent], now| {
            tables(positions, &geofences, now).occupancy.into_iter().map(|row| row.vehicles).collect::<Vec<_>>()
        };
        assert!(rows(&[], BEGINNING).is_empty());
        assert!(rows(&[], 9).is_empty());
        assert_eq!(rows(&[], 10), [0]);
        assert!(rows(&[], 20).is_empty());
        assert_eq!(rows(&[at(15, 0.5)], 5), [1], "inside ahead of now");
        assert_eq!(rows(&[at(15, 0.5)], 15), [1]);
        assert!(rows(&[at(15, 0.5)], 20).is_empty());
    }

    #[test]
    fn an_offline_is_longer_than_the_rule() {
        let track = [at(0, 5.0), at(1_000, 5.0), at(2_001, 5.0)];
        let gap = Offline { vehicle: V, started_at: 1_000, ended_at: Some(2_001) };
        let silence = Offline { vehicle: V, started_at: 2_001, ended_at: None };
        assert_eq!(tables(&track, &[], BEGINNING).offlines, BTreeSet::from([gap]));
        assert_eq!(tables(&track, &[], 3_001).offlines, BTreeSet::from([gap]));
        let silent = tables(&track, &[], 3_002);
        assert_eq!(silent.offlines, BTreeSet::from([gap, silence]));
        assert_eq!(silent.vehicle_state.first().map(|state| state.status), Some(Status::Offline));
    }

    #[test]
    fn status_is_told_by_the_best_known_speed() {
        let status = |track: &[PositionEvent]| {
            tables(track, &[], BEGINNING).vehicle_state.first().map(|state| state.status).expect("one vehicle")
        };
        assert_eq!(status(&[reported(0, 0.0, 5.0)]), Status::Moving);
        assert_eq!(status(&[reported(0, 0.0, 4.9)]), Status::Stopped);
        assert_eq!(status(&[at(0, 0.0)]), Status::Stopped, "cannot be told");
        // 0.0001 degrees are 11 m: 40 km/h in a second, 400 in a tenth of one.
        assert_eq!(status(&[at(0, 0.0), at(1_000, 0.0001)]), Status::Moving);
        assert_eq!(status(&[at(0, 0.0), reported(1_000, 0.0001, 0.0)]), Status::Stopped);
        assert_eq!(status(&[at(0, 0.0), reported(1_000, 0.0001, 251.0)]), Status::Moving, "a fault of the receiver");
        assert_eq!(status(&[at(0, 0.0), at(100, 0.0001)]), Status::Stopped, "the mean is implausible too");
        assert_eq!(status(&[at(0, 0.0), at(1_001, 0.0001)]), Status::Stopped, "across an offline");
        assert_eq!(status(&[at(0, 0.0), at(1_000, 0.0)]), Status::Stopped);
    }

    #[test]
    fn vehicles_have_versions_too() {
        let vehicle = Vehicle { name: None, fleet: None, speed_limit: Speed::NONE, attributes: None };
        let edit =
            |valid_from, seq, definition| Edit { key: V, valid_from, effective_from: valid_from, seq, definition };
        let edits = [edit(5, 0, Some(Arc::new(vehicle))), edit(8, 1, None)];
        let rows = recompute(&[], &[], &edits, BEGINNING, &rules()).vehicles;
        let row = InForce { key: V, effective_from: 5, effective_until: 8, valid_from: 5, seq: 0 };
        assert_eq!(rows, BTreeSet::from([row]));
    }
}

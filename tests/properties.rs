//! The promise, tried on random logs: after every epoch the tables equal a recomputation over the
//! prefix of the log, however it is cut, whatever is late, on any number of workers.
//!
//! `WATCHTOWER_CASES` is how many logs each property is tried on, `WATCHTOWER_SEED` the first seed.

use std::sync::Arc;

use watchtower_dataflows::naive::Tables;
use watchtower_model::geometry::Shape;
use watchtower_model::{
    Alert, AlertKind, Edit, Geofence, GeofenceId, Heading, Ignition, Mark, Millis, Place, Position, PositionEvent,
    Rules, Speed, VehicleId, ViewSet,
};

use crate::support::facts;
use crate::support::generate;
use crate::support::harness::{Expected, Failure, Watchdog, check, expected};
use crate::support::log::{Case, Event};
use crate::support::shrink::shrink;
use crate::support::{cases, number};

/// Numbers of workers that each log is run on.
const WORKERS: [usize; 3] = [1, 2, 4];

/// As many as take some forty seconds on two cores.
const CASES: u64 = 400;

/// How a log is run on so many workers, and what is wrong then.
type Check = fn(&Case, usize, &Expected) -> Result<(), Failure>;

/// What must hold of a log.
#[derive(Clone, Copy)]
struct Property {
    name: &'static str,
    workers: &'static [usize],
    check: Check,
    case: fn(u64) -> Case,
    expected: fn(&Case) -> Expected,
}

impl Property {
    /// Tries it on the seeds that once failed, then on new ones.
    fn holds(self) {
        let once_failed =
            include_str!("seeds.txt").lines().filter_map(|line| line.split('#').next()?.trim().parse().ok());
        let first = number("WATCHTOWER_SEED").unwrap_or(0);
        let cases = cases(CASES, 1);
        let watchdog = Watchdog::new();
        for seed in once_failed.chain(first..first + cases) {
            let case = (self.case)(seed);
            let expected = (self.expected)(&case);
            for &workers in self.workers {
                watchdog.begin(format!("{}: seed {seed} on {workers} workers", self.name));
                if let Err(failure) = (self.check)(&case, workers, &expected) {
                    panic!("{}", self.report(seed, workers, case, &failure));
                }
            }
        }
    }

    fn fails(self, case: &Case, workers: usize) -> Option<Failure> {
        (self.check)(case, workers, &(self.expected)(case)).err()
    }

    /// What failed, and the smallest log found that does.
    fn report(self, seed: u64, workers: usize, mut case: Case, failure: &Failure) -> String {
        let Failure { epoch, what } = failure;
        let epochs = case.epochs.len();
        case.epochs.truncate(epoch + 1);
        let workers_too = if self.fails(&case, 1).is_some() { 1 } else { workers };
        let small = shrink(case, |case| self.fails(case, workers_too).is_some());
        let (small_epoch, small_what) = match self.fails(&small, workers_too) {
            Some(Failure { epoch, what }) => (epoch, what),
            None => (0, "not every time\n".to_owned()),
        };
        format!(
            "{}: seed {seed} on {workers} workers, after epoch {epoch} of {epochs}:\n{what}\n\
             the log below fails on {workers_too} workers, after epoch {small_epoch}:\n{small_what}\n{small}",
            self.name
        )
    }
}

/// Only of the last epoch.
fn expected_in_the_end(case: &Case) -> Expected {
    let last = case.epochs.len();
    last.checked_sub(1).map(|epoch| (epoch, case.expected(last))).into_iter().collect()
}

#[test]
fn tables_equal_a_recomputation_after_every_epoch() {
    Property { name: "replay", workers: &WORKERS, check, case: generate::replay, expected }.holds();
}

#[test]
fn tables_equal_a_recomputation_though_the_past_is_forgotten() {
    Property { name: "live", workers: &WORKERS, check, case: generate::live, expected }.holds();
}

/// Those that are said to be empty are, and the others what they are when all are there.
#[test]
fn tables_of_the_membership_set_equal_a_recomputation_after_every_epoch() {
    fn case(seed: u64) -> Case {
        let case = if seed.is_multiple_of(2) { generate::replay(seed) } else { generate::live(seed) };
        Case { rules: Rules { views: ViewSet::Membership, ..case.rules }, ..case }
    }
    for seed in 0..100 {
        let (all, some) = (in_the_end(&generate::replay(2 * seed)), in_the_end(&case(2 * seed)));
        let Tables {
            marks, visits, membership, occupancy, offlines, vehicle_state, geofences, vehicles, rules, ..
        } = all;
        let only = Tables {
            marks,
            visits,
            membership,
            occupancy,
            offlines,
            vehicle_state,
            geofences,
            vehicles,
            rules,
            ..Tables::default()
        };
        assert_eq!(some, only, "the oracle itself, seed {}", 2 * seed);
    }
    Property { name: "membership", workers: &[1, 3], check, case, expected }.holds();
}

#[test]
fn tables_do_not_depend_on_the_order_of_arrival() {
    fn case(seed: u64) -> Case {
        let case = generate::replay(seed);
        let permuted = generate::permuted(seed, &case);
        assert_eq!(in_the_end(&case), in_the_end(&permuted), "the oracle itself, seed {seed}");
        permuted
    }
    Property { name: "permuted", workers: &WORKERS, check, case, expected: expected_in_the_end }.holds();
}

#[test]
fn facts_equal_a_recomputation_after_every_epoch() {
    fn check(case: &Case, _: usize, expected: &Expected) -> Result<(), Failure> {
        facts::check(case, expected)
    }
    Property { name: "facts of a replay", workers: &[1], check, case: generate::replay, expected }.holds();
    Property { name: "facts of a live log", workers: &[1], check, case: generate::live, expected }.holds();
}

fn in_the_end(case: &Case) -> Tables {
    case.expected(case.epochs.len())
}

/// A version in force only between the last position of one chunk of a track and the first of the
/// next, arriving together with a late position further on in that chunk.
#[test]
fn a_version_between_two_chunks_is_seen_though_a_late_position_comes_with_it() {
    let position = |ts| {
        let place = Place { lon: 34_725_000, lat: 65_530_000 };
        let (speed, heading, ignition) = (Speed::NONE, Heading::NONE, Ignition::Unknown);
        let position = Position { ts, place, speed, heading, ignition, mark: Mark::None };
        Event::Position(PositionEvent { vehicle: VehicleId(0), seq: 0, position, withdrawn: false })
    };
    let shape = Arc::new(Shape::circle([3.4725, 6.553], 300.0).unwrap());
    let geofence = Geofence {
        id: "yard".into(),
        name: None,
        kind: None,
        anchor: None,
        tags: Vec::new(),
        min_dwell_ms: 0,
        exit_buffer_m: 0.0,
        speed_limit: Speed::NONE,
        shape,
    };
    let edit = |t, seq, definition| {
        Event::Geofence(Edit { key: GeofenceId(0), valid_from: t, effective_from: t, seq, definition }, None)
    };
    for length in 60..70 {
        let track: Vec<Event> = (0..length + 2).map(|i| position(i * 1_000)).collect();
        let last_of_chunk = (length - 1) * 1_000;
        let late = [
            edit(last_of_chunk + 300, 0, Some(Arc::new(geofence.clone()))),
            edit(last_of_chunk + 600, 1, None),
            position(last_of_chunk + 1_500),
        ];
        let case = Case {
            rules: Rules::default(),
            epochs: vec![track, late.to_vec()],
            backwards: false,
            ahead: false,
            restarts_after: Some(0),
        };
        assert_eq!(in_the_end(&case).visits.len(), 1);
        check(&case, 1, &expected(&case)).unwrap();
    }
}

/// Whether the version of the rule has a cooldown.
fn has_cooldown(case: &Case, alert: &Alert) -> bool {
    case.events().any(|event| match event {
        Event::Rule(edit) if edit.key == alert.rule && edit.seq == alert.seq => {
            edit.definition.as_ref().is_some_and(|rule| rule.cooldown_ms > 0)
        }
        _ => false,
    })
}

/// What the random logs are meant to be full of is there.
#[test]
fn random_logs_reach_what_matters() {
    let mut seen = Seen::default();
    for seed in 0..200 {
        seen.look_at(&generate::replay(seed));
        seen.look_at(&generate::live(seed));
    }
    let Seen {
        open,
        confirmed,
        unconfirmed,
        offlines,
        several_inside,
        withdrawn,
        long_tracks,
        several_versions,
        stops,
        idlings,
        overspeeds,
        trips,
        turnarounds,
        absent,
        days,
        alerts,
        openings,
        cooled,
    } = seen;
    assert!(alerts.iter().all(|&count| count >= 10), "alerts by kind: {seen:?}");
    let counts = [
        open,
        confirmed,
        unconfirmed,
        offlines,
        several_inside,
        withdrawn,
        long_tracks,
        several_versions,
        stops,
        idlings,
        overspeeds,
        trips,
        turnarounds,
        absent,
        days,
        openings,
        cooled,
    ];
    assert!(counts.iter().all(|&count| count >= 20), "{seen:?}");
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    open: usize,
    confirmed: usize,
    unconfirmed: usize,
    offlines: usize,
    several_inside: usize,
    withdrawn: usize,
    long_tracks: usize,
    several_versions: usize,
    /// That have ended, as the next two.
    stops: usize,
    idlings: usize,
    /// Above a geofence's limit.
    overspeeds: usize,
    /// That have arrived.
    trips: usize,
    turnarounds: usize,
    /// Visits with more than one presence in an hour.
    absent: usize,
    /// Vehicles with more than one day.
    days: usize,
    /// Alerts of each kind.
    alerts: [usize; AlertKind::NAMES.len()],
    /// Alerts because the hours of a rule begin.
    openings: usize,
    /// Alerts of rules with a cooldown.
    cooled: usize,
}

impl Seen {
    fn look_at(&mut self, case: &Case) {
        let tables = in_the_end(case);
        let ended = || tables.visits.iter().filter(|visit| visit.exited_at.is_some());
        let positions = || {
            case.events().filter_map(|event| match event {
                Event::Position(event) => Some(event),
                Event::Geofence(..) | Event::Vehicle(_) | Event::Rule(_) | Event::Now(_) => None,
            })
        };
        self.open += tables.membership.len();
        self.confirmed += ended().filter(|visit| visit.confirmed).count();
        self.unconfirmed += ended().filter(|visit| !visit.confirmed).count();
        self.offlines += tables.offlines.len();
        self.several_inside += tables.vehicle_state.iter().filter(|state| state.inside.len() > 1).count();
        self.withdrawn += positions().filter(|event| event.withdrawn).count();
        self.long_tracks += usize::from(positions().filter(|event| event.vehicle.0 == 0).count() > 200);
        self.stops += tables.stops.iter().filter(|stop| stop.ended_at.is_some()).count();
        self.idlings += tables.idlings.iter().filter(|idling| idling.ended_at.is_some()).count();
        let above = tables.overspeeds.iter().filter(|over| over.measures.is_some() && over.geofence.is_some());
        self.overspeeds += above.count();
        self.trips += tables.trips.iter().filter(|trip| trip.arrival.is_some()).count();
        self.turnarounds += tables.turnarounds.len();
        let visits: Vec<_> = tables.visits.iter().collect();
        let again = |at: Millis| visits.iter().all(|visit| visit.entered_at != at);
        let zone = &case.rules.local_time;
        let mid_hour = |at: Millis| zone.hour_span(at).from != at;
        self.absent += tables.presences.iter().filter(|p| again(p.from) && mid_hour(p.from)).count();
        self.days += tables.motions.len() - tables.vehicle_state.len();
        for alert in &tables.alerts {
            self.alerts[alert.kind as usize] += 1;
            self.openings += usize::from(alert.is_opening);
            self.cooled += usize::from(has_cooldown(case, alert));
        }
        self.several_versions += usize::from(tables.geofences.iter().any(|row| row.key.0 == 0 && row.seq > 1));
    }
}

//! Random logs, small and dense enough for everything to meet everything: few times, few places, few
//! vehicles, so that late, repeated, corrected, withdrawn and simultaneous events are the rule.

mod edits;
mod rules;

use std::collections::BTreeMap;

use watchtower_dataflows::timeline::CHUNK;
use watchtower_model::{
    BEGINNING, GeofenceEdit, Heading, Ignition, Mark, Millis, Place, Position, PositionEvent, Rules, Speed, VehicleId,
};

use crate::support::habits::Habits;
use crate::support::log::{Case, Event};
use crate::support::rng::Rng;
use crate::support::shapes::{CELLS, Outline};

/// The id of the geofence with this number, of which there are fewer than eleven. The order of ids is not that of
/// numbers.
pub(crate) fn geofence_id(number: usize) -> String {
    (number * 7 % 11).to_string()
}

/// The id of the rule with this number.
pub(crate) fn rule_id(number: usize) -> String {
    format!("rule/{number}%")
}

/// A log whose positions were all accepted, in any order.
pub(crate) fn replay(seed: u64) -> Case {
    generate(seed, false)
}

/// A log of a pipeline that refuses what is late, and whose engine may forget what nothing can reach.
pub(crate) fn live(seed: u64) -> Case {
    generate(seed, true)
}

/// As [`live`], beginning at a given time.
pub(crate) fn live_at(seed: u64, base: Millis) -> Case {
    let mut rng = Rng::new(seed);
    let habits = Habits { base, ..Habits::random(&mut rng, true) };
    generate_by(rng, habits)
}

fn generate(seed: u64, live: bool) -> Case {
    let mut rng = Rng::new(seed);
    let habits = Habits::random(&mut rng, live);
    generate_by(rng, habits)
}

fn generate_by(mut rng: Rng, habits: Habits) -> Case {
    let (rules, lateness) = (habits.rules.clone(), habits.lateness);
    let with_rules = rules::RuleGenerator::new(&habits, &rng);
    let log = with_rules.among(Generator::new(&mut rng, habits).log(), lateness);
    let epochs = cut(&mut rng, log);
    case(&mut rng, rules, epochs)
}

/// The same events in another order and with other cuts: positions anywhere, but those of equal
/// (vehicle, ts) in the old order, and all others as well.
pub(crate) fn permuted(seed: u64, original: &Case) -> Case {
    let mut rng = Rng::new(seed ^ 0x5EED);
    let (mut positions, others): (Vec<Event>, Vec<Event>) =
        original.events().cloned().partition(|event| matches!(event, Event::Position(_)));

    let key = |event: &Event| match event {
        Event::Position(event) => (event.vehicle, event.position.ts),
        Event::Geofence(..) | Event::Vehicle(_) | Event::Rule(_) | Event::Now(_) => unreachable!("partitioned"),
    };
    let mut in_order = BTreeMap::<_, std::vec::IntoIter<Event>>::new();
    for (key, events) in grouped(&positions, key) {
        in_order.insert(key, events.into_iter());
    }
    rng.shuffle(&mut positions);
    let mut positions: Vec<Event> =
        positions.iter().filter_map(|event| in_order.get_mut(&key(event))?.next()).collect();

    let mut log = Vec::new();
    positions.reverse();
    let mut others: Vec<Event> = others.into_iter().rev().collect();
    while !(positions.is_empty() && others.is_empty()) {
        let from = if rng.below(positions.len() + others.len()) < others.len() { &mut others } else { &mut positions };
        log.extend(from.pop());
    }
    let epochs = cut(&mut rng, log);
    case(&mut rng, original.rules.clone(), epochs)
}

fn case(rng: &mut Rng, rules: Rules, epochs: Vec<Vec<Event>>) -> Case {
    let (backwards, ahead) = (rng.chance(30), rng.chance(30));
    let restarts_after = rng.chance(60).then(|| rng.below(epochs.len().max(1)));
    Case { rules, epochs, backwards, ahead, restarts_after }
}

fn grouped<K: Ord>(events: &[Event], key: impl Fn(&Event) -> K) -> BTreeMap<K, Vec<Event>> {
    let mut groups = BTreeMap::<K, Vec<Event>>::new();
    for event in events {
        groups.entry(key(event)).or_default().push(event.clone());
    }
    groups
}

/// Cuts a log into epochs: one event each if it is short, or handfuls, or heaps; some empty.
fn cut(rng: &mut Rng, log: Vec<Event>) -> Vec<Vec<Event>> {
    let coarsest = [3, 10, 40, log.len() + 1];
    let greatest = if log.len() <= 60 && rng.chance(40) { 1 } else { *rng.pick(&coarsest) };
    let mut epochs = Vec::new();
    let mut rest = log.into_iter();
    if rng.chance(40) {
        let heap = rng.below(1 + rest.len());
        epochs.push(rest.by_ref().take(heap).collect());
    }
    // The oracle starts anew at each epoch: bound how often.
    let greatest = greatest.max(rest.len() / 20);
    while rest.len() > 0 {
        if rng.chance(3) {
            epochs.push(Vec::new());
        }
        epochs.push(rest.by_ref().take(1 + rng.below(greatest)).collect());
    }
    epochs
}

/// The accuracy radius of a position that is inaccurate under most rules. Metres.
pub(crate) const INACCURATE_M: f64 = 5_000.0;

/// Where a vehicle has got to.
#[derive(Clone, Debug)]
struct Cursor {
    /// The greatest time of its positions that go forward.
    head: Millis,
    cell: (i64, i64),
    /// It stays where it is at the moment.
    parked: bool,
    /// Greatest time accepted, withdrawals included.
    newest: Option<Millis>,
    /// The accepted events.
    known: Vec<PositionEvent>,
}

struct Generator<'a> {
    rng: &'a mut Rng,
    habits: Habits,
    log: Vec<Event>,
    cursors: Vec<Cursor>,
    /// Earlier edits of each geofence with their outlines.
    histories: Vec<Vec<(GeofenceEdit, Option<Outline>)>>,
    now: Millis,
    /// Of the edits so far.
    edits: u64,
}

/// One thing that is done to the log.
#[derive(Clone, Copy, Debug)]
enum Step {
    Forward,
    Trek,
    Late,
    Repeat,
    Correct,
    Withdraw,
    WithdrawUnknown,
    Upload,
    Leap,
    JustInTime,
    Geofence,
    ThereAndThen,
    Vehicle,
}

const STEPS: [(usize, Step); 13] = [
    (25, Step::Forward),
    (8, Step::Trek),
    (10, Step::Late),
    (3, Step::Repeat),
    (6, Step::Correct),
    (7, Step::Withdraw),
    (2, Step::WithdrawUnknown),
    (3, Step::Upload),
    (2, Step::Leap),
    (4, Step::JustInTime),
    (18, Step::Geofence),
    (8, Step::ThereAndThen),
    (4, Step::Vehicle),
];

impl<'a> Generator<'a> {
    fn new(rng: &'a mut Rng, habits: Habits) -> Self {
        let mut cursors = Vec::new();
        for _ in 0..habits.vehicles {
            let head = habits.base + rng.between(0, 10) * habits.unit;
            let cell = (rng.between(0, CELLS), rng.between(0, CELLS));
            cursors.push(Cursor { head, cell, parked: false, newest: None, known: Vec::new() });
        }
        let histories = vec![Vec::new(); habits.geofences];
        Self { rng, habits, log: Vec::new(), cursors, histories, now: BEGINNING, edits: 0 }
    }

    fn log(mut self) -> Vec<Event> {
        for _ in 0..1 + self.rng.below(self.habits.geofences) {
            self.edit_geofence();
        }
        for _ in 0..self.habits.first_trek {
            self.forward(0);
        }
        for _ in 0..self.habits.steps {
            let vehicle = self.rng.below(self.cursors.len());
            match self.rng.weighted(&STEPS) {
                Step::Forward => self.forward(vehicle),
                Step::Trek => self.trek(vehicle),
                Step::Late => self.late(vehicle),
                Step::Repeat => self.repeat(vehicle),
                Step::Correct => self.correct(vehicle),
                Step::Withdraw => self.withdraw(vehicle),
                Step::WithdrawUnknown => self.withdraw_unknown(vehicle),
                Step::Upload => self.upload(vehicle),
                Step::Leap => self.leap(vehicle),
                Step::JustInTime => self.just_in_time(vehicle),
                Step::Geofence => self.edit_geofence(),
                Step::ThereAndThen => self.there_and_then(vehicle),
                Step::Vehicle => self.edit_vehicle(vehicle),
            }
            if self.rng.chance(self.habits.clock) {
                self.tick();
            }
        }
        self.log
    }

    /// Times that several things happen at, and the milliseconds beside them.
    fn nudged(&mut self, t: Millis) -> Millis {
        t + self.rng.weighted(&[(16, 0), (1, -1), (1, 1), (1, self.habits.unit / 2)])
    }

    /// The latest time any vehicle has got to.
    fn frontier(&self) -> Millis {
        self.cursors.iter().map(|cursor| cursor.head).max().unwrap_or(self.habits.base)
    }

    /// Some time on the way so far.
    fn past(&mut self) -> Millis {
        let units = (self.frontier() - self.habits.base) / self.habits.unit;
        let t = self.habits.base + self.rng.between(-1, units) * self.habits.unit;
        self.nudged(t)
    }

    fn place(&mut self, cell: (i64, i64)) -> Place {
        let aside =
            if self.rng.chance(70) { (0, 0) } else { (self.rng.between(-300, 300), self.rng.between(-300, 300)) };
        self.habits.grid.place(cell.0, cell.1, aside)
    }

    fn any_place(&mut self) -> Place {
        let cell = (self.rng.between(0, CELLS), self.rng.between(0, CELLS));
        self.place(cell)
    }

    /// Logs a position, unless it is late.
    fn position(&mut self, vehicle: usize, ts: Millis, place: Place) {
        let kmh = *self.rng.pick(&[-1.0, -1.0, 0.0, 4.999_999, 5.0, 60.0, 250.0, 250.000_001, 5_000.0]);
        let degrees = *self.rng.pick(&[-1.0, 0.0, 90.0]);
        let (speed, heading) = (Speed::from_kmh(kmh), Heading::from_degrees(degrees));
        let ignition = *self.rng.pick(&[Ignition::Unknown, Ignition::Off, Ignition::On, Ignition::On]);
        let mark = if self.rng.chance(3) { self.habits.rules.mark(Some(INACCURATE_M)) } else { Mark::None };
        let position = Position { ts, place, speed, heading, ignition, mark };
        self.accept(PositionEvent { vehicle: VehicleId(vehicle as u32), seq: 0, position, withdrawn: false });
    }

    fn accept(&mut self, event: PositionEvent) {
        let cursor = &mut self.cursors[event.vehicle.0 as usize];
        let ts = event.position.ts;
        let late = |lateness| cursor.newest.is_some_and(|newest| ts < newest - lateness);
        if self.habits.lateness.is_some_and(late) {
            return;
        }
        cursor.newest = cursor.newest.max(Some(ts));
        cursor.known.push(event);
        self.log.push(Event::Position(event));
    }

    /// The next position of a vehicle: a step on, or where it stands, at times after a silence.
    fn forward(&mut self, vehicle: usize) {
        let unit = self.habits.unit;
        let offline_after = self.habits.rules.offline_after_ms;
        let step = self.rng.weighted(&[
            (20, unit),
            (5, 2 * unit),
            (1, 1),
            (1, offline_after),
            (1, offline_after + 1),
            (1, offline_after + 3 * unit),
        ]);
        let turn = self.rng.chance(if self.cursors[vehicle].parked { self.habits.departs } else { 15 });
        let stride = (self.rng.between(-2, 2), self.rng.between(-2, 2));
        let cursor = &mut self.cursors[vehicle];
        cursor.head += step;
        cursor.parked ^= turn;
        if !cursor.parked {
            let moved = (cursor.cell.0 + stride.0, cursor.cell.1 + stride.1);
            cursor.cell = (moved.0.clamp(0, CELLS), moved.1.clamp(0, CELLS));
        }
        let (head, cell) = (cursor.head, cursor.cell);
        let place = self.place(cell);
        self.position(vehicle, head, place);
    }

    fn trek(&mut self, vehicle: usize) {
        for _ in 0..self.rng.between(2, self.habits.trek) {
            self.forward(vehicle);
        }
    }

    fn late(&mut self, vehicle: usize) {
        let (ts, place) = (self.past(), self.any_place());
        self.position(vehicle, ts, place);
    }

    fn any_known(&mut self, vehicle: usize) -> Option<PositionEvent> {
        let known = &self.cursors[vehicle].known;
        (!known.is_empty()).then(|| known[self.rng.below(known.len())])
    }

    /// A known event: any, or one beside the end of a chunk, as long as tracks only grow: where one ends and the
    /// next begins is where an engine that resumes from chunks can go wrong.
    fn known_at_seam(&mut self, vehicle: usize) -> Option<PositionEvent> {
        let by_time: BTreeMap<Millis, PositionEvent> =
            self.cursors[vehicle].known.iter().map(|event| (event.position.ts, *event)).collect();
        let seams = by_time.len() / CHUNK;
        if seams == 0 || self.rng.chance(20) {
            return self.any_known(vehicle);
        }
        let seam = CHUNK * (1 + self.rng.below(seams));
        by_time.into_values().nth(seam - 1 - self.rng.below(2))
    }

    /// An earlier event once more, be it a position or a withdrawal.
    fn repeat(&mut self, vehicle: usize) {
        if let Some(event) = self.any_known(vehicle) {
            self.accept(event);
        }
    }

    /// Another place at a known time, which may be withdrawn at the moment.
    fn correct(&mut self, vehicle: usize) {
        if let Some(event) = self.any_known(vehicle) {
            let place = self.any_place();
            self.position(vehicle, event.position.ts, place);
        }
    }

    /// Withdraws a known position, often the last one or a few at once.
    fn withdraw(&mut self, vehicle: usize) {
        for _ in 0..self.rng.weighted(&[(6, 1), (1, 3), (1, 10)]) {
            let last = self.cursors[vehicle].known.last().copied();
            let event = if self.rng.chance(30) { last } else { self.any_known(vehicle) };
            if let Some(event) = event {
                self.accept(PositionEvent { withdrawn: true, ..event });
            }
        }
    }

    fn withdraw_unknown(&mut self, vehicle: usize) {
        let place = self.any_place();
        let ts = self.past() + self.rng.weighted(&[(5, 0), (1, 20 * self.habits.unit)]);
        let (speed, heading, ignition) = (Speed::NONE, Heading::NONE, Ignition::Unknown);
        let position = Position { ts, place, speed, heading, ignition, mark: Mark::None };
        self.accept(PositionEvent { vehicle: VehicleId(vehicle as u32), seq: 0, position, withdrawn: true });
    }

    /// A stretch of some earlier time, sent at once, in order, backwards, or in none.
    fn upload(&mut self, vehicle: usize) {
        let start = self.past();
        let mut times: Vec<Millis> =
            (0..self.rng.between(2, self.habits.trek)).map(|i| start + i * self.habits.unit).collect();
        match self.rng.below(3) {
            0 => times.reverse(),
            1 => self.rng.shuffle(&mut times),
            _ => {}
        }
        for ts in times {
            let place = self.any_place();
            self.position(vehicle, ts, place);
        }
    }

    /// To somewhere far away and, mostly, back.
    fn leap(&mut self, vehicle: usize) {
        self.cursors[vehicle].head += self.habits.unit;
        let head = self.cursors[vehicle].head;
        let place = self.habits.grid.place(20_000, -300, (0, 0));
        self.position(vehicle, head, place);
        if self.rng.chance(70) {
            self.forward(vehicle);
        }
    }

    /// The vehicle and the clock move on until a known position can only just be changed; then it is.
    fn just_in_time(&mut self, vehicle: usize) {
        let lateness = self.habits.lateness.unwrap_or(0);
        let Some(event) = self.known_at_seam(vehicle) else { return };
        let (ts, place) = (event.position.ts, self.any_place());
        self.position(vehicle, ts + lateness, place);
        if self.habits.clock > 0 {
            self.now = self.now.max(ts + lateness);
            self.log.push(Event::Now(self.now));
        }
        if self.rng.chance(50) {
            self.accept(PositionEvent { withdrawn: true, ..event });
        } else {
            self.position(vehicle, ts, place);
        }
    }

    /// A geofence just where a vehicle was, from then on, often for moments only.
    fn there_and_then(&mut self, vehicle: usize) {
        let Some(PositionEvent { position, .. }) = self.known_at_seam(vehicle) else { return };
        let unit = self.habits.unit;
        let valid_from = position.ts + *self.rng.pick(&[0, 1, unit / 2]);
        let geofence = self.rng.below(self.habits.geofences);
        let outline = Outline::around(self.rng, position.place);
        let definition = self.defined(geofence, outline);
        self.push_edit(geofence, valid_from, Some(definition));
        if self.rng.chance(70) {
            let lasts = *self.rng.pick(&[1, unit / 3, unit, 3 * unit]);
            let definition = self.definition(geofence).filter(|_| self.habits.raised);
            self.push_edit(geofence, valid_from + lasts, definition);
        }
    }

    /// The clock goes on: a little, to the vehicles, beyond them, or out of this world.
    fn tick(&mut self) {
        let (unit, frontier) = (self.habits.unit, self.frontier());
        let offline_after = self.habits.rules.offline_after_ms;
        let ahead = self.rng.between(0, 4);
        let t = self.rng.weighted(&[
            (6, self.now.max(self.habits.base) + unit),
            (3, frontier),
            (3, frontier - 3 * unit),
            (3, frontier + ahead * unit),
            (1, frontier + offline_after),
            (1, frontier + offline_after + 1),
            (1, frontier + 50 * unit),
        ]);
        self.now = self.now.max(t);
        // Some clock lags: `now` never goes back.
        let said = if self.rng.chance(5) { t - unit } else { self.now };
        self.log.push(Event::Now(said));
    }
}

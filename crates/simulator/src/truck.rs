//! One lorry: from a terminal to a client and back, through traffic, queues, breakdowns, lunch and nights.

use watchtower_model::Millis;

use super::geodesy::{Offset, Spot};
use super::map::Class;
use super::places::{DEPOTS, PLACES, SiteKind, TERMINALS};
use super::roads::{Node, Roads};
use super::traffic::{Traffic, day, hour_of_day};
use super::yard::{Ticket, Yard};
use super::{MINUTE_MS, SECOND_MS};
use watchtower_core::random::SplitMix;

/// Length of road per queueing lorry, metres.
const QUEUED_M: f64 = 19.0;
/// Distance from the ground of a terminal to the head of its queue, metres.
const GATE_M: f64 = 40.0;
/// Distance driven between two reports in a moving queue, metres.
const CREEP_M: f64 = 120.0;
/// Mean number of reports on the road, ten seconds apart, between two breakdowns: thirty hours.
const REPORTS_TO_BREAKDOWN: u64 = 10_800;
/// Hour of the day after which lorries drive to their depot.
const EVENING: f64 = 19.5;
/// Hour of the day before which they stay there.
const MORNING: f64 = 4.0;
/// Hour of the day after which many are on the road.
const BUSY_FROM: f64 = 6.5;
/// Nearest terminal of each depot.
const NEAREST_TERMINAL: [Node; DEPOTS] = [2, 1, 0];

/// The state that all lorries share.
#[derive(Debug)]
pub(super) struct Town {
    pub(super) roads: Roads,
    pub(super) traffic: Traffic,
    pub(super) yards: [Yard; TERMINALS],
    /// For each place: the radius of its ground, and of the area where lorries stand, metres.
    pub(super) grounds: Vec<(f64, f64)>,
}

/// Activity of a lorry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Activity {
    /// On the way to its goal; `admitted` once the goal's gate, if it has one, has let it in.
    Driving { admitted: bool },
    /// Waits before the gate of a terminal.
    Queueing { ticket: Ticket },
    /// Stands at its goal.
    Standing { until: Millis },
    /// Stands beside the road.
    Resting { until: Millis, why: RestReason },
}

/// Reason of a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestReason {
    /// The driver eats.
    Lunch,
    /// The lorry is broken; `dark` if its battery is dead as well.
    Breakdown { dark: bool },
}

/// An incident during a lorry's last move that concerns its tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incident {
    /// The tracker has no power until then.
    Dark { until: Millis },
}

/// True position and motion of a lorry, which its tracker measures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truth {
    pub(super) spot: Spot,
    pub(super) speed_kmh: f64,
    pub(super) heading_deg: f64,
    pub(super) ignition: bool,
    /// Whether it is on the road and not standing for long.
    pub(super) awake: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Truck {
    pub(super) random: SplitMix,
    pub(super) activity: Activity,
    from: Node,
    to: Node,
    /// Distance from `from`, metres.
    metres: f64,
    goal: Node,
    home: Node,
    /// Its place within a yard, as a share of the radius where lorries stand.
    berth: Offset,
    /// Speed of this driver relative to others.
    pace: f64,
    /// Current speed of the surrounding traffic, around 1.
    flow: f64,
    speed_kmh: f64,
    moved_at: Millis,
    lunched_on: i64,
    /// Whether the driver leaves the engine on while standing.
    idles: bool,
}

impl Truck {
    /// A lorry at the start of the simulation: at any place, about to leave at a random time.
    pub(super) fn new(mut random: SplitMix, town: &mut Town, now: Millis) -> Self {
        let home = (TERMINALS as u64 + random.below(DEPOTS as u64)) as Node;
        let night = !(MORNING..EVENING).contains(&hour_of_day(now));
        let at = match random.below(10) {
            _ if night => home,
            0..3 => random.below(TERMINALS as u64) as Node,
            3..6 => client(&mut random),
            _ => home,
        };
        let until = now + random.below(150 * MINUTE_MS as u64) as Millis;
        if let Some(yard) = town.yards.get_mut(usize::from(at)) {
            yard.draw(); // it is inside already
        }
        let berth = Offset { east: random.between(-0.7, 0.7), north: random.between(-0.7, 0.7) };
        let speeder = random.below(8) == 0;
        let pace = if speeder { random.between(1.30, 1.55) } else { random.between(0.82, 1.04) };
        let idles = random.below(4) == 0;
        let mut truck = Self {
            random,
            activity: Activity::Standing { until },
            from: at,
            to: town.roads.way_out(at).to,
            metres: 0.0,
            goal: at,
            home,
            berth,
            pace,
            flow: 1.0,
            speed_kmh: 0.0,
            moved_at: now,
            lunched_on: i64::MIN,
            idles,
        };
        if (BUSY_FROM..EVENING).contains(&hour_of_day(now)) && truck.random.below(10) < 4 {
            truck.set_on_its_way(town);
        }
        truck
    }

    /// Places the lorry somewhere on the way to a possible goal.
    fn set_on_its_way(&mut self, town: &mut Town) {
        if let Some(yard) = town.yards.get_mut(usize::from(self.from)) {
            yard.leave();
        }
        self.goal = match PLACES[usize::from(self.from)].kind {
            SiteKind::Terminal => client(&mut self.random),
            SiteKind::Client | SiteKind::Depot => self.terminal(),
        };
        for _ in 0..self.random.below(12) {
            match town.roads.next(self.to, self.goal, false) {
                Some(next) if next.to != self.goal => (self.from, self.to) = (self.to, next.to),
                Some(_) | None => break,
            }
        }
        self.activity = Activity::Driving { admitted: false };
    }

    /// Simulates the lorry up to `now`.
    pub(super) fn advance(&mut self, town: &mut Town, now: Millis) -> Option<Incident> {
        let elapsed_s = (now - self.moved_at) as f64 / SECOND_MS as f64;
        self.moved_at = now;
        match self.activity {
            Activity::Driving { .. } => return self.drive(town, now, elapsed_s),
            Activity::Queueing { ticket } => self.creep(town, ticket, elapsed_s),
            Activity::Standing { until } if now >= until => self.depart(town, now),
            Activity::Resting { until, .. } if now >= until => self.activity = Activity::Driving { admitted: false },
            Activity::Standing { .. } | Activity::Resting { .. } => self.speed_kmh = 0.0,
        }
        None
    }

    /// Chooses the next goal.
    fn depart(&mut self, town: &mut Town, now: Millis) {
        let here = self.goal;
        if let Some(yard) = town.yards.get_mut(usize::from(here)) {
            yard.leave();
        }
        let night = !(MORNING..EVENING).contains(&hour_of_day(now));
        self.goal = match PLACES[usize::from(here)].kind {
            SiteKind::Depot if night => {
                // Too early: the night ends at a random time before seven.
                self.activity = Activity::Standing { until: next_morning(&mut self.random, now) };
                return;
            }
            _ if night => self.home,
            SiteKind::Terminal => client(&mut self.random),
            SiteKind::Client | SiteKind::Depot => self.terminal(),
        };
        (self.from, self.to, self.metres) = (here, town.roads.way_out(here).to, 0.0);
        self.activity = Activity::Driving { admitted: false };
    }

    fn drive(&mut self, town: &mut Town, now: Millis, elapsed_s: f64) -> Option<Incident> {
        if let Some(rest) = self.rest(now) {
            self.speed_kmh = 0.0;
            self.activity = rest;
            return match rest {
                Activity::Resting { until, why: RestReason::Breakdown { dark: true } } => {
                    Some(Incident::Dark { until })
                }
                _ => None,
            };
        }
        let traffic = town.traffic;
        // Random walk around 1: the density of traffic changes over minutes.
        self.flow += (1.0 - self.flow) * 0.12 + self.random.between(-0.14, 0.14);
        self.flow = self.flow.clamp(0.25, 1.25);
        let mut left_s = elapsed_s;
        // Bounded: a lorry that passes more stretches drives in circles, a fault of the road network.
        for _ in 0..64 {
            let stretch = *town.roads.stretch(self.from, self.to).expect("a lorry is on a road");
            let flow = if stretch.class == Class::Access { self.flow.min(1.05) } else { self.flow };
            self.speed_kmh = traffic.kmh(stretch.class) * self.pace * flow;
            let end = self.end_of(town, stretch.metres);
            let to_end_s = (end - self.metres).max(0.0) / (self.speed_kmh / 3.6);
            if to_end_s > left_s {
                self.metres += left_s * self.speed_kmh / 3.6;
                return None;
            }
            left_s -= to_end_s;
            self.metres = end;
            if end < stretch.metres {
                self.come_to_gate(town);
                return None;
            }
            if self.to == self.goal {
                self.arrive(now);
                return None;
            }
            let next = town.roads.next(self.to, self.goal, traffic.is_rush()).expect("every place can be reached");
            (self.from, self.to, self.metres) = (self.to, next.to, 0.0);
        }
        None
    }

    /// Where it must stop on this stretch: at its end, or at a gate that has not admitted it. Metres.
    fn end_of(&self, town: &Town, metres: f64) -> f64 {
        let gated = self.to == self.goal && usize::from(self.goal) < TERMINALS;
        match self.activity {
            Activity::Driving { admitted: false } if gated => gate(town, self.goal, metres),
            Activity::Driving { .. }
            | Activity::Queueing { .. }
            | Activity::Standing { .. }
            | Activity::Resting { .. } => metres,
        }
    }

    fn come_to_gate(&mut self, town: &mut Town) {
        let yard = &mut town.yards[usize::from(self.goal)];
        let ticket = yard.draw();
        match yard.ahead(ticket) {
            None => self.activity = Activity::Driving { admitted: true },
            Some(ahead) => {
                self.activity = Activity::Queueing { ticket };
                self.speed_kmh = 0.0;
                self.metres = (self.metres - f64::from(ahead) * QUEUED_M).max(0.0);
            }
        }
    }

    /// Moves up in the queue.
    fn creep(&mut self, town: &mut Town, ticket: Ticket, elapsed_s: f64) {
        let Some(ahead) = town.yards[usize::from(self.goal)].ahead(ticket) else {
            self.activity = Activity::Driving { admitted: true };
            return;
        };
        let metres = town.roads.stretch(self.from, self.to).expect("a lorry is on a road").metres;
        let place = (gate(town, self.goal, metres) - f64::from(ahead) * QUEUED_M).max(0.0);
        let step = (place - self.metres).clamp(0.0, CREEP_M);
        self.metres += step;
        self.speed_kmh = (step / elapsed_s.max(1.0) * 3.6).min(4.5);
    }

    fn arrive(&mut self, now: Millis) {
        self.speed_kmh = 0.0;
        let minutes = match PLACES[usize::from(self.goal)].kind {
            SiteKind::Terminal => self.random.between(22.0, 75.0),
            SiteKind::Client => self.random.between(20.0, 105.0),
            SiteKind::Depot if hour_of_day(now) >= EVENING - 1.0 => {
                self.activity = Activity::Standing { until: next_morning(&mut self.random, now) };
                return;
            }
            SiteKind::Depot => self.random.between(25.0, 60.0),
        };
        self.activity = Activity::Standing { until: now + (minutes * MINUTE_MS as f64) as Millis };
    }

    /// Decides whether the lorry breaks down or the driver eats.
    fn rest(&mut self, now: Millis) -> Option<Activity> {
        // Not at a gate, nor between gate and yard: it would block the lorries behind it.
        let on_the_road = self.to != self.goal && self.activity == Activity::Driving { admitted: false };
        if !on_the_road {
            return None;
        }
        let minutes = |random: &mut SplitMix, from, to| (random.between(from, to) * MINUTE_MS as f64) as Millis;
        if self.random.below(REPORTS_TO_BREAKDOWN) == 0 {
            let (dark, lasts) = (self.random.below(2) == 0, minutes(&mut self.random, 35.0, 150.0));
            return Some(Activity::Resting { until: now + lasts, why: RestReason::Breakdown { dark } });
        }
        let hungry = (11.75..14.5).contains(&hour_of_day(now)) && self.lunched_on != day(now);
        if hungry && self.random.below(240) == 0 {
            self.lunched_on = day(now);
            let lasts = minutes(&mut self.random, 18.0, 40.0);
            return Some(Activity::Resting { until: now + lasts, why: RestReason::Lunch });
        }
        None
    }

    /// A terminal for the next container: mostly the one nearest to home.
    fn terminal(&mut self) -> Node {
        match self.random.below(10) {
            0..5 => NEAREST_TERMINAL[usize::from(self.home) - TERMINALS],
            _ => self.random.below(TERMINALS as u64) as Node,
        }
    }

    pub(super) fn truth(&self, town: &Town) -> Truth {
        let (a, b) = (self.spot_at(town, self.from), self.spot_at(town, self.to));
        let way = a.to(b);
        let metres = town.roads.stretch(self.from, self.to).expect("a lorry is on a road").metres;
        let awake = matches!(self.activity, Activity::Driving { .. });
        let ignition = match self.activity {
            Activity::Driving { .. } | Activity::Queueing { .. } => true,
            Activity::Standing { .. } => self.idles && usize::from(self.goal) < TERMINALS,
            Activity::Resting { why: RestReason::Lunch, .. } => self.idles,
            Activity::Resting { why: RestReason::Breakdown { .. }, .. } => false,
        };
        Truth {
            spot: a.between(b, (self.metres / metres).min(1.0)),
            speed_kmh: self.speed_kmh,
            heading_deg: way.bearing(),
            ignition,
            awake,
        }
    }

    /// The point of a node; within a place, the lorry's own berth.
    fn spot_at(&self, town: &Town, node: Node) -> Spot {
        let spot = town.roads.spot(node);
        match town.grounds.get(usize::from(node)) {
            Some((_, room_m)) => {
                spot.moved(Offset { east: self.berth.east * room_m, north: self.berth.north * room_m })
            }
            None => spot,
        }
    }

    /// Whether it stands in its depot for the night.
    pub(super) fn is_parked(&self) -> bool {
        matches!(self.activity, Activity::Standing { .. }) && PLACES[usize::from(self.goal)].kind == SiteKind::Depot
    }
}

/// Where the queue of a terminal begins on the road to it, metres.
fn gate(town: &Town, terminal: Node, metres: f64) -> f64 {
    (metres - town.grounds[usize::from(terminal)].0 - GATE_M).max(1.0)
}

fn client(random: &mut SplitMix) -> Node {
    let first = (TERMINALS + DEPOTS) as u64;
    (first + random.below(PLACES.len() as u64 - first)) as Node
}

/// A random instant between half past four and seven, today or tomorrow.
fn next_morning(random: &mut SplitMix, now: Millis) -> Millis {
    let hours = (MORNING + 0.5 - hour_of_day(now)).rem_euclid(24.0) + random.between(0.0, 2.5);
    now + (hours * super::HOUR_MS as f64) as Millis
}

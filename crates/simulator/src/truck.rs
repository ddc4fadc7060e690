//! One lorry: from a terminal to a client and back, through traffic, queues, breakdowns, lunch and nights.

use watchtower_model::Millis;

use super::geodesy::{Offset, Spot};
use super::map::Class;
use super::places::{DEPOTS, Kind, PLACES, TERMINALS};
use super::roads::{Node, Roads};
use super::traffic::{Traffic, day, hour_of_day};
use super::yard::{Ticket, Yard};
use super::{MINUTE_MS, SECOND_MS};
use watchtower_core::random::SplitMix;

/// What a lorry in a queue takes of the road. Metres.
const QUEUED_M: f64 = 19.0;
/// How far before the ground of a terminal its queue begins. Metres.
const GATE_M: f64 = 40.0;
/// What is driven between two reports of a queue that moves. Metres.
const CREEP_M: f64 = 120.0;
/// Reports on the road, ten seconds apart, from one breakdown to the next: thirty hours.
const REPORTS_TO_BREAKDOWN: u64 = 10_800;
/// After this hour of the day lorries go to their depot.
const EVENING: f64 = 19.5;
/// Before this one they stay there.
const MORNING: f64 = 4.0;
/// From this one on, many are on the road.
const BUSY_FROM: f64 = 6.5;
/// Of each depot.
const NEAREST_TERMINAL: [Node; DEPOTS] = [2, 1, 0];

/// What everybody shares.
#[derive(Debug)]
pub(super) struct Town {
    pub(super) roads: Roads,
    pub(super) traffic: Traffic,
    pub(super) yards: [Yard; TERMINALS],
    /// Of each place: how far it reaches, and how much room there is.
    pub(super) grounds: Vec<(f64, f64)>,
}

/// What a lorry is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Doing {
    /// On its way to its goal; let into it, if that is a terminal and has a gate.
    Driving { admitted: bool },
    /// Before the gate of a terminal.
    Queueing { ticket: Ticket },
    /// At its goal.
    Standing { until: Millis },
    /// By the road.
    Resting { until: Millis, why: Rest },
}

/// Why a lorry rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// The driver eats.
    Lunch,
    /// It is broken; perhaps its battery is, too.
    Breakdown { dark: bool },
}

/// What happened in a lorry's last move that others should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Its tracker has no power until then.
    Dark { until: Millis },
}

/// Where a lorry is and how it moves: the truth, which its tracker measures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truth {
    pub(super) spot: Spot,
    pub(super) speed_kmh: f64,
    pub(super) heading_deg: f64,
    pub(super) ignition: bool,
    /// It is on the road, not standing for long.
    pub(super) awake: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Truck {
    pub(super) random: SplitMix,
    pub(super) doing: Doing,
    from: Node,
    to: Node,
    /// How far it is from `from`.
    metres: f64,
    goal: Node,
    home: Node,
    /// Where in a yard it stands, as a share of the room there is.
    berth: Offset,
    /// How fast this driver drives, compared to others.
    pace: f64,
    /// How the traffic around it flows just now, around 1.
    flow: f64,
    speed_kmh: f64,
    moved_at: Millis,
    lunched_on: i64,
    /// Leaves the engine on while standing.
    idles: bool,
}

impl Truck {
    /// A lorry as the simulation finds it: at any place, about to leave it sometime.
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
            yard.draw(); // it is inside
        }
        let berth = Offset { east: random.between(-0.7, 0.7), north: random.between(-0.7, 0.7) };
        let speeder = random.below(8) == 0;
        let pace = if speeder { random.between(1.30, 1.55) } else { random.between(0.82, 1.04) };
        let idles = random.below(4) == 0;
        let mut truck = Self {
            random,
            doing: Doing::Standing { until },
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

    /// Somewhere on the way from where it is to where it might go.
    fn set_on_its_way(&mut self, town: &mut Town) {
        if let Some(yard) = town.yards.get_mut(usize::from(self.from)) {
            yard.leave();
        }
        self.goal = match PLACES[usize::from(self.from)].kind {
            Kind::Terminal => client(&mut self.random),
            Kind::Client | Kind::Depot => self.terminal(),
        };
        for _ in 0..self.random.below(12) {
            match town.roads.next(self.to, self.goal, false) {
                Some(next) if next.to != self.goal => (self.from, self.to) = (self.to, next.to),
                Some(_) | None => break,
            }
        }
        self.doing = Doing::Driving { admitted: false };
    }

    /// What happens until `now`.
    pub(super) fn advance(&mut self, town: &mut Town, now: Millis) -> Option<News> {
        let elapsed_s = (now - self.moved_at) as f64 / SECOND_MS as f64;
        self.moved_at = now;
        match self.doing {
            Doing::Driving { .. } => return self.drive(town, now, elapsed_s),
            Doing::Queueing { ticket } => self.creep(town, ticket, elapsed_s),
            Doing::Standing { until } if now >= until => self.depart(town, now),
            Doing::Resting { until, .. } if now >= until => self.doing = Doing::Driving { admitted: false },
            Doing::Standing { .. } | Doing::Resting { .. } => self.speed_kmh = 0.0,
        }
        None
    }

    /// Chooses where to go next.
    fn depart(&mut self, town: &mut Town, now: Millis) {
        let here = self.goal;
        if let Some(yard) = town.yards.get_mut(usize::from(here)) {
            yard.leave();
        }
        let night = !(MORNING..EVENING).contains(&hour_of_day(now));
        self.goal = match PLACES[usize::from(here)].kind {
            Kind::Depot if night => {
                // Woken too early: the night ends sometime before seven.
                self.doing = Doing::Standing { until: next_morning(&mut self.random, now) };
                return;
            }
            _ if night => self.home,
            Kind::Terminal => client(&mut self.random),
            Kind::Client | Kind::Depot => self.terminal(),
        };
        (self.from, self.to, self.metres) = (here, town.roads.way_out(here).to, 0.0);
        self.doing = Doing::Driving { admitted: false };
    }

    fn drive(&mut self, town: &mut Town, now: Millis, elapsed_s: f64) -> Option<News> {
        if let Some(rest) = self.rest(now) {
            self.speed_kmh = 0.0;
            self.doing = rest;
            return match rest {
                Doing::Resting { until, why: Rest::Breakdown { dark: true } } => Some(News::Dark { until }),
                _ => None,
            };
        }
        let traffic = town.traffic;
        // A slow walk around 1: traffic thickens and thins over minutes.
        self.flow += (1.0 - self.flow) * 0.12 + self.random.between(-0.14, 0.14);
        self.flow = self.flow.clamp(0.25, 1.25);
        let mut left_s = elapsed_s;
        // Many short stretches at most: a lorry that goes round in circles would be a fault of the roads.
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

    /// How far it may go on this stretch: to its end, or to a gate that it has not passed.
    fn end_of(&self, town: &Town, metres: f64) -> f64 {
        let gated = self.to == self.goal && usize::from(self.goal) < TERMINALS;
        match self.doing {
            Doing::Driving { admitted: false } if gated => gate(town, self.goal, metres),
            Doing::Driving { .. } | Doing::Queueing { .. } | Doing::Standing { .. } | Doing::Resting { .. } => metres,
        }
    }

    fn come_to_gate(&mut self, town: &mut Town) {
        let yard = &mut town.yards[usize::from(self.goal)];
        let ticket = yard.draw();
        match yard.ahead(ticket) {
            None => self.doing = Doing::Driving { admitted: true },
            Some(ahead) => {
                self.doing = Doing::Queueing { ticket };
                self.speed_kmh = 0.0;
                self.metres = (self.metres - f64::from(ahead) * QUEUED_M).max(0.0);
            }
        }
    }

    /// Closes up with those ahead.
    fn creep(&mut self, town: &mut Town, ticket: Ticket, elapsed_s: f64) {
        let Some(ahead) = town.yards[usize::from(self.goal)].ahead(ticket) else {
            self.doing = Doing::Driving { admitted: true };
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
            Kind::Terminal => self.random.between(22.0, 75.0),
            Kind::Client => self.random.between(20.0, 105.0),
            Kind::Depot if hour_of_day(now) >= EVENING - 1.0 => {
                self.doing = Doing::Standing { until: next_morning(&mut self.random, now) };
                return;
            }
            Kind::Depot => self.random.between(25.0, 60.0),
        };
        self.doing = Doing::Standing { until: now + (minutes * MINUTE_MS as f64) as Millis };
    }

    /// Whether the lorry breaks down or the driver eats.
    fn rest(&mut self, now: Millis) -> Option<Doing> {
        // Not at a gate, nor between it and the yard: the others are behind.
        let on_the_road = self.to != self.goal && self.doing == Doing::Driving { admitted: false };
        if !on_the_road {
            return None;
        }
        let minutes = |random: &mut SplitMix, from, to| (random.between(from, to) * MINUTE_MS as f64) as Millis;
        if self.random.below(REPORTS_TO_BREAKDOWN) == 0 {
            let (dark, lasts) = (self.random.below(2) == 0, minutes(&mut self.random, 35.0, 150.0));
            return Some(Doing::Resting { until: now + lasts, why: Rest::Breakdown { dark } });
        }
        let hungry = (11.75..14.5).contains(&hour_of_day(now)) && self.lunched_on != day(now);
        if hungry && self.random.below(240) == 0 {
            self.lunched_on = day(now);
            let lasts = minutes(&mut self.random, 18.0, 40.0);
            return Some(Doing::Resting { until: now + lasts, why: Rest::Lunch });
        }
        None
    }

    /// One of the terminals: mostly the one that is nearest to home.
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
        let awake = matches!(self.doing, Doing::Driving { .. });
        let ignition = match self.doing {
            Doing::Driving { .. } | Doing::Queueing { .. } => true,
            Doing::Standing { .. } => self.idles && usize::from(self.goal) < TERMINALS,
            Doing::Resting { why: Rest::Lunch, .. } => self.idles,
            Doing::Resting { why: Rest::Breakdown { .. }, .. } => false,
        };
        Truth {
            spot: a.between(b, (self.metres / metres).min(1.0)),
            speed_kmh: self.speed_kmh,
            heading_deg: way.bearing(),
            ignition,
            awake,
        }
    }

    /// A place is not a point: each lorry has its berth.
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
        matches!(self.doing, Doing::Standing { .. }) && PLACES[usize::from(self.goal)].kind == Kind::Depot
    }
}

/// Where on the road to a terminal its queue begins.
fn gate(town: &Town, terminal: Node, metres: f64) -> f64 {
    (metres - town.grounds[usize::from(terminal)].0 - GATE_M).max(1.0)
}

fn client(random: &mut SplitMix) -> Node {
    let first = (TERMINALS + DEPOTS) as u64;
    (first + random.below(PLACES.len() as u64 - first)) as Node
}

/// Sometime between half past four and seven, of today or tomorrow.
fn next_morning(random: &mut SplitMix, now: Millis) -> Millis {
    let hours = (MORNING + 0.5 - hour_of_day(now)).rem_euclid(24.0) + random.between(0.0, 2.5);
    now + (hours * super::HOUR_MS as f64) as Millis
}

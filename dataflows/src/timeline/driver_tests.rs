//! A vehicle on its way, at random, with what trackers do.

use watchtower_model::{Heading, Ignition, Mark, Millis, Place, Position, Speed};

pub(super) const SECOND: Millis = 1_000;
pub(super) const MINUTE: Millis = 60 * SECOND;
pub(super) const HOUR: Millis = 60 * MINUTE;
/// Metres of a degree of latitude, about.
pub(super) const DEGREE_M: f64 = 111_000.0;

/// The generator SplitMix64, so that a seed means the same log for ever.
#[derive(Clone, Debug)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn between(&mut self, least: i64, greatest: i64) -> i64 {
        least + (self.next() % (greatest - least + 1) as u64) as i64
    }

    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// How a vehicle's tracker reports the ignition.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wiring {
    Never,
    Always,
    EverySecond,
    OnlyOff,
    Flapping,
}

/// A vehicle on its way.
pub(super) struct Driver<'a> {
    pub(super) rng: &'a mut Rng,
    pub(super) now: Millis,
    /// Metres east and north of a corner.
    pub(super) east: f64,
    pub(super) north: f64,
    pub(super) wiring: Wiring,
    pub(super) runs: bool,
    pub(super) reports_speed: bool,
    pub(super) track: Vec<Position>,
}

impl Driver<'_> {
    pub(super) fn place(east: f64, north: f64) -> Place {
        Place::from_degrees(3.4 + east / DEGREE_M, 6.5 + north / DEGREE_M)
    }

    pub(super) fn fix(&mut self, place: Place, kmh: Option<f64>) {
        let known = match self.wiring {
            Wiring::Never => false,
            Wiring::Always => true,
            Wiring::EverySecond => self.track.len().is_multiple_of(2),
            Wiring::OnlyOff => !self.runs,
            Wiring::Flapping => self.rng.chance(70),
        };
        let is_on = if matches!(self.wiring, Wiring::Flapping) { self.rng.chance(60) } else { self.runs };
        let ignition = Ignition::from_report(known.then_some(is_on));
        let speed = kmh.filter(|_| self.reports_speed || self.rng.chance(5)).map_or(Speed::NONE, Speed::from_kmh);
        let (ts, heading) = (self.now, Heading::NONE);
        self.track.push(Position { ts, place, speed, heading, ignition, mark: Mark::None });
    }

    pub(super) fn here(&mut self, kmh: Option<f64>) {
        self.fix(Self::place(self.east, self.north), kmh);
    }

    pub(super) fn wait(&mut self, ms: Millis) {
        self.now += ms.max(1);
    }

    pub(super) fn drive(&mut self) {
        self.runs = !self.rng.chance(10);
        let (dx, dy) = self.rng.pick(&[(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0), (0.7, 0.7), (-0.7, -0.7)]);
        let step = self.rng.pick(&[SECOND, 5 * SECOND, 30 * SECOND, MINUTE, MINUTE, 4 * MINUTE]);
        for _ in 0..self.rng.between(1, 12) {
            let kmh: f64 = self.rng.pick(&[3.0, 20.0, 50.0, 61.0, 90.0, 240.0, 255.0, 470.0]);
            let metres = kmh.min(110.0) / 3.6 * (step as f64 / 1e3);
            (self.east, self.north) = (self.east + dx * metres, self.north + dy * metres);
            self.wait(step);
            self.here(Some(kmh));
        }
    }

    pub(super) fn park(&mut self) {
        self.runs = self.rng.chance(40);
        let step = self.rng.pick(&[10 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE, 5 * MINUTE, 25 * MINUTE]);
        let drift = self.rng.pick(&[0, 0, 8, 30, 45, 80]);
        for _ in 0..self.rng.between(1, 14) {
            self.wait(step);
            let (x, y) = (self.rng.between(-drift, drift) as f64, self.rng.between(-drift, drift) as f64);
            let kmh = self.rng.pick(&[0.0, 0.0, 0.0, 3.0, 5.6, 12.0]);
            let (here, noisy) = ((self.east, self.north), Self::place(self.east + x, self.north + y));
            self.fix(noisy, Some(kmh));
            (self.east, self.north) = here;
        }
    }

    /// Parked; a fix of a cell tower and a second later one of the satellites.
    pub(super) fn pairs(&mut self) {
        for _ in 0..self.rng.between(1, 6) {
            let step = self.rng.pick(&[MINUTE, 5 * MINUTE]);
            self.wait(step);
            let off = self.rng.between(30, 300) as f64;
            self.fix(Self::place(self.east + off, self.north), None);
            self.wait(SECOND);
            self.here(None);
        }
    }

    /// A run of fixes at a place of its own: zeros, a cell tower, the maker's.
    pub(super) fn elsewhere(&mut self) {
        let far = self.rng.pick(&[(0.0, 0.0), (3.4, 7.0), (3.41, 6.53), (113.9, 22.6)]);
        let (step, marked) = (self.rng.pick(&[SECOND, 20 * SECOND, MINUTE, 3 * MINUTE]), self.rng.chance(25));
        let count = self.rng.pick(&[1, 1, 1, 2, 3, 5, 6]);
        for _ in 0..count {
            self.wait(step);
            let jitter = self.rng.between(0, 60) as f64;
            self.fix(Place::from_degrees(far.0 + jitter / DEGREE_M, far.1), Some(0.0));
            if let Some(last) = self.track.last_mut().filter(|_| marked) {
                last.mark = Mark::Inaccurate;
            }
        }
        self.wait(step);
    }

    pub(super) fn silence(&mut self) {
        let minutes = self.rng.pick(&[29, 30, 31, 45, 90, 300, 3_000]);
        self.now += minutes * MINUTE + self.rng.between(0, 1);
        if self.rng.chance(50) {
            self.north += self.rng.pick(&[200.0, 5_000.0, 40_000.0]);
        }
        if self.rng.chance(30) {
            self.here(None);
        }
    }

    pub(super) fn inaccurate(&mut self) {
        let step = self.rng.pick(&[SECOND, MINUTE, 20 * MINUTE, 40 * MINUTE]);
        self.wait(step);
        self.here(Some(30.0));
        if let Some(last) = self.track.last_mut() {
            last.mark = Mark::Inaccurate;
        }
    }

    pub(super) fn go(mut self, episodes: usize) -> Vec<Position> {
        for _ in 0..episodes {
            match self.rng.below(20) {
                0..6 => self.drive(),
                6..11 => self.park(),
                11..13 => self.pairs(),
                13..16 => self.elsewhere(),
                16..18 => self.silence(),
                18 => self.inaccurate(),
                _ => self.wiring = self.rng.pick(&WIRINGS),
            }
        }
        self.track
    }
}

pub(super) const WIRINGS: [Wiring; 5] =
    [Wiring::Never, Wiring::Always, Wiring::EverySecond, Wiring::OnlyOff, Wiring::Flapping];

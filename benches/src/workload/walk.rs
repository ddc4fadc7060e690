//! Walks for the kernel: where vehicles are next, by how far they get from one position to the next.

use std::f64::consts::{PI, TAU};

use watchtower_model::{Millis, Place, PositionEvent};

use super::{BEGINS, Region, bare};
use watchtower_core::random::SplitMix;

/// How far a vehicle gets between two positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// So many metres on the mean: a fifth of the vehicles stand and are seen a sixteenth of that away, the
    /// others have speeds of their own, log-normally distributed, and turn a little.
    Metres(f64),
    /// Anywhere.
    Teleport,
}

/// Standard deviation of a turn, radians.
const TURN: f64 = 0.3;
/// The share of vehicles that stand.
const STANDING: f64 = 0.2;
/// What of a step a standing vehicle makes: its receiver's noise.
const NOISE: f64 = 0.06;

/// First a position of each vehicle, then so many more of vehicles at random.
pub fn walk(vehicles: u32, events: usize, region: Region, step: Step, seed: u64) -> Vec<PositionEvent> {
    let mut random = SplitMix::new(seed);
    let mut walkers: Vec<Walker> = (0..vehicles).map(|_| Walker::new(region, &mut random)).collect();
    let started = (0..vehicles).map(|vehicle| (vehicle, walkers[vehicle as usize].at)).collect::<Vec<_>>();
    let moved = (0..events).map(|_| {
        let vehicle = random.below(u64::from(vehicles)) as u32;
        let walker = &mut walkers[vehicle as usize];
        match step {
            Step::Metres(metres) => walker.step(metres, region, &mut random),
            Step::Teleport => walker.at = region.place(&mut random),
        }
        (vehicle, walker.at)
    });
    let all = started.into_iter().chain(moved);
    (0..)
        .zip(all)
        .map(|(n, (vehicle, [lon, lat]))| bare(vehicle, BEGINS + n as Millis, Place::from_degrees(lon, lat)))
        .collect()
}

/// A vehicle on its way.
#[derive(Clone, Debug)]
pub(super) struct Walker {
    pub(super) at: [f64; 2],
    /// Radians, counterclockwise from east.
    pub(super) heading: f64,
    /// Its steps are this much of the mean.
    pub(super) pace: f64,
}

impl Walker {
    pub(super) fn new(region: Region, random: &mut SplitMix) -> Self {
        let at = region.place(random);
        let heading = random.between(0.0, TAU);
        let stands = random.between(0.0, 1.0) < STANDING;
        // A log-normal of mean 1: its variance of 1/4 in the logarithm is taken off by half.
        let pace = if stands { NOISE } else { (0.5 * random.normal() - 0.125).exp() };
        Self { at, heading, pace }
    }

    /// Goes on, `metres` times its pace; turns round instead where the region ends.
    pub(super) fn step(&mut self, metres: f64, region: Region, random: &mut SplitMix) {
        self.heading += TURN * random.normal();
        let [lon_m, lat_m] = region.degrees_per_metre();
        let metres = metres * self.pace;
        let next = [self.at[0] + metres * self.heading.cos() * lon_m, self.at[1] + metres * self.heading.sin() * lat_m];
        let inside = region.west < next[0] && next[0] < region.east && region.south < next[1] && next[1] < region.north;
        if inside { self.at = next } else { self.heading += PI }
    }
}

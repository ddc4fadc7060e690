//! Walks for the kernel: positions of vehicles with a given mean step.

use std::f64::consts::{PI, TAU};

use watchtower_model::{Millis, Place, PositionEvent};

use super::{BEGINS, Region, bare};
use watchtower_core::random::SplitMix;

/// Distance of a vehicle's successive positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Mean step in metres: a fifth of the vehicles stand, with noise of a sixteenth of the step; the others have
    /// log-normally distributed speeds and turn a little.
    Metres(f64),
    /// Random positions in the region.
    Teleport,
}

/// Standard deviation of a turn, radians.
const TURN: f64 = 0.3;
/// Share of vehicles that stand.
const STANDING: f64 = 0.2;
/// Apparent step of a standing vehicle, as a share of the mean step: noise of the receiver.
const NOISE: f64 = 0.06;

/// One position of each vehicle, then `events` more of random vehicles.
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

/// A moving vehicle.
#[derive(Clone, Debug)]
pub(super) struct Walker {
    pub(super) at: [f64; 2],
    /// Direction in radians, counterclockwise from east.
    pub(super) heading: f64,
    /// Its step as a multiple of the mean.
    pub(super) pace: f64,
}

impl Walker {
    pub(super) fn new(region: Region, random: &mut SplitMix) -> Self {
        let at = region.place(random);
        let heading = random.between(0.0, TAU);
        let stands = random.between(0.0, 1.0) < STANDING;
        // A log-normal distribution of mean 1: its logarithm has variance 1/4 and therefore mean -1/8.
        let pace = if stands { NOISE } else { (0.5 * random.normal() - 0.125).exp() };
        Self { at, heading, pace }
    }

    /// Moves `metres` times its pace, reflected at the border of the region.
    pub(super) fn step(&mut self, metres: f64, region: Region, random: &mut SplitMix) {
        self.heading += TURN * random.normal();
        let [lon_m, lat_m] = region.degrees_per_metre();
        let metres = metres * self.pace;
        let next = [self.at[0] + metres * self.heading.cos() * lon_m, self.at[1] + metres * self.heading.sin() * lat_m];
        let inside = region.west < next[0] && next[0] < region.east && region.south < next[1] && next[1] < region.north;
        if inside { self.at = next } else { self.heading += PI }
    }
}

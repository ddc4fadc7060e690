//! Workload W: 10 000 star polygons, three over each point; 10 000 vehicles that move 50 to 200 m every ten seconds;
//! 2 000 000 positions, one per millisecond, the vehicles in another order each time.

use std::f64::consts::{PI, TAU};

use watchtower_model::{Millis, Outliers, Place};

use super::{BEGINS, Region, Workload, bare, stars};
use watchtower_core::random::SplitMix;

/// Mean number of geofences over a point.
const COVER: f64 = 3.0;
/// Range of the length of a step, metres.
const STEPS: (f64, f64) = (50.0, 200.0);
/// Standard deviation of a turn, radians.
const TURN: f64 = 0.5;

/// Workload W with these numbers of geofences, vehicles and events, and a quarter as many events before: caches that
/// are filled at a vehicle's first visit are not part of the measurement.
pub fn workload_w(geofences: u32, vehicles: u32, events: usize, seed: u64) -> Workload {
    let warm = events / 4;
    let events = warm + events;
    let region = Region::LAGOS;
    let mut random = SplitMix::new(seed);
    let geofences = stars(geofences, region, COVER, random.next_u64());
    let [lon_m, lat_m] = region.degrees_per_metre();
    let mut tracks: Vec<([f64; 2], f64)> =
        (0..vehicles).map(|_| (region.place(&mut random), random.between(0.0, TAU))).collect();
    let mut order: Vec<u32> = (0..vehicles).collect();
    let mut happened = Vec::with_capacity(events);
    while happened.len() < events {
        if !happened.is_empty() {
            tracks.iter_mut().for_each(|(at, heading)| {
                *heading += TURN * random.normal();
                let metres = random.between(STEPS.0, STEPS.1);
                at[0] += metres * heading.cos() * lon_m;
                at[1] += metres * heading.sin() * lat_m;
                if reflect(&mut at[0], region.west, region.east) {
                    *heading = PI - *heading;
                }
                if reflect(&mut at[1], region.south, region.north) {
                    *heading = -*heading;
                }
            });
        }
        random.shuffle(&mut order);
        for &vehicle in order.iter().take(events - happened.len()) {
            let [lon, lat] = tracks[vehicle as usize].0;
            let ts = BEGINS + happened.len() as Millis;
            happened.push(bare(vehicle, ts, Place::from_degrees(lon, lat)));
        }
    }
    Workload { name: "workload-w", geofences, vehicles, events: happened, warm, outliers: Outliers::Use }
}

/// Reflects a coordinate into the interval. Returns whether it was outside.
fn reflect(at: &mut f64, low: f64, high: f64) -> bool {
    let border = if *at < low {
        low
    } else if *at > high {
        high
    } else {
        return false;
    };
    *at = 2.0 * border - *at;
    true
}

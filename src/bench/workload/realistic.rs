//! A realistic track: 100 000 vehicles with a fix every ten seconds, 10 m apart on the mean, of which
//! about four in a hundred enter or leave a geofence.

use watchtower_dataflows::model::{Heading, Millis, Place, Position, PositionEvent, Speed, VehicleId};

use super::walk::Walker;
use super::{BEGINS, Region, Workload, stars};
use crate::random::SplitMix;

/// A vehicle tells where it is so often.
const FIX_EVERY_MS: Millis = 10_000;
/// Metres of a step, on the mean.
const STEP_M: f64 = 10.0;
/// Geofences over a place, on the mean.
const COVER: f64 = 3.0;
/// 110 km square: with 10 000 geofences four changes in a hundred events.
const REGION: Region = Region { west: 3.0, east: 4.0, south: 6.0, north: 7.0 };

/// So many geofences and vehicles; each tells where it is so many times, and once before that.
pub fn realistic(geofences: u32, vehicles: u32, fixes: usize, seed: u64) -> Workload {
    let mut random = SplitMix::new(seed);
    let geofences = stars(geofences, REGION, COVER, random.next_u64());
    let mut walkers: Vec<Walker> = (0..vehicles).map(|_| Walker::new(REGION, &mut random)).collect();
    let mut order: Vec<u32> = (0..vehicles).collect();
    random.shuffle(&mut order);
    let mut events = Vec::with_capacity((fixes + 1) * vehicles as usize);
    for round in 0..=fixes as Millis {
        for (turn, &vehicle) in (0..).zip(&order) {
            let walker = &mut walkers[vehicle as usize];
            if round > 0 {
                walker.step(STEP_M, REGION, &mut random);
            }
            let ts = BEGINS + round * FIX_EVERY_MS + turn * FIX_EVERY_MS / Millis::from(vehicles);
            events.push(fix(vehicle, ts, walker));
        }
    }
    Workload { name: "realistic", geofences, vehicles, events, warm: vehicles as usize }
}

fn fix(vehicle: u32, ts: Millis, walker: &Walker) -> PositionEvent {
    let m_per_s = STEP_M * walker.pace / (FIX_EVERY_MS as f64 / 1000.0);
    let position = Position {
        ts,
        place: Place::from_degrees(walker.at[0], walker.at[1]),
        speed: Speed::from_kmh((m_per_s * 3.6 * 10.0).round() / 10.0),
        heading: Heading::from_degrees((90.0 - walker.heading.to_degrees()).rem_euclid(360.0)),
        ignition: true,
    };
    PositionEvent { vehicle: VehicleId(vehicle), seq: 0, position, withdrawn: false }
}

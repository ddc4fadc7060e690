//! A realistic track: 100 000 vehicles with a fix every ten seconds, 10 m apart on average; about four in a hundred
//! events are an enter or exit.

use std::sync::Arc;

use watchtower_model::{
    Geofence, Heading, Ignition, Mark, Millis, Outliers, Place, Position, PositionEvent, Speed, VehicleId,
};

use super::walk::Walker;
use super::{BEGINS, Region, Workload, stars};
use watchtower_core::random::SplitMix;

/// Interval between fixes of a vehicle.
const FIX_EVERY_MS: Millis = 10_000;
/// Mean length of a step, metres.
const STEP_M: f64 = 10.0;
/// Mean number of geofences over a point.
const COVER: f64 = 3.0;
/// 110 km square: with 10 000 geofences it results in four changes per hundred events.
pub const REGION: Region = Region { west: 3.0, east: 4.0, south: 6.0, north: 7.0 };

/// The realistic track with `times` fixes of each vehicle, after one more that places it.
pub fn realistic(geofences: u32, vehicles: u32, times: usize, seed: u64) -> Workload {
    let events = fixes(vehicles, times + 1, seed).collect();
    let (geofences, warm) = (among(geofences, seed), vehicles as usize);
    Workload { name: "realistic", geofences, vehicles, events, warm, outliers: Outliers::Skip }
}

/// The geofences of the realistic track.
pub fn among(geofences: u32, seed: u64) -> Vec<Arc<Geofence>> {
    stars(geofences, REGION, COVER, seed)
}

/// Duration of `times` fixes of a vehicle, milliseconds.
pub fn duration_ms(times: usize) -> Millis {
    times as Millis * FIX_EVERY_MS
}

/// `times` fixes of each vehicle, in order of time.
pub fn fixes(vehicles: u32, times: usize, seed: u64) -> impl Iterator<Item = PositionEvent> {
    let mut random = SplitMix::new(!seed);
    let mut walkers: Vec<Walker> = (0..vehicles).map(|_| Walker::new(REGION, &mut random)).collect();
    let mut order: Vec<u32> = (0..vehicles).collect();
    random.shuffle(&mut order);
    let rounds = (0..times).flat_map(move |round| (0..vehicles as usize).map(move |turn| (round as Millis, turn)));
    rounds.map(move |(round, turn)| {
        let vehicle = order[turn];
        let walker = &mut walkers[vehicle as usize];
        if round > 0 {
            walker.step(STEP_M, REGION, &mut random);
        }
        let ts = BEGINS + round * FIX_EVERY_MS + turn as Millis * FIX_EVERY_MS / Millis::from(vehicles);
        fix(vehicle, ts, walker)
    })
}

/// An endless track: the vehicles move to and fro between their first `places` positions; only the time is new.
pub fn to_and_fro(vehicles: u32, places: usize, seed: u64) -> impl Iterator<Item = PositionEvent> {
    let there: Vec<PositionEvent> = fixes(vehicles, places, seed).collect();
    let ways = (0..places).chain((1..places - 1).rev()).cycle();
    let turns =
        (0..).zip(ways).flat_map(move |(round, place)| (0..vehicles as usize).map(move |turn| (round, place, turn)));
    turns.map(move |(round, place, turn)| {
        let mut event = there[place * vehicles as usize + turn];
        event.position.ts += (round - place as Millis) * FIX_EVERY_MS;
        event
    })
}

fn fix(vehicle: u32, ts: Millis, walker: &Walker) -> PositionEvent {
    let m_per_s = STEP_M * walker.pace / (FIX_EVERY_MS as f64 / 1000.0);
    let position = Position {
        ts,
        place: Place::from_degrees(walker.at[0], walker.at[1]),
        speed: Speed::from_kmh((m_per_s * 3.6 * 10.0).round() / 10.0),
        heading: Heading::from_degrees((90.0 - walker.heading.to_degrees()).rem_euclid(360.0)),
        ignition: Ignition::On,
        mark: Mark::None,
    };
    PositionEvent { vehicle: VehicleId(vehicle), seq: 0, position, withdrawn: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_to_and_fro_comes_to_the_same_places_at_later_times() {
        let (vehicles, places) = (3, 4);
        let events: Vec<PositionEvent> = to_and_fro(vehicles, places, 1).take(3 * 14).collect();
        let of_one: Vec<Position> = events.iter().filter(|event| event.vehicle.0 == 1).map(|e| e.position).collect();
        assert!(of_one.windows(2).all(|pair| pair[1].ts - pair[0].ts == FIX_EVERY_MS));
        let route: Vec<Place> = of_one.iter().map(|position| position.place).collect();
        let there_and_back = [0, 1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1].map(|at| route[at]);
        assert_eq!(route, there_and_back);
        assert!(route[..places].windows(2).all(|pair| pair[0] != pair[1]));
    }
}

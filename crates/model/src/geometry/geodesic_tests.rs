//! The shortcuts against Karney's algorithm.

#![allow(clippy::unwrap_used)]

use super::geodesic::{ChordOrigin, distance_m, distance_mm, is_within_m, karney_m};
use super::{GeometryError, Shape};
use crate::units::Place;
use watchtower_testing::shapes::Random;

/// Pairs of places at every scale, near poles, antimeridian, equator and antipodes, and equal ones.
fn random_pair(random: &mut Random) -> (Place, Place) {
    let lat = match random.below(6) {
        0 => random.between(-90.0, -89.99),
        1 => random.between(89.0, 90.0),
        2 => [90.0, -90.0, 0.0, 45.0][random.below(4) as usize],
        _ => random.between(-90.0, 90.0),
    };
    let lon = match random.below(6) {
        0 => random.between(179.99, 180.0),
        1 => random.between(-180.0, -179.99),
        2 => [180.0, -180.0, 0.0][random.below(3) as usize],
        _ => random.between(-180.0, 180.0),
    };
    let (lon2, lat2) = match random.below(10) {
        0 => (random.between(-180.0, 180.0), random.between(-90.0, 90.0)),
        1 => (lon + 180.0 + random.between(-0.5, 0.5), -lat + random.between(-0.5, 0.5)),
        2 => (lon, lat),
        _ => {
            let reach = 10f64.powf(random.between(-7.0, 1.0));
            let stretch = if random.below(2) == 0 { 1.0 } else { lat.to_radians().cos().max(1e-4) };
            (lon + random.between(-reach, reach) / stretch, lat + random.between(-reach, reach))
        }
    };
    let wrapped = (lon2 + 180.0).rem_euclid(360.0) - 180.0;
    (Place::from_degrees(lon, lat), Place::from_degrees(wrapped, lat2.clamp(-90.0, 90.0)))
}

#[test]
fn millimetres_are_within_the_stated_error() {
    let (mut random, mut worst) = (Random(1), 0.0f64);
    for i in 0..1_000_000 {
        let (a, b) = random_pair(&mut random);
        let (exact, fast) = (distance_m(a, b) * 1000.0, distance_mm(a, b));
        // Half a millimetre is due to rounding.
        let allowed = exact * 1e-7 + 0.1 + 0.5;
        let off = (fast as f64 - exact).abs();
        assert!(off <= allowed, "pair {i} of seed 1: {a:?} {b:?}: {fast} mm, exactly {exact}");
        assert_eq!(fast, distance_mm(b, a), "pair {i} of seed 1: {a:?} {b:?}: not symmetric");
        if exact > 1e6 && exact < 6e7 {
            worst = worst.max((off - 0.5) / exact);
        }
    }
    println!("greatest relative error from 1 to 60 km: {worst:e}");
}

#[test]
fn hops_in_all_directions_at_all_latitudes() {
    let mut worst = (0.0f64, 0.0f64);
    for lat in (-899..=899).step_by(7).map(|tenths| f64::from(tenths) / 10.0) {
        for bearing in (0..360).step_by(15).map(f64::from) {
            for metres in [0.02, 1.0, 50.0, 900.0, 5_000.0, 20_000.0, 49_000.0] {
                let (sin, cos) = bearing.to_radians().sin_cos();
                let north = metres * cos / 111_000.0;
                let east = metres * sin / (111_000.0 * lat.to_radians().cos());
                let origin = ChordOrigin::new([10.0, lat]);
                let to = [10.0 + east, (lat + north).clamp(-90.0, 90.0)];
                let (chord, exact) = (origin.chord_m(to[0], to[1]), karney_m([10.0, lat], to));
                if chord > 50_000.0 {
                    continue;
                }
                assert!(chord <= exact + 1e-7, "chord from {lat} by {bearing}, {metres} m: {chord} {exact}");
                let series = chord + chord * chord * chord / (24.0 * 6_367_516.0 * 6_367_516.0);
                let off = (series - exact).abs();
                assert!(off <= 2.7e-8 * exact + 1e-7, "from {lat} by {bearing}, {metres} m: {series} {exact}");
                worst = (worst.0.max(off), worst.1.max(if metres > 10.0 { off / exact } else { 0.0 }));
            }
        }
    }
    println!("greatest error {:e} m, {:e} of the distance", worst.0, worst.1);
}

/// Limits that the bounds cannot decide, and limits one double around the distance itself.
#[test]
fn within_is_what_karney_says() {
    let mut random = Random(2);
    for i in 0..1_000_000 {
        let (a, b) = random_pair(&mut random);
        let exact = distance_m(a, b);
        let limit = match random.below(8) {
            0 => exact,
            1 => exact.next_up(),
            2 => exact.next_down(),
            3 => exact + random.between(-2e-6, 2e-6),
            4 => exact * (1.0 + random.between(-1e-5, 1e-5)),
            5 => exact * (1.0 + random.between(-1e-8, 1e-8)),
            6 => 50.0,
            _ => random.between(0.0, 2.0) * exact,
        };
        assert_eq!(is_within_m(a, b, limit), exact <= limit, "pair {i} of seed 2: {a:?} {b:?} {limit}");
        let center = [b.lon_degrees(), b.lat_degrees()];
        if limit > 0.0 {
            let circle = Shape::circle(center, limit).unwrap();
            let from_center = karney_m(center, [a.lon_degrees(), a.lat_degrees()]);
            assert_eq!(circle.covers(a), from_center <= limit, "pair {i} of seed 2: {b:?} {a:?} {limit}");
            let buffer = random.between(0.0, 5000.0);
            let expected = from_center <= limit + buffer;
            assert_eq!(circle.covers_buffered(a, buffer), expected, "pair {i} of seed 2: {b:?} {a:?} {limit}");
            if expected {
                let boxes = circle.boxes(buffer);
                let held = boxes.iter().any(|b| b.contains(a.lon_degrees(), a.lat_degrees()));
                assert!(held, "pair {i} of seed 2: {a:?} outside {boxes:?} of {b:?} {limit} + {buffer}");
            }
        }
    }
}

#[test]
fn the_bounds_hold() {
    let mut random = Random(3);
    for i in 0..1_000_000 {
        let (a, b) = random_pair(&mut random);
        let exact = distance_m(a, b);
        let origin = ChordOrigin::new([a.lon_degrees(), a.lat_degrees()]);
        let chord = origin.chord_m(b.lon_degrees(), b.lat_degrees());
        assert!(chord - 1e-7 <= exact, "pair {i} of seed 3: {a:?} {b:?}: chord {chord}, distance {exact}");
        let upper = chord + chord.powi(3) * 1.005 / (24.0 * 6_335_439.3 * 6_335_439.3);
        assert!(chord > 1e6 || exact <= upper + 1e-7, "pair {i} of seed 3: {a:?} {b:?}: {exact}, at most {upper}");
    }
}

#[test]
fn boxes_of_circles_at_the_rim_of_the_map() {
    let boxes = |center, radius| Shape::circle(center, radius).unwrap().boxes(0.0);
    assert_eq!(boxes([3.0, 6.0], 1000.0).len(), 1);
    let pole = boxes([10.0, 89.999], 1000.0);
    assert_eq!((pole.len(), pole[0].west, pole[0].east, pole[0].north), (1, -180.0, 180.0, 90.0));
    let fiji = boxes([179.999, -17.0], 1000.0);
    assert_eq!((fiji.len(), fiji[0].east, fiji[1].west), (2, 180.0, -180.0));
    assert!(fiji[1].contains(-179.995, -17.0) && !fiji[1].contains(-179.9, -17.0));
    let line = Shape::circle([180.0, 0.0], 1.0).unwrap();
    assert!(line.covers(Place::from_degrees(-180.0, 0.0)));
    assert!(line.boxes(0.0).iter().any(|b| b.contains(-180.0, 0.0)));
    assert_eq!(boxes([0.0, 0.0], 3e7).len(), 1);
}

#[test]
fn circles_that_are_refused() {
    let nowhere = Shape::circle([181.0, 0.0], 1.0).unwrap_err();
    assert_eq!(nowhere.to_string(), "centre not finite or out of range: (181 0)");
    for radius in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = Shape::circle([0.0, 0.0], radius).unwrap_err();
        assert!(matches!(error, GeometryError::Radius(_)), "{radius}: {error}");
    }
}

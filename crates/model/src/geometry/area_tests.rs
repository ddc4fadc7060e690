//! Cover against rational arithmetic, nearness against a scan of all edges.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use num_rational::BigRational;
use num_traits::Zero;
use proptest::prelude::*;
use serde_json::Value;

use super::area::coord;
use super::geodesic::metres_per_degree;
use super::{Area, Shape};
use crate::units::Place;
use watchtower_testing::shapes::{Polygons, Random, features, folder, polygons, ring, square, star};

/// Whether the point is inside or on an edge, without rounding, by a ray to the *north*. Doubles are compared
/// directly; everything computed uses rationals.
fn covers_exactly(polygons: &Polygons, [x, y]: [f64; 2]) -> bool {
    let mut inside = false;
    for edge in polygons.iter().flatten().flat_map(|ring| ring.windows(2)) {
        let (west, east) = if edge[0] < edge[1] { (edge[0], edge[1]) } else { (edge[1], edge[0]) };
        if x < west[0] || x > east[0] || (y > west[1] && y > east[1]) {
            continue;
        }
        if west[0] == east[0] {
            if west[1].min(east[1]) <= y && y <= west[1].max(east[1]) {
                return true;
            }
            continue;
        }
        let below = if y < west[1] && y < east[1] {
            true
        } else {
            let [x, y, wx, wy, ex, ey] = [x, y, west[0], west[1], east[0], east[1]].map(rational);
            let height = (y - &wy) * (&ex - &wx) - (x - wx) * (ey - wy);
            if height.is_zero() {
                return true;
            }
            height < BigRational::zero()
        };
        if below && x < east[0] {
            inside = !inside;
        }
    }
    inside
}

fn rational(x: f64) -> BigRational {
    BigRational::from_float(x).unwrap()
}

fn degrees(place: Place) -> [f64; 2] {
    [place.lon_degrees(), place.lat_degrees()]
}

/// Vertices, places on edges and on the lines through them, and places 1e-7 degrees away from these.
fn awkward_places(polygons: &Polygons, random: &mut Random, per_edge: usize) -> Vec<Place> {
    let mut places = Vec::new();
    let mut push = |[lon, lat]: [f64; 2]| {
        let place = Place::from_degrees(lon, lat);
        for (east, north) in [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)] {
            places.push(Place { lon: place.lon + east, lat: place.lat + north });
        }
    };
    for edge in polygons.iter().flatten().flat_map(|ring| ring.windows(2)) {
        let (a, b) = (edge[0], edge[1]);
        push(a);
        push([a[0], b[1]]);
        for _ in 0..per_edge {
            let t = if random.below(2) == 0 { 0.5 } else { random.between(0.0, 1.0) };
            push([a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]);
            push([random.between(a[0] - 0.1, b[0] + 0.1), a[1]]);
        }
    }
    places
}

fn check(name: &str, polygons: &Polygons, places: &[Place]) -> usize {
    let shape = Shape::from_polygons(polygons.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
    places
        .iter()
        .filter(|&&place| {
            let (found, exact) = (shape.covers(place), covers_exactly(polygons, degrees(place)));
            assert_eq!(found, exact, "{name}: {place:?}");
            found
        })
        .count()
}

#[test]
fn border_counts_and_holes_do_not() {
    let shape = Shape::from_polygons(vec![
        vec![square(0.0, 0.0, 10.0), ring(&[[2.0, 5.0], [5.0, 2.0], [8.0, 5.0], [5.0, 8.0]])],
        vec![square(4.0, 4.0, 2.0)],
        vec![square(10.0, 10.0, 1.0)],
    ])
    .unwrap();
    let covers = |lon, lat| shape.covers(Place::from_degrees(lon, lat));
    for [lon, lat] in [
        [0.0, 0.0],
        [10.0, 0.0],
        [10.0, 10.0],
        [0.0, 10.0],
        [5.0, 0.0],
        [0.0, 5.0],
        [10.0, 5.0],
        [5.0, 10.0],
        [1.0, 1.0],
        [2.0, 5.0],
        [3.5, 3.5],
        [5.0, 8.0],
        [4.0, 4.0],
        [5.0, 5.0],
        [6.0, 5.0],
        [10.5, 10.5],
        [9.0, 5.0],
        [9.0, 8.0],
        [9.0, 2.0],
    ] {
        assert!(covers(lon, lat), "{lon} {lat}");
    }
    for [lon, lat] in [
        [3.0, 5.0],
        [5.0, 7.0],
        [3.6, 3.6],
        [-1e-7, 0.0],
        [10.0, 10.0 + 1.1e-7 - 11.0],
        [11.5, 10.0],
        [9.0, 10.5],
        [-1.0, 5.0],
        [-1.0, 0.0],
        [12.0, 10.0],
        [3.9999999, 5.0],
        [6.0000001, 6.0],
    ] {
        assert!(!covers(lon, lat), "{lon} {lat}");
    }
}

/// Stars of all sizes, scanned and indexed, with a lake and an island, vertices on all kinds of grids.
#[test]
fn generated_shapes_are_covered_exactly() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let n = 3 + random.below(if seed % 10 == 0 { 400 } else { 40 }) as usize;
        let grid = [1e7, 1e2, 1e3, 64.0, 1e15][random.below(5) as usize];
        let center = [random.between(-170.0, 170.0), random.between(-80.0, 80.0)];
        let rounded = |ring: Vec<[f64; 2]>| -> Vec<[f64; 2]> {
            ring.iter().map(|at| at.map(|x| (x * grid).round() / grid)).collect()
        };
        let shell = rounded(star(center, n, |_| random.between(3.0, 5.0)));
        let hole = rounded(star(center, n, |_| 1.2));
        let island = rounded(star(center, 5, |_| 0.4));
        let shapes = vec![vec![shell, hole], vec![island]];
        if let Err(error) = Shape::from_polygons(shapes.clone()) {
            // Rounding to a coarse grid may fold a star.
            println!("seed {seed}: left out: {error}");
            continue;
        }
        let places = awkward_places(&shapes, &mut random, 2);
        let inside = check(&format!("seed {seed}"), &shapes, &places);
        assert!(inside > 0 && inside < places.len(), "seed {seed}: {inside} of {}", places.len());
    }
}

/// Edges so flat or steep that plain doubles cannot decide; those of PostGIS cannot either.
#[test]
fn places_hardly_off_an_edge() {
    let mut disagreements = 0;
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let mut place = || Place::from_degrees(random.between(3.0, 4.0), random.between(6.0, 7.0));
        let triangle = vec![vec![ring(&[degrees(place()), degrees(place()), degrees(place())])]];
        let places = awkward_places(&triangle, &mut Random(seed), 4);
        check(&format!("seed {seed}"), &triangle, &places);
        // The same with vertices moved by the last bit: nearly collinear with decimal places.
        let moved: Polygons = vec![vec![triangle[0][0].iter().map(|&[x, y]| [x.next_up(), y.next_down()]).collect()]];
        check(&format!("seed {seed}, moved"), &moved, &places);
        let [a, b] = [triangle[0][0][0], triangle[0][0][1]];
        disagreements += places
            .iter()
            .filter(|&&place| {
                let [x, y] = degrees(place);
                let naive = (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]);
                let exact = robust::orient2d(coord(a), coord(b), coord([x, y]));
                (naive == 0.0) != (exact == 0.0)
            })
            .count();
    }
    println!("plain doubles would have been wrong about a border {disagreements} times");
}

#[test]
fn real_geofences_are_covered_exactly() {
    let Some(folder) = folder() else { return };
    for (file, every) in [
        ("nigeria_states", 1),
        ("city_austin_neighbourhoods", 1),
        ("nyc_taxi_zones", 9),
        ("us_counties", 40),
        ("world_countries_50m", 20),
        ("france_communes_dept01-31", 200),
    ] {
        let (mut random, mut tested, mut inside) = (Random(7), 0, 0);
        for feature in features(&folder, &format!("geofences/{file}.geojson.gz")).iter().step_by(every) {
            let shapes = polygons(feature).unwrap();
            let places = awkward_places(&shapes, &mut random, 1);
            // The oracle scans every edge for every place; a prime stride keeps all kinds of places.
            let edges: usize = shapes.iter().flatten().map(Vec::len).sum();
            let stride = [1, 7, 31, 127, 509][(edges / 400).min(4)];
            let places: Vec<Place> = places.into_iter().step_by(stride).collect();
            inside += check(&format!("{file} {}", feature["id"]), &shapes, &places);
            tested += places.len();
        }
        println!("{file}: {tested} places, {inside} inside");
    }
}

/// The geofences' vertices lie on the grid, so a great part of the places is on edges.
#[test]
fn the_grid_of_nigeria_is_covered_exactly() {
    let Some(folder) = folder() else { return };
    let (mut tested, mut inside) = (0, 0);
    let mut owners = BTreeMap::<Place, u32>::new();
    for feature in features(&folder, "geofences/nigeria_lgas.geojson.gz") {
        let shapes = polygons(&feature).unwrap();
        let bounds = Shape::from_polygons(shapes.clone()).unwrap().boxes(0.0)[0];
        let steps = |from: f64, to: f64| (from * 100.0).floor() as i32 - 1..=(to * 100.0).ceil() as i32 + 1;
        let grid = |lon, lat| Place { lon: lon * 100_000, lat: lat * 100_000 };
        let places: Vec<Place> = steps(bounds.west, bounds.east)
            .flat_map(|lon| steps(bounds.south, bounds.north).map(move |lat| grid(lon, lat)))
            .collect();
        inside += check(&format!("LGA {}", feature["id"]), &shapes, &places);
        tested += places.len();
        let shape = Shape::from_polygons(shapes).unwrap();
        places.iter().filter(|&&place| shape.covers(place)).for_each(|&place| *owners.entry(place).or_default() += 1);
    }
    let shared = owners.values().filter(|&&count| count > 1).count();
    println!("nigeria_lgas: {tested} places, {inside} inside, {shared} on shared borders");
    assert!(shared > 1000);
}

/// Distance of a place from all edges, without index or shortcut.
fn is_near_slowly(polygons: &Polygons, place: Place, buffer_m: f64) -> bool {
    let [lon, lat] = degrees(place);
    let (east, north) = metres_per_degree(lat);
    polygons.iter().flatten().flat_map(|ring| ring.windows(2)).any(|edge| {
        let [(ax, ay), (bx, by)] = [edge[0], edge[1]].map(|[x, y]| ((x - lon) * east, (y - lat) * north));
        let (dx, dy) = (bx - ax, by - ay);
        let length = dx * dx + dy * dy;
        let t = if length > 0.0 { (-(ax * dx + ay * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
        let (x, y) = (ax + t * dx, ay + t * dy);
        x * x + y * y <= buffer_m * buffer_m
    })
}

#[test]
fn buffers_are_as_without_the_index_and_inside_the_boxes() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let n = 3 + random.below(200) as usize;
        let center = [random.between(-179.9, 179.9), [0.0, 6.5, 60.0, -89.95, 89.97][random.below(5) as usize]];
        let clamp = |[x, y]: [f64; 2]| [x.clamp(-180.0, 180.0), y.clamp(-90.0, 90.0)];
        let shell = star(center, n, |_| random.between(0.005, 0.02)).into_iter().map(clamp).collect();
        let shapes = vec![vec![shell]];
        let Ok(shape) = Shape::from_polygons(shapes.clone()) else { continue };
        for _ in 0..300 {
            let reach = [0.03, 0.1, 1.0][random.below(3) as usize];
            let at = [random.between(-reach, reach) + center[0], random.between(-reach, reach) + center[1]];
            let [lon, lat] = clamp(at);
            let place = Place::from_degrees(lon, lat);
            let buffer = [0.0, 1.0, 50.0, 500.0, 5000.0][random.below(5) as usize];
            let expected = shape.covers(place) || is_near_slowly(&shapes, place, buffer);
            assert_eq!(shape.covers_buffered(place, buffer), expected, "seed {seed}: {place:?} {buffer}");
            let [lon, lat] = degrees(place);
            let boxes = shape.boxes(buffer);
            assert!(!expected || boxes.iter().any(|b| b.contains(lon, lat)), "seed {seed}: {place:?} {boxes:?}");
        }
    }
}

#[test]
fn a_buffer_is_metres() {
    let shape = Shape::from_polygons(vec![vec![square(3.0, 6.0, 0.01)]]).unwrap();
    let near = |lon, lat, metres| shape.covers_buffered(Place::from_degrees(lon, lat), metres);
    // 0.001 degrees at 6 degrees north: 110.7 m of longitude, 110.6 m of latitude.
    assert!(near(3.011, 6.005, 110.8) && !near(3.011, 6.005, 110.6));
    assert!(near(3.005, 5.999, 110.7) && !near(3.005, 5.999, 110.5));
    assert!(near(3.011, 6.011, 156.7) && !near(3.011, 6.011, 156.3));
    assert!(near(3.005, 6.005, 0.0) && near(3.01, 6.005, 0.0) && !near(3.0100001, 6.005, 0.0));
}

#[test]
fn what_is_written_reads_back() {
    let shapes =
        vec![vec![square(0.1, 0.2, 10.0), square(2.0, 2.0, 6.0)], vec![star([5.0, 5.0], 40, |i| 1.0 + (i % 3) as f64)]];
    let shape = Shape::from_polygons(shapes.clone()).unwrap();
    let text = serde_json::to_string(&shape).unwrap();
    assert_eq!(serde_json::from_str::<Shape>(&text).unwrap(), shape);
    let read: Polygons = shape.polygons().map(|polygon| polygon.rings().map(<[_]>::to_vec).collect()).collect();
    assert_eq!(read, shapes);
    assert_eq!(shape.vertex_count(), 51);
    let circle = Shape::circle([3.36, 6.44], 150.0).unwrap();
    assert_eq!(serde_json::from_value::<Shape>(serde_json::to_value(&circle).unwrap()).unwrap(), circle);
    assert_eq!((circle.wkt().as_str(), circle.radius_m()), ("POINT(3.36 6.44)", Some(150.0)));
    assert_eq!((circle.center(), circle.polygons().count(), circle.vertex_count()), (Some([3.36, 6.44]), 0, 0));
    let one = Shape::from_polygons(vec![vec![square(0.0, 0.0, 10.0), square(2.5, 2.0, 1.0)]]).unwrap();
    assert_eq!(one.wkt(), "POLYGON((0 0,10 0,10 10,0 10,0 0),(2.5 2,3.5 2,3.5 3,2.5 3,2.5 2))");
    let two = Shape::from_polygons(vec![vec![square(0.0, 0.0, 1.0)], vec![square(2.0, 0.1, 1.0)]]).unwrap();
    assert_eq!(two.wkt(), "MULTIPOLYGON(((0 0,1 0,1 1,0 1,0 0)),((2 0.1,3 0.1,3 1.1,2 1.1,2 0.1)))");
    let parsed = |shape: &Shape| serde_json::from_str::<Value>(&shape.geojson()).unwrap();
    assert_eq!(circle.geojson(), r#"{"type":"Point","coordinates":[3.36,6.44]}"#);
    assert_eq!((&parsed(&one)["type"], &parsed(&one)["coordinates"][1][0][0]), (&"Polygon".into(), &2.5.into()));
    assert_eq!(
        (&parsed(&two)["type"], &parsed(&two)["coordinates"][1][0][0][1]),
        (&"MultiPolygon".into(), &0.1.into())
    );
    let value: Value = serde_json::from_str(&text).unwrap();
    assert!(value["Area"].is_array(), "the index is rebuilt, not sent");
}

proptest! {
    /// The index must return enough edges at all latitudes.
    #[test]
    fn index_and_scan_agree(
        radii in prop::collection::vec(0.1f64..1.0, 20..200),
        center in (-100.0f64..100.0, -80.0f64..80.0),
        at in prop::collection::vec((-1.1f64..1.1, -1.1f64..1.1), 50),
    ) {
        let shell = star([center.0, center.1], radii.len(), |i| radii[i]);
        let area = Area::from(vec![vec![shell.clone()]]);
        for (x, y) in at {
            let vertex = shell[(x.abs() * 17.0) as usize];
            for [lon, lat] in [[center.0 + x, center.1 + y], [center.0 + x, vertex[1]], vertex] {
                let exact = covers_exactly(&vec![vec![shell.clone()]], [lon, lat]);
                prop_assert_eq!(area.covers(lon, lat), exact);
            }
        }
    }
}

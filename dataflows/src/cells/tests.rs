//! Results of cells compared with a scan of every shape in force.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::{PlaceBox, SafeRegion};
use crate::catalogue::{Catalogue, View};
use crate::whereabouts::Whereabouts;
use watchtower_model::geometry::Shape;
use watchtower_model::{BEGINNING, Geofence, GeofenceEdit, GeofenceId, Millis, Place, Speed, VehicleId};
use watchtower_testing::shapes::{Random, features, folder, polygons, ring, square, star};

const EARTH: PlaceBox = PlaceBox { west: -1_800_000_000, south: -900_000_000, east: 1_800_000_000, north: 900_000_000 };

/// A catalogue, and places that are likely to reveal errors.
#[derive(Default)]
struct World {
    catalogue: Catalogue,
    geofences: u32,
    edits: u64,
    awkward: Vec<Place>,
}

fn edit(geofence: u32, valid_from: Millis, seq: u64, shape: Option<Arc<Shape>>) -> GeofenceEdit {
    let definition = shape.map(|shape| {
        Arc::new(Geofence {
            id: format!("{geofence}").into(),
            name: None,
            kind: None,
            anchor: None,
            tags: Vec::new(),
            min_dwell_ms: 0,
            exit_buffer_m: 0.0,
            speed_limit: Speed::NONE,
            shape,
        })
    });
    GeofenceEdit { key: GeofenceId(geofence), valid_from, effective_from: valid_from, seq, definition }
}

impl World {
    fn edit(&mut self, geofence: u32, valid_from: Millis, shape: Option<Shape>) -> GeofenceEdit {
        self.geofences = self.geofences.max(geofence + 1);
        self.edits += 1;
        edit(geofence, valid_from, self.edits, shape.map(Arc::new))
    }

    fn of(shapes: Vec<Shape>) -> Self {
        let mut world = Self::default();
        let edits = (0..).zip(shapes).map(|(id, shape)| world.edit(id, BEGINNING, Some(shape))).collect();
        world.catalogue.prepare(edits);
        world.catalogue.commit();
        world
    }

    fn expected(&self, place: Place, t: Millis, view: View) -> Vec<GeofenceId> {
        let ids = (0..self.geofences).map(GeofenceId);
        ids.filter(|&id| self.catalogue.in_force(id, t, view).is_some_and(|g| g.shape.covers(place))).collect()
    }

    /// The geofences that cover a place, and the regions: for a vehicle without region, and for one far away.
    fn found(&self, place: Place, t: Millis, view: View) -> (Vec<GeofenceId>, [SafeRegion; 2]) {
        let sorted = |mut found: Vec<GeofenceId>| {
            found.sort();
            found.dedup();
            found
        };
        let (mut found, mut again) = (Vec::new(), Vec::new());
        let region = self.catalogue.covering(place, t, view, &SafeRegion::NONE, |_, geofence| found.push(geofence));
        let found = sorted(found);
        let west = Place { lon: if place.lon < 0 { 1_700_000_000 } else { -1_700_000_000 }, lat: place.lat };
        let afar = self.catalogue.covering(west, t, view, &SafeRegion::NONE, |_, _| {});
        let only = self.catalogue.covering(place, t, view, &afar, |_, geofence| again.push(geofence));
        assert_eq!(found, sorted(again));
        (found, [region, only])
    }

    /// Checks a place, and others in the regions that are returned. Returns the size of the first region.
    fn check(&self, name: &str, place: Place, t: Millis, view: View, random: &mut Random) -> f64 {
        let expected = self.expected(place, t, view);
        let (found, regions) = self.found(place, t, view);
        assert_eq!(found, expected, "{name}: {place:?} at {t}");
        let widths = regions.map(|region| {
            let PlaceBox { west, south, east, north } = region.places().intersection(&EARTH);
            if east < west || north < south {
                return 0.0;
            }
            assert!(region.places().contains(place), "{name}: {place:?} {region:?}");
            let mut between = |from: i32, to: i32| match random.below(4) {
                0 => from,
                1 => to,
                _ => (i64::from(from) + random.below((i64::from(to) - i64::from(from) + 1) as u64) as i64) as i32,
            };
            for _ in 0..4 {
                let other = Place { lon: between(west, east), lat: between(south, north) };
                let later = t.max(between(0, 120).into());
                if region.holds(other, later, self.catalogue.generation()) {
                    let covering = self.expected(other, later, view);
                    assert_eq!(covering, expected, "{name}: {place:?} at {t}: {other:?}, {region:?}");
                }
            }
            f64::from(east) - f64::from(west)
        });
        widths[0]
    }

    /// Adds vertices, places on edges, and places one unit away.
    fn remember(&mut self, shape: &Shape, random: &mut Random) {
        let mut places = Vec::new();
        for ring in shape.polygons().flat_map(|polygon| polygon.rings()) {
            for edge in ring.windows(2).step_by(1 + ring.len() / 20) {
                let t = random.between(0.0, 1.0);
                places.extend([edge[0], [0, 1].map(|i| edge[0][i] + t * (edge[1][i] - edge[0][i]))]);
            }
        }
        if let (Some([lon, lat]), Some(radius_m)) = (shape.center(), shape.radius_m()) {
            let degrees = radius_m / 111_000.0;
            let across = degrees / lat.to_radians().cos().max(0.01);
            places.extend([[lon, lat], [lon, lat + degrees], [lon + across, lat], [lon - across, lat]]);
        }
        let clamped = |[lon, lat]: [f64; 2]| Place::from_degrees(lon.clamp(-180.0, 180.0), lat.clamp(-90.0, 90.0));
        self.awkward.extend(places.into_iter().map(clamped));
    }

    /// A random place: near a border, on the border of a square, at the end of the world, anywhere.
    fn place(&self, random: &mut Random) -> Place {
        let anywhere =
            |random: &mut Random| Place::from_degrees(random.between(-180.0, 180.0), random.between(-90.0, 90.0));
        let known = match self.awkward.len() {
            0 => anywhere(random),
            n => self.awkward[random.below(n as u64) as usize],
        };
        let step = |random: &mut Random, by: i32| random.below(2 * by as u64 + 1) as i32 - by;
        let aligned = |coordinate: i32, random: &mut Random| {
            let log_size = 9 + random.below(14);
            (coordinate >> log_size << log_size) + step(random, 1)
        };
        let Place { lon, lat } = match random.below(6) {
            0 => anywhere(random),
            1 => Place { lon: aligned(known.lon, random), lat: aligned(known.lat, random) },
            2 => Place { lon: [-1_800_000_000, 1_800_000_000][random.below(2) as usize], lat: known.lat },
            3 => {
                let by = 1 << random.below(22);
                Place { lon: known.lon.saturating_add(step(random, by)), lat: known.lat + step(random, by) }
            }
            _ => Place { lon: known.lon + step(random, 1), lat: known.lat + step(random, 1) },
        };
        Place { lon: lon.clamp(EARTH.west, EARTH.east), lat: lat.clamp(EARTH.south, EARTH.north) }
    }
}

/// A random shape within some degrees of a place: a star with lakes and islands, a thin triangle, squares on a grid
/// that share edges, a square on the borders of cells, a tiny shape, a circle.
fn shape(random: &mut Random, center: [f64; 2], spread: f64) -> Option<Shape> {
    let at = center.map(|x| x + random.between(-spread, spread));
    let size = spread * [1e-4, 0.01, 0.1, 0.5, 1.0][random.below(5) as usize];
    let inside = |ring: Vec<[f64; 2]>| -> Vec<[f64; 2]> {
        ring.into_iter().map(|[x, y]| [x.clamp(-180.0, 180.0), y.clamp(-90.0, 90.0)]).collect()
    };
    let polygons = match random.below(8) {
        0 => {
            let n = 3 + random.below(60) as usize;
            let mut radius = || random.between(0.6, 1.0) * size;
            let shell = inside(star(at, n, |_| radius()));
            let hole = inside(star(at, n, |_| 0.3 * size));
            vec![vec![shell, hole], vec![inside(star(at, 5, |_| 0.1 * size))]]
        }
        1 => vec![vec![inside(ring(&[at, [at[0] + size, at[1] + 1e-7], [at[0] + size, at[1] + 2e-7]]))]],
        2 => {
            let side = spread / 8.0;
            let [west, south] = [0, 1].map(|i| center[i] + (random.below(16) as f64 - 8.0) * side);
            vec![vec![inside(square(west, south, side))]]
        }
        3 => {
            let unit = f64::from(1 << (9 + random.below(12))) / 1e7;
            let [west, south] = at.map(|x| ((x + 214.748_364_8) / unit).floor() * unit - 214.748_364_8);
            vec![vec![inside(square(west, south, unit * (1 + random.below(3)) as f64))]]
        }
        4 | 5 => {
            let radius_m = size * 111_000.0;
            let at = inside(vec![at])[0];
            return Some(Shape::circle(at, radius_m.clamp(0.5, 15_000_000.0)).unwrap());
        }
        _ => {
            let mut radius = || random.between(0.2, 1.0) * size;
            vec![vec![inside(star(at, 40, |_| radius()))]]
        }
    };
    Shape::from_polygons(polygons).ok()
}

/// Geofences are added, changed and deleted, some ahead of time; lookups run before, between and after the edits.
#[test]
fn cells_answer_as_the_shapes_do_whatever_is_edited() {
    let centers = [[3.4, 6.5], [0.0, 0.0], [179.9, -17.0], [-180.0, 52.0], [25.0, 89.5], [-60.0, -89.9], [12.0, 60.0]];
    let (mut asked, mut safe) = (0, 0);
    for seed in 0..400 {
        let mut random = Random(seed);
        let mut world = World::default();
        let center = centers[random.below(centers.len() as u64) as usize];
        let spread = [1e-4, 0.01, 0.5, 20.0, 80.0][random.below(5) as usize];
        let name = format!("seed {seed}, {spread} degrees around {center:?}");
        for _epoch in 0..6 {
            let mut edits = Vec::new();
            for _ in 0..random.below(12) {
                let geofence = random.below(30) as u32;
                let valid_from = [BEGINNING, 0, random.below(100) as Millis][random.below(3) as usize];
                // Occasionally a geofence far away, so that the grid must be rebuilt.
                let far = if random.below(30) == 0 { 100.0 } else { spread };
                let shape = if random.below(5) == 0 { None } else { shape(&mut random, center, far) };
                if let Some(shape) = &shape {
                    world.remember(shape, &mut random);
                }
                edits.push(world.edit(geofence, valid_from, shape));
            }
            world.catalogue.prepare(edits);
            for view in [View::Old, View::New] {
                for _ in 0..10 {
                    let (place, t) = (world.place(&mut random), random.below(110) as Millis);
                    world.check(&name, place, t, view, &mut random);
                }
            }
            world.catalogue.commit();
            for _ in 0..60 {
                let (place, t) = (world.place(&mut random), random.below(110) as Millis);
                asked += 1;
                safe += usize::from(world.check(&name, place, t, View::New, &mut random) > 0.0);
            }
        }
    }
    println!("{safe} of {asked} places were in a safe region");
    assert!(safe * 3 > asked);
}

#[test]
fn cells_answer_as_real_shapes_do() {
    let Some(folder) = folder() else { return };
    for (file, every) in [
        ("us_counties", 6),
        ("world_countries_50m", 1),
        ("nyc_taxi_zones", 1),
        ("nigeria_lgas", 4),
        ("france_communes_dept01-31", 20),
    ] {
        let (mut random, mut shapes) = (Random(11), Vec::new());
        for feature in features(&folder, &format!("geofences/{file}.geojson.gz")).iter().step_by(every) {
            shapes.push(Shape::from_polygons(polygons(feature).unwrap()).unwrap());
        }
        let mut world = World::of(shapes.clone());
        shapes.iter().for_each(|shape| world.remember(shape, &mut random));
        let mut safe = 0;
        for _ in 0..5_000 {
            let place = world.place(&mut random);
            safe += usize::from(world.check(file, place, 0, View::New, &mut random) > 0.0);
        }
        println!("{file}: {safe} of 5000 places were in a safe region; {:?}", world.catalogue.cells());
    }
}

/// Vehicles move between geofences that are edited; some batches have earlier times.
#[test]
fn vehicles_are_where_the_shapes_say() {
    let mut stayed = 0;
    for seed in 0..60 {
        let mut random = Random(seed);
        let (mut world, mut whereabouts) = (World::default(), Whereabouts::default());
        let mut places = [Place { lon: 0, lat: 0 }; 20];
        let mut known = vec![Vec::new(); places.len()];
        for _epoch in 0..40 {
            if random.below(4) == 0 {
                let geofence = random.below(20) as u32;
                let shape = shape(&mut random, [0.0, 0.0], 0.01).filter(|_| geofence > 3);
                let valid_from = random.below(100) as Millis;
                let edit = world.edit(geofence, valid_from, shape);
                world.catalogue.prepare(vec![edit]);
                world.catalogue.commit();
            }
            let t = random.below(110) as Millis;
            let batch = (0..50).map(|_| {
                let vehicle = random.below(places.len() as u64) as usize;
                let mut step = || random.below(2_001) as i32 - 1_000;
                let by = Place { lon: step(), lat: step() };
                let Place { lon, lat } = &mut places[vehicle];
                (*lon, *lat) = (*lon + by.lon, *lat + by.lat);
                (VehicleId(vehicle as u32), places[vehicle])
            });
            let batch: Vec<_> = batch.collect();
            whereabouts.advance(&world.catalogue, t, &batch, |vehicle, was, is| {
                assert_eq!(std::mem::replace(&mut known[vehicle.0 as usize], is.to_vec()), was, "seed {seed}");
            });
            for &(vehicle, _) in &batch {
                let expected = world.expected(places[vehicle.0 as usize], t, View::New);
                assert_eq!(known[vehicle.0 as usize], expected, "seed {seed}");
                assert_eq!(whereabouts.inside(vehicle), expected, "seed {seed}");
                stayed += usize::from(!expected.is_empty());
            }
        }
    }
    assert!(stayed > 10_000, "{stayed}");
}

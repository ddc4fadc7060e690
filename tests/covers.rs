//! What geofences cover is what PostGIS says they do: `ST_Covers`, `ST_DWithin` of geographies, and
//! `ST_Distance` in metres, on places of which many are on borders or next to them. PostGIS decides
//! with doubles; where it differs, the pair is as near to the border as doubles can be wrong, and
//! arithmetic without rounding says what we say.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use watchtower_core::events::{Event, Limits};
use watchtower_inputs::{self, FileFormat};
use watchtower_model::Place;
use watchtower_model::geometry::Shape;

use crate::support::oracle::FUNCTIONS;
use crate::support::rng::Rng;
use crate::support::servers::postgres::{PostgresServer, psql};
use crate::support::{data_dir, exact};

/// How far from a threshold of metres rounding may decide.
const TOLERANCE_M: f64 = 1e-6;

/// Places that are looked for in polygons.
const COVERED: usize = 1_200_000;

/// Places that are measured from polygons: slower, as PostGIS scales the polygon anew for each.
const MEASURED: usize = 160_000;

/// Places that are looked for in circles.
const CIRCLED: usize = 250_000;

/// Files of polygons, and how many vertices a polygon may have to be measured in metres.
const AREAS: [(&str, usize); 8] = [
    ("city_austin_neighbourhoods", 500),
    ("nigeria_states", 500),
    ("nigeria_lgas", 500),
    ("nyc_taxi_zones", 500),
    ("us_states", 1_000),
    ("us_counties", 500),
    ("world_countries_50m", 1_000),
    ("france_communes_dept01-31", 200),
];

/// Files of circles.
const CIRCLES: [&str; 2] = ["circles_austin_bus_stops", "circles_world_ports_wpi"];

/// One question to PostGIS, and our answer.
#[derive(Clone, Copy, Debug)]
struct Pair {
    shape: usize,
    place: Place,
    buffer_m: f64,
    inside: bool,
}

/// The shapes of a file of geofences.
fn shapes(file: PathBuf) -> Vec<Arc<Shape>> {
    let limits = Limits::for_replay();
    let mut source = watchtower_inputs::open(&file, FileFormat::GeoJson, &limits).unwrap();
    let mut shapes = Vec::new();
    while let Some(record) = source.next_record().unwrap() {
        let Ok(Event::Geofence(change)) = record.result else { continue };
        shapes.push(Arc::clone(&change.definition.unwrap().geofence.shape));
    }
    assert!(!shapes.is_empty(), "{}", file.display());
    shapes
}

/// Polygons of all sizes anywhere, with a hole each, on vertices with all the digits of a double.
fn stars(rng: &mut Rng) -> Vec<Arc<Shape>> {
    let mut star = |center: [f64; 2], vertices: usize, least: f64, greatest: f64| {
        let mut ring: Vec<[f64; 2]> = (0..vertices)
            .map(|i| {
                let (sin, cos) = (i as f64 / vertices as f64 * std::f64::consts::TAU).sin_cos();
                let radius = least + (greatest - least) * unit(rng);
                [center[0] + radius * cos, center[1] + radius * sin]
            })
            .collect();
        ring.push(ring[0]);
        ring
    };
    (0..60)
        .map(|i| {
            let size = [1e-4, 1e-2, 1.0, 10.0][i % 4];
            let center = [i as f64 * 5.0 - 160.0, (i * 7 % 120) as f64 - 60.0];
            let vertices = [3, 5, 40, 1_000][i / 4 % 4];
            let rings = vec![star(center, vertices, 0.5 * size, size), star(center, vertices, 0.05 * size, 0.2 * size)];
            Arc::new(Shape::from_polygons(vec![rings]).unwrap())
        })
        .collect()
}

/// A random number in 0..1.
fn unit(rng: &mut Rng) -> f64 {
    (rng.next() >> 11) as f64 / (1_u64 << 53) as f64
}

fn place_at(lon: f64, lat: f64) -> Place {
    Place::from_degrees(lon.clamp(-180.0, 180.0), lat.clamp(-90.0, 90.0))
}

/// Some place that `shape` makes interesting: near an edge, near a vertex, or anywhere around.
fn place_near(rng: &mut Rng, shape: &Shape, edges: &[([f64; 2], [f64; 2])]) -> Place {
    let (a, b) = edges[rng.below(edges.len())];
    let aside = |rng: &mut Rng| rng.weighted(&[(6, 0), (2, 1), (2, -1), (1, 2), (1, -3)]) as f64 * 1e-7;
    match rng.below(6) {
        0 => place_at(a[0] + aside(rng), a[1] + aside(rng)),
        1 => place_at(a[0] + aside(rng), b[1] + aside(rng)),
        2 | 3 => {
            let t = if rng.chance(30) { 0.5 } else { unit(rng) };
            place_at(a[0] + t * (b[0] - a[0]) + aside(rng), a[1] + t * (b[1] - a[1]) + aside(rng))
        }
        _ => {
            let bounds = shape.boxes(0.0)[0];
            let stretch = |from: f64, to: f64, u: f64| from + (to - from) * (1.2 * u - 0.1);
            place_at(stretch(bounds.west, bounds.east, unit(rng)), stretch(bounds.south, bounds.north, unit(rng)))
        }
    }
}

/// Asks PostGIS; the rows of `query`, which sees `shapes` (id, geometry, border, radius_m) and `pairs` (n, shape,
/// place, buffer_m, inside) in the order of the shapes.
fn ask(url: &str, shapes: &[Arc<Shape>], pairs: &[Pair], query: &str) -> Vec<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let (mut areas, mut rows) = (String::new(), String::new());
    for (id, shape) in shapes.iter().enumerate() {
        let radius = shape.radius_m().map_or_else(String::new, |radius| radius.to_string());
        writeln!(areas, "{id};{radius};SRID=4326;{}", shape.wkt()).unwrap();
    }
    let areas = areas.replace(";SRID=4326;", ";\"SRID=4326;").replace(")\n", ")\"\n");
    for (n, Pair { shape, place, buffer_m, inside }) in pairs.iter().enumerate() {
        // As decimals: PostgreSQL reads the same doubles.
        writeln!(rows, "{n};{shape};{};{};{buffer_m};{inside}", decimal(place.lon), decimal(place.lat)).unwrap();
    }
    for (name, text) in [("shapes", areas), ("pairs", rows)] {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let folder = dir.path().display();
    let script = format!(
        "SET client_min_messages = warning; SET max_parallel_workers_per_gather = 0; SET jit = off;
         BEGIN;
         {FUNCTIONS}
         CREATE TEMP TABLE shapes (id integer, radius_m double precision, geometry geometry(Geometry, 4326));
         ALTER TABLE shapes ALTER geometry SET STORAGE EXTERNAL;
         CREATE TEMP TABLE asked (n integer, shape integer, lon double precision, lat double precision,
                                  buffer_m double precision, inside boolean);
         \\copy shapes FROM '{folder}/shapes' CSV DELIMITER ';'
         \\copy asked FROM '{folder}/pairs' CSV DELIMITER ';'
         ALTER TABLE shapes ADD border geometry;
         ALTER TABLE shapes ALTER border SET STORAGE EXTERNAL;
         UPDATE shapes SET border = ST_Boundary(geometry);
         ANALYZE shapes, asked;
         CREATE TEMP VIEW pairs AS
         SELECT n, shape, buffer_m, inside, ST_SetSRID(ST_MakePoint(lon, lat), 4326) AS place FROM asked;
         SET enable_mergejoin = off;
         SET enable_nestloop = off;
         {query};
         ROLLBACK;\n"
    );
    psql(url, &script).lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
}

fn decimal(units: i32) -> String {
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{}.{:07}", units.unsigned_abs() / 10_000_000, units.unsigned_abs() % 10_000_000)
}

/// The shapes of each file, or stars where there are none.
fn areas(rng: &mut Rng) -> Vec<(&'static str, usize, Vec<Arc<Shape>>)> {
    let Some(data) = data_dir() else { return vec![("stars", 1_000, stars(rng))] };
    AREAS.iter().map(|&(name, vertices)| (name, vertices, shapes(geofences(&data, name)))).collect()
}

fn geofences(data: &Path, name: &str) -> PathBuf {
    data.join("geofences").join(format!("{name}.geojson.gz"))
}

/// So many pairs, the same number for each shape, shape after shape: PostGIS prepares each once.
fn pairs(count: usize, shapes: &[Arc<Shape>], mut pair: impl FnMut(usize, &Shape) -> Pair) -> Vec<Pair> {
    let each = count.div_ceil(shapes.len());
    shapes
        .iter()
        .enumerate()
        .flat_map(|(id, shape)| (0..each).map(move |_| (id, shape)))
        .map(|(id, shape)| pair(id, shape))
        .collect()
}

fn inside(pairs: &[Pair]) -> usize {
    pairs.iter().filter(|pair| pair.inside).count()
}

#[test]
fn areas_cover_what_st_covers_says() {
    let mut rng = Rng::new(1);
    let url = PostgresServer::shared().database();
    let files = areas(&mut rng);
    let (mut asked, mut undecided) = (0, 0);
    for (name, _, shapes) in &files {
        let begun = Instant::now();
        let edges: Vec<Vec<_>> = shapes.iter().map(|shape| exact::edges(shape).collect()).collect();
        let pairs = pairs(COVERED / files.len(), shapes, |id, shape| {
            let place = place_near(&mut rng, shape, &edges[id]);
            Pair { shape: id, place, buffer_m: 0.0, inside: shape.covers(place) }
        });
        // Also, for every fiftieth pair, what the oracle does to be exact.
        let query = "
            SELECT n, says <> inside, oracle <> inside
            FROM pairs
            JOIN shapes ON id = shape
            CROSS JOIN LATERAL (SELECT ST_Covers(geometry, place) AS says) AS postgis
            CROSS JOIN LATERAL (SELECT CASE WHEN n % 50 = 0 OR says <> inside
                                            THEN pg_temp.covers(geometry, border, place) END AS oracle) AS exact
            WHERE says <> inside OR oracle <> inside";
        let mut differing = 0;
        for row in ask(&url, shapes, &pairs, query) {
            let Pair { shape, place, inside, .. } = pairs[row[0].parse::<usize>().unwrap()];
            let what = format!("{name}, shape {shape}: {place:?} is inside: {inside}");
            assert_eq!(row[2], "f", "{what}; the oracle differs");
            assert_eq!(inside, exact::covers(&shapes[shape], place), "{what}; without rounding it is not");
            assert!(
                exact::is_within_rounding(&shapes[shape], place),
                "{what}; ST_Covers differs, though it is not next to an edge"
            );
            println!("{what}; ST_Covers says otherwise, for want of digits");
            differing += 1;
        }
        println!(
            "{name}: {} pairs, {} inside, {differing} that doubles cannot decide, {:.1?}",
            pairs.len(),
            self::inside(&pairs),
            begun.elapsed()
        );
        asked += pairs.len();
        undecided += differing;
    }
    println!("{asked} pairs in all, {undecided} of them decided otherwise by ST_Covers");
}

/// Counts the rows (n, metres from the threshold) of pairs about which PostGIS says otherwise.
fn count_undecided(name: &str, pairs: &[Pair], rows: &[Vec<String>]) -> usize {
    for row in rows {
        let pair = pairs[row[0].parse::<usize>().unwrap()];
        let off: f64 = row[1].parse().unwrap();
        assert!(off.abs() <= TOLERANCE_M, "{name}: {off} m from the threshold PostGIS differs from {pair:?}");
    }
    rows.len()
}

#[test]
fn areas_are_as_near_as_st_distance_says() {
    let mut rng = Rng::new(2);
    let url = PostgresServer::shared().database();
    let files = areas(&mut rng);
    for (name, vertices, shapes) in &files {
        let begun = Instant::now();
        let shapes: Vec<_> = shapes.iter().filter(|shape| shape.vertex_count() <= *vertices).cloned().collect();
        let edges: Vec<Vec<_>> = shapes.iter().map(|shape| exact::edges(shape).collect()).collect();
        let pairs = pairs(MEASURED / files.len(), &shapes, |id, shape| {
            let (a, b) = edges[id][rng.below(edges[id].len())];
            let buffer_m = *rng.pick(&[0.5, 15.0, 100.0, 1_000.0, 5_000.0]);
            let t = if rng.chance(30) { 0.0 } else { unit(&mut rng) };
            let around = unit(&mut rng) * std::f64::consts::TAU;
            let far = buffer_m * (0.7 + unit(&mut rng));
            let lat = a[1] + t * (b[1] - a[1]) + far * around.sin() / 111_000.0;
            let lon = a[0] + t * (b[0] - a[0]) + far * around.cos() / (111_300.0 * lat.to_radians().cos());
            let place = place_at(lon, lat);
            Pair { shape: id, place, buffer_m, inside: shape.covers_buffered(place, buffer_m) }
        });
        let query = "
            SELECT n, metres - buffer_m
            FROM pairs
            JOIN shapes ON id = shape
            CROSS JOIN LATERAL (SELECT pg_temp.distance_m(geometry, place) AS metres) AS postgis
            WHERE (metres <= buffer_m) <> inside";
        let undecided = count_undecided(name, &pairs, &ask(&url, &shapes, &pairs, query));
        println!(
            "{name}: {} pairs, {} near, {undecided} within rounding of the threshold, {:.1?}",
            pairs.len(),
            inside(&pairs),
            begun.elapsed()
        );
    }
}

/// Circles of all sizes anywhere, the poles and the antimeridian included.
fn circles(rng: &mut Rng) -> Vec<Arc<Shape>> {
    let mut circle = || {
        let lon = if rng.chance(20) { *rng.pick(&[-180.0, 180.0, 179.999, 0.0]) } else { 360.0 * unit(rng) - 180.0 };
        let lat = if rng.chance(10) { *rng.pick(&[-90.0, 90.0, 89.99, 0.0]) } else { 180.0 * unit(rng) - 90.0 };
        let radius_m = 10_f64.powf(6.5 * unit(rng));
        Arc::new(Shape::circle([lon, lat], radius_m).unwrap())
    };
    (0..3_000).map(|_| circle()).collect()
}

/// Some place on a random ray from the centre: next to the border, or not far from it.
fn place_near_circle(rng: &mut Rng, shape: &Shape) -> Place {
    let ([lon, lat], radius_m) = (shape.center().unwrap(), shape.radius_m().unwrap());
    let around = unit(rng) * std::f64::consts::TAU;
    let up = radius_m / 111_000.0 * around.sin();
    let across = radius_m / 111_000.0 * around.cos() / lat.to_radians().cos().max(0.01);
    let at = |t: f64| {
        let lon = lon + t * across;
        place_at(lon - 360.0 * (lon / 360.0).round(), lat + t * up)
    };
    if rng.chance(70) {
        return at(1.2 * unit(rng));
    }
    let (mut near, mut far) = (0.0, 2.0);
    for _ in 0..40 {
        let middle = 0.5 * (near + far);
        if shape.covers(at(middle)) { near = middle } else { far = middle }
    }
    at(if rng.chance(50) { near } else { far })
}

#[test]
fn circles_cover_what_st_dwithin_says() {
    let mut rng = Rng::new(3);
    let url = PostgresServer::shared().database();
    let mut files = vec![("circles anywhere", circles(&mut rng))];
    if let Some(data) = data_dir() {
        files.extend(CIRCLES.iter().map(|&name| (name, shapes(geofences(&data, name)))));
    }
    for (name, shapes) in &files {
        let begun = Instant::now();
        let pairs = pairs(CIRCLED / files.len(), shapes, |id, shape| {
            let place = place_near_circle(&mut rng, shape);
            Pair { shape: id, place, buffer_m: 0.0, inside: shape.covers(place) }
        });
        let query = "
            SELECT n, ST_Distance(geometry::geography, place::geography, true) - radius_m
            FROM pairs
            JOIN shapes ON id = shape
            WHERE ST_DWithin(geometry::geography, place::geography, radius_m, true) <> inside";
        let undecided = count_undecided(name, &pairs, &ask(&url, shapes, &pairs, query));
        println!(
            "{name}: {} pairs, {} inside, {undecided} within rounding of the radius, {:.1?}",
            pairs.len(),
            inside(&pairs),
            begun.elapsed()
        );
    }
}

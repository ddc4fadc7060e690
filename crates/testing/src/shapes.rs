//! Shared test data: real geofences, generated shapes, a random number generator.

#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

/// Polygons of rings of `[lon, lat]`.
pub type Polygons = Vec<Vec<Vec<[f64; 2]>>>;

/// The folder of real data. Prints a message if it does not exist.
pub fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("WATCHTOWER_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: no folder {} (set WATCHTOWER_DATA)", folder.display());
        return None;
    }
    Some(folder)
}

/// The features of a GeoJSON file in that folder.
pub fn features(folder: &std::path::Path, file: &str) -> Vec<Value> {
    let bytes = std::fs::read(folder.join(file)).unwrap();
    let mut text = String::new();
    if file.ends_with(".gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    let mut collection: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(collection["features"].take()).unwrap()
}

/// The polygons of a feature; `None` for a point.
pub fn polygons(feature: &Value) -> Option<Polygons> {
    let geometry = &feature["geometry"];
    let coordinates = geometry["coordinates"].clone();
    match geometry["type"].as_str().unwrap() {
        "Polygon" => Some(vec![serde_json::from_value(coordinates).unwrap()]),
        "MultiPolygon" => Some(serde_json::from_value(coordinates).unwrap()),
        _ => None,
    }
}

/// SplitMix64: the same numbers on every platform.
pub struct Random(
    /// The state; initially the seed.
    pub u64,
);

impl Random {
    /// The next number of the sequence.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A random number in `0..n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next_u64() % n
    }

    /// A random number in `from..to`.
    pub fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64 * (to - from)
    }
}

/// A closed ring of `n` vertices around a centre, at the distances that `radius` returns.
pub fn star(center: [f64; 2], n: usize, mut radius: impl FnMut(usize) -> f64) -> Vec<[f64; 2]> {
    let mut ring: Vec<[f64; 2]> = (0..n)
        .map(|i| {
            let (sin, cos) = (i as f64 / n as f64 * std::f64::consts::TAU).sin_cos();
            let r = radius(i);
            [center[0] + r * cos, center[1] + r * sin]
        })
        .collect();
    ring.push(ring[0]);
    ring
}

/// Closes an open ring.
pub fn ring(open: &[[f64; 2]]) -> Vec<[f64; 2]> {
    open.iter().chain(&open[..1]).copied().collect()
}

/// A square ring; `side` in degrees.
pub fn square(west: f64, south: f64, side: f64) -> Vec<[f64; 2]> {
    ring(&[[west, south], [west + side, south], [west + side, south + side], [west, south + side]])
}

//! Shapes in PostGIS's format: extended well-known binary, little-endian, SRID 4326.

use watchtower_model::geometry::{PolygonRef, Shape};

const LITTLE_ENDIAN: u8 = 1;
const POINT: u32 = 1;
const POLYGON: u32 = 3;
const MULTIPOLYGON: u32 = 6;
/// Flag of the geometry type: an SRID follows.
const HAS_SRID: u32 = 0x2000_0000;
const WGS84: u32 = 4326;

/// Encodes a polygon or multipolygon; a circle as the point at its centre.
pub fn encode(shape: &Shape) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + 16 * shape.vertex_count());
    if let Some([lon, lat]) = shape.center() {
        head(&mut out, POINT | HAS_SRID);
        put(&mut out, WGS84);
        coordinate(&mut out, [lon, lat]);
        return out;
    }
    let polygons: Vec<_> = shape.polygons().collect();
    if let [polygon] = polygons[..] {
        head(&mut out, POLYGON | HAS_SRID);
        put(&mut out, WGS84);
        rings(&mut out, polygon);
        return out;
    }
    head(&mut out, MULTIPOLYGON | HAS_SRID);
    put(&mut out, WGS84);
    put(&mut out, polygons.len() as u32);
    for polygon in polygons {
        head(&mut out, POLYGON);
        rings(&mut out, polygon);
    }
    out
}

fn head(out: &mut Vec<u8>, kind: u32) {
    out.push(LITTLE_ENDIAN);
    put(out, kind);
}

fn rings(out: &mut Vec<u8>, polygon: PolygonRef<'_>) {
    let rings = polygon.rings();
    put(out, rings.len() as u32);
    for ring in rings {
        put(out, ring.len() as u32);
        ring.iter().for_each(|&vertex| coordinate(out, vertex));
    }
}

fn put(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn coordinate(out: &mut Vec<u8>, [lon, lat]: [f64; 2]) {
    out.extend_from_slice(&lon.to_le_bytes());
    out.extend_from_slice(&lat.to_le_bytes());
}

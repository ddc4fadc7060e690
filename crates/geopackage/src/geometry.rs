//! GeoPackage's binary geometries: a header with the envelope, then well-known binary.
//!
//! ```text
//! "GP" | version 0 | flags | spatial reference | envelope: west, east, south, north | WKB
//! ```
//! Little-endian. A point has no envelope. Source: OGC 12-128r19, clause 2.1.3.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use watchtower_model::geometry::{PolygonRef, Shape};

use super::layer::WGS84;

const LITTLE_ENDIAN: u8 = 1;
/// Flag: the envelope is two ranges, of longitude and latitude.
const ENVELOPE_XY: u8 = 1 << 1;
/// Flag: the geometry has no coordinates.
const EMPTY: u8 = 1 << 4;
const POINT: u32 = 1;
const POLYGON: u32 = 3;
const MULTIPOLYGON: u32 = 6;

/// Encodes a point; degrees.
pub fn point([lon, lat]: [f64; 2]) -> [u8; 29] {
    let mut out = [0; 29];
    out[..4].copy_from_slice(&[b'G', b'P', 0, LITTLE_ENDIAN]);
    out[4..8].copy_from_slice(&WGS84.to_le_bytes());
    out[8] = LITTLE_ENDIAN;
    out[9..13].copy_from_slice(&POINT.to_le_bytes());
    out[13..21].copy_from_slice(&lon.to_le_bytes());
    out[21..].copy_from_slice(&lat.to_le_bytes());
    out
}

/// Encodes a polygon or multipolygon; a circle as the point at its centre.
pub fn shape(shape: &Shape) -> Vec<u8> {
    if let Some(centre) = shape.center() {
        return point(centre).to_vec();
    }
    let polygons: Vec<PolygonRef<'_>> = shape.polygons().collect();
    let mut out = Vec::with_capacity(64 + 16 * shape.vertex_count());
    out.extend([b'G', b'P', 0, LITTLE_ENDIAN | ENVELOPE_XY]);
    out.extend(WGS84.to_le_bytes());
    let vertices = polygons.iter().flat_map(|polygon| polygon.rings()).flat_map(|ring| ring.iter().copied());
    let envelope = vertices.fold(Envelope::NONE, Envelope::with);
    for edge in [envelope.west, envelope.east, envelope.south, envelope.north] {
        out.extend(edge.to_le_bytes());
    }
    if let [polygon] = polygons[..] {
        rings(&mut out, polygon);
        return out;
    }
    head(&mut out, MULTIPOLYGON, polygons.len());
    polygons.into_iter().for_each(|polygon| rings(&mut out, polygon));
    out
}

/// The well-known binary behind the header of a geometry; `None` if the blob is no geometry.
pub fn wkb(blob: &[u8]) -> Option<&[u8]> {
    let flags = *blob.get(3)?;
    let envelope_bytes = match (flags >> 1) & 0b111 {
        0 => 0,
        1 => 32,
        2 | 3 => 48,
        4 => 64,
        _ => return None,
    };
    blob.strip_prefix(b"GP").and_then(|rest| rest.get(6 + envelope_bytes..))
}

fn rings(out: &mut Vec<u8>, polygon: PolygonRef<'_>) {
    let rings = polygon.rings();
    head(out, POLYGON, rings.len());
    for ring in rings {
        out.extend((ring.len() as u32).to_le_bytes());
        ring.iter().flatten().for_each(|coordinate| out.extend(coordinate.to_le_bytes()));
    }
}

fn head(out: &mut Vec<u8>, kind: u32, parts: usize) {
    out.push(LITTLE_ENDIAN);
    out.extend(kind.to_le_bytes());
    out.extend((parts as u32).to_le_bytes());
}

/// Bounding box, degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Envelope {
    west: f64,
    east: f64,
    south: f64,
    north: f64,
}

impl Envelope {
    /// The empty envelope, neutral for [`Self::with`].
    const NONE: Self =
        Self { west: f64::INFINITY, east: f64::NEG_INFINITY, south: f64::INFINITY, north: f64::NEG_INFINITY };

    fn with(self, [lon, lat]: [f64; 2]) -> Self {
        Self {
            west: self.west.min(lon),
            east: self.east.max(lon),
            south: self.south.min(lat),
            north: self.north.max(lat),
        }
    }

    /// Envelope from the header, or of the point; `None` if the blob is no geometry.
    fn of(blob: &[u8]) -> Option<Self> {
        let (start, flags) = (blob.strip_prefix(b"GP\0")?, *blob.get(3)?);
        let little = flags & LITTLE_ENDIAN != 0;
        let number = |at: usize, little: bool| {
            let bytes = start.get(at..at + 8)?.try_into().ok()?;
            Some(if little { f64::from_le_bytes(bytes) } else { f64::from_be_bytes(bytes) })
        };
        if flags & EMPTY != 0 {
            return None;
        }
        if flags & 0b1110 != 0 {
            let at = |index: usize| number(5 + 8 * index, little);
            return Some(Self { west: at(0)?, east: at(1)?, south: at(2)?, north: at(3)? });
        }
        // Without an envelope it is a point; its first two coordinates have the same offset with and without a Z or M.
        let little = *start.get(5)? == LITTLE_ENDIAN;
        let place = [number(10, little)?, number(18, little)?];
        place.iter().all(|coordinate| !coordinate.is_nan()).then(|| Self::NONE.with(place))
    }
}

/// Registers the SQL functions that the triggers of a spatial index call, including indexes that other programs add.
pub(super) fn register_functions(connection: &Connection) -> rusqlite::Result<()> {
    type Edge = (&'static str, fn(Envelope) -> f64);
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let edges: [Edge; 4] = [
        ("ST_MinX", |envelope| envelope.west),
        ("ST_MaxX", |envelope| envelope.east),
        ("ST_MinY", |envelope| envelope.south),
        ("ST_MaxY", |envelope| envelope.north),
    ];
    for (name, edge) in edges {
        connection.create_scalar_function(name, 1, flags, move |context| Ok(envelope(context)?.map(edge)))?;
    }
    connection.create_scalar_function("ST_IsEmpty", 1, flags, |context| Ok(envelope(context)?.is_none()))
}

fn envelope(context: &Context<'_>) -> rusqlite::Result<Option<Envelope>> {
    Ok(context.get_raw(0).as_blob_or_null()?.and_then(Envelope::of))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(west: f64) -> Vec<Vec<[f64; 2]>> {
        vec![vec![[west, 6.0], [west + 1.0, 6.0], [west + 1.0, 7.5], [west, 7.5], [west, 6.0]]]
    }

    #[test]
    fn the_envelope_is_that_of_all_rings() {
        let one = shape(&Shape::from_polygons(vec![square(3.0)]).unwrap());
        let two = shape(&Shape::from_polygons(vec![square(3.0), square(9.0)]).unwrap());
        let envelope = |east| Some(Envelope { west: 3.0, east, south: 6.0, north: 7.5 });
        assert_eq!((Envelope::of(&one), Envelope::of(&two)), (envelope(4.0), envelope(10.0)));
        assert_eq!(one.len(), 8 + 32 + 9 + 4 + 5 * 16);
        assert_eq!(two.len(), 8 + 32 + 9 + 2 * (9 + 4 + 5 * 16));
    }

    #[test]
    fn a_point_is_its_own_envelope() {
        let blob = point([3.5, 6.5]);
        assert_eq!(Envelope::of(&blob), Some(Envelope { west: 3.5, east: 3.5, south: 6.5, north: 6.5 }));
        assert_eq!(shape(&Shape::circle([3.5, 6.5], 10.0).unwrap()), blob);
    }

    #[test]
    fn well_known_binary_is_behind_the_header() {
        let two = shape(&Shape::from_polygons(vec![square(3.0), square(9.0)]).unwrap());
        assert_eq!(wkb(&two).unwrap()[..9], [1, 6, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(wkb(&point([3.5, 6.5])).unwrap().len(), 21);
        assert_eq!((wkb(b"GP\0"), wkb(b"POINT(1 2)"), wkb(&two[..20])), (None, None, None));
    }

    #[test]
    fn what_is_no_geometry_is_nowhere() {
        let empty = { point([f64::NAN, f64::NAN]) };
        for blob in [&b""[..], b"GP", b"GP\0\x01", b"POINT(1 2)", &empty, &point([1.0, 2.0])[..20]] {
            assert_eq!(Envelope::of(blob), None, "{blob:?}");
        }
    }
}

//! Polygons and multipolygons: exact cover, and nearness in metres.

use robust::{Coord, orient2d};
use serde::{Deserialize, Serialize};

use super::BoundingBox;
use super::geodesic::{latitude_reach, longitude_reach, metres_per_degree};
use super::slabs::Slabs;

/// A valid polygon or multipolygon: the vertices as given, and an index made from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Vec<Vec<[f64; 2]>>>", into = "Vec<Vec<Vec<[f64; 2]>>>")]
pub struct Area {
    bounds: BoundingBox,
    /// Vertices of all rings, one ring after the other, each closed. An edge goes from a vertex to the next.
    vertices: Box<[[f64; 2]]>,
    /// End of each ring in `vertices`.
    ring_ends: Box<[u32]>,
    /// End of each polygon in `ring_ends`.
    polygon_ends: Box<[u32]>,
    /// `None` if the edges are so few that a scan is fast enough.
    slabs: Option<Slabs>,
}

/// One polygon of an [`Area`].
#[derive(Clone, Copy, Debug)]
pub struct PolygonRef<'a> {
    area: &'a Area,
    first_ring: usize,
    end_ring: usize,
}

impl<'a> PolygonRef<'a> {
    /// Its rings, shell first, each a closed list of `[lon, lat]` in degrees.
    pub fn rings(self) -> impl ExactSizeIterator<Item = &'a [[f64; 2]]> {
        let area = self.area;
        (self.first_ring..self.end_ring).map(move |ring| area.ring(ring))
    }
}

/// Intersection of an edge with a horizontal ray to the east from a point.
enum Meeting {
    Misses,
    Crosses,
    /// The point lies on the edge.
    Border,
}

impl From<Vec<Vec<Vec<[f64; 2]>>>> for Area {
    /// Builds the index. The polygons must have been validated, here or by their source.
    fn from(polygons: Vec<Vec<Vec<[f64; 2]>>>) -> Self {
        let mut vertices = Vec::with_capacity(polygons.iter().flatten().map(Vec::len).sum());
        let mut edges = Vec::with_capacity(vertices.capacity());
        let (mut ring_ends, mut polygon_ends) = (Vec::new(), Vec::new());
        for polygon in &polygons {
            for ring in polygon {
                let first = vertices.len() as u32;
                edges.extend((first..).zip(ring.windows(2).map(|edge| [edge[0][1], edge[1][1]])));
                vertices.extend_from_slice(ring);
                ring_ends.push(vertices.len() as u32);
            }
            polygon_ends.push(ring_ends.len() as u32);
        }
        let bounds = bounds_of(&vertices);
        let slabs = Slabs::new(&bounds, &edges);
        Self {
            bounds,
            vertices: vertices.into(),
            ring_ends: ring_ends.into(),
            polygon_ends: polygon_ends.into(),
            slabs,
        }
    }
}

impl From<Area> for Vec<Vec<Vec<[f64; 2]>>> {
    fn from(area: Area) -> Self {
        area.polygons().map(|polygon| polygon.rings().map(<[_]>::to_vec).collect()).collect()
    }
}

impl Area {
    /// The polygons as given.
    pub fn polygons(&self) -> impl Iterator<Item = PolygonRef<'_>> {
        (0..self.polygon_ends.len()).map(|polygon| PolygonRef {
            area: self,
            first_ring: start(&self.polygon_ends, polygon),
            end_ring: self.polygon_ends[polygon] as usize,
        })
    }

    fn ring(&self, ring: usize) -> &[[f64; 2]] {
        &self.vertices[start(&self.ring_ends, ring)..self.ring_ends[ring] as usize]
    }

    fn rings(&self) -> impl Iterator<Item = &[[f64; 2]]> {
        (0..self.ring_ends.len()).map(|ring| self.ring(ring))
    }

    /// Number of positions of all rings, closing ones included.
    pub fn vertex_count(&self) -> usize {
        self.vertices.len()
    }

    /// Both ends of an edge, `[lon, lat]` in degrees.
    pub fn edge(&self, first_vertex: u32) -> ([f64; 2], [f64; 2]) {
        let first = first_vertex as usize;
        (self.vertices[first], self.vertices[first + 1])
    }

    /// Every edge that has a point between these latitudes, and others; some more than once. An edge is identified by
    /// the index of its first vertex: consecutive edges of a ring have consecutive indices.
    pub fn edges_between(&self, south: f64, north: f64) -> impl Iterator<Item = u32> {
        let (listed, rings) = match &self.slabs {
            Some(slabs) => (slabs.between(south, north), 0),
            None => (&[][..], self.ring_ends.len()),
        };
        let scanned = (0..rings).flat_map(|ring| {
            let (first, end) = (start(&self.ring_ends, ring) as u32, self.ring_ends[ring]);
            first..end - 1
        });
        listed.iter().copied().chain(scanned)
    }

    pub(super) fn covers(&self, lon: f64, lat: f64) -> bool {
        if !self.bounds.contains(lon, lat) {
            return false;
        }
        match &self.slabs {
            Some(slabs) => is_covered(slabs.at(lat).iter().map(|&edge| self.edge(edge)), lon, lat),
            None => is_covered(self.rings().flat_map(|ring| ring.windows(2)).map(|edge| (edge[0], edge[1])), lon, lat),
        }
    }

    /// Whether an edge is at most `buffer_m` away: in a plane scaled to metres with the radii of
    /// curvature at the place's latitude, longitudes not wrapped.
    pub(super) fn is_near(&self, lon: f64, lat: f64, buffer_m: f64) -> bool {
        let scale = metres_per_degree(lat);
        // Includes more than the rounding of the edges' latitudes and longitudes.
        let reach = buffer_m * (1.0 + 1e-9) + 1e-6;
        let (across, up) = (reach / scale.0, reach / scale.1);
        let near = BoundingBox { west: lon - across, south: lat - up, east: lon + across, north: lat + up };
        if !overlaps(&near, &self.bounds) {
            return false;
        }
        let is_near = |(a, b): ([f64; 2], [f64; 2])| {
            overlaps(&near, &bounds_of(&[a, b])) && squared_distance([lon, lat], a, b, scale) <= buffer_m * buffer_m
        };
        match &self.slabs {
            Some(slabs) => slabs.between(near.south, near.north).iter().any(|&edge| is_near(self.edge(edge))),
            None => self.rings().flat_map(|ring| ring.windows(2)).any(|edge| is_near((edge[0], edge[1]))),
        }
    }

    /// Boxes of all places for which [`Area::covers`] or [`Area::is_near`] can be true.
    pub(super) fn bounds(&self, buffer_m: f64) -> BoundingBox {
        if buffer_m <= 0.0 {
            return self.bounds;
        }
        let reach = buffer_m + 1e-6;
        let up = latitude_reach(reach);
        let south = (self.bounds.south - up).max(-90.0);
        let north = (self.bounds.north + up).min(90.0);
        let across = longitude_reach(reach, north.max(-south));
        BoundingBox {
            west: (self.bounds.west - across).max(-180.0),
            south,
            east: (self.bounds.east + across).min(180.0),
            north,
        }
    }

    pub(super) fn wkt(&self) -> String {
        let kind = if self.is_several() { "MULTIPOLYGON" } else { "POLYGON" };
        format!("{kind}{}", self.coordinates(['(', ')'], |[lon, lat]| format!("{lon} {lat}")))
    }

    pub(super) fn geojson(&self) -> String {
        let kind = if self.is_several() { "MultiPolygon" } else { "Polygon" };
        let coordinates = self.coordinates(['[', ']'], |[lon, lat]| format!("[{lon},{lat}]"));
        format!(r#"{{"type":"{kind}","coordinates":{coordinates}}}"#)
    }

    fn is_several(&self) -> bool {
        self.polygon_ends.len() != 1
    }

    /// The nested lists of all positions between brackets.
    fn coordinates(&self, [open, close]: [char; 2], position: fn([f64; 2]) -> String) -> String {
        let list = |parts: Vec<String>| format!("{open}{}{close}", parts.join(","));
        let ring = |ring: &[[f64; 2]]| list(ring.iter().copied().map(position).collect());
        let mut polygons: Vec<String> =
            self.polygons().map(|polygon| list(polygon.rings().map(ring).collect())).collect();
        match polygons.len() {
            1 => polygons.remove(0),
            _ => list(polygons),
        }
    }
}

fn start(ends: &[u32], index: usize) -> usize {
    if index == 0 { 0 } else { ends[index - 1] as usize }
}

fn bounds_of(vertices: &[[f64; 2]]) -> BoundingBox {
    let empty =
        BoundingBox { west: f64::INFINITY, south: f64::INFINITY, east: f64::NEG_INFINITY, north: f64::NEG_INFINITY };
    vertices.iter().fold(empty, |bounds, &[lon, lat]| BoundingBox {
        west: bounds.west.min(lon),
        south: bounds.south.min(lat),
        east: bounds.east.max(lon),
        north: bounds.north.max(lat),
    })
}

fn overlaps(a: &BoundingBox, b: &BoundingBox) -> bool {
    a.west <= b.east && b.west <= a.east && a.south <= b.north && b.south <= a.north
}

/// Even-odd rule over the edges of all rings: correct for a valid multipolygon, whose polygons do not overlap.
fn is_covered(edges: impl Iterator<Item = ([f64; 2], [f64; 2])>, lon: f64, lat: f64) -> bool {
    let mut inside = false;
    for (a, b) in edges {
        match meet(a, b, lon, lat) {
            Meeting::Misses => {}
            Meeting::Crosses => inside = !inside,
            Meeting::Border => return true,
        }
    }
    inside
}

/// An edge includes its lower end and excludes its upper one, so a ray through a vertex crosses once where the border
/// passes the ray, and twice or never where it turns back.
#[inline]
fn meet(a: [f64; 2], b: [f64; 2], lon: f64, lat: f64) -> Meeting {
    if (a[1] > lat) == (b[1] > lat) {
        // Both ends above, or neither: the point can only be an end, or on a horizontal edge.
        let between = a[0].min(b[0]) <= lon && lon <= a[0].max(b[0]);
        let border =
            (a[1] == lat && b[1] == lat && between) || (a[1] == lat && a[0] == lon) || (b[1] == lat && b[0] == lon);
        return if border { Meeting::Border } else { Meeting::Misses };
    }
    if a[0] < lon && b[0] < lon {
        return Meeting::Misses;
    }
    if a[0] > lon && b[0] > lon {
        return Meeting::Crosses;
    }
    let (low, high) = if a[1] < b[1] { (a, b) } else { (b, a) };
    let side = orient2d(coord(low), coord(high), Coord { x: lon, y: lat });
    if side == 0.0 {
        Meeting::Border
    } else if side > 0.0 {
        Meeting::Crosses
    } else {
        Meeting::Misses
    }
}

pub(super) fn coord([x, y]: [f64; 2]) -> Coord<f64> {
    Coord { x, y }
}

/// Squared distance of a point from a segment, square metres.
fn squared_distance(point: [f64; 2], a: [f64; 2], b: [f64; 2], (east, north): (f64, f64)) -> f64 {
    let from = |p: [f64; 2]| ((p[0] - point[0]) * east, (p[1] - point[1]) * north);
    let ((ax, ay), (bx, by)) = (from(a), from(b));
    let (dx, dy) = (bx - ax, by - ay);
    let length = dx * dx + dy * dy;
    let t = if length > 0.0 { (-(ax * dx + ay * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    let (x, y) = (ax + t * dx, ay + t * dy);
    x * x + y * y
}

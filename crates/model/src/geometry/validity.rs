//! Validity of polygons as `ST_IsValid` defines it, decided exactly.
//!
//! First each ring alone: coordinates, closedness, count. Then one [sweep](super::sweep) over all edges rejects
//! crossings, overlaps, rings that touch themselves and divided interiors, and determines the ring around each ring.
//! For rings that do not cross, that decides the rest: the ring around a hole must be its own polygon's shell, and a
//! shell must lie in a hole or outside of all rings.

use super::sweep::{self, Ring, Vertex};
use super::{GeometryError, MAX_VERTICES, VertexRef};

type Rings = Vec<Vec<[f64; 2]>>;

/// Whether the coordinates are finite, and a longitude and latitude.
pub(super) fn is_on_earth([lon, lat]: [f64; 2]) -> bool {
    (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)
}

/// Checks polygons; returns the first fault.
pub(super) fn check(polygons: &[Rings]) -> Result<(), GeometryError> {
    if polygons.is_empty() {
        return Err(GeometryError::Empty);
    }
    let count = polygons.iter().flatten().map(Vec::len).sum();
    if count > MAX_VERTICES {
        return Err(GeometryError::TooManyVertices { count });
    }
    let (mut vertices, mut rings) = (Vec::with_capacity(count), Vec::new());
    for (polygon, of_polygon) in polygons.iter().enumerate() {
        if of_polygon.is_empty() {
            return Err(GeometryError::NoRing { polygon });
        }
        let shell = rings.len() as u32;
        for (ring, positions) in of_polygon.iter().enumerate() {
            let first = vertices.len() as u32;
            push_ring(&mut vertices, rings.len() as u32, polygon, ring, positions)?;
            rings.push(Ring { polygon: polygon as u32, shell, first });
        }
    }
    Topology { polygons, vertices: &vertices, rings: &rings }.check()
}

/// Checks a ring alone and appends its vertices, without those that repeat the one before.
fn push_ring(
    vertices: &mut Vec<Vertex>,
    id: u32,
    polygon: usize,
    ring: usize,
    positions: &[[f64; 2]],
) -> Result<(), GeometryError> {
    let vertex_ref = |vertex: usize| VertexRef { polygon, ring, vertex, at: positions[vertex] };
    if let Some(bad) = positions.iter().position(|&at| !is_on_earth(at)) {
        return Err(GeometryError::Coordinates(vertex_ref(bad)));
    }
    if positions.len() < 4 {
        return Err(GeometryError::TooFewPositions { polygon, ring, count: positions.len() });
    }
    let last = positions.len() - 1;
    if positions[0] != positions[last] {
        return Err(GeometryError::NotClosed(vertex_ref(last)));
    }
    let first = vertices.len();
    for (index, &[lon, lat]) in positions.iter().enumerate().take(last) {
        let repeats = index > 0 && positions[index - 1] == positions[index];
        // The last vertices may repeat the closing position.
        if !repeats {
            // Adding zero turns -0.0 into 0.0: equal places get equal bits.
            vertices.push(Vertex { at: [lon + 0.0, lat + 0.0], ring: id, index: index as u32, ..Vertex::default() });
        }
    }
    while vertices.len() > first + 1 && vertices[vertices.len() - 1].at == vertices[first].at {
        vertices.pop();
    }
    let count = vertices.len() - first;
    if count < 3 {
        return Err(GeometryError::ZeroArea(vertex_ref(0)));
    }
    for offset in 0..count {
        vertices[first + offset].next = (first + (offset + 1) % count) as u32;
        vertices[first + offset].previous = (first + (offset + count - 1) % count) as u32;
    }
    Ok(())
}

/// Rings that are well-formed individually.
struct Topology<'a> {
    polygons: &'a [Rings],
    vertices: &'a [Vertex],
    rings: &'a [Ring],
}

impl Topology<'_> {
    fn check(&self) -> Result<(), GeometryError> {
        let parents = sweep::parents(self.vertices, self.rings).map_err(|fault| self.describe(fault))?;
        for (ring, parent) in (0u32..).zip(parents) {
            self.check_parent(ring, parent)?;
        }
        Ok(())
    }

    /// The module's documentation shows why this suffices. If every ring passes, the interiors of two polygons, one
    /// shell inside the other, are separated by the hole around the inner one.
    fn check_parent(&self, ring: u32, parent: Option<u32>) -> Result<(), GeometryError> {
        let own = &self.rings[ring as usize];
        let at = self.first(ring);
        let is_hole = |ring: u32| self.rings[ring as usize].shell != ring;
        match parent {
            None if !is_hole(ring) => Ok(()),
            None => Err(GeometryError::HoleOutsideShell(at)),
            Some(parent) if !is_hole(ring) && is_hole(parent) => Ok(()),
            Some(parent) if !is_hole(ring) => Err(GeometryError::NestedShells(at, self.first(parent))),
            Some(parent) if parent == own.shell => Ok(()),
            Some(parent) if self.rings[parent as usize].polygon == own.polygon => {
                Err(GeometryError::NestedHoles(at, self.first(parent)))
            }
            Some(_) => Err(GeometryError::HoleOutsideShell(at)),
        }
    }

    fn first(&self, ring: u32) -> VertexRef {
        self.vertex_ref(self.rings[ring as usize].first)
    }

    fn vertex_ref(&self, vertex: u32) -> VertexRef {
        let Vertex { ring, index, .. } = self.vertices[vertex as usize];
        let Ring { polygon, shell, .. } = self.rings[ring as usize];
        let (polygon, ring, vertex) = (polygon as usize, (ring - shell) as usize, index as usize);
        VertexRef { polygon, ring, vertex, at: self.polygons[polygon][ring][vertex] }
    }

    fn describe(&self, fault: sweep::Fault) -> GeometryError {
        let at = |vertex| self.vertex_ref(vertex);
        match fault {
            sweep::Fault::Crossing(a, b) => GeometryError::Crossing(at(a), at(b)),
            sweep::Fault::Overlap(a, b) => GeometryError::Overlap(at(a), at(b)),
            sweep::Fault::VertexCrossing(a, b) => GeometryError::VertexCrossing(at(a), at(b)),
            sweep::Fault::SelfTouch(a, b) => GeometryError::SelfTouch(at(a), at(b)),
            sweep::Fault::Disconnected(a) => GeometryError::Disconnected(at(a)),
        }
    }
}

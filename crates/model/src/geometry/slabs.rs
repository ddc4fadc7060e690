//! An index of an area's edges by latitude.
//!
//! The area's latitudes are cut into equal slabs; each slab lists the edges that reach into it. The
//! slab of a latitude is a monotone function of it even in floating point (a subtraction, a
//! multiplication by a positive number and a truncation all are), so an edge listed from the slab
//! of its lowest to that of its highest latitude is listed in the slab of every latitude between:
//! one slab has all edges of its latitudes, and the index cannot change a result.

use super::BoundingBox;

/// Areas of at most this many edges are scanned. The index is faster from 8 edges on (measured), but cells use it so
/// rarely that saving its memory, as much as that of the vertices, is worth more.
const SCAN_EDGES: usize = 64;
/// Slabs are halved until the lists hold at most this many entries per edge on the average: 16
/// bytes beside the 16 of the vertex.
const ENTRIES_PER_EDGE: usize = 4;

/// Lists of edges by slab, contiguous from south to north.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slabs {
    south: f64,
    slabs_per_degree: f64,
    /// Begin of each slab's list, and the end of the last.
    starts: Box<[u32]>,
    /// Edges, each as the index of its first vertex.
    edges: Box<[u32]>,
}

impl Slabs {
    /// `None` if the area is small enough to be scanned. `edges` are (first vertex, latitudes).
    pub(super) fn new(bounds: &BoundingBox, edges: &[(u32, [f64; 2])]) -> Option<Self> {
        if edges.len() <= SCAN_EDGES {
            return None;
        }
        let mut count = edges.len();
        loop {
            let mut slabs = Self {
                south: bounds.south,
                slabs_per_degree: count as f64 / (bounds.north - bounds.south),
                starts: vec![0; count + 1].into(),
                edges: Box::default(),
            };
            if slabs.count_entries(edges) <= ENTRIES_PER_EDGE * edges.len() || count == 1 {
                slabs.fill(edges);
                return Some(slabs);
            }
            count = count.div_ceil(2);
        }
    }

    fn slab(&self, lat: f64) -> usize {
        // The cast converts negative numbers and NaN to zero.
        (((lat - self.south) * self.slabs_per_degree) as usize).min(self.starts.len() - 2)
    }

    fn span(&self, [a, b]: [f64; 2]) -> std::ops::RangeInclusive<usize> {
        self.slab(a.min(b))..=self.slab(a.max(b))
    }

    fn count_entries(&self, edges: &[(u32, [f64; 2])]) -> usize {
        edges.iter().map(|&(_, lats)| self.span(lats)).map(|span| span.end() - span.start() + 1).sum()
    }

    fn fill(&mut self, edges: &[(u32, [f64; 2])]) {
        for &(_, lats) in edges {
            for slab in self.span(lats) {
                self.starts[slab + 1] += 1;
            }
        }
        for slab in 1..self.starts.len() {
            self.starts[slab] += self.starts[slab - 1];
        }
        let mut next = self.starts.clone();
        let mut lists = vec![0; self.starts[self.starts.len() - 1] as usize];
        for &(edge, lats) in edges {
            for slab in self.span(lats) {
                lists[next[slab] as usize] = edge;
                next[slab] += 1;
            }
        }
        self.edges = lists.into();
    }

    /// Every edge that has a point at this latitude, and others.
    pub(super) fn at(&self, lat: f64) -> &[u32] {
        let slab = self.slab(lat);
        &self.edges[self.starts[slab] as usize..self.starts[slab + 1] as usize]
    }

    /// Every edge that has a point between these latitudes, and others; some more than once.
    pub(super) fn between(&self, south: f64, north: f64) -> &[u32] {
        let (first, last) = (self.slab(south), self.slab(north));
        &self.edges[self.starts[first] as usize..self.starts[last + 1] as usize]
    }
}

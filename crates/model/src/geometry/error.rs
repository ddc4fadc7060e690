//! Errors of geometries, in words that a producer can act on.

use std::fmt;

use thiserror::Error;

use super::MAX_VERTICES;

/// Position of a vertex in an input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VertexRef {
    /// Index of the polygon in the multipolygon, from 0.
    pub polygon: usize,
    /// Index of the ring in the polygon; 0 is the shell.
    pub ring: usize,
    /// Index of the position in the ring, from 0.
    pub vertex: usize,
    /// Its `[lon, lat]`, degrees.
    pub at: [f64; 2],
}

impl fmt::Display for VertexRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { polygon, ring, vertex, at: [lon, lat] } = self;
        write!(f, "polygon {polygon}, ring {ring}, vertex {vertex} ({lon} {lat})")
    }
}

/// The fault of a rejected geometry. Indices count from 0; ring 0 of a polygon is its shell.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum GeometryError {
    /// The geometry has no polygon.
    #[error("no polygon")]
    Empty,
    /// A polygon without a shell.
    #[error("polygon {polygon} has no ring")]
    NoRing {
        /// Index of the polygon.
        polygon: usize,
    },
    /// More positions, closing ones included, than [`MAX_VERTICES`].
    #[error("{count} vertices, more than {MAX_VERTICES}")]
    TooManyVertices {
        /// Number of positions.
        count: usize,
    },
    /// A ring of fewer than four positions, the closing one included.
    #[error("polygon {polygon}, ring {ring}: fewer than 4 positions ({count})")]
    TooFewPositions {
        /// Index of the polygon.
        polygon: usize,
        /// Index of the ring.
        ring: usize,
        /// Number of positions.
        count: usize,
    },
    /// A coordinate is NaN or infinite, a longitude is beyond 180 degrees, or a latitude beyond 90.
    #[error("coordinates not finite or out of range: {0}")]
    Coordinates(VertexRef),
    /// The last position of a ring differs from its first.
    #[error("ring not closed: the last position differs from the first: {0}")]
    NotClosed(VertexRef),
    /// A ring has fewer than three different positions.
    #[error("zero area: {0} begins a ring with fewer than 3 different positions")]
    ZeroArea(VertexRef),
    /// Two edges share a segment, as in a ring without area or a spike.
    #[error("edges overlap: those from {0} and from {1}")]
    Overlap(VertexRef, VertexRef),
    /// Two edges cross in their interiors.
    #[error("edges cross: those from {0} and from {1}")]
    Crossing(VertexRef, VertexRef),
    /// Two rings cross at a vertex.
    #[error("rings cross at a vertex: {0} and the ring of {1}")]
    VertexCrossing(VertexRef, VertexRef),
    /// A ring returns to one of its own points.
    #[error("ring touches itself: {0} lies on the edge or vertex {1}")]
    SelfTouch(VertexRef, VertexRef),
    /// A hole is not inside its polygon's shell, or is inside another ring.
    #[error("hole outside its shell: {0}")]
    HoleOutsideShell(VertexRef),
    /// A hole is inside another hole of its polygon.
    #[error("hole inside another hole: {0} and the ring of {1}")]
    NestedHoles(VertexRef, VertexRef),
    /// A polygon is inside another one, and not in a hole of it.
    #[error("polygon inside another: {0} and the ring of {1}")]
    NestedShells(VertexRef, VertexRef),
    /// Rings touch in such a way that they divide the interior of their polygon.
    #[error("interior not connected: rings touch a second time at {0}")]
    Disconnected(VertexRef),
    /// The centre of a circle is NaN, infinite or out of range.
    #[error("centre not finite or out of range: ({} {})", .0[0], .0[1])]
    Centre([f64; 2]),
    /// The radius of a circle is not a finite positive number.
    #[error("radius not finite or not positive: {0} m")]
    Radius(f64),
}

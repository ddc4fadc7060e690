//! Why a geometry is refused, in words a producer can act on.

use std::fmt;

use thiserror::Error;

use super::MAX_VERTICES;

/// A vertex of an input: which one it is, and where.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VertexRef {
    /// Index of the polygon in the multipolygon, from 0.
    pub polygon: usize,
    /// Index of the ring in the polygon; 0 is the shell.
    pub ring: usize,
    /// Index of the position in the ring, from 0.
    pub vertex: usize,
    /// Its `[lon, lat]`.
    pub at: [f64; 2],
}

impl fmt::Display for VertexRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { polygon, ring, vertex, at: [lon, lat] } = self;
        write!(f, "polygon {polygon}, ring {ring}, vertex {vertex} ({lon} {lat})")
    }
}

/// Why a geometry is refused. Indices count from 0; ring 0 of a polygon is its shell.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum GeometryError {
    /// Nothing there.
    #[error("no polygon")]
    Empty,
    /// A polygon without a shell.
    #[error("polygon {polygon} has no ring")]
    NoRing {
        /// Which.
        polygon: usize,
    },
    /// More positions, closing ones included, than [`MAX_VERTICES`].
    #[error("{count} vertices, more than {MAX_VERTICES}")]
    TooManyVertices {
        /// How many.
        count: usize,
    },
    /// A ring of fewer than four positions, the closing one included.
    #[error("polygon {polygon}, ring {ring}: fewer than 4 positions ({count})")]
    TooFewPositions {
        /// In which polygon.
        polygon: usize,
        /// Which ring.
        ring: usize,
        /// How many.
        count: usize,
    },
    /// A coordinate is NaN or infinite, or longitude beyond 180 or latitude beyond 90 degrees.
    #[error("coordinates not finite or out of range: {0}")]
    Coordinates(VertexRef),
    /// A ring that goes round the world and does not come back.
    #[error("the ring goes around a pole behind {0}: draw it along -180 and 180 and the pole")]
    AroundPole(VertexRef),
    /// A ring that is wider than the world.
    #[error("the ring that begins at {0} is more than 360 degrees wide")]
    TooWide(VertexRef),
    /// The last position of a ring differs from its first.
    #[error("ring not closed: the last position differs from the first: {0}")]
    NotClosed(VertexRef),
    /// Fewer than three different positions.
    #[error("zero area: {0} begins a ring with fewer than 3 different positions")]
    ZeroArea(VertexRef),
    /// Two edges that have a piece in common; a ring without area, and a spike, are such.
    #[error("edges overlap: those from {0} and from {1}")]
    Overlap(VertexRef, VertexRef),
    /// Two edges that cross in their interiors.
    #[error("edges cross: those from {0} and from {1}")]
    Crossing(VertexRef, VertexRef),
    /// Two rings that pass through each other at a vertex.
    #[error("rings cross at a vertex: {0} and the ring of {1}")]
    VertexCrossing(VertexRef, VertexRef),
    /// A ring that comes back to a place it has been.
    #[error("ring touches itself: {0} lies on the edge or vertex {1}")]
    SelfTouch(VertexRef, VertexRef),
    /// A hole that is not inside its polygon's shell, or is inside another ring.
    #[error("hole outside its shell: {0}")]
    HoleOutsideShell(VertexRef),
    /// A hole inside another hole of its polygon.
    #[error("hole inside another hole: {0} and the ring of {1}")]
    NestedHoles(VertexRef, VertexRef),
    /// A polygon inside another one, and not in a hole of it.
    #[error("polygon inside another: {0} and the ring of {1}")]
    NestedShells(VertexRef, VertexRef),
    /// Rings that touch so that they cut the interior of their polygon in pieces.
    #[error("interior not connected: rings touch a second time at {0}")]
    Disconnected(VertexRef),
    /// The centre of a circle is NaN, infinite or out of range.
    #[error("centre not finite or out of range: ({} {})", .0[0], .0[1])]
    Centre([f64; 2]),
    /// The radius of a circle is not a finite positive number.
    #[error("radius not finite or not positive: {0} m")]
    Radius(f64),
}
